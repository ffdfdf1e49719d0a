"""Stored DICOM numbers into real values, one frame at a time, so that a volume stands in memory once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pydicom
from pydicom.pixels import iter_pixels

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import itk
from LandmarkDetectorLib.io.dicom_header import Plane, discreet
from LandmarkDetectorLib.io.limits import check_promise
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.notices import notice

_INTEGERS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32)


def read_planes(planes: Sequence[Plane], name: str) -> np.ndarray:
    """The planes' real values (C, Z, Y, X), in the planes' order.

    Values are ``stored · slope + intercept``, integers where these are; MONOCHROME1, where high means dark, is turned
    over so that high means bright.

    Raises:
        ImageError: the pixel data is truncated, or coded in a way that neither pydicom nor ITK reads.
    """
    first = planes[0]
    if first.photometric == "MONOCHROME1":
        notice(f"{name}: its gray scale is inverted (MONOCHROME1); it was turned over, so that high values are bright.")
    colours = 3 if first.samples > 1 or first.photometric == "PALETTE COLOR" else 1
    kind = _type_for(planes)
    check_promise(name, (first.columns, first.rows, len(planes)), colours * kind.itemsize, None)
    volume = np.empty((colours, len(planes), first.rows, first.columns), dtype=kind)
    at = 0
    for _, group in groupby(planes, key=lambda plane: plane.path):
        for values in _values(list(group), volume.dtype):
            values = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
            if values.shape != (colours, first.rows, first.columns):
                raise ImageError(f"{name}: its pixel data has the shape {values.shape}, not that of its header.")
            if not np.can_cast(values.dtype, volume.dtype):
                volume = volume.astype(np.result_type(values.dtype, volume.dtype))
            volume[:, at] = values
            at += 1
    return volume


def _type_for(planes: Sequence[Plane]) -> np.dtype:
    """The smallest number type that holds every real value which the planes can code."""
    first = planes[0]
    if first.samples > 1 or first.photometric == "PALETTE COLOR":
        return np.dtype(np.uint8 if first.bits_allocated <= 8 else np.uint16)
    if any(plane.slope != 1 or plane.intercept != round(plane.intercept) for plane in planes):
        return np.dtype(np.float32)
    if all(plane.intercept == 0 for plane in planes):
        return np.dtype(f"{'i' if first.signed else 'u'}{max(first.bits_allocated // 8, 1)}")
    low = min(plane.stored_range[0] + plane.intercept for plane in planes)
    high = max(plane.stored_range[1] + plane.intercept for plane in planes)
    return next(
        (np.dtype(kind) for kind in _INTEGERS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max),
        np.dtype(np.float64),
    )


def _values(planes: Sequence[Plane], wanted: np.dtype) -> Iterator[np.ndarray]:
    """Real values (Y, X) or (Y, X, 3) of some frames of one file."""
    first = planes[0]
    if first.photometric == "PALETTE COLOR":
        yield from _by_itk(planes)
        return
    try:
        stored = _by_pydicom(planes)
        head = next(stored)
    except (RuntimeError, NotImplementedError):  # what pydicom raises where it has no decoder for the compression
        yield from _by_itk(planes)
        return
    except StopIteration:
        raise ImageError(f"{shown(first.path)}: its pixel data is missing; export it again.") from None
    except Exception:  # as in dicom_header: what a damaged file makes pydicom raise is not a closed list
        raise _damaged(first) from None
    yield _real(head, first, wanted)
    for plane in planes[1:]:
        try:
            frame = next(stored)
        except Exception:  # as above
            raise _damaged(first) from None
        yield _real(frame, plane, wanted)


def _by_pydicom(planes: Sequence[Plane]) -> Iterator[np.ndarray]:
    source: Any = planes[0].path
    if planes[0].deflated:  # pydicom looks for the pixels in the file as it stands, and finds none
        with discreet():
            source = pydicom.dcmread(source)
    frames = iter_pixels(source, indices=[plane.frame for plane in planes])
    while True:
        with discreet():
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _real(stored: np.ndarray, plane: Plane, wanted: np.dtype) -> np.ndarray:
    if stored.ndim == 3:
        return stored
    if stored.dtype.kind == "f":
        return stored * stored.dtype.type(plane.slope) + stored.dtype.type(plane.intercept)
    low, high = plane.stored_range
    exact = plane.slope == 1 and plane.intercept == round(plane.intercept)
    if plane.photometric == "MONOCHROME1":
        stored = (low + high) - stored.astype(np.int64)
    if exact and plane.intercept == 0:
        real = stored
    elif exact:
        real = stored.astype(np.int64) + int(plane.intercept)
    else:
        real = stored * plane.slope + plane.intercept
    if wanted.kind == "f":
        return real.astype(wanted)
    # Some decoders yield values beyond the bits that a file says; they must not wrap around.
    limits = np.iinfo(wanted)
    return real if real.dtype == wanted else real.astype(wanted if _within(real, limits) else np.int64)


def _within(values: np.ndarray, limits: np.iinfo) -> bool:
    return bool(values.min() >= limits.min and values.max() <= limits.max)


def _by_itk(planes: Sequence[Plane]) -> Iterator[np.ndarray]:
    """The same by GDCM: it knows more compressions, and applies slope, intercept, inversion and palette itself."""
    first = planes[0]
    if len({(plane.slope, plane.intercept) for plane in planes}) > 1:
        raise ImageError(f"{shown(first.path)}: its compressed frames differ in rescaling; export it uncompressed.")
    reader = itk.open_reader(first.path, "GDCMImageIO", "DICOM")
    values = itk.array_of(itk.read(reader, first.path))
    values = values.reshape(values.shape[0], -1, first.rows, first.columns)
    for plane in planes:
        if plane.frame >= values.shape[1]:
            raise _damaged(first)
        frame = values[:, plane.frame]
        yield np.moveaxis(frame, 0, -1) if len(frame) > 1 else frame[0]


def _damaged(plane: Plane) -> ImageError:
    return ImageError(f"{shown(plane.path)}: its pixel data is truncated or damaged; copy or export it again.")
