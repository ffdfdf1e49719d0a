"""Observers of VTK objects that are let go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk


class Observations:
    """What is observed, and how to stop."""

    def __init__(self) -> None:
        self._held: list[tuple[Any, int]] = []

    def add(self, subject: Any, event: Any, callback: Callable, calldata: str | int | None = None) -> None:
        """Observe an event of a VTK object; with ``calldata`` (a VTK type) the callback gets a third argument."""
        observer: Callable = callback
        if calldata is not None:

            @vtk.calldata_type(calldata)
            def observer(caller, name, data=None):
                callback(caller, name, data)

        self._held.append((subject, subject.AddObserver(event, observer)))

    def release(self) -> None:
        """Observe nothing any more."""
        held, self._held = self._held, []
        for subject, tag in held:
            subject.RemoveObserver(tag)
