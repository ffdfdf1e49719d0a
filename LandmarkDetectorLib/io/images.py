"""Files into images, and images into files.

The formats' readers stand beside this file and are imported when a file of theirs is met, so that importing the room
costs nothing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.io.names import looks_like, shown, stem_of, suffix_of
from LandmarkDetectorLib.io.notices import notice

_Read = tuple[np.ndarray, Grid]
_SPACING_TOLERANCE = 1e-4  # relative; headers in single precision, and people who round


def load_image(
    path: str | os.PathLike[str], *, spacing: Sequence[float] | None = None, series: str | None = None
) -> Image:
    """Read an image: NIfTI, NRRD, MetaImage, DICOM, PNG, JPEG, BMP, TIFF or NumPy, told apart by suffix.

    Origin, spacing and direction are the file's own, in LPS mm. Voxels keep their number type and stand in memory once;
    colours come as channels. Pictures, bare arrays and volumes whose header gives no voxel size have no physical scale,
    whatever resolution a picture claims for printing: their unit is ``px`` unless ``spacing`` is given. Values that are
    not finite become the lowest finite one. Whatever is mended or assumed is said by a
    :class:`LandmarkDetectorWarning`.

    Args:
        path: a file, or the folder of one DICOM series.
        spacing: distances between voxel centres along x, y[, z] in mm, for files that do not say.
        series: the SeriesInstanceUID to read, for a folder that holds several.

    Returns:
        The image, called by the file's stem or the folder's name.

    Raises:
        ImageError: the file is missing, unknown, incomplete, too large, of four axes or more, empty, not to be read as
            it is stored, or on no regular grid; the folder holds none or several series, or one with missing slices; or
            ``spacing`` contradicts the header.
    """
    path = Path(path)
    name = shown(path)
    spacing = None if spacing is None else _checked_spacing(spacing, name)
    if not _exists(path, name):
        raise ImageError(f"{name}: there is no such file or folder; check the path.")
    if path.is_dir():
        stem, (array, grid) = name, _read_dicom_folder(path, series)
    else:
        suffix, reader = _format_of(path, name)
        stem, (array, grid) = stem_of(path, suffix), reader(path, spacing)
    if spacing is not None:
        grid = _scaled(grid, spacing, name)
    return Image(mended(native(array), name), grid, stem)


def load_scaled(path: Path, spacing: tuple[float, ...] | None, series: str | None = None) -> Image:
    """As :func:`load_image`, where a spacing of one number is that of all axes, however many the image has.

    Raises:
        ImageError: as :func:`load_image` says.
    """
    return load_image(path, spacing=spacing_of_axes(path, spacing, series), series=series)


def spacing_of_axes(
    path: Path, spacing: tuple[float, ...] | None, series: str | None = None
) -> tuple[float, ...] | None:
    """A spacing for each axis of an image, where one number is that of all; the image is read then.

    Raises:
        ImageError: as :func:`load_image` says.
    """
    if spacing is None or len(spacing) != 1:
        return spacing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again with the second reading
        return spacing * load_image(path, series=series).dimension


def image_suffixes() -> frozenset[str]:
    """The suffixes of files that :func:`load_image` reads, in lower case; DICOM files may have others, or none."""
    return frozenset(_readers)


def save_image(image: Image, path: str | os.PathLike[str]) -> None:
    """Write an image with its geometry, whole or not at all.

    Args:
        image: what to write; ``px`` images go to PNG or NPZ only, since the other formats mean millimetres.
        path: ends in .nii, .nii.gz, .nrrd, .mha, .png (2D, 8 or 16 bit, no physical scale) or .npz.

    Raises:
        ImageError: the format is unknown or cannot hold the image.
        LandmarkFileError: the file cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in _writers:
        raise ImageError(f"{shown(path)}: images are written as {', '.join(_writers)}; choose one of these suffixes.")
    _writers[suffix](image, path)


def _read_volume(path: Path, spacing: Sequence[float] | None) -> _Read:
    from LandmarkDetectorLib.io.volumes import read_volume

    return read_volume(path)


def _read_picture(path: Path, spacing: Sequence[float] | None) -> _Read:
    from LandmarkDetectorLib.io.pictures import read_picture

    return read_picture(path)


def _read_array(path: Path, spacing: Sequence[float] | None) -> _Read:
    from LandmarkDetectorLib.io.arrays import read_array

    return read_array(path, spacing)


def _read_dicom(path: Path, spacing: Sequence[float] | None) -> _Read:
    from LandmarkDetectorLib.io.dicom import read_file

    return read_file(path)


