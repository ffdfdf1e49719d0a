"""Lists to choose one of: each line has a text for the person and a key for the program."""

from __future__ import annotations

from collections.abc import Iterable

from LandmarkDetector.Panel.signals import silent


def chosen_key(combo) -> str:
    """The key of the line that is chosen; empty without one."""
    key = combo.itemData(int(combo.property("currentIndex")))
    return "" if key is None else str(key)


def choose(combo, key: str) -> None:
    """Choose the line of this key, or the first one where there is none."""
    combo.setCurrentIndex(max(0, combo.findData(key)))


def fill(combo, lines: Iterable[tuple[str, str]], key: str = "") -> None:
    """Put in other lines, texts with their keys, and choose one as :func:`choose` does; nobody is told."""
    with silent(combo):
        combo.clear()
        for text, each in lines:
            combo.addItem(text, each)
        choose(combo, key)
