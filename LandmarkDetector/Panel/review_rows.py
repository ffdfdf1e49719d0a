"""Which rows of a review are shown, and in which order. Plain values; no Qt, no scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LOOK_FIRST, AS_IN_BUNDLE, BY_LABEL = "look first", "bundle", "label"
EVERY, LEFT = "every", "left"
TO_LOOK_AT = ("unreviewed", "not found")


def ordered(rows: Sequence[Any], order: str) -> list[Any]:
    """Rows in one of the three orders; "look first" is how the review gives them."""
    if order == BY_LABEL:
        return sorted(rows, key=lambda row: (_natural(row.label), row.index))
    if order == AS_IN_BUNDLE:
        return sorted(rows, key=lambda row: row.index)
    return list(rows)


def matching(rows: Sequence[Any], status: str, text: str, kept: str = "") -> list[Any]:
    """Rows of a status (or :data:`EVERY`, or :data:`LEFT`) whose label, name or definition holds ``text``.

    The row with the id ``kept`` stays whatever its status: it is the one that the person works on.
    """
    wanted = text.strip().casefold()
    return [
        row
        for row in rows
        if row.point_id == kept or (_has_status(row, status) and (not wanted or wanted in _words(row)))
    ]


def next_to_look_at(rows: Sequence[Any], point_id: str) -> str:
    """Id of the next row below that waits for a person, from the top again after the last; empty when none does."""
    place = next((i for i, row in enumerate(rows) if row.point_id == point_id), -1)
    for row in [*rows[place + 1 :], *rows[: max(place, 0)]]:
        if row.status in TO_LOOK_AT:
            return str(row.point_id)
    return ""


def _has_status(row: Any, status: str) -> bool:
    return status == EVERY or row.status == status or (status == LEFT and row.status in TO_LOOK_AT)


def _words(row: Any) -> str:
    return "\n".join((row.label, row.name, row.definition)).casefold()


def _natural(label: str) -> list[tuple[int, int, str]]:
    """A key by which "9" comes before "10"."""
    parts: list[tuple[int, int, str]] = []
    word = ""
    for character in f"{label}\0":
        if word and character.isdecimal() != word[-1].isdecimal():
            parts.append((0, int(word), "") if word.isdecimal() else (1, 0, word.casefold()))
            word = ""
        word += character
    return parts
