"""The dialogs that a person really sees, answered by pressing their buttons."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QLabel, QLineEdit, QTextBrowser


@pytest.fixture
def dialogs(person):
    """The panel's own dialogs, not those that answer beforehand."""
    return type(person.panel.dialogs)(person.panel.root)


def when_open(answer) -> list:
    """Have the next dialog answered; what ``answer`` gives comes into the list."""
    seen = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            QTimer.singleShot(20, look)
        else:
            seen.append(answer(dialog))

    QTimer.singleShot(20, look)
    return seen


def press(dialog, text: str) -> str:
    button = next(b for b in dialog.findChildren(QAbstractButton) if b.text().replace("&", "") == text)
    words = dialog.text() if hasattr(dialog, "text") else ""
    button.click()
    return words


def test_a_question_gives_the_answer_that_was_pressed(dialogs):
    answers = [("keep", "Keep them"), ("new", "A new one")]
    seen = when_open(lambda dialog: press(dialog, "A new one"))
    assert dialogs.ask("Title", "What now?", answers) == "new" and seen == ["What now?"]


def test_a_name_in_a_question_is_no_markup(dialogs):
    formats = when_open(lambda dialog: (dialog.textFormat(), dialog.reject())[0])
    dialogs.ask("Title", "Remove <b>this</b>?", [("yes", "Remove")])
    assert formats == [Qt.TextFormat.PlainText]


def test_a_question_can_be_left(dialogs):
    when_open(lambda dialog: press(dialog, "Cancel"))
    assert dialogs.ask("Title", "What now?", [("keep", "Keep them")]) is None
    when_open(lambda dialog: dialog.reject())
    assert dialogs.ask("Title", "What now?", [("keep", "Keep them")]) is None


def test_a_page_can_be_read_and_closed(dialogs):
    def read(dialog):
        words = dialog.findChild(QTextBrowser).toPlainText()
        press(dialog, "Close")
        return words

    seen = when_open(read)
    dialogs.show_page("Card", "<h2>Heading</h2><p>words</p>")
    assert seen == ["Heading\nwords"]


def test_a_folder_is_chosen_or_not(dialogs, tmp_path):
    def choose(dialog):
        assert isinstance(dialog, QFileDialog)
        dialog.setDirectory(str(tmp_path))
        dialog.accept()

    when_open(choose)
    assert dialogs.open_folder("Folder") == str(tmp_path)
    when_open(lambda dialog: dialog.reject())
    assert dialogs.open_folder("Folder") is None


def test_a_name_is_proposed_for_a_file_to_write(dialogs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def accept(dialog):
        names = dialog.selectedFiles()
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile("landmarks.csv")
        dialog.accept()
        return names[0].rsplit("/", 1)[-1]

    seen = when_open(accept)
    assert dialogs.save_file("Export", "landmarks.csv", "*.csv") == str(tmp_path / "landmarks.csv")
    assert seen == ["landmarks.csv"]


def test_a_line_of_text_is_given_or_not(dialogs):
    def write(dialog):
        edit = dialog.findChild(QLineEdit)
        before, words = edit.text(), dialog.findChild(QLabel).textFormat()
        edit.setText("Anna")
        press(dialog, "OK")
        return before, words

    seen = when_open(write)
    assert dialogs.ask_text("Observer", "Who <b>reviews</b>?", "Ben") == "Anna"
    assert seen == [("Ben", Qt.TextFormat.PlainText)]
    when_open(lambda dialog: press(dialog, "Cancel"))
    assert dialogs.ask_text("Observer", "Who reviews?") is None


def test_a_dialog_that_was_answered_is_gone(dialogs, person):
    before = len(person.panel.root.children())
    leave = [
        lambda: dialogs.ask("Title", "What now?", [("keep", "Keep them")]),
        lambda: dialogs.open_folder("Folder"),
        lambda: dialogs.ask_text("Observer", "Who reviews?"),
        lambda: dialogs.show_page("Card", "words"),
    ]
    for opened in leave:
        when_open(lambda dialog: dialog.reject())
        opened()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert len(person.panel.root.children()) == before
