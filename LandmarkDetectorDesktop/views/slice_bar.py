"""The bar over a slice view: its colour and name, a slider through the slices, where it stands."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

_MOST_STEPS = 2**30
"""That a slider has room for."""


class SliceBar:
    """The bar of one slice view.

    Args:
        name: of the view.
        orientation: of its plane.
        colour: of the bar, as ``#rrggbb``.

    Attributes:
        widget: what stands in the window.
        moved: called with the new offset in mm when a person moves the slider.
    """

    def __init__(self, name: str, orientation: str, colour: str) -> None:
        self.moved: Callable[[float], None] | None = None
        self._low, self._step = 0.0, 1.0
        self.widget = QWidget()
        self.widget.setFixedHeight(26)
        self.widget.setObjectName(f"{name}Bar")
        self.widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.widget.setStyleSheet(
            f"#{name}Bar {{background: {colour};}} QLabel {{color: #1a1a1a; font-size: 12px;}}"
            " QSlider::groove:horizontal {height: 4px; background: rgba(0,0,0,70); border-radius: 2px;}"
            " QSlider::handle:horizontal {width: 12px; margin: -5px 0; background: #fafafa;"
            " border: 1px solid rgba(0,0,0,120); border-radius: 6px;}"
            " QSlider::handle:horizontal:disabled {background: rgba(255,255,255,90);}"
        )
        title = QLabel(orientation)
        title.setStyleSheet("font-weight: 600;")
        title.setToolTip(f"{orientation} slices ({name})")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName(f"{name}Slider")
        self.slider.setToolTip("Through the slices; the mouse wheel over the view does the same")
        self.label = QLabel()
        self.label.setObjectName(f"{name}Offset")
        self.label.setMinimumWidth(92)
        self.label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout = QHBoxLayout(self.widget)
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(8)
        layout.addWidget(title)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.label)
        self.slider.valueChanged.connect(self._on_slider)
        self.clear()

    def clear(self) -> None:
        """There is no volume."""
        self._set(0, 0, 0)
        self.slider.setEnabled(False)
        self.label.setText("")

    def show(self, offset: float, low: float, high: float, step: float, axis: str) -> None:
        """Show where the slice stands, in mm; ``axis`` is the letter of the direction or empty."""
        self._low, self._step = low, step if step > 0 else 1.0
        steps = (high - low) / self._step
        if not abs(steps) < _MOST_STEPS:
            self.clear()  # not a number, too: a volume without a thickness
            return
        last = max(round(steps), 0)
        self._set(0, last, round((offset - low) / self._step))
        self.slider.setEnabled(last > 0)
        self.label.setText(f"{axis} {offset:.2f} mm".strip())

    def _set(self, low: int, high: int, value: int) -> None:
        before = self.slider.blockSignals(True)
        self.slider.setRange(low, high)
        self.slider.setValue(value)
        self.slider.blockSignals(before)

    def _on_slider(self, position: int) -> None:
        if self.moved is not None:
            self.moved(self._low + position * self._step)
