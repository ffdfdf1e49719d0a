"""The library's image as a volume of the scene, and a volume as the image that a review store knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from .volume_image import TO_LPS, UNIT, image_of_volume


def volume_of_image(scene: Any, image: Any, name: str) -> Any:
    """A new volume with the voxels of an image where they lie; a 2D image becomes a volume of one slice at z = 0.

    Args:
        scene: the ``vtkMRMLScene``.
        image: a ``core.Image`` of any number of channels.
        name: of the node.

    Returns:
        A ``vtkMRMLScalarVolumeNode``, or a ``vtkMRMLVectorVolumeNode`` where there are several channels, with a display
        whose window and level suit the voxels.
    """
    several = image.channels > 1
    node = scene.CreateNodeByClass(f"vtkMRML{'Vector' if several else 'Scalar'}VolumeNode")
    node.UnRegister(None)
    node.SetName(name)
    node.SetIJKToRASMatrix(_ijk_to_ras(image.grid))
    node.SetAndObserveImageData(_image_data(image))
    if several:
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB if image.channels == 3 else node.VoxelVectorTypeUndefined)
    if image.grid.unit == "px":
        node.SetAttribute(UNIT, "px")
    scene.AddNode(node)  # only when it is complete: nobody sees half of it
    node.CreateDefaultDisplayNodes()
    if not several:
        node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        node.GetDisplayNode().SetAutoWindowLevel(1)
    return node


def _ijk_to_ras(grid: Any) -> vtk.vtkMatrix4x4:
    values = np.eye(4)
    axes = [*range(grid.dimension), 3]
    values[np.ix_(axes, axes)] = grid.matrix
    values[:3] *= TO_LPS[:, None]
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(values.ravel().tolist())
    return matrix


def _image_data(image: Any) -> vtk.vtkImageData:
    """A copy of the voxels that VTK owns."""
    array = _for_vtk(image.array)
    data = vtk.vtkImageData()
    data.SetDimensions(*(image.grid.size if image.dimension == 3 else (*image.grid.size, 1)))
    data.AllocateScalars(get_vtk_array_type(array.dtype), image.channels)
    target = vtk_to_numpy(data.GetPointData().GetScalars())
    if image.channels == 1:
        np.copyto(target.reshape(array.shape[1:]), array[0])
    else:
        np.copyto(target.reshape(*array.shape[1:], image.channels), np.moveaxis(array, 0, -1))
    return data


def _for_vtk(array: np.ndarray) -> np.ndarray:
    """The same values in a number type that Slicer draws; 64-bit integers as double."""
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array.astype(np.float64) if array.dtype.kind in "iu" and array.dtype.itemsize == 8 else array


def image_for_store(volume: Any) -> tuple[Any, Path | None]:
    """A volume as the ``core.Image`` by which a review store knows it, and its file where that is still there.

    A store knows an image by its voxels and its grid. So that a picture is the same case whoever adds it, it is in two
    dimensions where the library reads it so from its file.

    Raises:
        ImageError: the volume holds no image.
    """
    image = image_of_volume(volume)
    file = _file_of(volume)
    if image.grid.size[2] != 1:
        return image, file
    if file is None:
        return _flat(image), None
    from LandmarkDetectorLib.core import LandmarkDetectorError
    from LandmarkDetectorLib.io import load_image

    try:
        read = load_image(file)
    except LandmarkDetectorError:
        return _flat(image), None
    own = image if read.dimension == 3 else _flat(image)
    same = own.grid.same_as(read.grid) and own.array.shape[1:] == read.array.shape[1:]
    if same and np.array_equal(own.array[0], read.array[0]):
        return read, file
    return own, None  # somebody changed it in the scene, its voxel size for one


def _file_of(volume: Any) -> Path | None:
    storage = volume.GetStorageNode()
    if storage is None or storage.GetNumberOfFileNames() > 1:
        return None  # of a series one file is not the image
    name = storage.GetFullNameFromFileName()
    return Path(name) if name and Path(name).is_file() else None


def _flat(image: Any) -> Any:
    """An image of one slice that lies at z = 0 in two dimensions; any other as it is."""
    from LandmarkDetectorLib.core import Grid, Image

    grid = image.grid
    direction = np.asarray(grid.direction)
    if abs(grid.origin[2]) > 1e-6 or not np.allclose(direction[2], (0, 0, 1), atol=1e-6):
        return image
    plane = Grid(grid.size[:2], grid.spacing[:2], grid.origin[:2], direction[:2, :2], grid.unit)
    return Image(image.array[:, 0], plane, image.name)
