"""Designer's .ui files, loaded with the stand-ins in the place of Slicer's widgets."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qtpy.QtCore import QBuffer, QByteArray, QDir, QObject
from qtpy.QtUiTools import QUiLoader
from qtpy.QtWidgets import QWidget

from LandmarkDetectorDesktop.standins import ctk_widgets, mrml_widgets

WIDGETS: dict[str, type] = {cls.__name__: cls for cls in (*ctk_widgets.WIDGETS, *mrml_widgets.WIDGETS)}


def load_ui(path: str | os.PathLike[str]) -> QWidget:
    """The widget of a .ui file.

    A connection of the scene (``mrmlSceneChanged`` to ``setMRMLScene``) is made here, since its types are Slicer's.

    Raises:
        RuntimeError: there is no such file, or it is no .ui file, or it asks for a widget that has no stand-in.
    """
    path = Path(path)
    if not path.is_file():
        raise RuntimeError(f"{path.name}: there is no such .ui file in {path.parent}.")
    try:
        tree = ElementTree.parse(path)
    except ElementTree.ParseError as error:
        raise RuntimeError(f"{path.name}: this is no .ui file ({error}).") from None
    scene_connections = _take_scene_connections(tree.getroot())
    _check_widgets(tree.getroot(), path.name)
    loader = QUiLoader()
    loader.setWorkingDirectory(QDir(str(path.parent.absolute())))
    for cls in WIDGETS.values():
        loader.registerCustomWidget(cls)
    data = QBuffer()
    data.setData(QByteArray(ElementTree.tostring(tree.getroot(), encoding="utf-8")))
    data.open(QBuffer.OpenModeFlag.ReadOnly)
    widget = loader.load(data)
    if widget is None:
        raise RuntimeError(f"{path.name}: Qt could not load it: {loader.errorString()}")
    for sender, receiver in scene_connections:
        ends: list[Any] = [
            widget if widget.objectName() == name else widget.findChild(QObject, name) for name in (sender, receiver)
        ]
        if None in ends:
            raise RuntimeError(
                f"{path.name}: a connection names {sender} and {receiver}, and one of them is not there."
            )
        ends[0].mrmlSceneChanged.connect(ends[1].setMRMLScene)
    return widget


def child_widgets(widget: QObject) -> Any:
    """An object with every named descendant of a widget as an attribute."""
    named = (child for child in widget.findChildren(QObject) if child.objectName())
    return SimpleNamespace(**{child.objectName(): child for child in named if not child.objectName().startswith("qt_")})


def _take_scene_connections(root: ElementTree.Element) -> list[tuple[str, str]]:
    taken = []
    for connections in root.iter("connections"):
        for connection in list(connections):
            if "vtkMRML" in connection.findtext("signal", ""):
                taken.append((connection.findtext("sender", ""), connection.findtext("receiver", "")))
                connections.remove(connection)
    return taken


def _check_widgets(root: ElementTree.Element, name: str) -> None:
    """A class without a stand-in would be replaced by its base class, silently."""
    for element in root.iter("customwidget"):
        cls = element.findtext("class", "")
        if cls not in WIDGETS:
            raise RuntimeError(
                f"{name}: the desktop has no stand-in for the widget {cls}; use one of {sorted(WIDGETS)}."
            )
