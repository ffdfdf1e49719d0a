"""``landmark-detector train``: a recipe and data in, a bundle out."""

from __future__ import annotations

import os
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.endings import CANCELLED
from LandmarkDetectorLib.cli.interrupt import first_interrupt_asks
from LandmarkDetectorLib.cli.options import DataOption, DeviceOption, JsonOption
from LandmarkDetectorLib.core.errors import Cancelled


class ImagesKept(str, Enum):
    """Where the images of a training are."""

    cached = "cached"
    streamed = "streamed"


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
    images: Annotated[
        ImagesKept,
        typer.Option(help="Keep the images in memory, or read each whenever it is looked at: the same weights."),
    ] = ImagesKept.cached,
    as_json: JsonOption = False,
) -> None:
    """Train the bundle that a recipe describes.

    Ctrl-C stops after a checkpoint; --resume goes on from it. On several devices:
    torchrun --nproc-per-node N -m LandmarkDetectorLib.cli train RECIPE ...
    """
    from LandmarkDetectorLib.inference.offsets import settle
    from LandmarkDetectorLib.training import train as run

    speaks = os.environ.get("RANK", "0") == "0"  # the first of the processes that torchrun starts
    options: dict[str, Any] = {
        "fold": fold,
        "resume": resume,
        "device": device,
        "images": images.value,
        "results": figures,
    }
    if not speaks:
        with first_interrupt_asks(promise=None) as asked:
            try:
                # The first process settles the bundle; that it can be is to be known by all.
                run(recipe, data, output, settle=partial(settle, data=data), cancelled=asked.is_set, **options)
            except Cancelled:
                raise typer.Exit(CANCELLED) from None
        return
    with Steps() as steps, first_interrupt_asks() as asked:
        listening: dict[str, Any] = {"progress": steps, "cancelled": asked.is_set}
        settling = partial(settle, data=data, device=device, **listening)
        bundle = run(recipe, data, output, settle=settling, **listening, **options)
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
    say(
        "Note: the bundle lists its subjects as dataset.json calls them, and its samples as their files; where these "
        "name patients, train with codes before you pass it on."
    )
