"""Putting a landmark that was not found where a person clicks next in a view."""

from __future__ import annotations

from typing import Any

import vtk

from LandmarkDetector.Panel.signals import Signal


class Placing:
    """Slicer's place mode, for one click and one landmark at a time.

    Tells by ``placed(point_id)`` that it was clicked, and by ``ended()`` that it is over, either way. The step of undo
    is saved by the markups widget itself.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self.placed, self.ended = Signal(), Signal()
        self._scene = scene
        self._review: Any = None
        self._point_id = ""
        self._tags: list[tuple[Any, int]] = []

    @property
    def point_id(self) -> str:
        """The id of the control point that waits for a click, or an empty text."""
        return self._point_id

    def begin(self, review: Any, point_id: str) -> bool:
        """Wait for a click for this control point; ``False`` when it has a place already."""
        self.cancel()
        if not review.begin_placing(point_id):
            return False
        node = review.node
        self._review, self._point_id = review, point_id
        selection = self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = self._interaction()
        interaction.SwitchToSinglePlaceMode()
        self._observe(node, node.PointPositionDefinedEvent, self._on_defined)
        self._observe(interaction, interaction.InteractionModeChangedEvent, self._on_mode)
        for event in (self._scene.StartUndoEvent, self._scene.StartRedoEvent):
            self._observe(self._scene, event, lambda *_: self.cancel())
        return True

    def cancel(self) -> None:
        """Leave the landmark as it was."""
        if self._review is None:
            return
        review = self._review
        self._leave()
        review.end_placing()
        self.ended.emit()

    @vtk.calldata_type(vtk.VTK_INT)
    def _on_defined(self, node, _event, index=None) -> None:
        if self._review is None or node.GetNthControlPointIndexByID(self._point_id) != index:
            return
        point_id = self._point_id
        self._leave()
        self.placed.emit(point_id)
        self.ended.emit()

    def _on_mode(self, interaction, _event) -> None:
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self.cancel()

    def _leave(self) -> None:
        for sender, tag in self._tags:
            sender.RemoveObserver(tag)
        self._tags.clear()
        self._review, self._point_id = None, ""
        interaction = self._interaction()
        if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SwitchToViewTransformMode()

    def _interaction(self):
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")

    def _observe(self, sender, event: int, callback) -> None:
        self._tags.append((sender, sender.AddObserver(event, callback)))
