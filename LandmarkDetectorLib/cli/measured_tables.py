"""Measurements as tables for a person and as records for a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from LandmarkDetectorLib.measure.results import Result
    from LandmarkDetectorLib.measure.sets import MeasurementSet, Suggestion
    from LandmarkDetectorLib.measure.subject import Measured


def measured_table(measured: Measured) -> Table:
    """A row a result: name, view, value with interval, norm and deviation, what a person should know."""
    from LandmarkDetectorLib.measure.reports.content import deviation_words, norm_words

    views = {result.view for result in measured.results}
    table = Table(title=Text(f"{measured.subject}: {measured.review}"), box=box.SIMPLE)
    table.add_column("measurement", overflow="fold")
    if len(views) > 1:
        table.add_column("view")
    table.add_column("value", overflow="fold")
    table.add_column("norm", no_wrap=True)
    table.add_column("deviation", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for each in measured.sets:
        own = [result for result in measured.results if result.set_name == each.name]
        if len(measured.sets) > 1:
            table.add_row(Text(each.title, style="bold"))
        for result in own:
            name = result.name + (f", {result.side}" if result.side else "")
            cells = [name, *([result.view] if len(views) > 1 else []), result.text, norm_words(result.norm)]
            cells += [deviation_words(result), _remark(result)]
            table.add_row(*(Text(cell) for cell in cells), style="red" if result.value is None else None)
    return table


def _remark(result: Result) -> str:
    """What matters at a glance: outside of the norm, or too close to a limit to tell."""
    said = ["outside the norm"] if result.within_norm is False else []
    said += [note for note in result.notes if note.startswith("within its uncertainty")]
    return "; ".join(said)


def measured_record(measured: Measured) -> dict[str, Any]:
    """A subject's measurements as JSON values; what is not known is null."""
    model, version = measured.model
    return {
        "subject": measured.subject,
        "review": measured.review,
        "reviewed_by": measured.reviewed.by or None,
        "not_reviewed": list(measured.unreviewed),
        "model": {"name": model, "version": version} if model else None,
        "results": [result_record(measured, result) for result in measured.results],
    }


def result_record(measured: Measured, result: Result) -> dict[str, Any]:
    """A result as JSON values."""
    interval, norm = result.interval, result.norm
    return {
        "set": result.set_name,
        "name": result.name,
        "title": result.title,
        "view": result.view,
        "side": result.side,
        "value": result.value,
        "unit": result.unit,
        "not_computed": result.not_computed,
        "interval": None if interval is None else {**vars(interval)},
        "norm": None if norm is None else norm.model_dump(mode="json"),
        "deviation": result.deviation,
        "within_norm": result.within_norm,
        "reviewed": None if result.value is None else measured.is_reviewed(result),
        "landmarks": list(result.needs),
        "notes": list(result.notes),
    }


def suggestion_table(rows: Sequence[tuple[MeasurementSet, Suggestion | None]], title: str) -> Table:
    """A row a set: its name, what it is, and of landmarks how much they allow and what they lack."""
    asked = any(suggestion is not None for _, suggestion in rows)
    table = Table(title=Text(title), box=box.SIMPLE)
    for name in ("set", "title", "measurements", *(["of them", "not computed, for want of"] if asked else [])):
        table.add_column(name, overflow="fold")
    for each, suggestion in rows:
        shown = ", ".join(each.names if suggestion is None else suggestion.computable)
        cells = [each.name, each.title, shown]
        if suggestion is not None:
            lacking = list(dict.fromkeys(name for names in suggestion.missing.values() for name in names))
            cells += [f"{len(suggestion.computable)} of {len(suggestion.computable) + len(suggestion.missing)}"]
            cells += [", ".join(lacking)]
        table.add_row(*(Text(cell) for cell in cells))
    return table
