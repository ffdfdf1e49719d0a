"""Folders that appear whole or not at all.

A bundle is written into a hidden neighbour of its final place and renamed when it is complete. What a crash leaves
behind is therefore either a ``.partial-*`` folder, which nobody takes for a bundle and which is swept after a day, or a
``.replaced-<name>-*`` folder: the last good bundle, moved aside for one that never came, which is put back.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from LandmarkDetectorLib.core.errors import BundleError
from LandmarkDetectorLib.io.disk import advice, sync_folder

PARTIAL = ".partial-"
REPLACED = re.compile(r"\.replaced-(?P<name>.+)-[0-9a-f]{16}")
_STALE_SECONDS = 24 * 3600
_ATTEMPTS = 50


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the disk says (full, read-only, gone) into a :class:`BundleError` that says what to do."""
    try:
        yield
    except OSError as exc:
        raise BundleError(f"{doing} failed: {exc.strerror or exc}; {advice(exc)}.") from exc


@contextlib.contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in ``parent``, gone at the end unless it was renamed (as ``parent``, if made here)."""
    made_parent = not parent.exists()
    stage = parent / f"{PARTIAL}{secrets.token_hex(8)}"
    for attempt in range(_ATTEMPTS):
        parent.mkdir(parents=True, exist_ok=True)
        try:
            stage.mkdir()
            break
        except FileNotFoundError:
            # Another process has just tidied away the parent that it had made.
            if attempt == _ATTEMPTS - 1:
                raise
    try:
        yield stage
    finally:
        # Best effort: an error here must not hide the one that is on its way; leftovers are swept after a day.
        shutil.rmtree(stage, ignore_errors=True)
        if made_parent:
            with contextlib.suppress(OSError):
                parent.rmdir()


def write_file(path: Path, data: bytes) -> None:
    """Write one file of a staged folder, with its parents, through to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def put_in_place(stage: Path, target: Path, *, replace: bool) -> None:
    """Give a complete staged folder its name; the old one stays whole until the new one stands.

    Raises:
        BundleError: something is there already and ``replace`` is false, or others keep changing it.
        OSError: the disk refuses; the old folder is back in its place.
    """
    for _ in range(_ATTEMPTS):
        old = None
        if os.path.lexists(target):
            if not replace:
                raise BundleError(f"{target} is there already; choose another name, or say that it may be replaced.")
            # By the clock, so that of several that crashes left the last one is put back.
            old = target.with_name(f".replaced-{target.name}-{time.time_ns():016x}")
            try:
                os.rename(target, old)
            except FileNotFoundError:
                continue
        try:
            os.rename(stage, target)
        except OSError:
            if old is not None and not os.path.lexists(target):
                os.rename(old, target)
                raise
            if not os.path.lexists(target):
                raise
            if old is not None:
                discard(old)
            continue
        if old is not None:
            discard(old)
        sync_folder(target.parent)
        return
    raise BundleError(f"{target} keeps being changed by another program; try again when it has finished.")


def discard(folder: Path) -> None:
    """Remove a folder so that even half of the work leaves nothing that looks like a bundle."""
    if folder.is_symlink():
        folder.unlink()
        return
    doomed = folder.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
    try:
        os.rename(folder, doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def restore_replaced(parent: Path) -> None:
    """Put back a folder that was moved aside by a replacement which never finished, the latest where there are more."""
    for leftover, name in _replaced(parent):
        if not os.path.lexists(parent / name):
            # Lost to another process that does the same, or that has just finished: then the name is there again.
            with contextlib.suppress(OSError):
                os.rename(leftover, parent / name)


def sweep(parent: Path) -> None:
    """Remove what crashed runs left behind more than a day ago."""
    if not parent.is_dir():
        return
    stale = [entry for entry in parent.iterdir() if entry.name.startswith(PARTIAL)]
    stale += [leftover for leftover, name in _replaced(parent) if os.path.lexists(parent / name)]
    for entry in stale:
        with contextlib.suppress(OSError):  # Gone meanwhile, or not ours to remove.
            if time.time() - entry.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)


def _replaced(parent: Path) -> list[tuple[Path, str]]:
    """Folders that were moved aside and the names that they had, the latest first."""
    if not parent.is_dir():
        return []
    pairs = [(entry, REPLACED.fullmatch(entry.name)) for entry in sorted(parent.iterdir(), reverse=True)]
    return [(entry, match["name"]) for entry, match in pairs if match]
