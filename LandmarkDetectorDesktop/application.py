"""The desktop: a window with views and the module's panel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QGridLayout, QMainWindow, QScrollArea, QWidget

from LandmarkDetectorDesktop.dialogs import Dialogs
from LandmarkDetectorDesktop.logics import Logics
from LandmarkDetectorDesktop.standins.install import Installation
from LandmarkDetectorDesktop.standins.qt_names import QtNames
from LandmarkDetectorDesktop.views.slice_view import ORIENTATIONS, SliceView, slice_factory
from LandmarkDetectorDesktop.views.view3d import View3D, view3d_factory

MODULE = Path(__file__).resolve().parents[1] / "LandmarkDetector" / "LandmarkDetector.py"
TITLE = "LandmarkDetector"


class Desktop:
    """The application without Slicer.

    Args:
        qt_module: what the module file sees as ``qt``; PySide6's classes if None. If it has ``wrap`` (and ``unwrap``),
            widgets go through them on their way to the module (and back).
        module: the module file.
        answer: answers message boxes in the place of a person, for tests; see :class:`.dialogs.Dialogs`.

    Attributes:
        window: the main window; not shown yet.
        scene: the scene.
        logics: the scene's logics.
        slice_views: Red, Yellow and Green.
        view3d: the 3D view.
        module_widget: the module's widget object.
        dialogs: what was said to the person.
    """

    def __init__(
        self,
        qt_module: Any = None,
        *,
        module: str | os.PathLike[str] = MODULE,
        answer: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.application = QCoreApplication.instance() or QApplication([TITLE])
        self.qt_module = QtNames() if qt_module is None else qt_module
        self.module_name = Path(module).stem
        self.dialogs = Dialogs(lambda: self.window, TITLE, answer)
        self.logics = Logics()
        self.scene = self.logics.scene
        self.window = QMainWindow()
        self.window.resize(1400, 900)
        self.window.setWindowTitle(TITLE)
        self._make_views()
        self.installation = Installation(self)
        self.installation.put()
        self.module_widget = self.installation.load(Path(module).absolute()).widget

    def _make_views(self) -> None:
        application = self.logics.application
        self._factories = (slice_factory(application), view3d_factory(application))
        self.slice_views = {name: SliceView(name, self.scene, application, self._factories[0]) for name in ORIENTATIONS}
        self.view3d = View3D(self.scene, application, self._factories[1])
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        red, yellow, green = (self.slice_views[name].widget for name in ("Red", "Yellow", "Green"))
        for widget, row, column in ((red, 0, 0), (self.view3d.widget, 0, 1), (green, 1, 0), (yellow, 1, 1)):
            grid.addWidget(widget, row, column)
        self.window.setCentralWidget(holder)

    def take_panel(self, panel: QWidget) -> None:
        """Dock the module's panel at the left."""
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(panel)
        dock = QDockWidget(self.module_name, self.window)
        dock.setWidget(area)
        dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        dock.setTitleBarWidget(QWidget())
        area.setMinimumWidth(400)
        self.window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)

    def views(self) -> list[Any]:
        """All views."""
        return [*self.slice_views.values(), self.view3d]

    def show_volume(self, node: Any, fit: bool = True) -> None:
        """Show a volume in all slice views."""
        for view in self.slice_views.values():
            view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(None if node is None else node.GetID())
        if fit and node is not None:
            self.reset_views()

    def reset_views(self) -> None:
        """Fit all views to the volume."""
        for view in self.slice_views.values():
            view.fit()
        self.view3d.fit()

    def open(self, path: str | os.PathLike[str]) -> Any:
        """Open a file or a DICOM folder.

        Raises:
            LandmarkDetectorError: it cannot be read.
        """
        node = self.logics.volumes.AddArchetypeVolume(os.fspath(path), Path(path).name.split(".")[0], 0)
        self.show_volume(node)
        return node

    def save_node(self, node: Any, path: str | os.PathLike[str]) -> None:
        """Save a node into a file."""
        raise NotImplementedError

    def save_scene(self, path: str | os.PathLike[str]) -> None:
        """Save the scene."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything, in the order that leaves nothing behind; a second call does nothing."""
        if self.scene is None:
            return
        if getattr(self, "module_widget", None) is not None:
            self.module_widget.cleanup()
        for view in self.views():
            view.close()
        self.logics.close()
        self.installation.take_away()
        self.window.close()
        self.window.deleteLater()
        self.scene = None
        self.module_widget = None
