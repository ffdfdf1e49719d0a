"""Landmarks and figures as tables for a person and as records for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.core.counted import counted


def landmark_table(landmarks: LandmarkSet, title: str, dimension: int) -> Table:
    """A row a landmark: label, position in the set's unit, confidence, status."""
    frame = "LPS mm" if landmarks.unit == "mm" else "px (no physical scale)"
    table = Table(title=Text(f"{title}: {counted(len(landmarks), 'landmark')}, {frame}"), box=box.SIMPLE)
    table.add_column("landmark", overflow="fold")
    for axis in "xyz"[:dimension]:
        table.add_column(f"{axis} ({landmarks.unit})", justify="right", no_wrap=True)
    table.add_column("confidence", justify="right")
    table.add_column("status")
    for mark in landmarks:
        place = ["–"] * dimension if mark.position is None else [f"{value:.2f}" for value in mark.position]
        confidence = "–" if mark.confidence is None else f"{mark.confidence:.2f}"
        style = None if mark.position is not None else "red"
        table.add_row(Text(mark.label), *place, confidence, mark.status, style=style)
    return table


def landmark_record(mark: Landmark) -> dict[str, Any]:
    """A landmark as JSON values; what it lacks is null."""
    return {
        "label": mark.label,
        "position": None if mark.position is None else mark.position.tolist(),
        "status": mark.status,
        "confidence": mark.confidence,
        "covariance": None if mark.covariance is None else mark.covariance.tolist(),
    }


def figure_tables(figures: Mapping[str, Any], title: str) -> list[Table]:
    """Nested figures as tables: plain values in the first, a further table for each mapping of mappings.

    Lists are left to the JSON document.
    """
    plain = Table(title=Text(title), box=box.SIMPLE, show_header=False)
    tables = [plain]
    for name, value in _flat(figures):
        if isinstance(value, Mapping):
            tables.append(_matrix(name, value))
        elif not isinstance(value, list):
            plain.add_row(Text(name), Text(_words(value)))
    return tables


def _flat(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Pairs of a dotted name and a value; a mapping whose values are all mappings stays whole."""
    pairs: list[tuple[str, Any]] = []
    for name, value in figures.items():
        nested = isinstance(value, Mapping) and value
        if nested and not all(isinstance(row, Mapping) for row in value.values()):
            pairs += _flat(value, f"{before}{name}.")
        else:
            pairs.append((f"{before}{name}", value))
    return pairs


def _matrix(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = {name: {k: v for k, v in _flat(row) if not isinstance(v, list)} for name, row in rows.items()}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(title=Text(title.replace("_", " ")), box=box.SIMPLE, collapse_padding=True)
    table.add_column("")
    for name in columns:
        table.add_column(Text(name), justify="right")
    for name, row in rows.items():
        table.add_row(Text(name), *(Text(_words(row.get(column))) for column in columns))
    return table


def _words(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
