"""The control points of a Markups node as values, in LPS, and their measurements as the file format has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .volume_image import TO_LPS

Key = tuple[str, str]
"""A control point's id and label."""

CHANGES = (
    "PointAddedEvent",
    "PointRemovedEvent",
    "PointModifiedEvent",
    "PointPositionDefinedEvent",
    "PointPositionUndefinedEvent",
    "PointPositionMissingEvent",
    "PointPositionNonMissingEvent",
)
"""Events of a Markups node by which control points come, go, move, or lose and get their place."""

_STEP = 0.01
"""How far apart, in mm, a bent transform is asked for the derivative at a point."""


def is_alive(node: Any, scene: Any) -> bool:
    """Whether a node, which may be ``None``, is still in the scene."""
    return node is not None and node.GetScene() is not None and bool(scene.IsNodePresent(node))


def keys_of(node: Any) -> list[Key]:
    """Id and label of each control point, in order."""
    count = node.GetNumberOfControlPoints()
    return [(node.GetNthControlPointID(i), node.GetNthControlPointLabel(i)) for i in range(count)]


def index_of(node: Any, key: str) -> int:
    """The place of the control point with this id, -1 where there is none."""
    return node.GetNthControlPointIndexByID(key)


def keep_ids_apart(node: Any) -> None:
    """Let the next control point get an id that none has; undo begins to count anew."""
    numbers = [int(key) for key, _ in keys_of(node) if key.isdigit()]
    node.SetLastUsedControlPointNumber(max([node.GetLastUsedControlPointNumber(), *numbers]))


def is_placed(node: Any, index: int) -> bool:
    """Whether a control point has a position of its own; one that hangs on the mouse has none yet."""
    return node.GetNthControlPointPositionStatus(index) == node.PositionDefined


def position_of(node: Any, index: int) -> tuple[float, ...] | None:
    """LPS position (3,) in the node's own coordinates, or ``None`` without one."""
    if not is_placed(node, index):
        return None
    x, y, z = node.GetNthControlPointPosition(index)
    return 0.0 - x, 0.0 - y, z  # and not -x, which makes -0.0 of 0.0


def place(node: Any, index: int, position: Sequence[float] | None) -> None:
    """Put a control point at an LPS position of the node's own coordinates, or leave it missing."""
    if position is None:
        if node.GetNthControlPointPositionStatus(index) != node.PositionMissing:
            node.SetNthControlPointPositionMissing(index)
    elif position_of(node, index) != tuple(position):  # moving thousands costs seconds
        node.SetNthControlPointPosition(index, 0.0 - position[0], 0.0 - position[1], position[2])


Frame = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Takes LPS positions (K, 3) elsewhere; gives them there, (K, 3), and the derivatives of that, (K, 3, 3)."""


def to_world(node: Any) -> Frame:
    """What takes positions of the node's own coordinates into the world, through all parent transforms."""
    return between(node.GetParentTransformNode(), None)


def between(source: Any, target: Any) -> Frame:
    """What takes positions of the coordinates below one transform node into those below another.

    Args:
        source: the transform node that the positions are seen through now, ``None`` for the world.
        target: the transform node below which they are wanted.
    """
    if source is target:
        return lambda positions: (positions, np.broadcast_to(np.eye(3), (len(positions), 3, 3)))
    if all(node is None or node.IsTransformToWorldLinear() for node in (source, target)):
        matrix = vtk.vtkMatrix4x4()
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix)
        values = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        linear, shift = TO_LPS[:, None] * values[:3, :3] * TO_LPS, TO_LPS * values[:3, 3]
        return lambda positions: (
            positions @ linear.T + shift,
            np.broadcast_to(linear, (len(positions), 3, 3)),
        )
    bent = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, bent)

    def through(places: np.ndarray) -> np.ndarray:
        return np.array([bent.TransformPoint(place) for place in places * TO_LPS]).reshape(-1, 3) * TO_LPS

    def moved(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = _STEP * np.eye(3)
        slopes = [(through(positions + step) - through(positions - step)) / (2 * _STEP) for step in steps]
        return through(positions), np.stack(slopes, axis=-1)

    return moved


def measurements_of(node: Any) -> list[dict[str, Any]]:
    """The node's measurements as they stand in a file, those that are computed from the points left out."""
    found = []
    for i in range(node.GetNumberOfMeasurements()):
        held = node.GetNthMeasurement(i)
        if not held.IsA("vtkMRMLStaticMeasurement"):
            continue
        entry: dict[str, Any] = {"name": held.GetName(), "enabled": bool(held.GetEnabled())}
        if held.GetDescription():
            entry["description"] = held.GetDescription()
        if held.GetUnits():
            entry["units"] = held.GetUnits()
        if held.GetValueDefined():
            entry["value"] = held.GetValue()
        values = held.GetControlPointValues()
        if values is not None and values.GetNumberOfValues():
            entry["controlPointValues"] = vtk_to_numpy(values).tolist()
        found.append(entry)
    return found


def set_measurements(node: Any, entries: Sequence[dict[str, Any]], remove: Sequence[str]) -> None:
    """Replace the measurements of these names.

    Args:
        node: the Markups node.
        entries: as in a file.
        remove: names of those to take away where ``entries`` no longer has them.
    """
    names = {entry["name"] for entry in entries}
    for i in reversed(range(node.GetNumberOfMeasurements())):
        name = node.GetNthMeasurement(i).GetName()
        if name in remove and name not in names:
            node.RemoveNthMeasurement(i)
    for entry in entries:
        held = slicer.vtkMRMLStaticMeasurement()
        held.SetName(entry["name"])
        held.SetEnabled(entry["enabled"])
        held.SetDescription(entry.get("description", ""))
        held.SetUnits(entry.get("units", ""))
        if "value" in entry:
            held.SetValue(entry["value"])
        if "controlPointValues" in entry:
            held.SetControlPointValues(numpy_to_vtk(np.array(entry["controlPointValues"], dtype=np.float64), deep=1))
        place_of_it = next(
            (i for i in range(node.GetNumberOfMeasurements()) if node.GetNthMeasurement(i).GetName() == entry["name"]),
            None,
        )
        if place_of_it is None:
            node.AddMeasurement(held)
        else:
            node.SetNthMeasurement(place_of_it, held)
