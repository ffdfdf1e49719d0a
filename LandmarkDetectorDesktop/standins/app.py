"""The stand-in for ``slicer.app``."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import slicer
from qtpy.QtCore import QCoreApplication, QSettings
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from LandmarkDetectorDesktop.application import Desktop


class App:
    """What a module asks the application for.

    A getter that is a Q_PROPERTY in Slicer (``applicationName``, ``temporaryPath``) is a plain value here, as PythonQt
    has it.
    """

    applicationName = "LandmarkDetector"

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._layouts = LayoutManager(desktop)
        self.temporaryPath = tempfile.gettempdir()
        self.slicerHome = os.path.dirname(slicer.__file__)

    def applicationLogic(self) -> Any:
        """The scene's application logic."""
        return self._desktop.logics.application

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._desktop.scene

    def layoutManager(self) -> LayoutManager:
        """The views."""
        return self._layouts

    def instance(self) -> QCoreApplication | None:
        """Qt's application object."""
        return QCoreApplication.instance()

    def processEvents(self, *arguments: Any) -> None:
        """Let Qt handle what has come."""
        QCoreApplication.processEvents(*arguments)

    def settings(self) -> QSettings:
        """The settings of this application."""
        return QSettings()

    def testingEnabled(self) -> bool:
        """False: what must not block a test is answered by :class:`LandmarkDetectorDesktop.dialogs.Dialogs`."""
        return False

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show this cursor over the whole application."""
        QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        """Show the cursor that was there before."""
        QApplication.restoreOverrideCursor()

    def pauseRender(self) -> None:
        """Draw nothing until :meth:`resumeRender`."""
        for view in self._desktop.views():
            view.pause()

    def resumeRender(self) -> None:
        """Draw again."""
        for view in self._desktop.views():
            view.resume()

    def __getattr__(self, name: str) -> Any:
        """Qt's own signals and getters (aboutToQuit, palette, clipboard, ...)."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(QCoreApplication.instance(), name)


class LayoutManager:
    """The views, as ``slicer.app.layoutManager()`` gives them."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop

    def sliceViewNames(self) -> tuple[str, ...]:
        """The slice views."""
        return tuple(self._desktop.slice_views)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        """One slice view, or None."""
        view = self._desktop.slice_views.get(name)
        return None if view is None else SliceWidget(view)

    @property
    def threeDViewCount(self) -> int:
        """How many 3D views there are."""
        return 1

    def resetSliceViews(self) -> None:
        """Fit the slice views to the volume."""
        self._desktop.reset_views()

    def resetThreeDViews(self) -> None:
        """Fit the 3D view."""
        self._desktop.view3d.fit()


class SliceWidget:
    """A slice view, as Slicer's layout manager gives it."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def sliceLogic(self) -> Any:
        """Its logic."""
        return self._view.logic

    def mrmlSliceNode(self) -> Any:
        """Its node."""
        return self._view.node

    def mrmlSliceCompositeNode(self) -> Any:
        """The node that names its volumes."""
        return self._view.logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """Fit it to the volume."""
        self._view.fit()
