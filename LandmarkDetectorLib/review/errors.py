"""The errors of this room, and what the disk says turned into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from LandmarkDetectorLib.core.errors import LandmarkDetectorError
from LandmarkDetectorLib.io.disk import advice


class ReviewError(LandmarkDetectorError):
    """A review store is missing, damaged, of a newer version, or was asked for what it does not hold."""


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the disk says into a :class:`ReviewError` that says what to do; no path is repeated.

    Args:
        doing: how the sentence begins, such as ``"case-1f: the correction cannot be stored"``.
    """
    try:
        yield
    except OSError as error:
        raise ReviewError(f"{doing} ({error.strerror or type(error).__name__}); {advice(error)}.") from error
