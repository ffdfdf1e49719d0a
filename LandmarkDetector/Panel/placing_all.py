"""Placing the landmarks of a fixed list one after the other, in Slicer's own place mode."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.signals import Signal


class PlacingAll:
    """Every click in a view fills the next landmark of the list that has no place, until all have one.

    Tells by ``ended()`` that it is over: all are placed, or the person left place mode.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self.ended = Signal()
        self._scene = scene
        self._node: Any = None
        self._tags: list[tuple[Any, int]] = []

    @property
    def active(self) -> bool:
        """Whether clicks place."""
        return self._node is not None

    def begin(self, node: Any) -> bool:
        """Begin; ``False`` where nothing is left to place."""
        self.cancel()
        if node.GetNumberOfUndefinedControlPoints() == 0:
            return False
        self._node = node
        selection = self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = self._interaction()
        interaction.SwitchToPersistentPlaceMode()
        self._observe(node, node.PointPositionDefinedEvent, self._on_defined)
        self._observe(interaction, interaction.InteractionModeChangedEvent, self._on_mode)
        return True

    def cancel(self) -> None:
        """What is placed stays."""
        if self._node is None:
            return
        for sender, tag in self._tags:
            sender.RemoveObserver(tag)
        self._tags.clear()
        self._node = None
        interaction = self._interaction()
        if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SwitchToViewTransformMode()
        self.ended.emit()

    def _on_defined(self, node, _event) -> None:
        if node.GetNumberOfUndefinedControlPoints() == 0:
            self.cancel()

    def _on_mode(self, interaction, _event) -> None:
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self.cancel()

    def _interaction(self):
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")

    def _observe(self, sender, event: int, callback) -> None:
        self._tags.append((sender, sender.AddObserver(event, callback)))
