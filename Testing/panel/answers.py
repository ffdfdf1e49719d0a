"""Dialogs that are answered beforehand, for tests and for scripts that drive the panel."""

from __future__ import annotations

from collections.abc import Sequence


class AnsweredDialogs:
    """Dialogs that are answered beforehand, and that remember what was asked.

    Args:
        answers: what each call gives, by the name of the method, one after the other; a call without an answer fails.
    """

    def __init__(self, **answers: Sequence[str | None]) -> None:
        self.answers = {name: list(values) for name, values in answers.items()}
        self.asked: list[tuple[str, str]] = []

    def ask(self, title: str, question: str, answers: Sequence[tuple[str, str]]) -> str | None:
        """The next answer."""
        answer = self._next("ask", question)
        if answer is not None and answer not in [key for key, _text in answers]:
            raise AssertionError(f"{answer!r} is no answer to {question!r}: {answers}")
        return answer

    def open_file(self, title: str, patterns: str) -> str | None:
        """The next file."""
        return self._next("open_file", title)

    def open_folder(self, title: str) -> str | None:
        """The next folder."""
        return self._next("open_folder", title)

    def save_file(self, title: str, name: str, pattern: str) -> str | None:
        """The next file to write."""
        return self._next("save_file", f"{title}: {name}")

    def ask_text(self, title: str, question: str, text: str = "") -> str | None:
        """The next text."""
        return self._next("ask_text", title)

    def show_page(self, title: str, html: str) -> None:
        """Remember the page."""
        self.asked.append(("show_page", html))

    def open_document(self, path: str) -> bool:
        """Remember the file."""
        self.asked.append(("open_document", path))
        return True

    def _next(self, method: str, question: str) -> str | None:
        self.asked.append((method, question))
        if not self.answers.get(method):
            raise AssertionError(f"Nobody expected to be asked: {question}")
        return self.answers[method].pop(0)
