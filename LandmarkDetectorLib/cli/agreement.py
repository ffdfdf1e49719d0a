"""``landmark-detector agreement``: how far observers, models and methods agree on landmarks and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, say
from LandmarkDetectorLib.cli.figures import FigureFiles, FiguresOption
from LandmarkDetectorLib.cli.options import (
    ChoiceOption,
    DeviceOption,
    OverwriteOption,
    ReadersDataOption,
    SetsOption,
    SubjectsOption,
    pairs,
)
from LandmarkDetectorLib.core.counted import counted


def agreement(
    readers: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: an observer of --data, mean for what counts as true there, a bundle, the folder of a "
            "cross-validation, or a folder of landmark files called like the images.",
            metavar="A B [C]...",
        ),
    ],
    data: ReadersDataOption = None,
    sets: SetsOption = None,
    json_file: FiguresOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots, tables and classes.", metavar="FILE")
    ] = None,
    pictures: Annotated[Path | None, typer.Option("--figures", help="Write each plot as a PNG.", metavar="DIR")] = None,
    subjects: SubjectsOption = "held-out",
    choice: ChoiceOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Compare readers, observers with each other or a model with observers: distances, bias, correlations, classes."""
    from LandmarkDetectorLib.core import MeasurementError
    from LandmarkDetectorLib.inference.evaluation_page import fitting_radii
    from LandmarkDetectorLib.inference.readers import gather_readings
    from LandmarkDetectorLib.measure import load_set, suggest_sets
    from LandmarkDetectorLib.measure.agreement import agree, distances_of

    loaded = [load_set(name) for name in dict.fromkeys(sets or ())]
    choices = pairs(choice or [], "--choice", "NAME=OPTION")
    if choices and len(loaded) != 1:
        raise MeasurementError("--choice is of one set; give --set once with it.")
    files = FigureFiles(json_file, html, pictures, overwrite)
    files.prepare()
    with Steps() as steps:
        read = gather_readings(readers, data, subjects=subjects, device=device, progress=steps)
        gaps, unit = distances_of(read.readers, read.labels)
        found = agree(
            read.readers, read.labels, read.subjects, loaded, radii=fitting_radii(gaps, unit), progress=steps,
            derived=read.derived, choices=choices or None,
        )  # fmt: skip
    fitting = {each.name for each in suggest_sets(read.labels, loaded)}
    unfit = [f"None of these landmarks is one that {s.name} could use." for s in loaded if s.name not in fitting]
    notices = [*read.notices, *unfit, *(_dependent(read.subjects) if loaded else [])]
    document = {"about": dict(read.about), **found.to_json(), "notices": notices}
    title = f"Agreement of {', '.join(found.readers[:-1])} and {found.readers[-1]}"

    def page() -> str:
        from LandmarkDetectorLib.measure.reports.agreement_page import render_agreement

        return render_agreement(found, title=title, about=read.about, notices=notices)

    files.write(title, _tables(found), document, page, notices)
    if pictures is not None:
        count = _write_pictures(found, pictures)
        say(f"Written: {counted(count, 'picture')} in {pictures}")


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


def _dependent(subjects: Sequence[str]) -> list[str]:
    """What is to be said where several images are of one subject."""
    several = len(subjects) - len(set(subjects))
    if not several:
        return []
    return [
        f"{several} of {len(subjects)} images are further ones of a subject: bias, limits and correlations take all as "
        "independent, and their intervals are too narrow."
    ]


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
    from LandmarkDetectorLib.evaluation.bland_altman import digits_in

    figures, joint = item.pairs[pair], item.correlations[pair]
    low, high = joint.agreement_interval
    digits = digits_in(item.unit)
    classes = item.classes.get(pair)
    return {
        "unit": item.unit,
        "mean |d|": _finite(item.mean_absolute(pair)),
        "bias": _finite(figures.bias),
        "limits": f"{figures.lower:.{digits}f} to {figures.upper:.{digits}f}" if figures.n > 1 else None,
        "ICC(2,1)": _finite(joint.agreement),
        "95 %": f"{low:.2f} to {high:.2f}" if low == low else None,
        "ICC(3,1)": _finite(joint.consistency),
        "kappa": None if classes is None else _finite(classes.kappa),
        "n": figures.n,
    }


def _finite(value: float) -> float | None:
    return value if value == value else None
