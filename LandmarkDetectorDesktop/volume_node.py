"""The library's image as a volume node of the scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

if TYPE_CHECKING:
    from LandmarkDetectorLib.core import Image

UNIT_ATTRIBUTE = "LandmarkDetector.unit"
"""On volumes whose file says no voxel size: ``px``."""

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def add_volume(scene: Any, image: Image, path: Path | None = None) -> Any:
    """Add an image to a scene, voxel for voxel where it lies; a 2D image becomes a volume of one slice.

    Args:
        scene: the ``vtkMRMLScene``.
        image: what to show, of any number of channels.
        path: the file, or the folder with a DICOM series, that it was read from, which the volume's storage remembers
            as Slicer's does.

    Returns:
        A ``vtkMRMLScalarVolumeNode``, or a ``vtkMRMLVectorVolumeNode`` where there are several channels, with a display
        whose window and level suit the voxels.
    """
    kind = "Scalar" if image.channels == 1 else "Vector"
    node = slicer.mrmlScene.CreateNodeByClass(f"vtkMRML{kind}VolumeNode")
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(image.name))
    node.SetIJKToRASMatrix(_ijk_to_ras(image))
    node.SetAndObserveImageData(_image_data(image))
    if kind == "Vector":
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB if image.channels == 3 else node.VoxelVectorTypeUndefined)
    if image.grid.unit == "px":
        node.SetAttribute(UNIT_ATTRIBUTE, "px")
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if kind == "Scalar":
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        display.SetAutoWindowLevel(1)
    if path is not None:
        _remember(node, path)
    return node


def _remember(node: Any, path: Path) -> None:
    """Note in the storage which files it was read from; a scene that is saved forgets those of a series."""
    files = [path]
    if path.is_dir():
        from LandmarkDetectorLib.io.dicom_source import series_files

        files = series_files(path)
    node.AddDefaultStorageNode(str(files[0]))
    storage = node.GetStorageNode()
    storage.SetFileName(str(files[0]))
    for file in files if len(files) > 1 else ():
        storage.AddFileName(str(file))


def _ijk_to_ras(image: Image) -> vtk.vtkMatrix4x4:
    lps = np.eye(4)
    dimension = image.grid.dimension
    axes = [*range(dimension), 3]
    lps[np.ix_(axes, axes)] = image.grid.matrix
    ras = _TO_RAS @ lps
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(ras.ravel().tolist())
    return matrix


def _image_data(image: Image) -> vtk.vtkImageData:
    """A copy of the voxels that VTK owns."""
    array = _for_vtk(image.array)
    data = vtk.vtkImageData()
    size = image.grid.size if image.dimension == 3 else (*image.grid.size, 1)
    data.SetDimensions(*size)
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


def is_picture(node: Any) -> bool:
    """Whether a volume has one slice only."""
    data = node.GetImageData()
    return data is not None and min(data.GetDimensions()) == 1


def plane_of(node: Any) -> str:
    """The slice view whose plane a volume of one slice lies in, or nearly so: Red, Yellow or Green."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(matrix)
    thin = int(np.argmin(node.GetImageData().GetDimensions()))
    normal = [abs(matrix.GetElement(row, thin)) for row in range(3)]
    return ("Yellow", "Green", "Red")[int(np.argmax(normal))]
