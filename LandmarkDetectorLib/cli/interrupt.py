"""Ctrl-C in work that has something to save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from LandmarkDetectorLib.cli.console import say
from LandmarkDetectorLib.core.errors import Cancelled


@contextmanager
def first_interrupt_asks(
    promise: str | None = "Stopping at the next checkpoint; Ctrl-C once more breaks off at once.",
    broken_off: str = "Cancelled; --resume goes on from the last checkpoint, if there is one.",
) -> Iterator[threading.Event]:
    """While the block runs, the first Ctrl-C sets the event that is yielded, and the second one breaks off.

    Args:
        promise: what is said at the first one, if anything.
        broken_off: what is said at the second one.

    Raises:
        Cancelled: at the second Ctrl-C.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread only
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if promise is not None:
            say(promise)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    except KeyboardInterrupt:
        raise Cancelled(broken_off) from None
    finally:
        signal.signal(signal.SIGINT, before)
