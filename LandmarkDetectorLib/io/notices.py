"""Saying aloud what was mended or assumed, at the line of whoever called this library."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import LandmarkDetectorWarning

_LIBRARY = str(Path(__file__).resolve().parent.parent)


def notice(message: str) -> None:
    """Warn with one sentence; the warning points at the first caller outside this library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(Path(frame.f_code.co_filename).resolve()).startswith(_LIBRARY):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, LandmarkDetectorWarning, stacklevel=level)


@contextmanager
def silenced(level: int) -> Iterator[None]:
    """Without what other libraries warn of, and what they log up to this level of :mod:`logging`."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def gathered() -> Iterator[list[str]]:
    """What is said aloud inside; it stands in the list when that is over, and is not said otherwise.

    It is for the person, and for no log: it may name a file, and so a patient.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LandmarkDetectorWarning)
        try:
            yield told
        finally:
            told += [str(w.message) for w in caught if issubclass(w.category, LandmarkDetectorWarning)]


@contextmanager
def told_as_notices(tell: Callable[[str], None]) -> Iterator[None]:
    """Our own warnings become notices, each once; of those of other libraries the log tells where, not what they say.

    What they say may name a file, and so a patient.
    """
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        if not issubclass(category, LandmarkDetectorWarning):
            print(f"{category.__name__} at {filename}:{lineno}", file=sys.stderr, flush=True)
        elif str(message) not in said:
            said.add(str(message))
            tell(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", LandmarkDetectorWarning)
        warnings.showwarning = show  # type: ignore[assignment]  # two more arguments, which nobody gives here
        yield
