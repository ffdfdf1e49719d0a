"""A person at the desktop: clicks, drags, presses keys, waits and reads what is written on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from LandmarkDetectorLib.bundles.store import SHIPPED
from Testing.panel.answers import AnsweredDialogs

SAMPLE = next((SHIPPED / "mouse-skull-ct" / "samples").glob("*.nii.gz"))
PICTURE = next((SHIPPED / "fetal-head-us" / "samples").glob("*.mha"))
SKULL, HEAD = "mouse-skull-ct", "fetal-head-us"
_FOUND: list[Any] = []


def open_desktop(binding: str) -> Any:
    """The application with the panel, its window shown; ``binding`` is ``PySide6`` or ``PythonQt``."""
    from LandmarkDetectorDesktop.application import Desktop

    QApplication.instance() or QApplication([])
    if binding == "PythonQt":
        from Testing.panel.pythonqt import make_pythonqt

        desktop = Desktop(make_pythonqt())
    else:
        desktop = Desktop()
    desktop.window.show()
    QTest.qWait(50)
    return desktop


class Person:
    """Drives one desktop.

    Args:
        desktop: as :func:`open_desktop` gives it.
    """

    def __init__(self, desktop: Any) -> None:
        self.desktop = desktop
        self.dialogs = AnsweredDialogs()

    # -- the session

    @property
    def panel(self) -> Any:
        """The panel; another one after a reload."""
        return self.desktop.module_widget.panel

    def begin(self) -> None:
        """Begin with an empty scene, choices as they are at the start, and the keyboard in this window."""
        self.desktop.window.activateWindow()
        self.desktop.scene.Clear(0)
        self.answer()
        self.panel.enter()
        self.panel.input.choose_bundle(SKULL)
        self.rest()

    def leave(self) -> None:
        """Leave nothing running."""
        self.panel.run.cancel()
        self.desktop.scene.Clear(0)
        self.rest()

    def answer(self, **answers: Any) -> AnsweredDialogs:
        """Answer the dialogs to come; see :class:`AnsweredDialogs`."""
        self.dialogs = AnsweredDialogs(**answers)
        for name in ("ask", "ask_text", "open_file", "open_folder", "save_file", "show_page", "open_document"):
            setattr(self.panel.dialogs, name, getattr(self.dialogs, name))
        return self.dialogs

    def open(self, path: Path, bundle: str = SKULL) -> Any:
        """Open an image and choose a bundle."""
        node = self.desktop.open(path)
        self.rest()
        assert self.panel.input.volume is node, "a volume that comes into an empty panel is chosen"
        self.panel.input.choose_bundle(bundle)
        self.rest()
        return node

    # -- waiting

    def rest(self, milliseconds: int = 20) -> None:
        """Let events happen."""
        QTest.qWait(milliseconds)

    def wait_until(self, done: Callable[[], bool], seconds: float = 240.0) -> float:
        """Wait for something, as long as a machine with other work may take; returns for how many seconds."""
        start = time.monotonic()
        while not done():
            QTest.qWait(5)
            assert time.monotonic() - start < seconds, f"nothing came of it; the panel says: {self.said}"
        return time.monotonic() - start

    # -- the panel

    def widget(self, name: str) -> Any:
        """A widget of the .ui file, as Qt has it."""
        widget = getattr(self.panel.ui, name)
        return getattr(self.desktop.qt_module, "unwrap", lambda it: it)(widget)

    def click(self, name: str) -> None:
        """Click a button with the mouse."""
        button = self.widget(name)
        assert button.isEnabled(), f"{name} is disabled: {button.toolTip()}"
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def press(self, name: str) -> None:
        """Press a button that may stand in a section that is folded."""
        assert self.widget(name).isEnabled(), f"{name} is disabled: {self.widget(name).toolTip()}"
        self.widget(name).click()

    def key(self, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key in the table."""
        self.widget("reviewTable").setFocus()
        QTest.keyClick(self.widget("reviewTable"), key, modifier)

    @property
    def said(self) -> str:
        """What the panel says of volume, bundle and detection."""
        labels = [self.widget(name) for name in ("noticeLabel", "messageLabel", "stageLabel")]
        return " | ".join(label.text() for label in labels if not label.isHidden())

    def detect(self) -> Any:
        """Click Detect and wait for the result."""
        self.click("detectButton")
        self.wait_until(lambda: not self.panel.run.running)
        self.rest()
        assert self.panel.review.node is not None, self.said
        return self.panel.review.node

    def begin_review(self) -> Any:
        """The sample with its landmarks, in the state after a detection; they are detected only once."""
        from LandmarkDetector.Scene.result import create_result, landmark_set_of

        volume = self.open(SAMPLE)
        if not _FOUND:
            _FOUND.append(landmark_set_of(self.detect(), world=False))
            return self.panel.review.node
        node = create_result(self.desktop.scene, _FOUND[0], volume)
        self.panel.review.choose_node(node)
        self.panel.review.begin()
        self.rest()
        return node

    # -- the review

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts of the table, row by row."""
        table = self.widget("reviewTable")
        return [tuple(table.item(r, c).text() for c in range(3)) for r in range(table.rowCount())]

    def status(self, label: str) -> str:
        """The word in the status column of a landmark."""
        return next(row[2].split(maxsplit=1)[1] for row in self.rows if row[0].split("  ")[0] == label)

    @property
    def current(self) -> str:
        """The label of the row that is selected."""
        table = self.widget("reviewTable")
        items = table.selectedItems()
        return items[0].text().split("  ")[0] if items else ""

    def choose(self, label: str) -> None:
        """Click the row of a landmark."""
        self.choose_row(next(r for r, row in enumerate(self.rows) if row[0].split("  ")[0] == label))

    def choose_row(self, row: int) -> None:
        """Click a row."""
        table = self.widget("reviewTable")
        table.scrollToItem(table.item(row, 0))
        place = table.visualItemRect(table.item(row, 0)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        self.rest()

    def index(self, label: str) -> int:
        """The place of a landmark's control point in the list."""
        node = self.panel.review.node
        return next(i for i in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointLabel(i) == label)

    def place_of(self, label: str) -> np.ndarray:
        """World RAS position (3,) of a landmark."""
        world = [0.0, 0.0, 0.0]
        self.panel.review.node.GetNthControlPointPositionWorld(self.index(label), world)
        return np.array(world)

    # -- the views

    def pixel(self, view: str, ras: np.ndarray) -> QPoint:
        """Where in a slice view a world position is."""
        import vtk

        slice_view = self.desktop.slice_views[view]
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(slice_view.node.GetXYToRAS(), inverse)
        x, y, _, _ = inverse.MultiplyPoint((*ras, 1.0))
        return QPoint(round(x), round(slice_view.canvas.height() - 1 - y))

    def ras(self, view: str, pixel: QPoint) -> np.ndarray:
        """The world position (3,) under a pixel of a slice view."""
        slice_view = self.desktop.slice_views[view]
        y = slice_view.canvas.height() - 1 - pixel.y()
        return np.array(slice_view.node.GetXYToRAS().MultiplyPoint((pixel.x(), y, 0.0, 1.0))[:3])

    def grasp(self, view: str, start: QPoint) -> Any:
        """Press the left button and hold it; gives the view's widget."""
        widget = self.desktop.slice_views[view].canvas
        QTest.mouseMove(widget, start + QPoint(9, 9))  # Qt passes over a move to where the mouse was last
        QTest.mouseMove(widget, start)
        self.rest()
        QTest.mousePress(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
        return widget

    def drag(self, view: str, start: QPoint, end: QPoint) -> None:
        """Drag with the left button."""
        widget = self.grasp(view, start)
        for part in (0.25, 0.5, 0.75, 1.0):
            QTest.mouseMove(widget, start + (end - start) * part)
            self.rest()
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)
        self.rest()

    def click_in(self, view: str, pixel: QPoint) -> None:
        """Click in a slice view."""
        widget = self.desktop.slice_views[view].canvas
        QTest.mouseMove(widget, pixel - QPoint(5, 5))
        self.rest()
        QTest.mouseMove(widget, pixel)
        self.rest()
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, pixel)
        self.rest()
