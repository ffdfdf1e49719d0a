"""Every text that a person reads goes through here, so that it can be translated."""

from __future__ import annotations

from slicer.i18n import translate

CONTEXT = "LandmarkDetector"


def _(text: str) -> str:
    """The text in the person's language."""
    return translate(CONTEXT, text)


def count(number: int, one: str, many: str) -> str:
    """``number`` and a word for it: ``count(1, "landmark", "landmarks")``."""
    return f"{number} {one if number == 1 else many}"
