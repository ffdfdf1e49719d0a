"""Between a result node and a review store: what was proposed and said, in the coordinates of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .control_points import between, index_of, keys_of, place
from .history import History
from .record import moved, write_state
from .result import create_result, volume_of
from .state import CONFIRMED, CORRECTED, REVIEWED, UNREVIEWED, Entry, Numbers, Proposal, State


@dataclass(frozen=True)
class Said:
    """What a person says of a landmark.

    Args:
        status: ``confirmed``, ``corrected`` or ``absent``; ``unreviewed`` also where nothing was found.
        position: of a corrected landmark, LPS, in the volume's own coordinates.
        source: the number of the detection that the landmark came from, ``None`` for one that a person added.
    """

    status: str
    position: Numbers | None
    source: int | None


def what_is_said(node: Any, state: State) -> dict[str, Said]:
    """What a person says of each landmark of a result, by label.

    Raises:
        LandmarkError: two landmarks have one label.
    """
    from LandmarkDetectorLib.core import LandmarkError

    frame = between(node.GetParentTransformNode(), _parent_of_volume(node))
    said: dict[str, Said] = {}
    for entry in state.points.values():
        if entry.label in said:
            raise LandmarkError(
                f"Two landmarks are called {entry.label!r}; give each a label of its own to record them."
            )
        status = entry.status if entry.status in REVIEWED else UNREVIEWED
        position = None
        if status == CORRECTED and entry.at is not None:
            position = tuple(frame(np.array([entry.at]))[0][0].tolist())
        said[entry.label] = Said(status, position, None if entry.proposal is None else entry.proposal.source)
    return said


def proposals_of(node: Any, state: State) -> dict[int, Any]:
    """What each detection proposed, a ``core.LandmarkSet`` by its number, in the volume's own coordinates, LPS."""
    from LandmarkDetectorLib.core import Landmark, LandmarkSet

    proposals = [entry.proposal for entry in state.points.values() if entry.proposal is not None]
    there = moved(proposals, between(node.GetParentTransformNode(), _parent_of_volume(node)))
    found: dict[int, list[Any]] = {}
    for each in there:
        covariance = None if each.covariance is None else np.reshape(each.covariance, (3, 3))
        if covariance is not None:
            covariance = (covariance + covariance.T) / 2
        mark = Landmark(each.label, each.position, confidence=each.confidence, covariance=covariance)
        found.setdefault(each.source, []).append(mark)
    infos = dict(enumerate(state.sources))
    return {
        number: LandmarkSet(tuple(marks), state.unit, "proposal", dict(infos.get(number, {})))
        for number, marks in sorted(found.items())
    }


def result_of_case(scene: Any, volume: Any, state: Any, proposals: Sequence[Any]) -> Any:
    """A result as an observer has left a case: statuses, positions, and what was proposed.

    Args:
        scene: the ``vtkMRMLScene``.
        volume: the node of the case's image.
        state: the ``review.ReviewState`` of the observer.
        proposals: of the case, oldest first.

    Returns:
        The ``vtkMRMLMarkupsFiducialNode``, ready to go on.
    """
    from LandmarkDetectorLib.core import Landmark, LandmarkSet

    number = {proposal.id: n for n, proposal in enumerate(proposals)}
    sources = tuple(dict(each.landmarks.info) for each in proposals)
    entries = [_entry(entry, number) for entry in state.entries.values()]
    marks = [Landmark(entry.label, None if entry.proposal is None else entry.proposal.position) for entry in entries]
    info: Mapping[str, Any] = sources[-1] if sources else {}
    node = create_result(scene, LandmarkSet(tuple(marks), state.unit, volume.GetName(), dict(info)), volume)
    folded = node.StartModify()
    points = {}
    for (key, _label), entry in zip(keys_of(node), entries, strict=True):
        place(node, index_of(node, key), entry.at)
        node.SetNthControlPointDescription(index_of(node, key), "")
        points[key] = entry
    write_state(node, State(points, state.unit, 3, sources))
    node.EndModify(folded)
    History(scene).forget()  # nobody wants to undo that a case was opened
    return node


def _entry(entry: Any, number: Mapping[str, int]) -> Entry:
    """An entry of a store's state as one of the scene's."""
    mark, proposal = entry.proposed, None
    if mark is not None:
        covariance = mark.covariance
        if covariance is not None:
            covariance = tuple(np.pad(covariance, (0, 3 - len(covariance))).ravel().tolist())
        proposal = Proposal(mark.label, _solid(mark.position), mark.confidence, covariance)
        proposal = replace(proposal, source=number.get(entry.proposal, 0))
    at = _solid(entry.position)
    if entry.status == CONFIRMED and proposal is not None:
        at = proposal.position  # to the last bit, or it would count as moved
    return Entry(entry.status, entry.label, at, proposal)


def _solid(position: Any) -> Numbers | None:
    return None if position is None else tuple(np.pad(position, (0, 3 - len(position))).tolist())


def _parent_of_volume(node: Any) -> Any:
    volume = volume_of(node)
    return node.GetParentTransformNode() if volume is None else volume.GetParentTransformNode()
