"""``landmark-detector evaluate``: how far a bundle's landmarks lie from those of a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, say
from LandmarkDetectorLib.cli.figures import FigureFiles, FiguresOption
from LandmarkDetectorLib.cli.options import BundleOption, DataOption, DeviceOption, OverwriteOption, SubjectsOption
from LandmarkDetectorLib.core.counted import counted


def evaluate(
    bundle: BundleOption,
    data: DataOption,
    json_file: FiguresOption = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a report with curves, largest errors and every landmark.", metavar="FILE"),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--figures", help="Write a picture of each case, with truth and prediction.", metavar="DIR"),
    ] = None,
    subjects: SubjectsOption = "held-out",
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Measure a bundle on annotated images."""
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
    from LandmarkDetectorLib.inference.evaluation_page import evaluation_page, write_pictures

    loaded = load_bundle(bundle)
    files = FigureFiles(json_file, html, pictures, overwrite)
    files.prepare()
    judged: list[tuple[Any, Any]] = []
    with Steps() as steps:
        figures = evaluate_bundle(
            loaded, data, subjects=subjects, device=device, progress=steps, keep=lambda *case: judged.append(case)
        )
    title = f"{loaded.name} {loaded.version} on {data.name}"
    files.write(title, figures, figures, lambda: evaluation_page(loaded, figures, judged))
    if pictures is not None:
        count = len(write_pictures(loaded, judged, pictures))
        say(f"Written: {counted(count, 'picture')} in {pictures}")
