"""Stand-ins for CTK's widgets: the part of their interface that a .ui file and a panel use, on plain Qt widgets."""

from __future__ import annotations

from qtpy.QtCore import Property, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QTextBrowser,
    QWidget,
)

from LandmarkDetectorDesktop.standins import ctk_paths, ctk_sections


class ctkComboBox(QComboBox):
    """A combo box with a text for "nothing chosen"."""

    def _default_text(self) -> str:
        return self.placeholderText()

    def setDefaultText(self, text: str) -> None:
        """The text that shows while nothing is chosen."""
        self.setPlaceholderText(text)

    defaultText = Property(str, _default_text, setDefaultText)


class ctkPushButton(QPushButton):
    """A push button."""


class ctkMenuButton(QPushButton):
    """A push button with a menu."""


class ctkDoubleSpinBox(QDoubleSpinBox):
    """A spin box."""


class ctkSearchBox(QLineEdit):
    """A line for a search word, with a button that clears it."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.setClearButtonEnabled(True)
        self._show_icon = False

    def _get_show_icon(self) -> bool:
        return self._show_icon

    def setShowSearchIcon(self, shown: bool) -> None:
        """Show a magnifier at the left."""
        if shown and not self._show_icon:
            self.setPlaceholderText(self.placeholderText() or "Search…")
        self._show_icon = bool(shown)

    showSearchIcon = Property(bool, _get_show_icon, setShowSearchIcon)


class ctkFittedTextBrowser(QTextBrowser):
    """A text that is as high as its content."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    def _fit(self, *_) -> None:
        frame = 2 * self.frameWidth()
        self.setFixedHeight(int(self.document().size().height()) + frame + 2)


class ctkSliderWidget(QWidget):
    """A slider and a spin box that hold one number."""

    valueChanged = Signal(float)

    _STEPS = 10000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setObjectName("qt_slider")
        self._slider.setRange(0, self._STEPS)
        self._box = QDoubleSpinBox(self)
        self._box.setObjectName("qt_box")
        self._box.setRange(0, 99)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.sliderMoved.connect(self._on_slider)
        self._box.valueChanged.connect(self._on_value)

    def _on_slider(self, position: int) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._box.setValue(low + (high - low) * position / self._STEPS)

    def _on_value(self, value: float) -> None:
        self._show()
        self.valueChanged.emit(value)

    def _show(self) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.setValue(round((self._box.value() - low) / (high - low) * self._STEPS) if high > low else 0)

    def _get_value(self) -> float:
        return self._box.value()

    def setValue(self, value: float) -> None:
        """Set the number."""
        self._box.setValue(value)

    def _get_minimum(self) -> float:
        return self._box.minimum()

    def setMinimum(self, value: float) -> None:
        """Set the lowest number."""
        self._box.setMinimum(value)
        self._show()

    def _get_maximum(self) -> float:
        return self._box.maximum()

    def setMaximum(self, value: float) -> None:
        """Set the highest number."""
        self._box.setMaximum(value)
        self._show()

    def _get_step(self) -> float:
        return self._box.singleStep()

    def setSingleStep(self, value: float) -> None:
        """Set what one press of an arrow adds."""
        self._box.setSingleStep(value)

    def _get_decimals(self) -> int:
        return self._box.decimals()

    def setDecimals(self, count: int) -> None:
        """Set how many decimals show."""
        self._box.setDecimals(count)

    def _get_suffix(self) -> str:
        return self._box.suffix()

    def setSuffix(self, text: str) -> None:
        """Set the unit behind the number."""
        self._box.setSuffix(text)

    value = Property(float, _get_value, setValue, notify=valueChanged)
    minimum = Property(float, _get_minimum, setMinimum)
    maximum = Property(float, _get_maximum, setMaximum)
    singleStep = Property(float, _get_step, setSingleStep)
    decimals = Property(int, _get_decimals, setDecimals)
    suffix = Property(str, _get_suffix, setSuffix)


WIDGETS = (
    *ctk_sections.WIDGETS,
    *ctk_paths.WIDGETS,
    ctkComboBox,
    ctkPushButton,
    ctkMenuButton,
    ctkDoubleSpinBox,
    ctkSearchBox,
    ctkFittedTextBrowser,
    ctkSliderWidget,
)
