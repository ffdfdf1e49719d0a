"""From the pixel coordinates of annotation programs to ours: 0 at the first pixel's centre, x right, y down.

A program that draws on a canvas counts from the picture's corner, where its first pixel begins: the centre of that
pixel is then (0.5, 0.5), and half a pixel must go. A program that names pixels means their centres: nothing must go.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from LandmarkDetectorLib.core import LandmarkFileError

ORIGINS = {"corner": 0.5, "centre": 0.0}
"""Where a program has its zero, and what its coordinates exceed ours by."""


def offset_of(origin: str, name: str) -> float:
    """What to take away from coordinates that count from ``origin``.

    Raises:
        LandmarkFileError: an origin that is none of :data:`ORIGINS`.
    """
    if origin not in ORIGINS:
        raise LandmarkFileError(f"{name}: the origin {origin!r} given for it is none of {', '.join(ORIGINS)}.")
    return ORIGINS[origin]


def scale_of(spacing: Sequence[float] | None, name: str) -> tuple[np.ndarray, str]:
    """What pixel coordinates (x, y) must be multiplied with, (2,), and the unit that they then have.

    Args:
        spacing: mm a pixel along x and y, or ``None`` where nobody knows.
        name: of the file, for messages.

    Raises:
        LandmarkFileError: a spacing that is not two positive numbers.
    """
    if spacing is None:
        return np.ones(2), "px"
    steps = np.asarray(spacing, dtype=np.float64)
    if steps.shape != (2,) or not np.all(np.isfinite(steps) & (steps > 0)):
        raise LandmarkFileError(f"{name}: the spacing {spacing!r} given for it must be two positive numbers, in mm.")
    return steps, "mm"


def file_name(said: str) -> str:
    """The name of a picture as an annotation file gives it, without folders of another computer."""
    return PurePosixPath(said.strip().replace("\\", "/")).name


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture, read from its header.

    Raises:
        ImageError: it is missing or no picture.
    """
    from LandmarkDetectorLib.io.pictures import read_size  # SimpleITK, which reading a table must not load

    return read_size(path)


def printed_spacing(path: Path) -> tuple[float, float]:
    """Mm a pixel with which 3D Slicer shows a picture, and saves landmarks on it.

    Raises:
        ImageError: it is missing or no picture.
    """
    from LandmarkDetectorLib.io.pictures import read_printed_spacing  # as above

    return read_printed_spacing(path)
