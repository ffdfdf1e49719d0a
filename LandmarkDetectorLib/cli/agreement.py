"""``landmark-detector agreement``: how far observers, models and methods agree on landmarks and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.evaluate import write_json, write_text
from LandmarkDetectorLib.cli.measure import pairs
from LandmarkDetectorLib.cli.options import DeviceOption
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written
from LandmarkDetectorLib.cli.tables import figure_tables


def agreement(
    readers: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: an observer of --data, mean for what counts as true there, a bundle, the folder of a "
            "cross-validation, or a folder of landmark files called like the images.",
            metavar="A B [C]...",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with images, landmarks and dataset.json; observers are read from it, bundles run on it.",
            exists=True,
            file_okay=False,
            metavar="DIR",
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="What is measured: a set that measure --list names, or a YAML file. May be given several times.",
            metavar="NAME|FILE",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures as JSON; - is stdout.", metavar="FILE")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots, tables and classes.", metavar="FILE")
    ] = None,
    pictures: Annotated[Path | None, typer.Option("--figures", help="Write each plot as a PNG.", metavar="DIR")] = None,
    subjects: Annotated[
        str,
        typer.Option(
            help="Of bundles: held-out, those that the bundle was not trained on; all; or a file with one a line.",
            metavar="held-out|all|FILE",
        ),
    ] = "held-out",
    choice: Annotated[
        list[str] | None,
        typer.Option(
            help="An option other than the set's own, such as mandibular_plane=Go-Me.",
            metavar="NAME=OPTION",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Compare readers, observers with each other or a model with observers: distances, bias, correlations, classes."""
    from LandmarkDetectorLib.core import MeasurementError
    from LandmarkDetectorLib.inference.evaluation_page import fitting_radii
    from LandmarkDetectorLib.inference.readings import gather_readings
    from LandmarkDetectorLib.measure import load_set
    from LandmarkDetectorLib.measure.agreement import agree, distances_of

    loaded = [load_set(name) for name in dict.fromkeys(sets or ())]
    choices = pairs(choice or [], "--choice", "NAME=OPTION")
    if choices and len(loaded) != 1:
        raise MeasurementError("--choice is of one set; give --set once with it.")
    to_stdout = json_file == Path("-")
    for file in (None if to_stdout else json_file, html):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)  # now, and not after an hour of work
    if html is not None or pictures is not None:
        check_report_can_be_written("leave --html and --figures out")
    with Steps() as steps:
        read = gather_readings(readers, data, subjects=subjects, device=device, progress=steps)
        gaps, unit = distances_of(read.readers, read.labels)
        found = agree(
            read.readers, read.labels, read.subjects, loaded, radii=fitting_radii(gaps, unit), progress=steps,
            derived=read.derived, choices=choices or None,
        )  # fmt: skip
    document = {"about": dict(read.about), **found.to_json(), "notices": list(read.notices)}
    title = f"Agreement of {', '.join(found.readers[:-1])} and {found.readers[-1]}"
    if to_stdout:
        print_json(document)
    else:
        for table in figure_tables(_tables(found), title):
            results.print(table)
    for notice in read.notices:
        say(f"Note: {notice}")
    if json_file is not None and not to_stdout:
        write_json(document, json_file)
        say(f"Written: {json_file}")
    if html is not None:
        from LandmarkDetectorLib.measure.reports.agreement_page import render_agreement

        write_text(render_agreement(found, title=title, about=read.about, notices=read.notices), html)
        say(f"Written: {html}")
    if pictures is not None:
        say(f"Written: {_write_pictures(found, pictures)} pictures in {pictures}")


def _write_pictures(found: Any, folder: Path) -> int:
    from LandmarkDetectorLib.evaluation.canvas import figure_png
    from LandmarkDetectorLib.io.atomic import atomic_write
    from LandmarkDetectorLib.measure.reports.agreement_page import agreement_figures

    folder.mkdir(parents=True, exist_ok=True)
    figures = agreement_figures(found)
    for name, figure in figures.items():
        with atomic_write(folder / f"{name}.png") as stream:
            stream.write(figure_png(figure))
    return len(figures)


def _tables(found: Any) -> dict[str, Any]:
    """What is printed; page and JSON document hold the rest."""
    tables: dict[str, Any] = {
        "landmarks": len(found.labels),
        "images": len(found.subjects),
        "subjects": len(set(found.subjects)),
        "unit": found.unit,
    }
    for (a, b), summary in found.landmarks.items():
        rows = {row["landmark"]: {key: row[key] for key in ("mean", "median", "p95", "n")} for row in summary.table()}
        tables[f"distance between {a} and {b}"] = rows
    for where in dict.fromkeys(item.where for item in found.measurements):
        own = [item for item in found.measurements if item.where == where]
        for a, b in found.pairs:
            tables[f"{where}: {b} minus {a}"] = {item.name: _measurement(item, (a, b)) for item in own}
    return tables


def _measurement(item: Any, pair: tuple[str, str]) -> dict[str, Any]:
    figures, joint = item.pairs[pair], item.correlations[pair]
    low, high = joint.agreement_interval
    classes = item.classes.get(pair)
    return {
        "unit": item.unit,
        "mean |d|": _finite(item.mean_absolute(pair)),
        "bias": _finite(figures.bias),
        "limits": f"{figures.lower:.2f} to {figures.upper:.2f}" if figures.n > 1 else None,
        "ICC(2,1)": _finite(joint.agreement),
        "95 %": f"{low:.2f} to {high:.2f}" if low == low else None,
        "ICC(3,1)": _finite(joint.consistency),
        "kappa": None if classes is None else _finite(classes.kappa),
        "n": figures.n,
    }


def _finite(value: float) -> float | None:
    return value if value == value else None
