"""The functions of ``slicer.util`` that need an application, in the desktop's own words."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer
from qtpy.QtWidgets import QMessageBox

from LandmarkDetectorDesktop.standins.ui import child_widgets, load_ui

if TYPE_CHECKING:
    from LandmarkDetectorDesktop.application import Desktop

_Path = str | os.PathLike[str]


def functions(desktop: Desktop) -> dict[str, Callable]:
    """What ``slicer.util`` gets, by name; each failure is a RuntimeError with one sentence, as in Slicer."""
    return {**_widgets(desktop), **_files(desktop), **_messages(desktop), **_views(desktop)}


def _widgets(desktop: Desktop) -> dict[str, Callable]:
    wrap = getattr(desktop.qt_module, "wrap", lambda widget: widget)
    unwrap = getattr(desktop.qt_module, "unwrap", lambda widget: widget)

    def childWidgetVariables(widget):
        ui = child_widgets(unwrap(widget))
        for name, child in list(vars(ui).items()):
            setattr(ui, name, wrap(child))
        return ui

    def getModuleWidget(module):
        return desktop.installation.module_of(module).widget

    def getModuleLogic(module):
        return desktop.installation.module_of(module).widget.logic

    return {
        "loadUI": lambda path: wrap(load_ui(path)),
        "childWidgetVariables": childWidgetVariables,
        "mainWindow": lambda: wrap(desktop.window),
        "getModuleWidget": getModuleWidget,
        "getModuleLogic": getModuleLogic,
        "modulePath": lambda module: str(desktop.installation.module_of(module).path),
        "selectModule": lambda module: None,  # there is one, and it always shows
        "selectedModule": lambda: desktop.module_name,
    }


def _files(desktop: Desktop) -> dict[str, Callable]:
    def opened(path: _Path) -> Any:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            return desktop.open(path)
        except LandmarkDetectorError as error:
            raise RuntimeError(str(error)) from error

    def load(filename: _Path, *_, **__):
        return opened(filename)

    def loadScene(filename: _Path, properties=None):
        opened(filename)
        return True

    def saved(save: Callable[[], None]) -> bool:
        import logging

        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            save()
        except LandmarkDetectorError as error:
            logging.getLogger(__name__).error("%s", error)
            return False
        return True

    def saveNode(node, filename: _Path, properties=None) -> bool:
        return saved(lambda: desktop.save_node(node, filename))

    def saveScene(filename: _Path, properties=None) -> bool:
        return saved(lambda: desktop.save_scene(filename))

    return {
        **dict.fromkeys(("loadNodeFromFile", "loadVolume", "loadMarkups"), load),
        "loadScene": loadScene,
        "saveNode": saveNode,
        "saveScene": saveScene,
    }


def _messages(desktop: Desktop) -> dict[str, Callable]:
    unwrap = getattr(desktop.qt_module, "unwrap", lambda widget: widget)
    button = QMessageBox.StandardButton

    def saying(kind: str) -> Callable:
        def display(text, windowTitle=None, parent=None, standardButtons=None, detailedText="", **_):
            desktop.dialogs.say(
                kind, str(text), detail=str(detailedText), title=windowTitle or "", parent=unwrap(parent)
            )

        return display

    def asking(buttons: QMessageBox.StandardButton) -> Callable:
        def display(text, windowTitle=None, parent=None, detailedText="", **_):
            return desktop.dialogs.confirm(
                str(text), buttons, detail=str(detailedText), title=windowTitle or "", parent=unwrap(parent)
            )

        return display

    def delayDisplay(message, autoCloseMsec=1000, parent=None, **_):
        """Let the events run for a while, with a message in the status bar."""
        desktop.window.statusBar().showMessage(str(message), max(int(autoCloseMsec), 1))
        if autoCloseMsec <= 0:
            QCoreApplication.processEvents()
            return
        loop = QEventLoop()
        QTimer.singleShot(int(autoCloseMsec), loop.quit)
        loop.exec()

    def messageBox(text, parent=None, windowTitle=None, **_):
        desktop.dialogs.say("info", str(text), title=windowTitle or "", parent=unwrap(parent))
        return button.Ok

    return {
        "errorDisplay": saying("error"),
        "warningDisplay": saying("warning"),
        "infoDisplay": saying("info"),
        "messageBox": messageBox,
        "confirmOkCancelDisplay": asking(button.Ok | button.Cancel),
        "confirmYesNoDisplay": asking(button.Yes | button.No),
        "confirmRetryCloseDisplay": asking(button.Retry | button.Close),
        "delayDisplay": delayDisplay,
        "showStatusMessage": lambda message, duration=0: desktop.window.statusBar().showMessage(
            str(message), int(duration)
        ),
    }


def _views(desktop: Desktop) -> dict[str, Callable]:
    def setSliceViewerLayers(background="keep-current", fit=False, **_):
        if background != "keep-current":
            node = desktop.scene.GetNodeByID(background) if isinstance(background, str) else background
            desktop.show_volume(node, fit=fit)
        elif fit:
            desktop.reset_views()

    def forceRenderAllViews():
        for view in desktop.views():
            view.render()

    return {
        "resetSliceViews": lambda *_: desktop.reset_views(),
        "resetThreeDViews": lambda *_: desktop.reset_views(),
        "setSliceViewerLayers": setSliceViewerLayers,
        "forceRenderAllViews": forceRenderAllViews,
    }
