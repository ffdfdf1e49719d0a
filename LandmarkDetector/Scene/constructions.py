"""What was measured, drawn in the views: Slicer's own lines, angles, planes and curves, which follow the landmarks.

They are for looking at and no data: locked, not saved with the scene, not touched by undo, and gone when nobody wants
to see them. In the subject hierarchy they lie in a folder of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from .volume_image import TO_LPS

FOLDER = "LandmarkDetector.constructions"
"""Attribute of the folder in the subject hierarchy, by which one that an earlier session left behind is known."""

USUAL, CHOSEN = (0.34, 0.71, 0.91), (0.94, 0.89, 0.26)
"""Sky blue and yellow of Okabe and Ito, red, green and blue in 0..1: told apart by those who see no red or green."""

_CLASSES = {"line": "Line", "angle": "Angle", "plane": "Plane", "curve": "ClosedCurve"}
_ROUND = 24
"""Control points of an ellipse."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """One piece of a construction.

    Args:
        name: of the measurement, which becomes the node's.
        kind: ``line``, ``angle``, ``plane`` or ``ellipse``, with positions as in ``measure.values.Shape``.
        positions: (M, 3) in the world, LPS.
        chosen: whether it belongs to what the person looks at.
        says_value: whether the length or the angle that Slicer writes beside it is the measurement's own.
    """

    name: str
    kind: str
    positions: np.ndarray
    chosen: bool = False
    says_value: bool = False


def drawings_of(result: Any, in_space: Callable[[np.ndarray], np.ndarray], size: float, chosen: bool) -> list[Drawing]:
    """The pieces of the construction of one result of ``measure``; landmarks are there already.

    Args:
        result: with a value.
        in_space: takes positions (M, d) of the result into the world, (M, 3), LPS.
        size: of the shape; so long are the lines that stand for planes in a picture.
        chosen: whether the person looks at it.
    """
    shapes = [shape for shape in result.geometry if shape.kind != "landmark"]
    own = len(shapes) == 1 and (shapes[0].kind, result.unit) in (("angle", "degrees"), ("line", "mm"))
    found = []
    for shape in shapes:
        kind, positions = shape.kind, shape.positions
        if kind == "plane" and positions.shape[1] == 2:  # in a picture it is the line across its normal
            x, y = positions[1] - positions[0]
            along = np.array([-y, x]) * size / 2
            kind, positions = "line", np.stack([positions[0] - along, positions[0] + along])
        found.append(Drawing(result.name, kind, in_space(positions), chosen, own and chosen))
    return found


class Constructions:
    """The nodes that are drawn.

    Args:
        scene: the ``vtkMRMLScene``.
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._drawn: dict[str, list[_Piece]] = {}
        self._folder = 0

    @property
    def nodes(self) -> list[Any]:
        """All nodes that are drawn now."""
        return [piece.node for pieces in self._drawn.values() for piece in pieces]

    def show(self, drawings: Iterable[Drawing], title: str) -> None:
        """Draw these and nothing else; what is drawn already is moved, which is quick enough for every mouse event.

        Args:
            drawings: pieces; what stands at the same place is drawn once.
            title: of the folder.
        """
        wanted: dict[str, list[tuple[Drawing, np.ndarray]]] = {kind: [] for kind in _CLASSES}
        drawings = list(drawings)
        size = _extent(drawings)
        seen: set[bytes] = set()
        for drawing in sorted(drawings, key=lambda each: not each.chosen):
            kind, places = _points(drawing)
            alike = places if tuple(places[0]) <= tuple(places[-1]) else places[::-1]
            mark = kind.encode() + (np.round(alike, 6) + 0.0).tobytes()
            if mark not in seen and np.isfinite(places).all():
                seen.add(mark)
                wanted[kind].append((drawing, places))
        if not any(wanted.values()):
            self.clear()
            return
        for kind, those in wanted.items():
            pieces = [piece for piece in self._drawn.get(kind, ()) if piece.node.GetScene() is not None]
            self._drawn[kind] = pieces
            while len(pieces) > len(those):
                pieces.pop().remove()
            while len(pieces) < len(those):
                pieces.append(_Piece(self.scene, kind, self._folder_item(title)))
            for piece, (drawing, places) in zip(pieces, those, strict=True):
                piece.show(drawing, places, size)

    def clear(self) -> None:
        """Take all of it out of the scene."""
        if self._drawn or self._folder:
            for piece in [piece for pieces in self._drawn.values() for piece in pieces]:
                piece.remove()
            self._drawn.clear()
            self.sweep()

    def sweep(self) -> None:
        """Take folders out of the scene, also those that an earlier session left in a file of it."""
        self._folder = 0
        hierarchy = _hierarchy(self.scene, made=False)
        if hierarchy is None:
            return
        found = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, False)
        for item in [found.GetId(i) for i in range(found.GetNumberOfIds())]:
            if hierarchy.GetItemAttribute(item, FOLDER):
                hierarchy.RemoveItem(item)

    def _folder_item(self, title: str) -> int:
        hierarchy = _hierarchy(self.scene)
        if not self._folder or not hierarchy.GetItemAttribute(self._folder, FOLDER):
            self.sweep()
            self._folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), title)
            hierarchy.SetItemAttribute(self._folder, FOLDER, "1")
        return self._folder


