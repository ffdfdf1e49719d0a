"""Slicer's place mode: the next clicks in a view place control points of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk

from LandmarkDetector.Scene.observations import Observations


class PlaceMode:
    """Place mode for one list at a time; whoever began it is told when somebody leaves it.

    The step of undo is saved by the markups widget itself.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self.scene = scene
        self._observations = Observations()
        self._over: Callable[[], None] | None = None
        self._node: Any = None

    def begin(self, node: Any, over: Callable[[], None], *, many: bool) -> None:
        """Let a click place the next point of a list, or ``many`` clicks one after the other.

        Args:
            node: the point list.
            over: called when it is over by :meth:`cancel`, or because the person chose another mode or removed
                the list.
            many: whether clicks place until it is over.
        """
        self.cancel()
        selection = self.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        mode = self._interaction()
        if many:
            mode.SwitchToPersistentPlaceMode()
        else:
            mode.SwitchToSinglePlaceMode()
        self._over, self._node = over, node
        self.observe(mode, mode.InteractionModeChangedEvent, self._on_mode)
        self.observe(self.scene, self.scene.NodeRemovedEvent, self._on_removed)

    def observe(self, sender: Any, event: Any, callback: Callable[..., None]) -> None:
        """Hear an event of the list or of the scene until it is over."""
        self._observations.add(sender, event, callback)

    def cancel(self) -> None:
        """Leave it, and tell whoever began it."""
        over = self._over
        self.end()
        if over is not None:
            over()

    def end(self) -> None:
        """Leave it, and tell nobody."""
        if self._over is None:
            return
        self._over = self._node = None
        self._observations.release()
        mode = self._interaction()
        if mode is not None and mode.GetCurrentInteractionMode() == mode.Place:
            mode.SwitchToViewTransformMode()

    def _on_mode(self, mode, _event) -> None:
        if mode.GetCurrentInteractionMode() != mode.Place:
            self.cancel()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, _scene, _event, node=None) -> None:
        if node is self._node:  # the next click would go into a list of its own
            self.cancel()

    def _interaction(self) -> Any:
        return self.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
