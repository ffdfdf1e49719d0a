"""What the disk says, and what to do about it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some space and try again",
    errno.EFBIG: "choose a disk that takes larger files",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "check that you may read and write there",
    errno.EPERM: "check that you may read and write there",
    errno.ENOENT: "check that the folder is still there",
}


def advice(error: OSError) -> str:
    """The last part of a sentence: what a person can do about a full, read-only or missing disk."""
    return _ADVICE.get(error.errno or 0, "check the disk and try again")


def sync_folder(folder: Path) -> None:
    """Make a new name outlast a power cut; Windows has no such call, and not all network disks can vouch for names."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
