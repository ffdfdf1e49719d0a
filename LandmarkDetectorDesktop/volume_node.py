"""Volumes of the desktop's scene: an image that is opened, and how a picture lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import vtk

from LandmarkDetector.Scene.dicom_source import remember_files
from LandmarkDetector.Scene.image_volume import volume_of_image

if TYPE_CHECKING:
    from LandmarkDetectorLib.core import Image


def add_volume(scene: Any, image: Image, path: Path | None = None) -> Any:
    """Add an image to a scene, voxel for voxel where it lies.

    Args:
        scene: the ``vtkMRMLScene``.
        image: what to show.
        path: the file, or the folder with a DICOM series, that it was read from, which the volume's storage remembers
            as Slicer's does.

    Returns:
        As :func:`~LandmarkDetector.Scene.image_volume.volume_of_image`.
    """
    node = volume_of_image(scene, image, scene.GenerateUniqueName(image.name))
    if path is not None and path.is_dir():
        from LandmarkDetectorLib.io.dicom_source import series_files

        remember_files(node, series_files(path))
    elif path is not None:
        remember_files(node, [path])
    return node


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
