"""A list of landmarks to place by hand, and what was placed, said to be absent, or not looked for, on its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import vtk

from .control_points import between, keys_of
from .history import History
from .record import write_state
from .result import GLYPH, VOLUME, volume_of
from .review import Review
from .state import ABSENT, NOT_FOUND, REVIEWED, Entry, State


def list_to_place(
    scene: Any,
    volume: Any,
    name: str,
    labels: Sequence[str],
    definitions: Mapping[str, str],
    unit: str,
    dimension: int,
) -> Any:
    """A point list of a fixed number of landmarks, none placed yet: Slicer's place mode fills them in order.

    Args:
        scene: the ``vtkMRMLScene``.
        volume: the node of the image; the list observes its parent transform.
        name: of the landmark set.
        labels: in order.
        definitions: where a landmark lies, by label; they become the descriptions of the control points.
        unit: ``mm`` or ``px``.
        dimension: 2 or 3.

    Returns:
        The ``vtkMRMLMarkupsFiducialNode``, ready for review.
    """
    node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    node.SetName(scene.GetUniqueNameByString(f"{volume.GetName()} {name}"))
    folded = node.StartModify()
    for index, label in enumerate(labels):
        node.AddControlPoint(vtk.vtkVector3d(0.0, 0.0, 0.0), label)
        node.UnsetNthControlPointPosition(index)
        node.SetNthControlPointDescription(index, definitions.get(label, ""))
    node.SetFixedNumberOfControlPoints(True)
    node.EndModify(folded)
    write_state(node, State({key: Entry(NOT_FOUND, label, None) for key, label in keys_of(node)}, unit, dimension))
    History(scene).forget()  # steps from before do not know the node and would take it away
    scene.AddNode(node)
    node.SetUndoEnabled(True)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetGlyphScale(GLYPH)
    node.SetNodeReferenceID(VOLUME, volume.GetID())
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node


def is_list_to_place(node: Any) -> bool:
    """Whether a node is a list of a fixed number of landmarks."""
    return bool(node.GetFixedNumberOfControlPoints())


def written_definitions(node: Any) -> dict[str, str]:
    """The definitions that stand in the descriptions of such a list, by label."""
    count = node.GetNumberOfControlPoints()
    return {node.GetNthControlPointLabel(i): node.GetNthControlPointDescription(i) or "" for i in range(count)}


def annotation_of(node: Any, state: State) -> Any:
    """What a person vouches for: placed landmarks, ``missing`` ones that are absent; all else is ``undefined``.

    Returns:
        ``core.LandmarkSet`` in the coordinates of the node's volume, LPS, (3,) each.

    Raises:
        LandmarkError: two landmarks have one label.
    """
    from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet

    volume = volume_of(node)
    frame = between(node.GetParentTransformNode(), None if volume is None else volume.GetParentTransformNode())
    marks: list[Landmark] = []
    for key, label in keys_of(node):
        entry = state.points.get(key)
        if entry is None:  # it hangs on the mouse
            continue
        if any(mark.label == label for mark in marks):
            raise LandmarkError(f"Two landmarks are called {label!r}; give each a label of its own.")
        if entry.status in REVIEWED and entry.at is not None:
            marks.append(Landmark(label, frame(np.array([entry.at]))[0][0]))
        else:
            marks.append(Landmark(label, None, "missing" if entry.status == ABSENT else "undefined"))
    return LandmarkSet(tuple(marks), state.unit, "annotation")


def review_with_words(node: Any, card: Any) -> Review:
    """A review with the names and definitions of a bundle's card, or, of a list to place without one, its own."""
    marks = [] if card is None else card.landmarks
    names, definitions = ({mark.label: getattr(mark, part) for mark in marks} for part in ("name", "definition"))
    return Review(node, names, written_definitions(node) if card is None and is_list_to_place(node) else definitions)
