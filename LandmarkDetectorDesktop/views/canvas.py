"""A Qt widget that shows a VTK render window which has no window of its own.

VTK's own Qt widget needs a native window and fails where there is none. Here VTK renders off screen, the pixels are
painted as a picture, and the events go the other way; this works on every platform plugin of Qt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import vtk
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, QTimer
from qtpy.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QWidget
from vtk.util.numpy_support import vtk_to_numpy

_BUTTONS = {
    Qt.MouseButton.LeftButton: "Left",
    Qt.MouseButton.MiddleButton: "Middle",
    Qt.MouseButton.RightButton: "Right",
}
_KEYS = {
    Qt.Key.Key_Escape: "Escape",
    Qt.Key.Key_Return: "Return",
    Qt.Key.Key_Enter: "Return",
    Qt.Key.Key_Delete: "Delete",
    Qt.Key.Key_Backspace: "BackSpace",
    Qt.Key.Key_Left: "Left",
    Qt.Key.Key_Right: "Right",
    Qt.Key.Key_Up: "Up",
    Qt.Key.Key_Down: "Down",
    Qt.Key.Key_Shift: "Shift_L",
    Qt.Key.Key_Control: "Control_L",
    Qt.Key.Key_Space: "space",
}
_NOTCH = 120  # Qt's measure of one notch of a wheel
_SLOW = 0.04  # seconds for a drawing
_LONGEST_WAIT = 300  # milliseconds
_SHARE = 8  # of the time that a view takes to draw, it waits so often while something is dragged in another


class Canvas(QWidget):
    """Shows a render window and feeds its interactor.

    It is drawn when :meth:`request` was called, once the events that are waiting have been handled; never otherwise.

    Attributes:
        dragged: the canvas in which a button is held down, or None; it is drawn before the others.
        render_window: the ``vtkRenderWindow``.
        interactor: its ``vtkGenericRenderWindowInteractor``.
        overlay: paints over the picture; called with a painter and the area in Qt's pixels, or None.
        resized: called after a change of size with the width and height in device pixels, or None.
        double_clicked: called for a double click of the left button; returns whether it was for it, or None.
    """

    dragged: ClassVar[Canvas | None] = None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.render_window = vtk.vtkRenderWindow()
        self.render_window.SetOffScreenRendering(1)
        self.render_window.SetMultiSamples(0)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.render_window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())  # does nothing; the default turns a camera
        self.interactor.EnableRenderOff()  # who asks it to draw is drawn with the others
        self.interactor.AddObserver(vtk.vtkCommand.RenderEvent, self.request)
        self.overlay: Callable[[QPainter, QRectF], None] | None = None
        self.resized: Callable[[int, int], None] | None = None
        self.double_clicked: Callable[[], bool] | None = None
        self._picture = QImage()
        self._pixels = vtk.vtkUnsignedCharArray()
        self._wheel = 0
        self._took = 0.0  # seconds that the last drawing took
        self._held: set[Qt.MouseButton] = set()
        self._paused = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_timer)
        self._closed = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click in a view the keys of the panel still work
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(80, 60)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # --- drawing

    def request(self, *_) -> None:
        """Draw soon; many requests make one drawing.

        A view that draws slowly leaves time for the others. While the person drags in one, that one goes first, and
        each of the others takes an eighth of the time at the most.
        """
        if not (self._closed or self._paused or self._timer.isActive()) and self.isVisible():
            wait = self._took if self._took > _SLOW else 0.0
            if Canvas.dragged not in (None, self):
                wait = _SHARE * self._took
            self._timer.start(min(int(1000 * wait), _LONGEST_WAIT))

    def _on_timer(self) -> None:
        first = Canvas.dragged
        if first not in (None, self) and first._timer.isActive():
            first.draw()
        self.draw()

    def pause(self) -> None:
        """Draw nothing until :meth:`resume`; calls may be nested."""
        self._paused += 1

    def resume(self) -> None:
        """Draw again."""
        self._paused = max(self._paused - 1, 0)
        self.request()

    def draw(self) -> None:
        """Draw now."""
        width, height = self.device_size()
        if self._closed or width < 2 or height < 2:
            return
        self._timer.stop()
        began = time.perf_counter()
        self.render_window.SetSize(width, height)
        self.render_window.Render()
        self.render_window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._pixels)
        pixels = vtk_to_numpy(self._pixels)
        self._picture = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBX8888).copy()
        self._took = time.perf_counter() - began
        self.update()

    def close_window(self) -> None:
        """Let VTK's window go; nothing is drawn afterwards."""
        self._closed = True
        self._held.clear()
        self._let_go()
        self._timer.stop()
        self.overlay = self.resized = self.double_clicked = None
        self.interactor.RemoveObservers(vtk.vtkCommand.RenderEvent)
        self.interactor.SetInteractorStyle(None)
        self.interactor.SetRenderWindow(None)
        self.render_window.Finalize()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Show the last picture and what lies over it."""
        painter = QPainter(self)
        area = QRectF(self.rect())
        if self._picture.isNull():
            painter.fillRect(area, Qt.GlobalColor.black)
        else:
            painter.save()
            painter.translate(0, area.height())
            painter.scale(1, -1)  # VTK counts rows from below
            painter.drawImage(area, self._picture)
            painter.restore()
        if self.overlay is not None and not self._closed:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            self.overlay(painter, area)
        painter.end()

    def resizeEvent(self, event) -> None:
        """Tell VTK its new size."""
        width, height = self.device_size()
        if self._closed or width < 2 or height < 2:
            return
        self.render_window.SetSize(width, height)
        self.interactor.SetSize(width, height)
        if self.resized is not None:
            self.resized(width, height)
        self.request()

    def showEvent(self, event) -> None:
        """A view that comes back is drawn."""
        super().showEvent(event)
        self.request()

    def device_size(self) -> tuple[int, int]:
        """Width and height in the screen's pixels."""
        ratio = self.devicePixelRatioF()
        return round(self.width() * ratio), round(self.height() * ratio)

    # --- events

    def to_device(self, position: QPointF) -> tuple[int, int]:
        """VTK's pixel, counted from the lower left, under a point of the widget."""
        ratio = self.devicePixelRatioF()
        return int(position.x() * ratio), self.device_size()[1] - 1 - int(position.y() * ratio)

    def _tell(self, event, position: QPointF, key: str = "\0", symbol: str | None = None, repeat: int = 0) -> None:
        x, y = self.to_device(position)
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.interactor.SetEventInformation(x, y, int(control), int(shift), key, repeat, symbol)
        self.interactor.SetAltKey(int(bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A button goes down."""
        name = _BUTTONS.get(event.button())
        if name is None or self._closed:
            return
        self._held.add(event.button())
        Canvas.dragged = self
        self._tell(event, event.position())
        self.interactor.InvokeEvent(f"{name}ButtonPressEvent")

    def _let_go(self) -> None:
        if Canvas.dragged is self and not self._held:
            Canvas.dragged = None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A button comes up."""
        name = _BUTTONS.get(event.button())
        if name is None or self._closed or event.button() not in self._held:
            return
        self._held.discard(event.button())
        self._let_go()
        self._tell(event, event.position())
        self.interactor.InvokeEvent(f"{name}ButtonReleaseEvent")

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A second click soon after the first."""
        name = _BUTTONS.get(event.button())
        if name is None or self._closed:
            return
        if name == "Left" and self.double_clicked is not None and self.double_clicked():
            return
        self._held.add(event.button())
        Canvas.dragged = self
        self._tell(event, event.position(), repeat=1)
        self.interactor.InvokeEvent(f"{name}ButtonDoubleClickEvent")

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The mouse moves, with or without a button."""
        if not self._closed:
            self._tell(event, event.position())
            self.interactor.InvokeEvent("MouseMoveEvent")

    def enterEvent(self, event) -> None:
        """The mouse comes in."""
        if not self._closed:
            self._tell(event, event.position())
            self.interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse goes out."""
        if not self._closed:
            self.interactor.InvokeEvent("LeaveEvent")

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel turns; touch pads send parts of a notch, which are added up."""
        if self._closed:
            return
        self._wheel += event.angleDelta().y() or event.angleDelta().x()  # Alt turns the one into the other
        notches, self._wheel = int(self._wheel / _NOTCH), self._wheel - int(self._wheel / _NOTCH) * _NOTCH
        self._tell(event, event.position())
        for _ in range(abs(notches)):
            self.interactor.InvokeEvent("MouseWheelForwardEvent" if notches > 0 else "MouseWheelBackwardEvent")
        event.accept()

    def keyPressEvent(self, event) -> None:
        """A key goes down; what VTK does not use goes to the window."""
        self._key(event, ("KeyPressEvent", "CharEvent"))

    def keyReleaseEvent(self, event) -> None:
        """A key comes up."""
        self._key(event, ("KeyReleaseEvent",))

    def _key(self, event, names: tuple[str, ...]) -> None:
        event.ignore()
        if self._closed:
            return
        text = event.text() if len(event.text()) == 1 and ord(event.text()) < 128 else "\0"
        symbol = _KEYS.get(Qt.Key(event.key()), text if text.isprintable() and text != "\0" else None)
        position = QPointF(self.mapFromGlobal(self.cursor().pos()))
        self._tell(event, position, text, symbol)
        for name in names:
            self.interactor.InvokeEvent(name)
