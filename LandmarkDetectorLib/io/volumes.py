"""Volumes with a header: NIfTI, NRRD and MetaImage, read and written by SimpleITK.

ITK's world is LPS, so its origin, spacing and direction are a :class:`Grid`'s own, taken over as they stand.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.io import itk, nifti
from LandmarkDetectorLib.io.atomic import atomic_path
from LandmarkDetectorLib.io.detached import check_beside
from LandmarkDetectorLib.io.images import native
from LandmarkDetectorLib.io.limits import DEFLATE_LIMIT, check_promise
from LandmarkDetectorLib.io.names import shown, suffix_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.scale import scaled

_FORMATS = {
    ".nii": ("NiftiImageIO", "NIfTI"),
    ".nii.gz": ("NiftiImageIO", "NIfTI"),
    ".hdr": ("NiftiImageIO", "NIfTI"),
    ".img": ("NiftiImageIO", "NIfTI"),
    ".nrrd": ("NrrdImageIO", "NRRD"),
    ".nhdr": ("NrrdImageIO", "NRRD"),
    ".mha": ("MetaImageIO", "MetaImage"),
    ".mhd": ("MetaImageIO", "MetaImage"),
}
_LPS_SPACES = ("left-posterior-superior", "LPS")


def read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    """Voxels (C, [Z, ]Y, X) in their own number type, and the grid in mm, or in px where a header gives no voxel size.

    Raises:
        ImageError: the file is not of its suffix's format, is incomplete, has more than three axes, or lies on no
            regular grid.
    """
    name, suffix = shown(path), suffix_of(path)
    image_io, kind = _FORMATS[suffix]
    header, holes, mending = None, np.empty(0, np.int64), False
    if image_io == "NiftiImageIO":
        source = path.with_suffix(".hdr") if suffix == ".img" else path
        if not source.is_file():
            raise ImageError(f"{name}: its header {shown(source)} is missing; put both into one folder.")
        header = nifti.read_header(source)
        if len(header.size) == 4:  # a fifth axis may hold channels, which ITK knows
            _check_axes(header.size, name)
        holes, mending = nifti.check_complete(path, header), header.to_mend
    else:
        check_beside(path, kind, name)
    reader = itk.open_reader(path, image_io, kind, mending)
    _check_axes(reader.GetSize(), name)
    stored, expansion = _stored(path, suffix)
    check_promise(name, reader.GetSize(), itk.voxel_bytes(reader), stored if header is None else None, expansion)
    hint = ", or its data file is missing" if suffix in itk.DETACHED else ""
    image = itk.read(reader, path, hint, mending)
    # More than three axes come out of ITK with the further ones of length 1, or already without them.
    dimension = min(image.GetDimension(), 3)
    array = itk.array_of(image)
    grid = itk.grid_of(image, dimension, name)
    if header is not None:
        grid = nifti.mended(grid, header, name)
        nifti.check_orientation(header, grid, name)
    else:
        grid = scaled(grid, path, kind, name)
        if kind == "NRRD" and image.GetDimension() == 3:
            _check_space(reader, name)
    array = array.reshape(array.shape[:1] + grid.shape) if array.ndim > dimension + 1 else array
    if holes.size:
        array[np.unravel_index(holes, array.shape)] = np.nan
    return array, grid


def write_volume(image: Image, path: Path) -> None:
    """Write a NIfTI, NRRD or MetaImage file, whole or not at all.

    NIfTI stores orientation and origin in single precision; NRRD and MetaImage keep every digit.

    Raises:
        ImageError: an image without physical scale, whose file would say that a pixel is a millimetre.
        LandmarkFileError: the file cannot be written.
    """
    name, suffix = shown(path), suffix_of(path)
    if image.grid.unit != "mm":
        raise ImageError(
            f"{name}: the image has no physical scale, and {_FORMATS[suffix][1]} would call a pixel a millimetre; "
            "give its spacing when you load it, or save it as .npz."
        )
    array = native(image.array)
    if array.dtype == bool:
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    vector = image.channels > 1
    volume = sitk.GetImageFromArray(np.moveaxis(array, 0, -1) if vector else array[0], isVector=vector)
    volume.SetSpacing(image.grid.spacing)
    volume.SetOrigin(image.grid.origin)
    volume.SetDirection(image.grid.direction.ravel())
    write_itk(volume, path, suffix)


def write_itk(volume: sitk.Image, path: Path, suffix: str) -> None:
    """Write an ITK image, whole or not at all; ITK takes the format from the suffix."""
    with atomic_path(path, suffix) as neighbour:
        try:
            with itk.sheltered():
                sitk.WriteImage(volume, str(neighbour), useCompression=True)
        except RuntimeError:
            raise OSError(None, "ITK could not write the values; the disk may be full") from None


def _check_axes(size: tuple[int, ...], name: str) -> None:
    """Refuse time series and more; say aloud where axes of length 1 are left out."""
    if any(length > 1 for length in size[3:]):
        count = {4: "four", 5: "five"}.get(len(size), str(len(size)))
        raise ImageError(
            f"{name}: it has {count} axes, {'×'.join(map(str, size))}; extract one volume and save it as its own file."
        )
    if len(size) > 3:
        left_out = "fourth axis of length 1 was" if len(size) == 4 else "axes beyond the third, of length 1, were"
        notice(f"{name}: its {left_out} left out.")


def _stored(path: Path, suffix: str) -> tuple[int | None, int]:
    """How many bytes hold the values, ``None`` where that is unknown, and how far they may expand."""
    if suffix in itk.DETACHED:
        return None, 1
    with open(path, "rb") as stream:
        start = stream.read(1 << 16)
    encoding = re.search(rb"^encoding:\s*(\w+)", start, re.MULTILINE)
    if suffix == ".nrrd" and encoding and encoding[1].lower() in (b"bzip2", b"bz2"):
        return None, 1
    return path.stat().st_size, DEFLATE_LIMIT


def _check_space(reader: sitk.ImageFileReader, name: str) -> None:
    space = reader.GetMetaData("NRRD_space") if reader.HasMetaDataKey("NRRD_space") else ""
    if space not in _LPS_SPACES:  # ITK turns RAS and LAS into LPS, and says so here
        said = f"says {space!r} for its space" if space else "does not say its space"
        notice(f"{name}: its header {said}; its axes are taken for left, posterior, superior.")
