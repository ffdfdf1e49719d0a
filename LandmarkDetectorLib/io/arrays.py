"""NumPy files: bare arrays (``.npy``), and arrays with their geometry (``.npz``)."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.limits import check_promise
from LandmarkDetectorLib.io.names import shown, suffix_of

_UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
)
_GEOMETRY = ("spacing", "origin", "direction", "unit")


def read_array(path: Path, spacing: Sequence[float] | None = None) -> tuple[np.ndarray, Grid]:
    """Values (C, [Z, ]Y, X) and their grid.

    Args:
        path: a ``.npy`` file, or a ``.npz`` file with one array beside ``spacing``, ``origin`` (x, y[, z]),
            ``direction`` (d×d) and ``unit``, each of which may be absent. Spacing without a unit is in mm; without
            spacing the unit is px.
        spacing: tells how many axes are spatial. An array has these and no others, or a channel axis before them;
            without any spacing two or three axes are taken for [z, ]y, x.

    Raises:
        ImageError: no such array, an array of something else than real numbers, or one that does not fit the spacing.
    """
    name = shown(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's advice on old headers is for programmers
            held = _load_npy(path) if suffix_of(path) == ".npy" else _load_npz(path)
    except _UNREADABLE:
        raise ImageError(
            f"{name}: it cannot be read as a NumPy file of numbers; check that it is whole and holds no Python objects."
        ) from None
    array = held.pop("array")
    return _placed(array, held, spacing, name)


def write_array(image: Image, path: Path) -> None:
    """Write a ``.npz`` file with ``array`` (C, [Z, ]Y, X), ``spacing``, ``origin``, ``direction`` and ``unit``.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    grid = image.grid
    with atomic_write(path) as stream:
        np.savez_compressed(
            stream,
            array=image.array,
            spacing=np.array(grid.spacing),
            origin=np.array(grid.origin),
            direction=grid.direction,
            unit=np.array(grid.unit),
        )


def _load_npy(path: Path) -> dict[str, np.ndarray]:
    # Mapped first: the header then speaks before memory is asked for.
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    check_promise(shown(path), mapped.shape, mapped.dtype.itemsize, path.stat().st_size)
    del mapped
    return {"array": np.load(path, allow_pickle=False)}


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    name = shown(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            check_promise(name, (member.file_size,), 1, None)
    with np.load(path, allow_pickle=False) as archive:
        names = [key for key in archive.files if key not in _GEOMETRY]
        chosen = next((key for key in ("array", "image") if key in names), names[0] if len(names) == 1 else None)
        if chosen is None:
            raise ImageError(
                f"{name}: it holds the arrays {', '.join(sorted(names)) or 'none'}; call the image's array 'array'."
            )
        return {"array": archive[chosen], **{key: archive[key] for key in _GEOMETRY if key in archive.files}}


def _placed(
    array: np.ndarray, geometry: dict[str, Any], spacing: Sequence[float] | None, name: str
) -> tuple[np.ndarray, Grid]:
    if array.dtype.kind not in "buif":
        raise ImageError(f"{name}: its values are of type {array.dtype}, not real numbers.")
    steps = geometry.get("spacing", spacing)
    steps = None if steps is None else np.atleast_1d(np.asarray(steps, dtype=np.float64))
    dimension = array.ndim if steps is None else int(steps.size)
    if steps is not None and array.ndim not in (dimension, dimension + 1):
        raise ImageError(
            f"{name}: an array of {array.ndim} axes does not fit a spacing of {dimension} numbers; "
            "its axes must be [z, ]y, x, with a channel axis before them or none."
        )
    if dimension not in (2, 3):
        raise ImageError(
            f"{name}: an array of {array.ndim} axes is no 2D or 3D image; extract one volume, "
            "or give the spacing of its spatial axes where the first axis holds channels."
        )
    array = array[None] if array.ndim == dimension else array
    unit = str(geometry.get("unit", "px" if "spacing" not in geometry else "mm"))
    try:
        grid = Grid(
            array.shape[:0:-1],
            tuple(steps) if steps is not None and "spacing" in geometry else (1.0,) * dimension,
            tuple(np.asarray(geometry.get("origin", np.zeros(dimension)), dtype=np.float64).ravel()),
            np.asarray(geometry.get("direction", np.eye(dimension)), dtype=np.float64),
            unit,
        )
    except (ImageError, ValueError, TypeError) as error:
        known = isinstance(error, ImageError)
        reason = error if known else "its spacing, origin or direction do not fit it; mend them."
        raise ImageError(f"{name}: {reason}") from None
    return array, grid
