"""Volumes of the desktop's scene: an image that is opened, how a picture lies, and how large its pixels are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import vtk

from LandmarkDetector.Scene.dicom_source import remember_files
from LandmarkDetector.Scene.image_volume import volume_of_image
from LandmarkDetector.Scene.result import is_result, volume_of
from LandmarkDetector.Scene.volume_image import UNIT, image_of_volume
from LandmarkDetectorLib.core import ImageError

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


def pixel_size_of(node: Any) -> float | None:
    """The pixel size in mm that a person gave a picture whose file says none; ``None`` where nobody has yet.

    Raises:
        ImageError: nothing may be given, since the file says it itself, or landmarks lie on the picture already.
    """
    if node is None:
        raise ImageError("No picture is shown; open one first.")
    name, given = node.GetName(), node.GetAttribute(UNIT) == "mm"
    if not given and image_of_volume(node).grid.unit != "px":
        x, y, _ = node.GetSpacing()
        raise ImageError(f"{name} says its own scale, {x:.4g} × {y:.4g} mm; nothing needs to be given.")
    if any(volume_of(each) is node for each in _results(node.GetScene())):
        raise ImageError(
            f"{name} has landmarks, which lie where its pixels are now; delete them or close the scene, and give the "
            "pixel size before you detect."
        )
    return float(node.GetSpacing()[0]) if given else None


def set_pixel_size(node: Any, size: float) -> None:
    """Say how large the pixels of a picture are, in mm along both axes; see :func:`pixel_size_of`."""
    pixel_size_of(node)
    folded = node.StartModify()
    node.SetAttribute(UNIT, "mm")
    node.SetSpacing(size, size, size)
    node.EndModify(folded)


def _results(scene: Any) -> list[Any]:
    kind = "vtkMRMLMarkupsFiducialNode"
    nodes = [scene.GetNthNodeByClass(i, kind) for i in range(scene.GetNumberOfNodesByClass(kind))]
    return [node for node in nodes if is_result(node)]
