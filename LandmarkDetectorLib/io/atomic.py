"""Files that are written whole or not at all.

The bytes go to a neighbour of the file, which takes the file's name only when everything stands on the disk. A full
disk, a cancelled run or a power cut leaves the old file as it was. The neighbour's name says nothing of the file's own,
since file names may carry a patient's; it says which process writes it, so that whoever kills that can tidy up.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.disk import sync_folder

_BINARY = getattr(os, "O_BINARY", 0)
_PREFIX = ".writing-"


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb", **open_args: Any) -> Iterator[IO[Any]]:
    """Open a file for writing that replaces ``path`` when the block ends well, and vanishes when it does not.

    Args:
        path: the file to be written; its folder must exist. A symbolic link is followed.
        mode: ``"wb"`` or ``"w"``, as for :func:`open`.
        open_args: passed on to :func:`open`, such as ``encoding`` and ``newline``.

    Yields:
        The open file.

    Raises:
        LandmarkFileError: the disk is full, the folder is missing or read-only, or the file is held by a program.
        ValueError: a mode that reads or appends.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_write writes whole files, with mode 'w' or 'wb', not {mode!r}")
    with atomic_path(path) as neighbour, open(neighbour, mode, **open_args) as stream:
        yield stream


@contextmanager
def atomic_path(path: str | os.PathLike[str], suffix: str = ".tmp") -> Iterator[Path]:
    """The path of an empty neighbour, for libraries that open files themselves; it replaces ``path`` in the end.

    Args:
        path: the file to be written; its folder must exist. A symbolic link is followed.
        suffix: how the neighbour's name ends, for libraries that choose a format by it.

    Yields:
        The path to write to.

    Raises:
        LandmarkFileError: as for :func:`atomic_write`.
    """
    if "\0" in os.fspath(path) or not Path(path).name:
        raise LandmarkFileError("The name of the file to write is empty or holds a null character; choose another one.")
    target = Path(path)
    with suppress(OSError, RuntimeError):  # a loop of links: opening it below says so
        target = target.resolve()
    neighbour = target.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}{suffix}")
    try:
        # os.open rather than tempfile: a new file gets the permissions that the person's umask gives to any. What takes
        # the place of a file that others may not read must not be read by them before, nor when it is left behind.
        mode = stat.S_IMODE(target.stat().st_mode) | stat.S_IWUSR if target.is_file() else 0o666
        os.close(os.open(neighbour, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, mode))
        yield neighbour
        settle(neighbour, target)
    except OSError as error:
        if error.filename is not None and not _concerns(error.filename, target, neighbour):
            raise  # about another file, which the block was reading
        cause = error.strerror or type(error).__name__
        raise LandmarkFileError(
            f"{target.name}: it cannot be written ({cause}); choose a folder that exists, is writable and has space."
        ) from error
    finally:
        with suppress(OSError):  # not there, or on a medium that is only read: what went wrong first is what counts
            neighbour.unlink()


@contextmanager
def all_or_none(files: Iterable[Path]) -> Iterator[None]:
    """Where the block that writes these files fails, those that were not there before are gone again."""
    fresh = [file for file in files if not os.path.exists(file)]  # a name too long for the disk exists nowhere
    try:
        yield
    except BaseException:
        for file in fresh:
            with suppress(OSError):
                file.unlink()
        raise


def remove_unfinished(folder: str | os.PathLike[str], pid: int, *, below: bool = False) -> None:
    """Remove what a process that has been killed was writing into a folder, or anywhere below; the files are whole."""
    for neighbour in list(Path(folder).glob(f"{'**/' if below else ''}{_PREFIX}{pid}-*")):
        with suppress(OSError):
            neighbour.unlink()


def settle(neighbour: Path, target: Path) -> None:
    """Give a file that is whole the name of another, whose protection and mode it keeps.

    Raises:
        OSError: the other is write-protected, or the disk refuses.
    """
    descriptor = os.open(neighbour, os.O_RDWR | _BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if target.is_file():
        if not os.access(target, os.W_OK):  # a rename would pass over the protection that somebody set
            raise PermissionError(errno.EACCES, "the file is write-protected")
        with suppress(OSError):  # file systems without modes refuse, and lose nothing by it
            os.chmod(neighbour, stat.S_IMODE(target.stat().st_mode))
    os.replace(neighbour, target)
    sync_folder(target.parent)


def _concerns(filename: Any, *paths: Path) -> bool:
    return any(str(filename) == str(path) for path in paths)
