"""Measurements as tables: long, a row a result with all that is known of it, and wide, a row a subject, numbers only.

What was not computed is an empty cell, and in the long table the reason stands beside it; it is never 0. Numbers are
numbers with a decimal point, whatever the computer's region; a text that begins like a formula stays a text, in CSV
with an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.sheets import no_formula, write_workbook
from LandmarkDetectorLib.measure.results import Result, difference_of
from LandmarkDetectorLib.measure.subject import Measured

Cell = str | float | None

LONG = (
    *("subject", "set", "measurement", "title", "view", "side", "value", "unit", "not_computed"),
    *("from", "to", "level", "sd", "interval"),
    *("norm_mean", "norm_sd", "norm_low", "norm_high", "norm_limits", "norm_population", "norm_source"),
    *("deviation_in_sd", "within_norm", "sign", "notes", "landmarks", "citation"),
    *("reviewed", "reviewed_by", "model", "model_version"),
)
"""The columns of the long table."""

SECOND = (
    *("second_subject", "second_value", "second_from", "second_to", "second_not_computed", "second_reviewed"),
    *("difference", "difference_reach"),
)
"""What the table of two times has beside the long one's columns, which are those of the first."""


def long_rows(subjects: Sequence[Measured]) -> list[list[Cell]]:
    """The header, and a row for each result of each subject."""
    rows: list[list[Cell]] = [list(LONG)]
    for measured in subjects:
        rows += [[_said(measured, result).get(column) for column in LONG] for result in measured.results]
    return rows


def compared_rows(first: Measured, second: Measured) -> list[list[Cell]]:
    """The header, and a row for each result of the first time, with the second's beside it and their difference."""
    others = {_key(result): result for result in second.results}
    rows: list[list[Cell]] = [[*LONG, *SECOND]]
    for result in first.results:
        said, other = _said(first, result), others.get(_key(result))
        if other is not None:
            theirs = _said(second, other)
            said |= {f"second_{name}": theirs.get(name) for name in ("subject", "value", "from", "to", "not_computed")}
            said["second_reviewed"] = theirs["reviewed"]
            said["difference"], said["difference_reach"] = difference_of(result, other)
        rows.append([said.get(column) for column in (*LONG, *SECOND)])
    return rows


def _key(result: Result) -> tuple[str, str, str, str | None]:
    return result.set_name, result.name, result.view, result.side


def _said(measured: Measured, result: Result) -> dict[str, Cell]:
    norm, interval = result.norm, result.interval
    model, version = measured.model
    within = {True: "yes", False: "no", None: None}[result.within_norm]
    reviewed = result.value is not None and measured.is_reviewed(result)
    said: dict[str, Cell] = {
        "subject": measured.subject,
        "set": result.set_name,
        "measurement": result.name,
        "title": result.title,
        "view": result.view,
        "side": result.side,
        "value": result.value,
        "unit": result.unit,
        "not_computed": result.not_computed,
        "deviation_in_sd": result.deviation,
        "within_norm": within,
        "sign": result.sign,
        "notes": "; ".join(result.notes),
        "landmarks": ", ".join(result.needs),
        "citation": result.citation,
        "reviewed": None if result.value is None else "yes" if reviewed else "no",
        "reviewed_by": measured.reviewed.by if reviewed else None,
        "model": model,
        "model_version": version,
    }
    if interval is not None:
        said |= {"from": interval.low, "to": interval.high, "level": interval.level, "sd": interval.sd}
        said["interval"] = interval.method
    if norm is not None:
        said |= {"norm_mean": norm.mean, "norm_sd": norm.sd, "norm_low": norm.low, "norm_high": norm.high}
        said |= {"norm_limits": norm.limits, "norm_population": norm.population, "norm_source": norm.source}
    return said


def wide_rows(subjects: Sequence[Measured]) -> list[list[Cell]]:
    """The header, and a row for each subject: the review, and the value of every measurement that anybody has.

    A column is called by set, measurement, view where there are several, side and unit, ``steiner: SNA (degrees)``.

    Raises:
        MeasurementError: two subjects of one name, whose rows could not be told apart.
    """
    names = [measured.subject for measured in subjects]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise MeasurementError(f"Two subjects are called {sorted(twice)[0]!r}; give each a name of its own.")
    views = {result.view for measured in subjects for result in measured.results}
    columns: dict[str, None] = {}
    values: list[dict[str, Cell]] = []
    for measured in subjects:
        row: dict[str, Cell] = {}
        for result in measured.results:
            name = _column(result, several_views=len(views) > 1)
            columns[name] = None
            row[name] = result.value
        values.append(row)
    header: list[Cell] = ["subject", "review", "model", "model_version", *columns]
    rows = [
        [measured.subject, measured.review, *measured.model, *(row.get(name) for name in columns)]
        for measured, row in zip(subjects, values, strict=True)
    ]
    return [header, *rows]


def _column(result: Result, several_views: bool) -> str:
    words = [f"{result.set_name}: {result.name}"]
    words += [result.view] if several_views else []
    words += [result.side] if result.side else []
    return ", ".join(words) + ("" if result.unit == "ratio" else f" ({result.unit})")


def write_csv(subjects: Sequence[Measured], path: Path, *, wide: bool = False, compared: bool = False) -> None:
    """Write the long table, or the wide one, as UTF-8 with commas; whole or not at all.

    Args:
        subjects: one or several.
        path: the file.
        wide: a row a subject instead of a row a result.
        compared: the two subjects are one at two times: the long table has their differences.

    Raises:
        MeasurementError: as :func:`wide_rows` says.
        LandmarkFileError: the file cannot be written.
    """
    rows = wide_rows(subjects) if wide else compared_rows(*subjects) if compared else long_rows(subjects)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([["" if cell is None else _plain(cell) for cell in row] for row in rows])
    with atomic_write(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(text.getvalue())


def _plain(cell: Any) -> str:
    """A number with the digits that give it back; a text as it is, but never a formula."""
    return repr(float(cell)) if isinstance(cell, (int, float)) else no_formula(str(cell))


def write_xlsx(subjects: Sequence[Measured], path: Path, *, compared: bool = False) -> None:
    """Write a workbook with the sheets ``long``, ``wide`` and ``about``; whole or not at all.

    Args:
        subjects: one or several.
        path: the file.
        compared: the two subjects are one at two times: a sheet ``difference`` comes first.

    Raises:
        MeasurementError: as :func:`wide_rows` says.
        LandmarkFileError: a text that a workbook cannot hold, openpyxl is not installed, or the file cannot be written.
    """
    sets = {each.name: each for measured in subjects for each in measured.sets}
    about: list[list[Cell]] = [["what", "value"], ["written by", f"LandmarkDetector {__version__}"]]
    about.append(["empty cells", "not computed, for the reason that the sheet long gives; never 0"])
    about.append(["reviewed", "every number whose landmarks no person has reviewed is a proposal of a program"])
    for each in sets.values():
        about += [[each.name, f"{each.title}. {each.definition.description}"], ["", each.definition.citation]]
        about += [["", note] for note in each.definition.notes]
    if compared:
        about.append(["difference", "second minus first; both times are taken to err independently of each other"])
    sheets = {"difference": compared_rows(*subjects)} if compared else {}
    write_workbook({**sheets, "long": long_rows(subjects), "wide": wide_rows(subjects), "about": about}, path)
