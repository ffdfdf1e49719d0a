"""One writer at a time, on every system: a lock that the system itself takes back when its holder dies.

POSIX has ``flock``, Windows locks a byte. Either belongs to an open file, so it keeps out other threads as well as
other processes, and a program that is killed leaves none behind.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from LandmarkDetectorLib.core.errors import LandmarkDetectorError, LandmarkFileError

PATIENCE = 10.0
"""Seconds to wait for another writer, who needs some milliseconds."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
_BINARY = getattr(os, "O_BINARY", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)

if sys.platform == "win32":
    import msvcrt

    # Far behind what the file holds: Windows lets nobody read a byte that is locked.
    _BYTE = 1 << 30

    def _try(descriptor: int) -> bool:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _release(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked(
    path: Path, what: str, patience: float = PATIENCE, refusal: type[LandmarkDetectorError] = LandmarkFileError
) -> Iterator[int]:
    """Hold the lock of a file, which is made where it is not there and stays.

    Args:
        path: the lock's file; its folder must exist.
        what: what is locked, for the message.
        patience: seconds to wait.
        refusal: what is raised where that was not long enough.

    Yields:
        The open file's descriptor, for reading and writing.

    Raises:
        LandmarkDetectorError: another program holds it all the time; a ``refusal``.
        OSError: the file cannot be opened, or the disk knows no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _CLOEXEC, 0o600)
    try:
        give_up, pause = time.monotonic() + patience, _FIRST_PAUSE
        while not _try(descriptor):
            if time.monotonic() > give_up:
                raise refusal(f"{what} is held by another program for {patience:g} s; close that or try again.")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield descriptor
        finally:
            _release(descriptor)
    finally:
        os.close(descriptor)
