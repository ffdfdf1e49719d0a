"""The library's rows of figures as a page shows them: headings in words, an interval in one column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from LandmarkDetectorLib.evaluation.page import chance, interval, number

Heads = Mapping[str | tuple[str, str], str]
"""Column -> its heading; a pair of columns that are the ends of an interval become one column."""

SUMMARY: Heads = {
    "landmark": "Landmark",
    "who": "Model or observer",
    "between": "Distance between",
    ("mean from", "mean to"): "95 % interval of the mean",
    ("difference from", "difference to"): "95 % interval of the difference",
    "sd": "SD",
    "p95": "95th percentile",
    "n": "found",
}
"""What the columns of a summary are called."""

PAIRED: Heads = {
    "landmark": "Landmark",
    "models": "Models",
    "first": "mean of the first",
    "second": "mean of the other",
    ("difference from", "difference to"): "95 % interval",
    "n": "both found",
}
"""What the columns of a comparison are called."""


@dataclass(frozen=True)
class FigureTable:
    """Headings, and rows of texts of which the first names the row."""

    heads: list[str]
    rows: list[list[str]]

    @property
    def names(self) -> int:
        """Letters of the longest name of a row."""
        return max((len(row[0]) for row in self.rows), default=0)


def figure_table(rows: Sequence[Mapping[str, Any]], digits: int, heads: Heads | None = None) -> FigureTable:
    """Numbers as texts under headings in words.

    Args:
        rows: all with the same columns, the first of which names the row.
        digits: behind the point of a length.
        heads: headings of the columns; one that is not named here keeps its own name.
    """
    heads = heads or {}
    starts = {pair[0]: pair for pair in heads if isinstance(pair, tuple)}
    ends = {pair[1] for pair in starts.values()}
    columns = [name for name in (rows[0] if rows else ()) if name not in ends]
    return FigureTable(
        [heads.get(starts.get(name, name), name) for name in columns],
        [
            [
                str(row[name]) if i == 0
                else interval([row[end] for end in starts[name]], digits) if name in starts
                else _text(name, row[name], digits)
                for i, name in enumerate(columns)
            ]
            for row in rows
        ],
    )  # fmt: skip


def _text(column: str, value: Any, digits: int) -> str:
    if isinstance(value, int):
        return str(value)
    if column in ("p", "p corrected"):
        return chance(value)
    return number(value, 1 if column.endswith(("(%)", "(points)")) else digits)
