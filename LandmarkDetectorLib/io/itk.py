"""What the readers share of SimpleITK: opening, explaining, and taking the array without a second copy."""

from __future__ import annotations

import locale
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.io.directions import orthonormal
from LandmarkDetectorLib.io.names import looks_like, shown, suffix_of

DETACHED = (".nhdr", ".mhd")
"""Headers whose values stand in another file."""

_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"

_turn = threading.Condition()
_readers = 0
_alone = False
_kept_stderr: int | None = None
_kept_region: str | None = None
_kept_permission: str | None = None


@contextmanager
def sheltered(mending: bool = False) -> Iterator[None]:
    """Let ITK work with decimal points, and keep its complaints, file paths among them, off the error stream.

    ITK's format libraries read and write a header's numbers by the region of the process, which a Qt program may have
    set to decimal commas. And they write to file descriptor 2 themselves, past Python and past ITK's own switch. Both
    belong to the whole process, so they are turned away while a file is open and turned back by the last thread.

    Args:
        mending: let ITK take a NIfTI sform that is not orthonormal. It asks the process's environment whether it may,
            so a thread that lets it works alone.
    """
    global _readers, _alone, _kept_stderr, _kept_region, _kept_permission
    with _turn:
        _turn.wait_for(lambda: not _alone and not (mending and _readers))
        _alone = mending
        _readers += 1
        if _readers == 1:
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            _kept_stderr, _kept_permission = _turn_away(), os.environ.get(_PERMISSIVE)
            os.environ[_PERMISSIVE] = "YES" if mending else "NO"
            if locale.localeconv()["decimal_point"] != ".":
                _kept_region = locale.setlocale(locale.LC_NUMERIC)
                locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        with _turn:
            _readers -= 1
            _alone = False
            if _readers == 0:
                _turn_back()
            _turn.notify_all()


def _turn_away() -> int | None:
    try:
        kept = os.dup(2)
    except OSError:  # a program without a console has no such descriptor
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept


def _turn_back() -> None:
    global _kept_stderr, _kept_region
    if _kept_stderr is not None:
        os.dup2(_kept_stderr, 2)
        os.close(_kept_stderr)
        _kept_stderr = None
    if _kept_region is not None:
        locale.setlocale(locale.LC_NUMERIC, _kept_region)
        _kept_region = None
    os.environ.pop(_PERMISSIVE, None)
    if _kept_permission is not None:
        os.environ[_PERMISSIVE] = _kept_permission


def check_kind(path: Path, kind: str) -> None:
    """Refuse a picture that begins as one of another format, which some of ITK's readers only find damaged.

    Raises:
        ImageError: with the format that its content looks like.
    """
    content = _content(path)
    if content not in (None, kind, "DICOM"):  # a picture may be DICOM as well, whose mark stands further on
        raise _not_readable(shown(path), kind, content)


def open_reader(path: Path, image_io: str, kind: str, mending: bool = False) -> sitk.ImageFileReader:
    """A reader that knows the file's header and none of its voxels yet.

    Args:
        path: the file.
        image_io: ITK's reader for the format; no other is tried, since a suffix is a promise.
        kind: the format in words, for messages.
        mending: whether ITK may take a NIfTI sform that is not orthonormal.

    Raises:
        ImageError: the header is not of this format, or describes no grid of voxels.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        with sheltered(mending):
            reader.ReadImageInformation()
    except (RuntimeError, UnicodeDecodeError) as error:  # some of ITK's complaints repeat the file's bytes
        raise _explained(str(error), path, kind) from None
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise ImageError(f"{shown(path)}: its values are complex numbers; save their magnitude and read that.")
    return reader


def voxel_bytes(reader: sitk.ImageFileReader) -> int:
    """Bytes that one voxel takes in memory, all channels together."""
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    return (int(bits[1]) // 8 if bits else 8) * int(reader.GetNumberOfComponents())


def read(reader: sitk.ImageFileReader, path: Path, hint: str = "", mending: bool = False) -> sitk.Image:
    """The whole image.

    Raises:
        ImageError: the voxels cannot be read, or the memory does not suffice.
    """
    try:
        with sheltered(mending):
            return reader.Execute()
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or re.search(r"alloc|memory", str(error), re.IGNORECASE):
            raise ImageError(f"{shown(path)}: there is too little memory for it; crop or resample the image.") from None
        if re.search(r"direction|spacing", str(error), re.IGNORECASE):
            raise _explained(str(error), path, "an image") from None
        raise ImageError(
            f"{shown(path)}: its voxel values cannot be read, for the file is truncated or damaged{hint}; "
            "copy it again from its source."
        ) from None


class _Held:
    """Lends an image's buffer to NumPy, and keeps the image for as long as an array looks at it."""

    def __init__(self, image: sitk.Image) -> None:
        interface = dict(sitk.GetArrayViewFromImage(image).__array_interface__)
        interface["data"] = (interface["data"][0], False)  # nobody else has the image, so it may be written to
        self.__array_interface__ = interface
        self.image = image


def array_of(image: sitk.Image) -> np.ndarray:
    """The voxels (C, [Z, ]Y, X) of an image that the caller gives away; the buffer is shared, not copied."""
    array = np.asarray(_Held(image))
    return np.moveaxis(array, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else array[None]


def grid_of(image: sitk.Image, dimension: int, name: str) -> Grid:
    """The grid of an image's first ``dimension`` axes, in mm; directions that were rounded are mended aloud.

    Raises:
        ImageError: axes that are not orthogonal, or a voxel size that is not positive.
    """
    axes = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(axes, axes)[:dimension, :dimension]
    parts = (image.GetSize(), image.GetSpacing(), image.GetOrigin())
    size, spacing, origin = (tuple(part[:dimension]) for part in parts)
    try:
        return Grid(size, spacing, origin, orthonormal(direction, name))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None


def _explained(message: str, path: Path, kind: str) -> ImageError:
    name = shown(path)
    if re.search(r"orthonormal|bad direction", message, re.IGNORECASE):
        return ImageError(
            f"{name}: its orientation is sheared or singular, so its voxels stand on no regular grid; "
            "resample it to orthogonal axes first."
        )
    if re.search(r"spacing", message, re.IGNORECASE):
        return ImageError(f"{name}: its voxel size is zero or not a number; mend the image's header.")
    content = _content(path)
    if content == kind:
        cause = ", or its data file is missing" if suffix_of(path) in DETACHED else ""
        return ImageError(f"{name}: its {kind} header is truncated or damaged{cause}; copy it again from its source.")
    return _not_readable(name, kind, content)


def _not_readable(name: str, kind: str, content: str | None) -> ImageError:
    found = f" (its content looks like {content})" if content else ""
    return ImageError(f"{name}: it is not readable as {kind}{found}; check that it is whole and has the right suffix.")


def _content(path: Path) -> str | None:
    with open(path, "rb") as stream:
        return looks_like(stream.read(132))
