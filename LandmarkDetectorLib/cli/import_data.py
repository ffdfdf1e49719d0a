"""``landmark-detector import``: a data set that somebody has, into the form that training and evaluation read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, say
from LandmarkDetectorLib.cli.options import JsonOption
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import Cancelled, DatasetError

FORMS = "afids, endovis2015, hand-atlas, isbi2015, markups, plant-centroids, spine-ap"
"""The importers' names; they stand here too, so that the help imports none of them."""


def import_data(
    form: Annotated[str, typer.Argument(help=f"The data set's form: {FORMS}.", metavar="NAME")],
    folder: Annotated[Path, typer.Argument(help="Where it lies; nothing is written there.", metavar="FOLDER")],
    output: Annotated[Path, typer.Option(help="A new folder, for dataset.json and landmarks.", metavar="DIR")],
    copy_images: Annotated[
        bool,
        typer.Option("--copy-images", help="Copy the images too, headers and all; else they are used where they lie."),
    ] = False,
    truth: Annotated[
        str | None,
        typer.Option(help="Which observer counts as true, or mean of all (isbi2015, afids).", metavar="NAME"),
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="Size of a picture's pixels in mm (markups).", metavar="MM|X,Y")
    ] = None,
    ending: Annotated[
        str | None,
        typer.Option(help="What names of landmark files have more than their images' (markups).", metavar="TEXT"),
    ] = None,
    instances: Annotated[
        bool, typer.Option("--instances", help="A label may stand several times in a file, as a class (markups).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import a data set that you have: write dataset.json beside landmarks in LPS.

    Ctrl-C leaves nothing behind.
    """
    from LandmarkDetectorLib.datasets.importers import import_dataset

    given: dict[str, Any] = {"truth": truth, "spacing": None if spacing is None else _steps(spacing), "ending": ending}
    given["instances"] = instances or None
    options = {name: value for name, value in given.items() if value is not None}
    try:
        with Steps() as steps:
            dataset = import_dataset(form, folder, output, copy_images=copy_images, progress=steps, **options)
    except KeyboardInterrupt:
        raise Cancelled("Cancelled; nothing was written.") from None
    parts: dict[str, int] = {}
    for case in dataset.cases:
        part = str(case.extra.get("part", "all"))
        parts[part] = parts.get(part, 0) + 1
    if as_json:
        about = {"name": dataset.name, "folder": str(output), "cases": len(dataset.cases), "parts": parts}
        print_json({**about, "landmarks": list(dataset.labels)})
        return
    counts = ", ".join(f"{count} {part}" for part, count in parts.items()) if set(parts) != {"all"} else ""
    images, landmarks = counted(len(dataset.cases), "image"), counted(len(dataset.labels), "landmark")
    say(f"{dataset.name}: {images}, {landmarks}{counts and f' ({counts})'}.")
    say(f"Written: {output / 'dataset.json'}")


def _steps(text: str) -> tuple[float, float]:
    """One size for both axes, or two separated by a comma."""
    try:
        steps = [float(word) for word in text.split(",")]
    except ValueError:
        steps = []
    if len(steps) not in (1, 2):
        raise DatasetError(f"--spacing {text}: give one number in mm, or two separated by a comma.")
    return steps[0], steps[-1]
