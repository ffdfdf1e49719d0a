"""Looking at a landmark: every slice view and every 3D view goes there."""

from __future__ import annotations

from typing import Any

from .control_points import is_placed


def jump_to(node: Any, index: int, logic: Any = None) -> bool:
    """Bring a control point into the middle of all slice views, and turn the cameras to it.

    Args:
        node: a Markups node in the scene.
        index: which control point.
        logic: the ``vtkSlicerMarkupsLogic``; without, that of Slicer's Markups module.

    Returns:
        Whether there was a place to go to: a landmark that was not found has none.
    """
    if node.GetScene() is None or not 0 <= index < node.GetNumberOfControlPoints() or not is_placed(node, index):
        return False
    if logic is None:
        import slicer

        logic = slicer.modules.markups.logic()
    logic.JumpSlicesToNthPointInMarkup(node.GetID(), index, True)
    logic.FocusCamerasOnNthPointInMarkup(node.GetID(), index)
    return True
