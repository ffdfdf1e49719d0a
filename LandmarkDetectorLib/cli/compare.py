"""``landmark-detector compare``: models and observers on the same cases, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps
from LandmarkDetectorLib.cli.figures import FigureFiles, FiguresOption
from LandmarkDetectorLib.cli.options import DeviceOption, OverwriteOption, ReadersDataOption, SubjectsOption


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: a bundle, the folder of a cross-validation, or a file of results of evaluate --json.",
            metavar="A B [C]...",
        ),
    ],
    data: ReadersDataOption = None,
    json_file: FiguresOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with curves, differences and tables.", metavar="FILE")
    ] = None,
    subjects: SubjectsOption = "held-out",
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Compare models on the same cases, by paired statistics; the first is what the others are compared with.

    Where the data set holds several observers, they stand beside the models.
    """
    from LandmarkDetectorLib.inference.compare import compare as compare_models

    files = FigureFiles(json_file, html, overwrite=overwrite)
    files.prepare()
    with Steps() as steps:
        compared = compare_models(models, data, subjects=subjects, device=device, progress=steps)
    title = " and ".join(compared.standing.models)

    def page() -> str:
        from LandmarkDetectorLib.evaluation import render_standing

        about = dict(compared.about) | ({"Data set": data.resolve().name} if data else {})
        return render_standing(compared.standing, title=title, about=about, notices=compared.notices)

    files.write(title, _tables(compared.standing), compared.to_json(), page, compared.notices)


def _tables(standing: Any) -> dict[str, Any]:
    """What is printed, a table a question, narrow enough for a terminal; page and JSON document hold the rest."""
    tables: dict[str, Any] = {
        "landmarks": len(standing.labels),
        "cases": len(standing.subjects),
        "subjects": len(set(standing.subjects)),
        "unit": standing.unit,
    }
    landmarks = {row.pop("landmark"): row for row in standing.by_landmark()}
    if len(standing.pairs) == 1:  # of more, the page and the JSON document tell
        for label, item in standing.pairs[0].per_landmark.items():
            landmarks[label] |= {"difference": item.difference, "Holm's p": _probability(item.p_corrected)}
    tables["mean by landmark"] = landmarks
    tables["overall"] = {row["who"]: _standing(row, standing.unit) for row in standing.overall()}
    if standing.observers is not None:
        rows = standing.observers.table()
        tables["between observers"] = {row["between"]: _standing(row, standing.unit) for row in rows}
    if standing.against:
        tables["models and observers"] = {row["between"]: _at_observer(row) for row in standing.at_observers()}
    if standing.pairs:
        tables["differences"] = {row["models"]: _difference(row) for row in standing.differences()}
    return tables


def _standing(row: dict[str, Any], unit: str) -> dict[str, Any]:
    start, end = "within ", f" {unit} (%)"
    rates = {
        f"≤{name.removeprefix(start).removesuffix(end)} %": None if value is None else f"{value:.1f}"
        for name, value in row.items()
        if name.startswith(start)
    }
    brief = {"mean": row["mean"], "95 %": _interval(row, "mean"), "median": row["median"], "p95": row["p95"]}
    return {**brief, **rates, "n": row["n"], "missed": row["missed"]}


def _difference(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "first": row["first"],
        "second": row["second"],
        "difference": row["difference"],
        "95 %": _interval(row, "difference"),
        "p": _probability(row["p"]),
        "Holm's p": _probability(row["p corrected"]),
        "n": row["n"],
    }


def _at_observer(row: dict[str, Any]) -> dict[str, Any]:
    brief = {"mean": row["mean"], "p95": row["p95"], "the others": row["the other observers"]}
    return brief | {"difference": row["difference"], "95 %": _interval(row, "difference"), "p": _probability(row["p"])}


def _interval(row: dict[str, Any], name: str) -> str | None:
    low, high = row[f"{name} from"], row[f"{name} to"]
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}".replace("-", "−")


def _probability(value: float | None) -> str | None:
    """With the digits that it has, however small."""
    return None if value is None or value != value else f"{value:.2g}"
