"""Saying aloud what was mended or assumed, at the line of whoever called this library."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from LandmarkDetectorLib.core import LandmarkDetectorWarning

_LIBRARY = str(Path(__file__).resolve().parent.parent)


def notice(message: str) -> None:
    """Warn with one sentence; the warning points at the first caller outside this library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(Path(frame.f_code.co_filename).resolve()).startswith(_LIBRARY):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, LandmarkDetectorWarning, stacklevel=level)


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
