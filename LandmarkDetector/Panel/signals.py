"""A list of callables that are told when something happens; signals of own classes do not exist in every binding."""

from __future__ import annotations

from collections.abc import Callable
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
