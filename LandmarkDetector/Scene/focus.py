"""Looking at a landmark: every slice view and every 3D view goes there."""

from __future__ import annotations

from typing import Any

import vtk

from .control_points import is_placed
from .result import volume_of

_MIDDLE = 0.1, 0.9
"""Part of a slice view, along each side, in which a landmark is well in view as it is."""


def jump_to(node: Any, index: int, logic: Any = None, turn: bool = True) -> bool:
    """Show a control point in all slice views, and turn the cameras to it.

    A slice view is moved sideways only where the point would lie at its edge or beyond: a picture that leaps with every
    landmark tires the eyes.

    Args:
        node: a Markups node in the scene.
        index: which control point.
        logic: the ``vtkSlicerMarkupsLogic``; without, that of Slicer's Markups module.
        turn: whether the cameras turn.

    Returns:
        Whether there was a place to go to: a landmark that was not found has none.
    """
    if node.GetScene() is None or not 0 <= index < node.GetNumberOfControlPoints() or not is_placed(node, index):
        return False
    if logic is None:
        import slicer

        logic = slicer.modules.markups.logic()
    logic.JumpSlicesToNthPointInMarkup(node.GetID(), index, False)
    place = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, place)
    for number in range(node.GetScene().GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        view = node.GetScene().GetNthNodeByClass(number, "vtkMRMLSliceNode")
        if not _is_well_in_view(view, place):
            view.JumpSliceByCentering(*place)
    if turn:
        logic.FocusCamerasOnNthPointInMarkup(node.GetID(), index)
    return True


def light_up(node: Any, index: int) -> None:
    """Show a control point as the one that is meant.

    Not by its "selected" flag: that is saved, and modules that are given the list leave out the others.
    """
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetActiveControlPoint(index)


def show_landmarks_of(volume: Any) -> None:
    """Show the results of one volume, and hide those of others: on its pixels they would be taken for its own.

    Point lists that were found in no volume stay as they are.
    """
    scene = volume.GetScene()
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLMarkupsFiducialNode")
        source = volume_of(node)
        if source is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(source is volume)


def is_shown(node: Any) -> bool:
    """Whether a point list is shown, and so what is drawn of it is to be seen as well."""
    return node.GetDisplayNode() is None or bool(node.GetDisplayNode().GetVisibility())


def _is_well_in_view(view: Any, place: list[float]) -> bool:
    """Whether a world position, RAS, lies in the middle part of a slice view."""
    to_view = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_view)
    column, row = to_view.MultiplyPoint((*place, 1.0))[:2]
    width, height = view.GetDimensions()[:2]
    low, high = _MIDDLE
    return low * width <= column <= high * width and low * height <= row <= high * height
