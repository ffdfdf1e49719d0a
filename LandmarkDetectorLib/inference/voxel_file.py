"""Voxels on their way to the worker: a private file that both processes map, so that nothing goes through text.

The file lies in a folder of its own that only its owner may open, in memory (``/dev/shm``) where there is room, else in
the system's folder for temporary files. Neither name says anything of the image. The side that made it removes it;
what a crashed application left, :func:`sweep` removes.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, ImageError, LandmarkDetectorError
from LandmarkDetectorLib.io.private_folder import PREFIX, PrivateFolder, sweep_folders

__all__ = ["PREFIX", "VoxelFile", "read_mapped", "sweep"]

PIECE = 8 << 20
"""Bytes that are written at a time: a few milliseconds, between which an application stays alive."""
SPARE = 64 << 20
"""Bytes that must stay free beside the file."""
_VOXELS = "voxels"


class VoxelFile:
    """The voxels of one image in a file; a context manager that removes it.

    Args:
        image: what to write; it is read piece by piece, never copied as a whole.

    Raises:
        LandmarkDetectorError: no folder has room for it, or none can be written.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._dtype = _plain(image.array.dtype)
        needed = image.array.size * self._dtype.itemsize
        self._home = _private_folder(needed, image.name)
        self._path = self._home.path / _VOXELS
        self._whole = False

    def write_steps(self) -> Iterator[float]:
        """Write it piece by piece, and say after each the fraction that is written.

        Raises:
            LandmarkDetectorError: the disk is full; the file is removed then.
        """
        array, done = self._image.array, 0
        try:
            with open(self._path, "xb", buffering=0) as stream:
                for piece in _pieces(array, self._dtype.itemsize):
                    _write(stream.fileno(), np.ascontiguousarray(piece, dtype=self._dtype).data.cast("B"))
                    done += piece.size
                    yield done / array.size
        except OSError as error:
            self.close()
            raise _no_room(self._image.name, error.strerror or type(error).__name__) from error
        self._whole = True

    def write(self) -> None:
        """Write all of it at once; errors as of :meth:`write_steps`."""
        for _ in self.write_steps():
            pass

    @property
    def reference(self) -> dict[str, Any]:
        """What the worker needs to find it, as JSON values."""
        if not self._whole:
            raise ValueError("the voxels have not been written to the end")
        grid = self._image.grid
        return {
            "file": str(self._path),
            "dtype": self._dtype.str,
            "shape": list(self._image.array.shape),
            "name": self._image.name,
            "grid": {
                "size": list(grid.size),
                "spacing": list(grid.spacing),
                "origin": list(grid.origin),
                "direction": grid.direction.tolist(),
                "unit": grid.unit,
            },
        }

    def close(self) -> None:
        """Remove the file and its folder; as often as you like."""
        self._home.remove()

    def __enter__(self) -> VoxelFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_mapped(reference: Mapping[str, Any]) -> Image:
    """The image in a file that :class:`VoxelFile` wrote, mapped: what is not looked at is not read, nor ever altered.

    Raises:
        ImageError: the file is gone or not whole, or the reference is wrong.
    """
    try:
        path, shape = Path(reference["file"]), tuple(int(n) for n in reference["shape"])
        dtype, name = np.dtype(reference["dtype"]), str(reference["name"])
        size, spacing, origin = (tuple(reference["grid"][key]) for key in ("size", "spacing", "origin"))
        direction = np.asarray(reference["grid"]["direction"], dtype=np.float64)
        grid = Grid(size, spacing, origin, direction, reference["grid"]["unit"])
        if not shape or min(shape) < 1 or "\0" in str(path):
            raise ValueError("no shape or no path")
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"The reference to an image is wrong ({error!r}); detect again.") from error
    expected = dtype.itemsize * math.prod(shape)
    try:
        if path.stat().st_size != expected:  # a map that is longer than its file would end the process
            raise ImageError(f"{name}: its voxels did not arrive as a whole; detect again.")
        # Private to this process ("c"): torch wants arrays that could be written to.
        array = np.memmap(path, dtype, "c", shape=shape)
    except OSError as error:
        raise ImageError(f"{name}: its voxels are no longer there ({error.strerror}); detect again.") from error
    return Image(array, grid, name)


def sweep() -> int:
    """Remove what applications that no longer live have left behind; returns how many folders that were."""
    return sweep_folders(_bases())


def _bases() -> list[Path]:
    """Where the files may lie, the best place first."""
    memory = Path("/dev/shm")
    places = [memory] if os.name == "posix" and memory.is_dir() and os.access(memory, os.W_OK) else []
    return [*places, Path(tempfile.gettempdir())]


def _private_folder(needed: int, name: str) -> PrivateFolder:
    reason = "none has the room"
    for base in _bases():
        try:
            if _room_in(base) < needed + SPARE:
                continue
            return PrivateFolder(base)
        except OSError as error:
            reason = error.strerror or type(error).__name__
    raise _no_room(name, f"{reason}; {needed / 2**20:.0f} MB are needed")


def _room_in(base: Path) -> int:
    room = shutil.disk_usage(base).free
    if base == Path("/dev/shm"):  # what is there takes memory: never more than half of what is free
        from LandmarkDetectorLib.io.limits import available_memory

        memory = available_memory()
        return room if memory is None else min(room, memory // 2)
    return room


def _no_room(name: str, reason: str) -> LandmarkDetectorError:
    return LandmarkDetectorError(
        f"{name}: its voxels cannot be handed to the worker, no folder for temporary files takes them ({reason}); "
        "free some space on the disk."
    )


def _plain(dtype: np.dtype) -> np.dtype:
    """The type that they are written in: this machine's own order of bytes, at most 64 bits."""
    return np.dtype(np.float64) if dtype.itemsize > 8 else dtype.newbyteorder("=")


def _pieces(array: np.ndarray, itemsize: int) -> Iterator[np.ndarray]:
    """Parts of an array in the order in which its values stand, each of at most :data:`PIECE` bytes."""
    size = array.size * itemsize
    if size <= PIECE or array.ndim == 0:
        yield array
        return
    at_once = PIECE // max(1, size // len(array))
    if at_once == 0:
        for part in array:
            yield from _pieces(part, itemsize)
    else:
        for start in range(0, len(array), at_once):
            yield array[start : start + at_once]


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
