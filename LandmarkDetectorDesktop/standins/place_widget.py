"""The stand-in for Slicer's button that places points."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from qtpy.QtCore import Property, Signal
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from LandmarkDetector.Scene.observations import Observations


class qSlicerMarkupsPlaceWidget(QWidget):
    """A button that lets the next click in a view place a point of a list."""

    activeMarkupsFiducialPlaceModeChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._observations = Observations()
        self._button = QToolButton(self)
        self._button.setObjectName("qt_place")
        self._button.setText("Place")
        self._button.setCheckable(True)
        self._button.toggled.connect(self.setPlaceModeEnabled)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        observations = self._observations
        self.destroyed.connect(lambda *_: observations.release())

    def setMRMLScene(self, scene) -> None:
        """Follow the mode of this scene."""
        self._observations.release()
        self._scene = scene
        mode = self._mode()
        if mode is not None:
            self._observations.add(mode, vtk.vtkCommand.ModifiedEvent, self._on_mode)

    def _mode(self):
        scene = self._scene
        return None if scene is None else scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")

    def _on_mode(self, *_) -> None:
        placing = self._is_placing()
        before = self._button.blockSignals(True)
        self._button.setChecked(placing)
        self._button.blockSignals(before)
        self.activeMarkupsFiducialPlaceModeChanged.emit(placing)

    def _is_placing(self) -> bool:
        mode = self._mode()
        return mode is not None and mode.GetCurrentInteractionMode() == mode.Place

    def currentNode(self):
        """The list that is placed into."""
        return self._node

    def setCurrentNode(self, node) -> None:
        """Place into this list."""
        self._node = node

    def setPlaceModeEnabled(self, enabled: bool) -> None:
        """Let the next click place a point, or not."""
        mode = self._mode()
        if mode is None or bool(enabled) == self._is_placing():
            return
        if enabled and self._node is not None:
            slicer.modules.markups.logic().SetActiveList(self._node)
            mode.SetCurrentInteractionMode(mode.Place)
        else:
            mode.SetCurrentInteractionMode(mode.ViewTransform)

    placeModeEnabled = Property(bool, _is_placing, setPlaceModeEnabled)
