"""Placing the landmarks of a fixed list one after the other."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.place_mode import PlaceMode
from LandmarkDetector.Panel.signals import Signal


class PlacingAll:
    """Every click in a view fills the next landmark of the list that has no place, until all have one.

    Tells by ``waits()`` that another landmark is the next one, see :attr:`next`, and by ``ended(all_placed)`` that it
    is over: all are placed, or the person left place mode.

    Args:
        mode: the place mode.
    """

    def __init__(self, mode: PlaceMode) -> None:
        self.waits, self.ended = Signal(), Signal()
        self._mode = mode
        self._node: Any = None

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
        self._mode.cancel()
        if node.GetNumberOfUndefinedControlPoints() == 0:
            return False
        self._node = node
        node.SetControlPointPlacementStartIndex(0)
        scene = self._mode.scene
        self._mode.begin(node, self._on_over, many=True)
        self._mode.observe(node, node.PointPositionDefinedEvent, self._on_defined)
        self._mode.observe(node, node.PointPositionMissingEvent, self._on_defined)  # it was said to be absent
        for event in (scene.EndUndoEvent, scene.EndRedoEvent):
            self._mode.observe(scene, event, self._on_undone)
        self.waits.emit()
        return True

    def cancel(self) -> None:
        """What is placed stays."""
        if self._node is not None:
            self._mode.cancel()

    def _on_over(self) -> None:
        all_placed = not self.next[0]
        self._node = None
        self.ended.emit(all_placed)

    def _on_defined(self, *_arguments) -> None:
        if self.next[0]:
            self.waits.emit()
        else:
            self.cancel()

    def _on_undone(self, *_arguments) -> None:
        """The first landmark without a place is the next one again, in words and for the click."""
        if self._mode.scene.IsNodePresent(self._node):
            self._node.SetControlPointPlacementStartIndex(0)
            self._on_defined()
        else:
            self.cancel()
