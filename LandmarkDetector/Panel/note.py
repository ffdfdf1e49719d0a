"""A line under a control that says something worth knowing: plain, a warning, or what went wrong."""

from __future__ import annotations

_LOOKS = {
    "plain": "",
    "warning": "QLabel { background-color: #fff3c4; color: #4a3b00; border: 1px solid #e0c050; border-radius: 3px; }",
    "error": "QLabel { background-color: #fde0d8; color: #611a08; border: 1px solid #dd8a70; border-radius: 3px; }",
}


class Note:
    """Words in a QLabel, which is hidden without any.

    Args:
        label: the QLabel.
    """

    def __init__(self, label) -> None:
        self._label = label
        self.text = ""
        self.kind = "plain"

    def show(self, text: str, kind: str = "plain") -> None:
        """Say ``text``; ``kind`` is ``plain``, ``warning`` or ``error``."""
        if (text, kind) == (self.text, self.kind):
            return
        self.text, self.kind = text, kind
        self._label.setStyleSheet(_LOOKS[kind])
        self._label.setText(text)
        self._label.setVisible(bool(text))

    def clear(self) -> None:
        """Say nothing."""
        self.show("")
