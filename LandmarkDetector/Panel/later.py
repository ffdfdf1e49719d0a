"""Something that is done once after many events that ask for it."""

from __future__ import annotations

from collections.abc import Callable

import qt


class Later:
    """Does something when the event loop has its turn, or a while after the last who asked.

    Args:
        action: what is done.
        milliseconds: how long nobody may have asked.
    """

    def __init__(self, action: Callable[..., None], milliseconds: int = 0) -> None:
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(action)

    def ask(self, *_arguments) -> None:
        """Do it later, once however often it is asked for."""
        self._timer.start()

    def drop(self) -> None:
        """It is done already, or needs not be done any more."""
        self._timer.stop()
