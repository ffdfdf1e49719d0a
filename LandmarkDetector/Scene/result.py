"""Landmarks as a node of the scene that a person can review, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import vtk

from .control_points import between, index_of, keys_of, place
from .history import History
from .reconcile import reconciled
from .record import fresh, has_state, landmarks_of, moved, read_state, spoken_of, write_state
from .state import Entry, State

VOLUME = "LandmarkDetector.volume"
"""Role of the reference to the volume, which the scene keeps up to date when ids change."""

GLYPH = 2.0
"""Size of the points in percent of a view; at Slicer's 3 they hide what they point at."""

_SOURCE = ("bundle", "version", "fingerprint")


def create_result(scene: Any, landmarks: Any, volume_node: Any = None) -> Any:
    """A point list with every landmark in order, unlocked and visible, not found ones in their place without position.

    The node observes the volume's parent transform, since landmarks are found in the volume's own coordinates. Steps of
    undo from before are forgotten: they do not know the node and would take it away.

    Args:
        scene: the ``vtkMRMLScene``.
        landmarks: ``core.LandmarkSet``, in LPS, in the volume's own coordinates.
        volume_node: where they were found, or ``None``.

    Returns:
        The ``vtkMRMLMarkupsFiducialNode``, called after volume and bundle, ready for review.
    """
    sources = (_source(landmarks),)
    node = scene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    title = volume_node.GetName() if volume_node is not None else landmarks.name
    node.SetName(scene.GetUniqueNameByString(" ".join(filter(None, (title, sources[0].get("bundle"))))))
    state = State({}, landmarks.unit, landmarks.dimension or 3, sources)
    points = {}
    folded = node.StartModify()
    for index, (mark, proposal) in enumerate(zip(landmarks, fresh(landmarks), strict=True)):
        entry = Entry.proposed(proposal)
        points[_insert(node, index, entry, mark.description, state)] = entry
    node.EndModify(folded)
    write_state(node, state.with_points(points))
    _name_source(node, sources[0])
    # Only when it is complete does it enter the scene: nobody sees half of it.
    History(scene).forget()
    scene.AddNode(node)
    node.SetUndoEnabled(True)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetGlyphScale(GLYPH)
    if volume_node is not None:
        node.SetNodeReferenceID(VOLUME, volume_node.GetID())
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    return node


def update_result(node: Any, landmarks: Any) -> None:
    """Take over a new detection: one step of undo.

    What a person reviewed, added or renamed stays as it is, with the proposal that the person saw. Other landmarks take
    the new proposal; those that the new detection does not know go, those that the node lacks are added in their place.

    Args:
        node: a result.
        landmarks: ``core.LandmarkSet``, in LPS, in the coordinates of the result's volume; where the result is not
            under the volume's transform any more, they are taken to where it is.
    """
    History(node.GetScene()).step()
    state = reconciled(node, read_state(node))
    source = _source(landmarks)
    sources = state.sources if source in state.sources else (*state.sources, source)
    number = sources.index(source)
    folded = node.StartModify()
    try:
        points = dict(state.points)
        by_label: dict[str, list[str]] = {}
        for key, label in keys_of(node):
            if key in points:  # and does not hang on the mouse
                by_label.setdefault(label, []).append(key)
        # Among points of one name the one that a person touched stands for the landmark.
        standing = {
            label: next((key for key in keys if points[key].touched), keys[0]) for label, keys in by_label.items()
        }
        wanted = set(landmarks.labels)
        for key in [key for key, entry in points.items() if not entry.touched and entry.label not in wanted]:
            node.RemoveNthControlPoint(index_of(node, key))
            del points[key]
        new = State(points, landmarks.unit, landmarks.dimension or 3, sources)
        before = -1
        volume = volume_of(node)
        came_from = node if volume is None else volume
        mapping = between(came_from.GetParentTransformNode(), node.GetParentTransformNode())
        for mark, proposal in zip(landmarks, moved(fresh(landmarks), mapping), strict=True):
            entry = Entry.proposed(replace(proposal, source=number))
            held = standing.get(mark.label)
            if held is None:
                before += 1
                points[_insert(node, before, entry, mark.description, new)] = entry
                continue
            before = index_of(node, held)
            if not points[held].touched:
                place(node, before, entry.at)
                node.SetNthControlPointDescription(before, mark.description or spoken_of(entry, new))
                points[held] = entry
        if any(entry.proposal is not None and entry.proposal.source == number for entry in points.values()):
            write_state(node, new)
            _name_source(node, source)
        else:  # nothing of it was taken over
            write_state(node, state.with_points(points))
    finally:
        node.EndModify(folded)


def landmark_set_of(node: Any, world: bool = True) -> Any:
    """The node's control points as ``core.LandmarkSet``, in LPS.

    Args:
        node: a Markups fiducial node, ours or another.
        world: with parent transforms applied, linear or not, also to the covariances; else in the node's coordinates.

    Returns:
        The landmarks in order. Confidence and covariance are the proposal's and are left out where a person moved the
        landmark. ``info`` has the bundle, version and fingerprint, and what a ``.mrk.json`` says of the review.

    Raises:
        LandmarkError: the node's record of the review was damaged by others.
    """
    return landmarks_of(node, reconciled(node, read_state(node)), world)


def volume_of(node: Any) -> Any:
    """The volume in which the landmarks were found, or ``None``."""
    return node.GetNodeReference(VOLUME)


def bundle_of(node: Any) -> str:
    """The name of the bundle that found the landmarks; empty where none did."""
    return node.GetAttribute("LandmarkDetector.bundle") or ""


def is_result(node: Any) -> bool:
    """Whether a node is a point list with a review: made here, or read from a file of one."""
    return node is not None and node.IsA("vtkMRMLMarkupsFiducialNode") and has_state(node)


def _insert(node: Any, index: int, entry: Entry, description: str, state: State) -> str:
    """Put a landmark in at its place; the id of its control point."""
    at = entry.at or (0.0, 0.0, 0.0)
    node.InsertControlPoint(index, vtk.vtkVector3d(0.0 - at[0], 0.0 - at[1], at[2]), entry.label)
    if entry.at is None:
        node.SetNthControlPointPositionMissing(index)
    node.SetNthControlPointDescription(index, description or spoken_of(entry, state))
    return node.GetNthControlPointID(index)


def _source(landmarks: Any) -> dict[str, Any]:
    """What a set says of the detection that it came from, and of its regions where it states any."""
    from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions

    source: dict[str, Any] = {key: str(landmarks.info[key]) for key in _SOURCE if key in landmarks.info}
    regions = checked_regions(landmarks.info.get(REGIONS))
    return source if regions is None else {**source, REGIONS: regions}


def _name_source(node: Any, source: dict[str, Any]) -> None:
    for key in _SOURCE:
        if key in source:
            node.SetAttribute(f"LandmarkDetector.{key}", source[key])