class _Piece:
    """One node with its look."""

    def __init__(self, scene: Any, kind: str, folder: int) -> None:
        self.scene, self.kind = scene, kind
        self.node = scene.CreateNodeByClass(f"vtkMRMLMarkups{_CLASSES[kind]}Node")
        self.node.UnRegister(None)
        self.node.SetSaveWithScene(False)
        self.node.SetLocked(True)
        self.node.SetSelectable(False)
        self.node.SetUndoEnabled(False)
        self._places: np.ndarray | None = None
        self._look: tuple[Any, ...] | None = None
        self._size = 0.0
        _add_inactive(scene, self.node)
        self.node.CreateDefaultDisplayNodes()
        self.display = self.node.GetDisplayNode()
        self.display.SetSaveWithScene(False)
        self.display.SetPointLabelsVisibility(False)
        self.display.SetGlyphScale(0.6)
        self.display.SetLineThickness(0.4)
        self.display.SetSliceProjection(True)
        self.display.SetSliceProjectionUseFiducialColor(True)
        self.display.SetSliceProjectionOpacity(0.7)
        self.display.SetHandlesInteractive(False)
        if kind == "plane":
            self.display.SetOpacity(0.3)
            self.node.SetPlaneType(self.node.PlaneTypePointNormal)
            self.node.SetSizeMode(self.node.SizeModeAbsolute)
        hierarchy = _hierarchy(scene)
        item = hierarchy.GetItemByDataNode(self.node) or hierarchy.CreateItem(folder, self.node)
        hierarchy.SetItemParent(item, folder)

    def show(self, drawing: Drawing, places: np.ndarray, size: float) -> None:
        """Put it where it belongs; nothing is touched that is as it should be."""
        look = (drawing.name, drawing.chosen, drawing.says_value)
        if look != self._look:
            self._look = look
            self.node.SetName(drawing.name)
            colour = CHOSEN if drawing.chosen else USUAL
            self.display.SetSelectedColor(*colour)
            self.display.SetColor(*colour)
            self.display.SetLineThickness(0.6 if drawing.chosen else 0.4)
            self.display.SetPropertiesLabelVisibility(drawing.says_value)
        moved = self._places is None or self._places.shape != places.shape or np.abs(places - self._places).max() > 0
        if moved or (self.kind == "plane" and not 0.5 < size / self._size < 2):
            self._places, self._size = places, size
            self._move(places, size)

    def _move(self, places: np.ndarray, size: float) -> None:
        node = self.node
        says_value = self._look is not None and self._look[2]  # which Slicer computes when it hears all events
        if self.kind == "angle" and not says_value and node.GetNumberOfControlPoints() == len(places):
            self._move_quickly(places)
            return
        folded = node.StartModify()
        try:
            if self.kind == "plane":
                node.SetOriginWorld(places[0].tolist())
                node.SetNormalWorld((places[1] - places[0]).tolist())
                node.SetSizeWorld(size, size)
                return
            if node.GetNumberOfControlPoints() != len(places):
                node.RemoveAllControlPoints()
                for place in places:
                    node.AddControlPointWorld(vtk.vtkVector3d(*place))
                return
            for index, place in enumerate(places):
                node.SetNthControlPointPositionWorld(index, *place)
        finally:
            node.EndModify(folded)

    def _move_quickly(self, places: np.ndarray) -> None:
        """Move the points of an angle and say so once: of every event every view builds the node anew.

        EndModify sends several. A line needs all of them, or its old place stays on the screen.
        """
        node = self.node
        quiet = node.GetDisableModifiedEvent()
        node.SetDisableModifiedEvent(1)
        try:
            for index, place in enumerate(places):
                node.SetNthControlPointPositionWorld(index, *place)
        finally:
            node.SetDisableModifiedEvent(quiet)
        node.InvokeEvent(node.PointModifiedEvent)

    def remove(self) -> None:
        """Take it out of the scene."""
        hierarchy = _hierarchy(self.scene, made=False)
        if hierarchy is not None and (item := hierarchy.GetItemByDataNode(self.node)):
            hierarchy.RemoveItem(item, False)  # it would complain of an item whose node has gone
        for node in (self.node, self.display):
            if node is not None and node.GetScene() is not None:
                self.scene.RemoveNode(node)


def _add_inactive(scene: Any, node: Any) -> None:
    """Add markups that nobody places: Slicer lets the next click in place mode go into those that came last."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    class_name, node_id = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    scene.AddNode(node)
    selection.SetReferenceActivePlaceNodeClassName(class_name)
    selection.SetActivePlaceNodeID(node_id)


def _hierarchy(scene: Any, made: bool = True) -> Any:
    if not made and scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") is None:
        return None
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _extent(drawings: Sequence[Drawing]) -> float:
    """How large all of it is, in the world's unit; a plane is drawn as large."""
    places = [each.positions[:1] if each.kind == "plane" else each.positions for each in drawings]
    if not places:
        return 1.0
    every = np.concatenate(places)
    every = every[np.isfinite(every).all(1)]
    return max(float(np.ptp(every, axis=0).max()), 1.0) if len(every) else 1.0


def _points(drawing: Drawing) -> tuple[str, np.ndarray]:
    """The kind of node, and its control points in RAS, (M, 3)."""
    places = drawing.positions * TO_LPS
    if drawing.kind == "ellipse":
        centre, first, second = places[0], places[1] - places[0], places[2] - places[0]
        turns = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)[:, None]
        return "curve", centre + np.cos(turns) * first + np.sin(turns) * second
    return drawing.kind, places
