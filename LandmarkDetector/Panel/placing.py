"""Putting a landmark that was not found where a person clicks next in a view."""

from __future__ import annotations

from typing import Any

import vtk

from LandmarkDetector.Panel.place_mode import PlaceMode
from LandmarkDetector.Panel.signals import Signal


class Placing:
    """One click for one landmark.

    Tells by ``placed(point_id)`` that it was clicked, and by ``ended()`` that it is over, either way.

    Args:
        mode: the place mode.
    """

    def __init__(self, mode: PlaceMode) -> None:
        self.placed, self.ended = Signal(), Signal()
        self._mode = mode
        self._review: Any = None
        self._point_id = ""

    @property
    def point_id(self) -> str:
        """The id of the control point that waits for a click, or an empty text."""
        return self._point_id

    def begin(self, review: Any, point_id: str) -> bool:
        """Wait for a click for this control point; ``False`` when it has a place already."""
        self._mode.cancel()
        if not review.begin_placing(point_id):
            return False
        self._review, self._point_id = review, point_id
        node, scene = review.node, self._mode.scene
        self._mode.begin(node, self._on_over, many=False)
        self._mode.observe(node, node.PointPositionDefinedEvent, self._on_defined)
        for event in (scene.StartUndoEvent, scene.StartRedoEvent):
            self._mode.observe(scene, event, lambda *_: self.cancel())
        return True

    def cancel(self) -> None:
        """Leave the landmark as it was."""
        if self._review is not None:
            self._mode.cancel()

    def _on_over(self) -> None:
        review, self._review, self._point_id = self._review, None, ""
        review.end_placing()
        self.ended.emit()

    @vtk.calldata_type(vtk.VTK_INT)
    def _on_defined(self, node, _event, index=None) -> None:
        if self._review is None or node.GetNthControlPointIndexByID(self._point_id) != index:
            return
        point_id, self._review, self._point_id = self._point_id, None, ""
        self._mode.end()
        self.placed.emit(point_id)
        self.ended.emit()
