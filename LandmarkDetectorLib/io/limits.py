"""What a header may promise: no more than its file can hold, and no more than the memory takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

from LandmarkDetectorLib.core import ImageError

DEFLATE_LIMIT = 1032
"""No deflate stream (gzip, PNG, zip) expands further than this; RFC 1951 caps a match at 258 bytes in 2 bits."""


def available_memory() -> int | None:
    """Bytes of memory that are free for use, or ``None`` where the system does not say."""
    try:
        import psutil
    except ImportError:
        return _available_by_kernel()
    return int(psutil.virtual_memory().available)


def peak_memory() -> int:
    """The most resident memory that this process has held so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # POSIX only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _available_by_kernel() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
    except OSError:
        return None
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def check_promise(
    name: str, size: Iterable[int], voxel_bytes: int, stored_bytes: int | None, expansion: int = 1
) -> int:
    """Refuse an image whose header asks for what cannot be, before any of it is read.

    Args:
        name: the file's name, for the message.
        size: number of voxels along each axis, from the header.
        voxel_bytes: bytes a voxel, all channels together.
        stored_bytes: bytes in the file, or ``None`` where the values stand in another file.
        expansion: how many times larger the values may be than what is stored, 1 where nothing is compressed.

    Returns:
        The number of bytes that the values take in memory.

    Raises:
        ImageError: the file is too short for its header, or the memory for the image.
    """
    size = tuple(int(n) for n in size)
    needed = math.prod(size) * voxel_bytes
    shape = "×".join(map(str, size))
    if stored_bytes is not None and needed > stored_bytes * expansion:
        raise ImageError(
            f"{name}: its header promises {shape} voxels, more than its {stored_bytes} bytes can hold; "
            "the file is truncated or its header wrong."
        )
    free = available_memory()
    if free is not None and needed > free:
        raise ImageError(
            f"{name}: its {shape} voxels need {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
            "crop or resample the image, or close other programs."
        )
    return needed
