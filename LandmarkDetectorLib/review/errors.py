"""The errors of this room, and what the disk says turned into them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from LandmarkDetectorLib.core.errors import LandmarkDetectorError

_ADVICE = {
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some space and try again",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "check that you may read and write there",
    errno.EPERM: "check that you may read and write there",
    errno.ENOENT: "check that the folder is still there",
}


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
        advice = _ADVICE.get(error.errno or 0, "check the disk and try again")
        raise ReviewError(f"{doing} ({error.strerror or type(error).__name__}); {advice}.") from error