def _read_dicom_folder(path: Path, series: str | None) -> _Read:
    from LandmarkDetectorLib.io.dicom import read_folder

    return read_folder(path, series)


def _write_volume(image: Image, path: Path) -> None:
    from LandmarkDetectorLib.io.volumes import write_volume

    write_volume(image, path)


def _write_picture(image: Image, path: Path) -> None:
    from LandmarkDetectorLib.io.pictures import write_picture

    write_picture(image, path)


def _write_array(image: Image, path: Path) -> None:
    from LandmarkDetectorLib.io.arrays import write_array

    write_array(image, path)


_Reader = Callable[[Path, Sequence[float] | None], _Read]

_readers: dict[str, _Reader] = {
    **dict.fromkeys((".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img"), _read_volume),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"), _read_picture),
    **dict.fromkeys((".npy", ".npz"), _read_array),
    **dict.fromkeys((".dcm", ".dicom", ".ima"), _read_dicom),
}
_writers: dict[str, Callable[[Image, Path], None]] = {
    **dict.fromkeys((".nii", ".nii.gz", ".nrrd", ".mha"), _write_volume),
    ".png": _write_picture,
    ".npz": _write_array,
}


def _exists(path: Path, name: str) -> bool:
    try:
        if "\0" in os.fspath(path).encode("utf-8").decode():  # ITK takes no names but UTF-8
            raise ValueError("null character")
        return path.exists()
    except (OSError, ValueError):
        raise ImageError(f"{name}: the system cannot open a file of this name; rename it.") from None


def _format_of(path: Path, name: str) -> tuple[str, _Reader]:
    """The suffix, and what reads it; DICOM files often have none, or the end of a number that belongs to the name."""
    suffix = suffix_of(path)
    try:
        with open(path, "rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise ImageError(f"{name}: it cannot be opened ({error.strerror}); check its permissions.") from None
    if not start:
        raise ImageError(f"{name}: the file is empty; copy it again from its source.")
    if suffix in _readers:
        return suffix, _readers[suffix]
    if looks_like(start) == "DICOM":
        return "", _read_dicom
    raise ImageError(f"{name}: the suffix {suffix!r} is none of an image's: {', '.join(_readers)}.")


def _checked_spacing(spacing: Sequence[float], name: str) -> tuple[float, ...]:
    try:
        steps = tuple(float(step) for step in spacing)
    except (TypeError, ValueError):
        steps = ()
    if len(steps) not in (2, 3) or not all(np.isfinite(step) and step > 0 for step in steps):
        raise ImageError(f"{name}: the spacing {spacing!r} given for it must be two or three positive numbers.")
    return steps


def _scaled(grid: Grid, spacing: tuple[float, ...], name: str) -> Grid:
    """The grid with a spacing that somebody gave, unless the file says otherwise."""
    if len(spacing) != grid.dimension:
        raise ImageError(f"{name}: the spacing {spacing} given for it does not fit its {grid.dimension} axes.")
    if grid.unit == "px":
        return replace(grid, spacing=spacing, unit="mm")
    if not np.allclose(spacing, grid.spacing, rtol=_SPACING_TOLERANCE, atol=0):
        raise ImageError(
            f"{name}: the spacing {spacing} given for it contradicts its header, which says {grid.spacing}; "
            "leave the spacing out, or mend the header."
        )
    return grid


def native(array: np.ndarray) -> np.ndarray:
    """The same values in a number type of this machine, of at most 64 bits; a copy only where they are not."""
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def mended(array: np.ndarray, name: str) -> np.ndarray:
    """The array with finite values only, and a notice of what was not; in place unless it is read-only."""
    if array.size == 0:
        raise ImageError(f"{name}: the image is empty; its size is {array.shape}.")
    lowest, highest = array.min(), array.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        finite = np.isfinite(array)
        count = int(array.size - np.count_nonzero(finite))
        if count == array.size:
            raise ImageError(f"{name}: no voxel holds a finite number; export the image again.")
        lowest, highest = array.min(where=finite, initial=np.inf), array.max(where=finite, initial=-np.inf)
        if not array.flags.writeable:
            array = array.copy()
        np.copyto(array, lowest, where=~finite)
        notice(f"{name}: {count} voxels were not finite numbers and took the lowest finite value, {float(lowest):g}.")
    if lowest == highest:
        notice(f"{name}: every voxel has the value {float(lowest):g}; there is nothing to be found in it.")
    return array
