"""Who is told when something happens; signals of own classes and QSignalBlocker do not exist in every binding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Signal:
    """Callables that are called in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., Any]] = []

    def connect(self, listener: Callable[..., Any]) -> None:
        """Tell ``listener`` from now on."""
        self._listeners.append(listener)

    def emit(self, *arguments: Any) -> None:
        """Call every listener."""
        for listener in list(self._listeners):
            listener(*arguments)


@contextmanager
def silent(widget) -> Iterator[None]:
    """Meanwhile a widget tells nobody what happens to it."""
    old = widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(old)
