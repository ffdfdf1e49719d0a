"""``landmark-detector evaluate``: how far a bundle's landmarks lie from those of a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.options import BundleOption, DataOption, DeviceOption
from LandmarkDetectorLib.cli.tables import figure_tables


def evaluate(
    bundle: BundleOption,
    data: DataOption,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures as JSON; - is stdout.", metavar="FILE")
    ] = None,
    subjects: Annotated[
        str,
        typer.Option(
            help="held-out: those that the bundle was not trained on; all; or a file with one subject a line.",
            metavar="held-out|all|FILE",
        ),
    ] = "held-out",
    device: DeviceOption = "auto",
) -> None:
    """Measure a bundle on annotated images."""
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.inference.evaluate import evaluate_bundle

    loaded = load_bundle(bundle)
    to_stdout = json_file == Path("-")
    if json_file is not None and not to_stdout:
        json_file.parent.mkdir(parents=True, exist_ok=True)  # now, and not after an hour of work
    with Steps() as steps:
        figures = evaluate_bundle(loaded, data, subjects=subjects, device=device, progress=steps)
    if to_stdout:
        print_json(figures)
        return
    for table in figure_tables(figures, f"{loaded.name} {loaded.version} on {data.name}"):
        results.print(table)
    if json_file is not None:
        write_json(figures, json_file)
        say(f"Written: {json_file}")


def write_json(figures: dict, file: Path) -> None:
    """Write figures as standard JSON, whole or not at all.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    import json

    from LandmarkDetectorLib.io.atomic import atomic_write

    text = json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(file, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
