"""Stand-ins for CTK's widgets: the part of their interface that a .ui file and a panel use, on plain Qt widgets."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Property, QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QTextBrowser,
    QToolButton,
    QWidget,
)


class ctkCollapsibleButton(QWidget):
    """A headed section that folds; its content is whatever layout the .ui file gives it."""

    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, *arguments) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(next((argument for argument in arguments if isinstance(argument, QWidget)), None))
        self._collapsed = False
        self._folded: list[QWidget] = []  # what was visible when the section was closed
        self._header = QToolButton(self)
        self._header.setObjectName("qt_header")
        self._header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setAutoRaise(True)
        self._header.setArrowType(Qt.ArrowType.DownArrow)
        self._header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._header.setStyleSheet(
            "QToolButton {border: 1px solid palette(mid); border-radius: 3px; padding: 3px 6px; text-align: left;"
            " font-weight: 600; background: palette(button);} QToolButton:hover {background: palette(midlight);}"
        )
        self._header.clicked.connect(self._on_header)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def _on_header(self, *_) -> None:
        self.setCollapsed(not self._collapsed)
        self.clicked.emit(not self._collapsed)

    def _height(self) -> int:
        return self._header.sizeHint().height()

    def _place(self) -> None:
        self.setContentsMargins(0, self._height(), 0, 0)
        self._header.setGeometry(0, 0, self.width(), self._height())

    def resizeEvent(self, event) -> None:
        """Keep the header as wide as the section."""
        super().resizeEvent(event)
        self._place()

    def changeEvent(self, event: QEvent) -> None:
        """A new font or style changes the height of the header."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._place()

    def minimumSizeHint(self) -> QSize:
        """At least the header."""
        size = super().minimumSizeHint()
        return QSize(max(size.width(), self._header.minimumSizeHint().width()), max(size.height(), self._height()))

    def sizeHint(self) -> QSize:
        """The header, and the content unless it is folded."""
        size = super().sizeHint()
        height = self._height() if self._collapsed else max(size.height(), self._height())
        return QSize(max(size.width(), self._header.sizeHint().width()), height)

    def _fold(self) -> None:
        """Hide what is visible, and keep it in mind."""
        for child in self.children():
            if isinstance(child, QWidget) and child is not self._header and not child.isHidden():
                self._folded.append(child)
                child.hide()

    def showEvent(self, event) -> None:
        """A .ui file folds a section before it fills it."""
        if self._collapsed:
            self._fold()
        super().showEvent(event)

    def getText(self) -> str:
        """The heading."""
        return self._header.text()

    def setText(self, text: str) -> None:
        """Set the heading."""
        self._header.setText(text)
        self._place()

    def isCollapsed(self) -> bool:
        """Whether only the heading shows."""
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        """Fold or unfold."""
        collapsed = bool(collapsed)
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._header.setArrowType(Qt.ArrowType.RightArrow if collapsed else Qt.ArrowType.DownArrow)
        if collapsed:
            self._fold()
        else:
            folded, self._folded = self._folded, []
            for child in folded:
                child.setVisible(True)
        self.setMaximumHeight(self._height() if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)
        self.toggled.emit(not collapsed)

    def _is_checked(self) -> bool:
        return not self._collapsed

    def _set_checked(self, checked: bool) -> None:
        self.setCollapsed(not checked)

    text = Property(str, getText, setText)
    collapsed = Property(bool, isCollapsed, setCollapsed, notify=contentsCollapsed)
    checked = Property(bool, _is_checked, _set_checked)


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box whose check mark folds it."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._fold)

    def _fold(self, opened: bool) -> None:
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(opened)

    def showEvent(self, event) -> None:
        """A .ui file folds a box before it fills it."""
        self._fold(self.isChecked())
        super().showEvent(event)

    def isCollapsed(self) -> bool:
        """Whether only the title shows."""
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:
        """Fold or unfold."""
        self.setChecked(not collapsed)

    collapsed = Property(bool, isCollapsed, setCollapsed)


class ctkComboBox(QComboBox):
    """A combo box with a text for "nothing chosen"."""

    def _default_text(self) -> str:
        return self.placeholderText()

    def setDefaultText(self, text: str) -> None:
        """The text that shows while nothing is chosen."""
        self.setPlaceholderText(text)

    defaultText = Property(str, _default_text, setDefaultText)


