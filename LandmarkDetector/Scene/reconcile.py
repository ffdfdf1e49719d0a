"""What others did to the control points since a review last looked at them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .control_points import Frame, keys_of, position_of
from .record import in_world
from .state import ABSENT, CORRECTED, NOT_FOUND, Entry, State

_STILL = 1e-6
"""Nearer than this, in mm, a landmark has not been moved; files keep positions to the last bit but one."""


def reconciled(node: Any, state: State) -> State:
    """The state with what others did to the control points since; the same object where they did nothing.

    A moved landmark is corrected; one that was said to be missing is absent; one whose position was taken away is not
    found; one that was added is a person's own; one that was removed is gone. In a fixed list that is placed by
    hand, what nobody placed is undefined, so one that is missing was said to be.
    """
    points = {}
    fixed = node.GetFixedNumberOfControlPoints()
    changed = False
    for index, (key, label) in enumerate(keys_of(node)):
        entry, at = state.points.get(key), position_of(node, index)
        if entry is None:
            if node.GetNthControlPointPositionStatus(index) != node.PositionPreview:
                points[key] = Entry(NOT_FOUND if at is None else CORRECTED, label, at)
                changed = True
            continue
        if not _same(entry.at, at):
            status = CORRECTED if at is not None else ABSENT if _is_missing(node, index) else NOT_FOUND
            entry, changed = replace(entry, status=status, at=at), True
        elif fixed and entry.proposal is None and entry.status == NOT_FOUND and _is_missing(node, index):
            entry, changed = replace(entry, status=ABSENT), True
        if entry.label != label:
            entry, changed = replace(entry, label=label), True
        points[key] = entry
    return state.with_points(points) if changed or len(points) != len(state.points) else state


def _is_missing(node: Any, index: int) -> bool:
    return bool(node.GetNthControlPointPositionStatus(index) == node.PositionMissing)


def hardened(node: Any, state: State, frame: Frame) -> State:
    """The state in world coordinates where every control point went there through ``frame``, else as it is."""
    moved = in_world(state, frame)
    for index, (key, _) in enumerate(keys_of(node)):
        entry = moved.points.get(key)
        if entry is not None and not _same(entry.at, position_of(node, index), 1e-4):
            return state
    return moved


def _same(a: tuple[float, ...] | None, b: tuple[float, ...] | None, still: float = _STILL) -> bool:
    if a is None or b is None:
        return a is b
    return max(abs(p - q) for p, q in zip(a, b, strict=True)) <= still
