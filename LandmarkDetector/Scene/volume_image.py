"""A volume of the scene as the library's image."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

TO_LPS = np.array([-1.0, -1.0, 1.0])
"""MRML's world is RAS; multiplied with this it is LPS, and the other way round."""

UNIT = "LandmarkDetector.unit"
"""Attribute of a volume that was made of an image of the library: ``px`` where that says no voxel size, or ``mm``."""

PICTURE = "LandmarkDetector.picture"
"""Attribute of a picture whose file was forgotten: what that was called, without its folder."""

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def image_of_volume(node: Any, channels: int | None = None) -> Any:
    """The voxels and the geometry of a volume node, in the volume's own coordinates.

    The parent transform is left out: landmarks are found where the volume stands by itself, and the result observes the
    same transform. The voxels are looked at, not copied, unless some of them are not finite numbers; they are valid
    for as long as the volume's voxels are not replaced.

    Args:
        node: a ``vtkMRMLScalarVolumeNode`` or ``vtkMRMLVectorVolumeNode``.
        channels: how many the bundle asks for. A picture whose colours are all gray is taken as one channel where one
            is asked for; without saying, only those that a file of a gray palette became.

    Returns:
        ``core.Image``, (C, Z, Y, X), three-dimensional even for one slice, in LPS; in ``px`` where the volume is a
        picture that nobody gave a voxel size.

    Raises:
        ImageError: no volume, no voxels, voxels that stand on no regular grid, or a picture with the voxel size that it
            claims for printing (see :mod:`.printed`).
    """
    from LandmarkDetectorLib.core import Grid, Image, ImageError
    from LandmarkDetectorLib.io.images import mended

    if node is None:
        raise ImageError("No volume is chosen; load one and choose it.")
    name = node.GetName() or "volume"
    if not node.IsA("vtkMRMLVolumeNode"):
        raise ImageError(f"{name}: it is no volume; choose a volume.")
    data = node.GetImageData()
    scalars = None if data is None else data.GetPointData().GetScalars()
    if scalars is None or data.GetNumberOfPoints() == 0:
        raise ImageError(f"{name}: the volume holds no voxels; load it again.")
    size = data.GetDimensions()
    array = vtk_to_numpy(scalars)
    if array.dtype.kind not in "buif":
        raise ImageError(f"{name}: values of type {array.dtype} are not real numbers; convert the volume.")
    array = np.moveaxis(array.reshape(*size[::-1], -1), -1, 0)
    spacing, origin, direction = _geometry(node, data.GetExtent()[::2])
    suffix = _picture_suffix(node)
    if suffix and len(array) in (2, 4):
        array = array[:-1]  # transparency, which Slicer reads as a channel
    if len(array) == 3 and (channels == 1 or (channels is None and suffix == ".bmp")):
        array = _gray(array)
    unit = "px" if has_no_scale(node) else "mm"
    if unit == "px" and not counts_pixels(node):
        raise ImageError(
            f"{name}: its voxel size of {spacing[0]:.4g} mm is what the file claims for printing; enter 1 mm for "
            "pixels, or their true size, under Image Spacing in Volumes > Volume Information."
        )
    try:
        grid = Grid(size, spacing, origin, direction, unit)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    array = array.view()
    array.setflags(write=False)  # the scene's own voxels: whoever must change them takes a copy
    return Image(mended(array, name), grid, name)


def contents_of(node: Any) -> tuple[Any, ...]:
    """What is equal as long as the volume holds the same voxels at the same places of its own coordinates."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    data = node.GetImageData()
    scalars = None if data is None else data.GetPointData().GetScalars()
    age = 0 if scalars is None else scalars.GetMTime()  # no two objects have the same
    return age, *(matrix.GetElement(row, column) for row in range(4) for column in range(4))


def _geometry(node: Any, first: tuple[int, ...]) -> tuple[tuple[float, ...], tuple[float, ...], np.ndarray]:
    """Spacing, LPS position of the first voxel (whose IJK is ``first``) and direction cosines."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    to_ras = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    axes = TO_LPS[:, None] * to_ras[:3, :3]
    origin = TO_LPS * (to_ras @ [*first, 1.0])[:3]
    spacing = np.linalg.norm(axes, axis=0)
    direction = np.divide(axes, spacing, out=np.zeros_like(axes), where=spacing > 0)
    return tuple(spacing.tolist()), tuple(origin.tolist()), direction


def _gray(array: np.ndarray) -> np.ndarray:
    """The first channel where all three are the same, else all."""
    same = np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2])
    return array[:1] if same else array


def _picture_suffix(node: Any) -> str:
    """Of the file of PNG and its like that a volume was read from; empty for any other."""
    storage = node.GetStorageNode()
    known = node.GetAttribute(PICTURE) if storage is None else storage.GetFileName()
    suffix = os.path.splitext(known or "")[1].lower()
    return suffix if suffix in _PICTURES else ""


def has_no_scale(node: Any) -> bool:
    """Whether the voxel size is still the one that came with a picture, which speaks of printing and not of a patient.

    Where somebody entered another one in the scene, that is in millimetres.
    """
    known, storage = node.GetAttribute(UNIT), node.GetStorageNode()
    if known == "mm" or (known is None and not _picture_suffix(node)):
        return False
    if counts_pixels(node) or known == "px" or storage is None:
        return counts_pixels(node)
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(storage.GetFileName())
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False  # the file has gone, so the scene is all there is to be believed
    return bool(np.allclose(node.GetSpacing()[:2], reader.GetSpacing()[:2], rtol=1e-5))


def counts_pixels(node: Any) -> bool:
    """Whether a voxel is 1 wide and high, as of a picture in pixels."""
    return np.allclose(node.GetSpacing()[:2], 1.0, rtol=1e-6)
