"""What the desktop says to a person and asks of him; a test may answer in his place."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QInputDialog, QMessageBox, QWidget

_ICONS = {
    "error": QMessageBox.Icon.Critical,
    "warning": QMessageBox.Icon.Warning,
    "info": QMessageBox.Icon.Information,
    "question": QMessageBox.Icon.Question,
}


class Dialogs:
    """Message boxes over a window.

    Args:
        window: gives the window that they stand over, or None.
        title: their title.
        answer: asked instead of the person, with the kind (error, warning, info, question) and the text; returns
            whether it is confirmed. Then no box is shown.

    Attributes:
        said: what was said or asked so far, as (kind, text); kept for tests, the last hundred.
        is_open: whether a box is shown now.
    """

    def __init__(
        self, window: Callable[[], QWidget | None], title: str, answer: Callable[[str, str], bool] | None = None
    ) -> None:
        self._window = window
        self._title = title
        self.answer = answer
        self.said: list[tuple[str, str]] = []
        self.is_open = False

    def say(self, kind: str, text: str, *, detail: str = "", title: str = "", parent: QWidget | None = None) -> None:
        """Show a text until the person has read it."""
        self._ask(kind, text, QMessageBox.StandardButton.Ok, detail, title, parent)

    def tell(self, text: str) -> None:
        """Show a text of the program's own, which may hold HTML."""
        self._ask("info", text, QMessageBox.StandardButton.Ok, "", "", None, Qt.TextFormat.RichText)

    def confirm(
        self,
        text: str,
        buttons: QMessageBox.StandardButton,
        *,
        detail: str = "",
        title: str = "",
        parent: QWidget | None = None,
    ) -> bool:
        """Ask; True for OK, Yes or Retry."""
        return self._ask("question", text, buttons, detail, title, parent)

    def ask_number(self, text: str, value: float, lowest: float, highest: float, decimals: int) -> float | None:
        """Ask for a number; ``None`` where the person thinks better of it. ``answer`` gets the kind "number"."""
        self.said = [*self.said[-99:], ("number", text)]
        if self.answer is not None:
            return float(self.answer("number", text)) or None
        self.is_open = True
        try:
            number, agreed = QInputDialog.getDouble(self._window(), self._title, text, value, lowest, highest, decimals)
        finally:
            self.is_open = False
        return number if agreed else None

    def ask_unsaved(self, text: str, save: Callable[[], bool]) -> bool:
        """Ask what becomes of unsaved work; Return saves it, and nothing that is lost goes without a choice.

        Args:
            text: the question.
            save: saves it, and returns whether that was done.

        Returns:
            Whether one may go on: it was saved, or the person lets it go.
        """
        self.said = [*self.said[-99:], ("question", text)]
        if self.answer is not None:
            return bool(self.answer("question", text))
        button = QMessageBox.StandardButton
        box = QMessageBox(_ICONS["question"], self._title, text, button.NoButton, self._window())
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setStandardButtons(button.Save | button.Discard | button.Cancel)
        box.setDefaultButton(button.Save)
        self.is_open = True
        try:
            chosen = button(box.exec())
        finally:
            self.is_open = False
        return save() if chosen == button.Save else chosen == button.Discard

    def _ask(
        self,
        kind: str,
        text: str,
        buttons: QMessageBox.StandardButton,
        detail: str,
        title: str,
        parent: QWidget | None,
        form: Qt.TextFormat = Qt.TextFormat.PlainText,  # names of files and nodes stand in it
    ) -> bool:
        self.said = [*self.said[-99:], (kind, text)]
        logging.getLogger(__name__).debug("%s: %s", kind, text)
        if self.answer is not None:
            return bool(self.answer(kind, text))
        box = QMessageBox(_ICONS[kind], title or self._title, text, buttons, parent or self._window())
        box.setTextFormat(form)
        if detail:
            box.setDetailedText(detail)
        agreed = (QMessageBox.StandardButton.Ok, QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.Retry)
        self.is_open = True
        try:
            return QMessageBox.StandardButton(box.exec()) in agreed
        finally:
            self.is_open = False
