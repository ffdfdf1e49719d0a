"""Placing the landmarks of a fixed list one after the other, in Slicer's own place mode."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.signals import Signal


class PlacingAll:
    """Every click in a view fills the next landmark of the list that has no place, until all have one.

    Tells by ``waits()`` that another landmark is the next one, see :attr:`next`, and by ``ended()`` that it is over:
    all are placed, or the person left place mode.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self.waits, self.ended = Signal(), Signal()
        self._scene = scene
        self._node: Any = None
        self._tags: list[tuple[Any, int]] = []

    @property
    def active(self) -> bool:
        """Whether clicks place."""
        return self._node is not None

    @property
    def next(self) -> tuple[str, str]:
        """Label and description of the landmark that the next click places; both empty without one."""
        node = self._node
        for i in range(node.GetNumberOfControlPoints() if node is not None else 0):
            if node.GetNthControlPointPositionStatus(i) in (node.PositionUndefined, node.PositionPreview):
                return node.GetNthControlPointLabel(i), node.GetNthControlPointDescription(i) or ""
        return "", ""

    def begin(self, node: Any) -> bool:
        """Begin; ``False`` where nothing is left to place."""
        self.cancel()
        if node.GetNumberOfUndefinedControlPoints() == 0:
            return False
        self._node = node
        node.SetControlPointPlacementStartIndex(0)
        selection = self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = self._interaction()
        interaction.SwitchToPersistentPlaceMode()
        self._observe(node, node.PointPositionDefinedEvent, self._on_defined)
        self._observe(node, node.PointPositionMissingEvent, self._on_defined)  # it was said to be absent
        self._observe(interaction, interaction.InteractionModeChangedEvent, self._on_mode)
        for event in (self._scene.EndUndoEvent, self._scene.EndRedoEvent):
            self._observe(self._scene, event, self._on_undone)
        self.waits.emit()
        return True

    def cancel(self) -> None:
        """What is placed stays."""
        if self._node is None:
            return
        for sender, tag in self._tags:
            sender.RemoveObserver(tag)
        self._tags.clear()
        over, self._node = not self.next[0], None
        interaction = self._interaction()
        if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SwitchToViewTransformMode()
        self.ended.emit(over)

    def _on_defined(self, node, _event) -> None:
        if self.next[0]:
            self.waits.emit()
        else:
            self.cancel()

    def _on_undone(self, *_arguments) -> None:
        """The first landmark without a place is the next one again, in words and for the click."""
        if self._scene.IsNodePresent(self._node):
            self._node.SetControlPointPlacementStartIndex(0)
            self._on_defined(self._node, None)
        else:
            self.cancel()

    def _on_mode(self, interaction, _event) -> None:
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self.cancel()

    def _interaction(self):
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")

    def _observe(self, sender, event: int, callback) -> None:
        self._tags.append((sender, sender.AddObserver(event, callback)))
