"""What the list of cases says of each, and how observers differ. Plain values; no Qt, no scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from LandmarkDetector.Panel.colours import status_look
from LandmarkDetector.Panel.texts import _, count

NEXT, ALL = "next", "all"
"""The cases that wait, those first from which most is to be learnt; all cases, the newest first."""

MOST = 300
"""Rows that are shown; nobody reads ten thousand."""


@dataclass(frozen=True)
class CaseLine:
    """One case, as the list shows it.

    Args:
        case: its id.
        reviewed: by this observer, of how many.
        reason: why to review it next; empty where nothing waits.
        about: all that there is to say.
    """

    case: str
    reviewed: str
    reason: str
    about: str


def lines_of(rows: Sequence[Any], waiting: Sequence[Any], observer: str, order: str) -> list[CaseLine]:
    """The lines of a store's cases.

    Args:
        rows: of ``ReviewStore.cases``.
        waiting: of ``ReviewStore.next_cases`` for this observer.
        observer: who looks at the list.
        order: :data:`NEXT` or :data:`ALL`.
    """
    by_case = {row.case: row for row in rows}
    reasons = {one.case: one for one in waiting}
    next_ones = [by_case[one.case] for one in waiting if one.case in by_case]
    chosen = next_ones if order == NEXT else list(reversed(rows))
    return [_line(row, reasons.get(row.case), observer) for row in chosen[:MOST]]


def side_words(side: str) -> str:
    """On which side of the split a case stands (``review.locked``), for a person; empty where that is not settled."""
    words = {
        "training": _("It trains the next model."),
        "locked": _("It is locked: it judges the next model and never trains one."),
        "neither": _("Its subject stands on both sides, so it neither trains nor judges."),
    }
    return words.get(side, "")


def _line(row: Any, waiting: Any, observer: str) -> CaseLine:
    own = row.reviewed.get(observer, 0)
    others = {name: number for name, number in row.reviewed.items() if name != observer and number}
    told = ", ".join(f"{name} {number}" for name, number in others.items())
    reason = waiting.reason if waiting is not None else ""
    about = [
        _("{case}, added {day}").format(case=row.case, day=row.added[:10]),
        _("reviewed by you: {own} of {all}").format(own=own, all=row.landmarks),
    ]
    if told:
        about.append(_("by others: {told}").format(told=told))
    if reason:
        about.append(reason)
    if row.problems:
        about.append(
            _("{problems}; `landmark-detector review verify` names them.").format(
                problems=count(row.problems, _("record is damaged or missing"), _("records are damaged or missing"))
            )
        )
    sign = "✓ " if row.landmarks and own >= row.landmarks else ""
    return CaseLine(row.case, f"{sign}{own}/{row.landmarks}", reason, "\n".join(about))


@dataclass(frozen=True)
class Difference:
    """How observers differ at one landmark.

    Args:
        label: the landmark's.
        apart: the largest distance between two of them, ``None`` where fewer than two placed it.
        contested: whether one placed it and another called it absent.
        said: of each observer a symbol and a word.
    """

    label: str
    apart: float | None
    contested: bool
    said: tuple[str, ...]


def differences_of(states: Mapping[str, Any]) -> list[Difference]:
    """The landmarks of which at least two observers have said something, the largest differences first.

    Args:
        states: ``ReviewState`` by observer.
    """
    labels = dict.fromkeys(label for state in states.values() for label in state.entries)
    found = []
    for label in labels:
        entries = [state.entries.get(label) for state in states.values()]
        reviewed = [entry for entry in entries if entry is not None and entry.reviewed]
        if len(reviewed) < 2:
            continue
        placed = np.array([entry.position for entry in reviewed if entry.position is not None], dtype=float)
        apart = float(np.linalg.norm(placed[:, None] - placed[None], axis=-1).max()) if len(placed) > 1 else None
        contested = 0 < len(placed) < len(reviewed)
        said = tuple("–" if entry is None else _word(entry.status) for entry in entries)
        found.append(Difference(label, apart, contested, said))
    return sorted(found, key=lambda one: (not one.contested, -(one.apart or 0.0)))


def _word(status: str) -> str:
    look = status_look(status)
    return f"{look.symbol} {look.word}"