class ctkExpandableWidget(QFrame):
    """A frame."""


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


class ctkPathLineEdit(QWidget):
    """A line with a path, and a button that opens a file dialog.

    ``filters`` is a text here, as :func:`LandmarkDetectorDesktop.standins.ui.load_ui` hands it: it asks for folders
    where it names ``Dirs`` and not ``Files``, and for a new file where it names ``Writable``.
    """

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters = "Files"
        self._name_filters: list[str] = []
        self._label = ""
        self._key = ""
        self._options = ""
        self._line = QLineEdit(self)
        self._line.setObjectName("qt_line")
        self._button = QToolButton(self)
        self._button.setObjectName("qt_browse")
        self._button.setText("…")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._line, 1)
        layout.addWidget(self._button)
        self.setFocusProxy(self._line)
        self._line.textChanged.connect(self._on_text)
        self._button.clicked.connect(self.browse)

    def _on_text(self, text: str) -> None:
        self.currentPathChanged.emit(text)
        self.validInputChanged.emit(self.isValid())

    def isValid(self) -> bool:
        """Whether the path is there, or may be made."""
        path = Path(self._line.text())
        if not self._line.text():
            return False
        return path.parent.is_dir() if "Writable" in self._filters else path.exists()

    def browse(self, *_) -> None:
        """Ask for a path."""
        start, filters = self._line.text(), ";;".join(self._name_filters)
        if "Dirs" in self._filters and "Files" not in self._filters:
            path = QFileDialog.getExistingDirectory(self, self._label, start)
        elif "Writable" in self._filters:
            path = QFileDialog.getSaveFileName(self, self._label, start, filters)[0]
        else:
            path = QFileDialog.getOpenFileName(self, self._label, start, filters)[0]
        if path:
            self.setCurrentPath(path)

    def addCurrentPathToHistory(self) -> None:
        """Keeps nothing: paths may name patients."""

    def _get_path(self) -> str:
        return self._line.text()

    def setCurrentPath(self, path: str) -> None:
        """Set the path."""
        self._line.setText(path)

    def _get_filters(self) -> str:
        return self._filters

    def _set_filters(self, filters: str) -> None:
        self._filters = str(filters)

    def _get_name_filters(self) -> list[str]:
        return self._name_filters

    def setNameFilters(self, filters: list[str]) -> None:
        """What the file dialog offers, e.g. ``["Images (*.nii *.nrrd)"]``."""
        self._name_filters = list(filters)

    def _get_label(self) -> str:
        return self._label

    def setLabel(self, text: str) -> None:
        """The title of the file dialog."""
        self._label = text

    def _get_key(self) -> str:
        return self._key

    def setSettingKey(self, key: str) -> None:
        """Accepted, and nothing is kept: paths may name patients."""
        self._key = key

    def _get_options(self) -> str:
        return self._options

    def _set_options(self, options: str) -> None:
        self._options = str(options)

    currentPath = Property(str, _get_path, setCurrentPath, notify=currentPathChanged)
    filters = Property(str, _get_filters, _set_filters)
    nameFilters = Property("QStringList", _get_name_filters, setNameFilters)  # type: ignore[arg-type]
    label = Property(str, _get_label, setLabel)
    settingKey = Property(str, _get_key, setSettingKey)
    options = Property(str, _get_options, _set_options)


class ctkDirectoryButton(QPushButton):
    """A button that shows a folder and asks for another."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._directory = ""
        self.clicked.connect(self.browse)

    def browse(self, *_) -> None:
        """Ask for a folder."""
        folder = QFileDialog.getExistingDirectory(self, "", self._directory)
        if folder:
            self.setDirectory(folder)
            self.directorySelected.emit(folder)

    def _get_directory(self) -> str:
        return self._directory

    def setDirectory(self, folder: str) -> None:
        """Set the folder."""
        if folder != self._directory:
            self._directory = folder
            self.setText(folder)
            self.directoryChanged.emit(folder)

    directory = Property(str, _get_directory, setDirectory, notify=directoryChanged)


WIDGETS = (
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkComboBox,
    ctkDirectoryButton,
    ctkDoubleSpinBox,
    ctkExpandableWidget,
    ctkFittedTextBrowser,
    ctkMenuButton,
    ctkPathLineEdit,
    ctkPushButton,
    ctkSearchBox,
    ctkSliderWidget,
)
