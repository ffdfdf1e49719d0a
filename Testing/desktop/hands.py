"""A hand on the mouse: real events of Qt on the widgets of a desktop, and volumes to look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from LandmarkDetectorDesktop.volume_node import add_volume
from LandmarkDetectorLib.core import Grid, Image

PLAIN = Qt.KeyboardModifier.NoModifier
LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton


def settle(milliseconds: int = 30) -> None:
    """Let Qt do what it has put off."""
    QTest.qWait(milliseconds)


def wait_until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Let Qt work until something is done, on a busy machine too."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing came of it"
        settle(5)


def move(canvas, place: Sequence[float], held=Qt.MouseButton.NoButton, modifier=PLAIN) -> None:
    """The mouse is moved to a place."""
    point = QPointF(*place)
    event = QMouseEvent(
        QEvent.Type.MouseMove, point, canvas.mapToGlobal(point), Qt.MouseButton.NoButton, held, modifier
    )
    QApplication.sendEvent(canvas, event)


def drag(canvas, start: Sequence[float], end: Sequence[float], button=LEFT, modifier=PLAIN) -> None:
    """A button is pressed at one place and released at another."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    move(canvas, start)
    settle(5)
    QTest.mousePress(canvas, button, modifier, QPoint(*start.astype(int).tolist()))
    for part in np.linspace(0, 1, 7)[1:]:
        move(canvas, start + (end - start) * part, button, modifier)
        settle(2)
    QTest.mouseRelease(canvas, button, modifier, QPoint(*end.astype(int).tolist()))
    settle()


def click(canvas, place: Sequence[float]) -> None:
    """The mouse goes to a place and the left button is pressed there."""
    move(canvas, place)
    settle(5)
    QTest.mouseClick(canvas, LEFT, PLAIN, QPoint(*(int(x) for x in place)))
    settle()


def wheel(canvas, notches: int, modifier=PLAIN, place: Sequence[float] = (100, 100)) -> None:
    """The wheel is turned; forward is positive."""
    point = QPointF(*place)
    for _ in range(abs(notches)):
        event = QWheelEvent(
            point,
            canvas.mapToGlobal(point),
            QPoint(),
            QPoint(0, 120 if notches > 0 else -120),
            Qt.MouseButton.NoButton,
            modifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(canvas, event)
    settle()


def ras_at(view, place: Sequence[float]) -> np.ndarray:
    """The RAS position under a place of a slice view's canvas, (3,) mm."""
    x, y = view.canvas.to_device(QPointF(*place))
    return np.array(view.node.GetXYToRAS().MultiplyPoint((x, y, 0, 1))[:3])


def place_of(view, ras: Sequence[float]) -> np.ndarray:
    """Where a RAS position lies on the canvas of a slice view, (2,), in Qt's pixels."""
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.node.GetXYToRAS(), inverse)
    x, y = inverse.MultiplyPoint((*ras, 1))[:2]
    ratio = view.canvas.devicePixelRatioF()
    return np.array([(x + 0.5) / ratio, (view.canvas.device_size()[1] - 0.5 - y) / ratio])


def ball(oblique: bool = False, size: Sequence[int] = (48, 40, 32)) -> Image:
    """A bright ball in the dark, of anisotropic voxels; (1, Z, Y, X)."""
    angle = np.radians(25) if oblique else 0.0
    direction = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    if oblique:
        tilt = np.radians(15)
        direction = direction @ np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    grid = Grid(tuple(size), (0.8, 0.8, 1.5), (-12.0, 7.0, -300.0), direction)
    z, y, x = np.indices(grid.shape)
    radius = np.sqrt(((x - size[0] / 2) * 0.8) ** 2 + ((y - size[1] / 2) * 0.8) ** 2 + ((z - size[2] / 2) * 1.5) ** 2)
    return Image((200 / (1 + np.exp(radius - 9))).astype(np.int16)[None], grid, "ball")


def show_ball(desktop, oblique: bool = False) -> Any:
    """The ball in the views of a desktop."""
    node = add_volume(desktop.scene, ball(oblique))
    desktop.show_volume(node)
    settle()
    return node


def points(desktop, *places: Sequence[float]) -> Any:
    """A list of fiducials at these RAS positions of its own."""
    node = desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.SetUndoEnabled(True)
    node.CreateDefaultDisplayNodes()
    for number, place in enumerate(places, 1):
        node.AddControlPoint(vtk.vtkVector3d(*place), f"P{number}")
    settle()
    return node


def turned(desktop) -> Any:
    """A linear transform that turns and shifts."""
    transform = desktop.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    change = vtk.vtkTransform()
    change.Translate(5, -8, 11)
    change.RotateWXYZ(20, 0.3, 1, 0.2)
    transform.SetMatrixTransformToParent(change.GetMatrix())
    return transform


def world(node: Any, index: int) -> np.ndarray:
    """A control point's RAS position in the world, (3,) mm."""
    position = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position)
    return np.array(position)


def interaction() -> Any:
    """The scene's interaction node."""
    return slicer.app.applicationLogic().GetInteractionNode()
