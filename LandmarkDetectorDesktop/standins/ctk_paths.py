"""Stand-ins for CTK's widgets that hold a path."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Property, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QToolButton, QWidget


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


WIDGETS = (ctkPathLineEdit, ctkDirectoryButton)
