"""``landmark-detector train``: a recipe and data in, a bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results
from LandmarkDetectorLib.cli.interrupt import first_interrupt_asks
from LandmarkDetectorLib.cli.options import DataOption, DeviceOption, JsonOption


def train(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped bundle for its own recipe.", metavar="RECIPE")
    ],
    data: DataOption,
    output: Annotated[
        Path, typer.Option(help="Folder for the run: checkpoints, curves, the bundle.", metavar="DIR", file_okay=False)
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    device: DeviceOption = "auto",
    fold: Annotated[int | None, typer.Option(help="Hold this fold out and train on the others.", min=0)] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--results", help="Figures of this recipe's cross-validation, for the card.", metavar="FILE", dir_okay=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the bundle that a recipe describes.

    Ctrl-C stops after a checkpoint; --resume goes on from it.
    """
    from LandmarkDetectorLib.training import train as run

    with Steps() as steps, first_interrupt_asks() as asked:
        bundle = run(
            recipe,
            data,
            output,
            fold=fold,
            resume=resume,
            device=device,
            results=figures,
            progress=steps,
            cancelled=asked.is_set,
        )
    about = {
        "name": bundle.name,
        "version": bundle.version,
        "fingerprint": bundle.fingerprint,
        "folder": str(bundle.folder),
    }
    if as_json:
        print_json(about)
    else:
        results.print(f"Bundle {bundle.name} {bundle.version}: {bundle.folder}", markup=False, soft_wrap=True)
