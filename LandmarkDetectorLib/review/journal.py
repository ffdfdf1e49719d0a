"""A log on disk to which several programs append, and from which nothing that was acknowledged is ever lost.

An append happens under the log's lock, in one write to a file opened for appending, and is acknowledged when the disk
says that it has it (``fsync``). Beside the log lies its *head*, in the file of the lock: number and checksum of the
last acknowledged line, by which a log is found out that lost its end. The head is written after the log and not
synchronised: it may be older than the log, never newer.

What a crash leaves of a write is a line that is cut short. Nobody takes it for a record; the next append ends it with
a line end and goes on behind it. Bytes that are there are never written over. Only what a *failed* append (a full disk)
wrote itself is taken back, while the lock is still held.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.io.disk import sync_folder
from LandmarkDetectorLib.io.locks import locked
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.lines import Log, seal_of, sealed

SUFFIX, HEAD = ".jsonl", ".head"
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_FLAGS |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)


class Journal:
    """One log.

    Args:
        path: of the log, which need not be there yet.
        anchor: 64 hexadecimal digits that say whose log of what it is.
        what: what is stored there, for messages: no names, no paths.
    """

    def __init__(self, path: Path, anchor: str, what: str) -> None:
        self.path, self.what = path, what
        self.head_path = path.with_suffix(HEAD)
        self._log = Log(anchor)
        self._anchor = anchor
        self._turn = threading.RLock()

    def records(self) -> list[dict[str, Any]]:
        """The whole lines, in order; what another program has added since is read now, what was read is kept.

        Raises:
            ReviewError: the log cannot be read.
        """
        with self._turn, disk_errors(f"{self.what} cannot be read"):
            self._read_on()
            return list(self._log.records)

    def append(self, make: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Store records, in one write; when this returns, they stand on the disk.

        Args:
            make: called with the records that stand there, under the lock; returns those to store, perhaps none.

        Returns:
            The records as they were stored, with ``number``, ``previous`` and ``sha256``.

        Raises:
            ReviewError: the disk is full or read-only, or another program holds the log. None was stored.
        """
        failing = disk_errors(f"{self.what} cannot be stored")
        with self._turn, failing, locked(self.head_path, self.what, refusal=ReviewError) as head_file:
            rest = self._read_on()
            records = make(self._log.records)
            if not records:
                return []
            head = _head(head_file)
            number, previous = self._log.number, self._log.last
            if head is not None and head[0] > number:
                number, previous = head  # the log lost its end: the gap stays to be seen
            # A line without an end, whole or cut short, gets one in the same write.
            data = b"\n" if rest or self._log.open_end else b""
            for record in records:
                number += 1
                line = sealed({"number": number, "previous": previous, **record})
                data, previous = data + line + b"\n", seal_of(line)
            self._write(data)
            self._read_on()
            _write_head(head_file, number, previous)
            return self._log.records[-len(records) :]

    def check(self) -> Log:
        """All of it read anew and judged by the head; under the lock, so that no write is going on.

        A folder that cannot be written has no writers, and needs no lock.
        """
        with disk_errors(f"{self.what} cannot be read"):
            if os.access(self.path.parent, os.W_OK) and os.access(self.head_path, os.W_OK):
                with locked(self.head_path, self.what, refusal=ReviewError) as head_file:
                    return self._judged(_head(head_file))
            try:
                descriptor = os.open(self.head_path, os.O_RDONLY)
            except FileNotFoundError:
                return self._judged(None)
            try:
                return self._judged(_head(descriptor))
            finally:
                os.close(descriptor)

    def _judged(self, head: tuple[int, str] | None) -> Log:
        log = Log(self._anchor)
        data = _bytes_after(self.path, 0)
        log.read(data)
        log.finish(head, data[log.offset :])
        return log

    def _read_on(self) -> bytes:
        """Read what is new; returns what stands behind the last whole line."""
        start = self._log.offset
        if start:
            trouble = self._log.trouble
            if _size(self.path) >= start:
                data = _bytes_after(self.path, start)
                self._log.read(data)
                if self._log.trouble == trouble:
                    return data[self._log.offset - start :]
            self._log = Log(
                self._anchor
            )  # it is not the file that was read: it lost its end, or another took its place
        data = _bytes_after(self.path, 0)
        self._log.read(data)
        return data[self._log.offset :]

    def _write(self, data: bytes) -> None:
        new = not self.path.exists()
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, data)
                while written < len(data):  # a full disk takes a part first and says so at the next write
                    written += os.write(descriptor, data[written:])
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # else a line that is cut short stays, which nobody reads as one
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self.path.parent)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _bytes_after(path: Path, offset: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            return stream.read()
    except FileNotFoundError:
        return b""


def _head(descriptor: int) -> tuple[int, str] | None:
    """Number and checksum of the last acknowledged line; ``None`` where nothing of use stands there."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    words = os.read(descriptor, 200).decode("ascii", "replace").split()
    if len(words) != 3 or words[2] != "." or not words[0].isdigit() or len(words[1]) != 64:
        return None
    return int(words[0]), words[1]


def _write_head(descriptor: int, number: int, digest: str) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with suppress(OSError):  # the line stands and is acknowledged; the head only helps to miss it later
        os.write(descriptor, f"{number:<12d} {digest} .\n".encode("ascii"))
