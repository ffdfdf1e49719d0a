"""The library's image as a volume of the scene, and a volume as the image that a review store knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from .volume_image import TO_LPS, UNIT, image_of_volume


def volume_of_image(scene: Any, image: Any, name: str) -> Any:
    """A new volume node with the voxels of a ``core.Image`` where they lie; a 2D image is one slice at z = 0."""
    array, grid = image.array, image.grid
    axes, origin = np.eye(3), np.zeros(3)
    count = grid.dimension
    axes[:count, :count] = np.asarray(grid.direction) * np.asarray(grid.spacing)
    origin[:count] = grid.origin
    if count == 2:
        array = array[:, None]
    several = image.channels > 1
    volume = scene.AddNewNodeByClass(f"vtkMRML{'Vector' if several else 'Scalar'}VolumeNode", name)
    voxels = np.moveaxis(array, 0, -1) if several else array[0]
    slicer.util.updateVolumeFromArray(volume, np.ascontiguousarray(voxels))
    matrix = vtk.vtkMatrix4x4()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, TO_LPS[row] * axes[row, column])
        matrix.SetElement(row, 3, TO_LPS[row] * origin[row])
    volume.SetIJKToRASMatrix(matrix)
    volume.SetAttribute(UNIT, grid.unit)
    volume.CreateDefaultDisplayNodes()
    return volume


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
