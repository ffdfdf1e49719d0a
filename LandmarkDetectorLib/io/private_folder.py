"""Temporary folders for what may show a patient: only their owner may open them, and none outlives its owner for long.

A program that is killed, or loses its power, cannot tidy up. So an application holds a lock in each of its folders for
as long as it lives, whatever way it ends, and :func:`sweep_folders` removes those in which nobody holds it any more.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

if os.name == "posix":
    import fcntl

PREFIX = "landmark-detector-"
_OWNER = "owner"
_UNOWNED_SECONDS = 3600.0
"""A folder in which no lock was ever made is left alone for this long: its owner may be about to."""


class PrivateFolder:
    """A folder that only its owner may open, and the lock in it that says that the owner lives.

    Its name says nothing. A context manager that removes it.

    Args:
        base: where it is made; by default the system's folder for temporary files.

    Raises:
        OSError: the system refuses.
    """

    def __init__(self, base: Path | None = None) -> None:
        base = Path(tempfile.gettempdir()) if base is None else base
        self.path = base / f"{PREFIX}{secrets.token_hex(8)}"
        os.mkdir(self.path, 0o700)
        try:
            # Under another name until it is locked: whoever sweeps never sees it unlocked.
            unlocked = self.path / f"{_OWNER}-new"
            self._lock = open(unlocked if os.name == "posix" else self.path / _OWNER, "xb")  # noqa: SIM115
            if os.name == "posix":
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                unlocked.rename(self.path / _OWNER)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Remove it with all that is in it; as often as you like."""
        if self._lock.closed:
            return
        # What it holds first: should this be broken off, the lock falls and the rest is swept.
        left = False
        with suppress(OSError):
            for entry in list(os.scandir(self.path)):
                if entry.name == _OWNER:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(FileNotFoundError, PermissionError):  # Windows: a worker still has it open
                        os.unlink(entry.path)
                left |= os.path.lexists(entry.path)
        self._lock.close()
        if not left:  # else the folder waits for the sweep, which knows it by the lock that nobody holds
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()


def sweep_folders(bases: Iterable[Path]) -> int:
    """Remove what applications that no longer live have left behind; returns how many folders that were."""
    removed = 0
    for base in bases:
        with suppress(OSError):
            for path in base.glob(f"{PREFIX}*"):
                removed += _removed_if_orphaned(path)
    return removed


def _removed_if_orphaned(path: Path) -> bool:
    """Remove a folder whose owner does not live; a folder of another person's is left alone."""
    owner = path / _OWNER
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or (os.name == "posix" and status.st_uid != os.getuid()):
            return False
        if not owner.exists():
            if time.time() - status.st_mtime < _UNOWNED_SECONDS:
                return False
        elif os.name == "posix":
            with open(owner, "rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            owner.unlink()  # Windows refuses while the owner has it open
    except OSError:  # it is locked, or somebody else is removing it
        return False
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()
