"""Everything that the panel asks a person: one small class, so that a test or a script can answer instead."""

from __future__ import annotations

from collections.abc import Sequence

import qt

from LandmarkDetector.Panel.texts import _

_PATIENCE = 500
"""Milliseconds that something may take without a word."""


class Working:
    """How far something is, and whether the person would rather stop it. Meanwhile nothing else can be pressed.

    Args:
        parent: the QWidget that it belongs to.
        title: of the window.
    """

    def __init__(self, parent, title: str) -> None:
        self._dialog = qt.QProgressDialog(parent)
        self._dialog.setWindowTitle(title)
        self._dialog.setWindowModality(qt.Qt.WindowModal)
        self._dialog.setMinimumDuration(_PATIENCE)
        self._dialog.setAutoReset(False)
        self._dialog.setAutoClose(False)
        self._dialog.setRange(0, 100)
        self._dialog.setMinimumWidth(320)

    def tell(self, what: str, fraction: float) -> None:
        """Say what is at work, and how much of it is done.

        Raises:
            Cancelled: the person pressed the button.
        """
        from LandmarkDetectorLib.core import Cancelled

        self._dialog.setLabelText(what)
        self._dialog.setValue(round(100 * fraction))  # which lets the button be pressed
        if self._dialog.property("wasCanceled"):
            raise Cancelled(_("Cancelled; nothing was written."))

    def close(self) -> None:
        """It is over."""
        self._dialog.close()
        self._dialog.deleteLater()


class Dialogs:
    """Dialogs above a widget, which would keep each of them for as long as it lives if it were not deleted.

    Args:
        parent: the QWidget that they belong to.
    """

    def __init__(self, parent) -> None:
        self._parent = parent

    def ask(self, title: str, question: str, answers: Sequence[tuple[str, str]]) -> str | None:
        """Let the person choose one of ``answers``, pairs of a key and the text on its button; a way out is added.

        Returns:
            The key, or ``None`` when the person would rather not.
        """
        box = qt.QMessageBox(self._parent)
        box.setWindowTitle(title)
        box.setTextFormat(qt.Qt.PlainText)  # names of nodes stand in it
        box.setText(question)
        keys = {}
        for key, text in answers:
            button = qt.QPushButton(text)
            box.addButton(button, qt.QMessageBox.AcceptRole)
            keys[key] = button
        box.setDefaultButton(next(iter(keys.values())))
        box.addButton(qt.QMessageBox.Cancel)
        box.exec()
        chosen = box.clickedButton()
        answer = next((key for key, button in keys.items() if button == chosen), None)
        box.deleteLater()
        return answer

    def open_file(self, title: str, patterns: str) -> str | None:
        """A file that is there; ``patterns`` as Qt writes them: ``"Bundles (*.zip *.tar.gz)"``."""
        dialog = qt.QFileDialog(self._parent, title, "", patterns)
        dialog.setFileMode(qt.QFileDialog.ExistingFile)
        return self._chosen(dialog)

    def open_folder(self, title: str) -> str | None:
        """A folder; it may be made in the dialog."""
        dialog = qt.QFileDialog(self._parent, title)
        dialog.setFileMode(qt.QFileDialog.Directory)
        dialog.setOption(qt.QFileDialog.ShowDirsOnly, True)
        return self._chosen(dialog)

    def save_file(self, title: str, name: str, pattern: str) -> str | None:
        """A file to write, the person having been asked where one would be replaced."""
        dialog = qt.QFileDialog(self._parent, title, name, pattern)
        dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
        dialog.setFileMode(qt.QFileDialog.AnyFile)
        dialog.selectFile(name)
        return self._chosen(dialog)

    def ask_text(self, title: str, question: str, text: str = "") -> str | None:
        """A line of text; ``None`` when the person would rather not."""
        dialog = qt.QDialog(self._parent)
        dialog.setWindowTitle(title)
        label = qt.QLabel(question)
        label.setTextFormat(qt.Qt.PlainText)
        label.setWordWrap(True)
        edit = qt.QLineEdit(text)
        edit.setObjectName("textEdit")
        buttons = qt.QDialogButtonBox()
        buttons.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
        buttons.accepted.connect(dialog.accept)
        buttons.rejected.connect(dialog.reject)
        rows = qt.QVBoxLayout(dialog)
        for widget in (label, edit, buttons):
            rows.addWidget(widget)
        edit.setFocus()
        told = str(edit.property("text")) if dialog.exec() else None
        dialog.deleteLater()
        return told

    def show_page(self, title: str, html: str) -> None:
        """A page to read, in simple HTML; links are not followed."""
        dialog = qt.QDialog(self._parent)
        dialog.setWindowTitle(title)
        page = qt.QTextBrowser()
        page.setOpenLinks(False)
        page.setHtml(html)
        buttons = qt.QDialogButtonBox()
        buttons.setStandardButtons(qt.QDialogButtonBox.Close)
        buttons.rejected.connect(dialog.reject)
        rows = qt.QVBoxLayout(dialog)
        rows.addWidget(page)
        rows.addWidget(buttons)
        dialog.resize(620, 640)
        dialog.exec()
        dialog.deleteLater()

    def working(self, title: str) -> Working:
        """A line that says how far something is, with a button to stop it; shown only if it takes a while."""
        return Working(self._parent, title)

    @staticmethod
    def open_document(path: str) -> bool:
        """Open a file with the program that the computer has for it; whether there is one."""
        return bool(qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path)))

    @staticmethod
    def _chosen(dialog) -> str | None:
        accepted = dialog.exec()
        files = list(dialog.selectedFiles())
        dialog.deleteLater()
        return str(files[0]) if accepted and files else None
