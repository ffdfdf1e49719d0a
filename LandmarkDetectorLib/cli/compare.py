"""``landmark-detector compare``: models and observers on the same cases, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.evaluate import write_json, write_text
from LandmarkDetectorLib.cli.options import DeviceOption
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written
from LandmarkDetectorLib.cli.tables import figure_tables


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: a bundle, the folder of a cross-validation, or a file of results of evaluate --json.",
            metavar="A B [C]...",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with images, landmarks and dataset.json; bundles are run on it, observers read from it.",
            exists=True,
            file_okay=False,
            metavar="DIR",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures as JSON; - is stdout.", metavar="FILE")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with curves, differences and tables.", metavar="FILE")
    ] = None,
    subjects: Annotated[
        str,
        typer.Option(
            help="Of bundles: held-out, those that the bundle was not trained on; all; or a file with one a line.",
            metavar="held-out|all|FILE",
        ),
    ] = "held-out",
    device: DeviceOption = "auto",
) -> None:
    """Compare models on the same cases, by paired statistics; the first is what the others are compared with.

    Where the data set holds several observers, they stand beside the models.
    """
    from LandmarkDetectorLib.inference.compare import compare as compare_models

    to_stdout = json_file == Path("-")
    for file in (None if to_stdout else json_file, html):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)  # now, and not after an hour of work
    if html is not None:
        check_report_can_be_written("leave --html out")
    with Steps() as steps:
        compared = compare_models(models, data, subjects=subjects, device=device, progress=steps)
    if to_stdout:
        print_json(compared.to_json())
    else:
        for table in figure_tables(_tables(compared.standing), " and ".join(compared.standing.models)):
            results.print(table)
    for notice in compared.notices:
        say(f"Note: {notice}")
    if json_file is not None and not to_stdout:
        write_json(compared.to_json(), json_file)
        say(f"Written: {json_file}")
    if html is not None:
        from LandmarkDetectorLib.evaluation import render_standing

        about = dict(compared.about) | ({"Data set": data.resolve().name} if data else {})
        page = render_standing(
            compared.standing, title=" and ".join(compared.standing.models), about=about, notices=compared.notices
        )
        write_text(page, html)
        say(f"Written: {html}")


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
