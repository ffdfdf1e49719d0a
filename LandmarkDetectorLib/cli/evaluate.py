"""``landmark-detector evaluate``: how far a bundle's landmarks lie from those of a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.options import BundleOption, DataOption, DeviceOption
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written
from LandmarkDetectorLib.cli.tables import figure_tables


def evaluate(
    bundle: BundleOption,
    data: DataOption,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures as JSON; - is stdout.", metavar="FILE")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a report with curves, largest errors and every landmark.", metavar="FILE"),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--figures", help="Write a picture of each case, with truth and prediction.", metavar="DIR"),
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
    from LandmarkDetectorLib.inference.evaluation_page import evaluation_page, write_pictures

    loaded = load_bundle(bundle)
    to_stdout = json_file == Path("-")
    files = [file for file in (None if to_stdout else json_file, html) if file is not None]
    for folder in [file.parent for file in files] + ([pictures] if pictures else []):
        folder.mkdir(parents=True, exist_ok=True)  # now, and not after an hour of work
    if html or pictures:
        check_report_can_be_written("leave --html and --figures out")
    judged: list[tuple[Any, Any]] = []
    with Steps() as steps:
        figures = evaluate_bundle(
            loaded, data, subjects=subjects, device=device, progress=steps, keep=lambda *case: judged.append(case)
        )
    if to_stdout:
        print_json(figures)
    else:
        for table in figure_tables(figures, f"{loaded.name} {loaded.version} on {data.name}"):
            results.print(table)
    if json_file is not None and not to_stdout:
        write_json(figures, json_file)
        say(f"Written: {json_file}")
    if html is not None:
        write_text(evaluation_page(loaded, figures, judged), html)
        say(f"Written: {html}")
    if pictures is not None:
        count = len(write_pictures(loaded, judged, pictures))
        say(f"Written: {count} {'picture' if count == 1 else 'pictures'} in {pictures}")


def write_json(figures: dict, file: Path) -> None:
    """Write figures as standard JSON, whole or not at all.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    import json

    write_text(json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n", file)


def write_text(text: str, file: Path) -> None:
    """Write a text as UTF-8, whole or not at all.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    from LandmarkDetectorLib.io.atomic import atomic_write

    with atomic_write(file, "w", encoding="utf-8") as stream:
        stream.write(text)
