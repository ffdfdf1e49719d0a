"""Pictures that 3D Slicer shows with the size for printing that JPEG and TIFF claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from LandmarkDetector.Scene.printed import bears_points, count_pixels, is_printed
from LandmarkDetector.Scene.result import create_result
from LandmarkDetector.Scene.volume_image import image_of_volume
from LandmarkDetectorLib.core import Grid, ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_image
from Testing.scene.nodes import add_volume


@pytest.fixture
def printed(scene: Any, tmp_path: Path) -> Any:
    """A photograph of 72 dpi as Slicer makes a volume of it; slicer-core itself has no reader for them."""
    image = sitk.GetImageFromArray(np.arange(63, dtype=np.uint8).reshape(7, 9))
    image.SetSpacing((25.4 / 72, 25.4 / 72))
    sitk.WriteImage(image, str(tmp_path / "a.jpg"))
    read = sitk.ReadImage(str(tmp_path / "a.jpg"))
    grid = Grid((9, 7, 1), (*read.GetSpacing(), 1.0), (0.0, 0.0, 0.0), np.eye(3))
    node = add_volume(scene, grid, sitk.GetArrayFromImage(read)[None, None], "a")
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "a.jpg"))
    return node


def test_nothing_is_found_or_measured_in_the_size_for_printing(printed):
    assert is_printed(printed)
    with pytest.raises(ImageError, match=r"a: its voxel size of 0.352\d mm is what the file claims .* enter 1 mm for"):
        image_of_volume(printed)
    printed.SetSpacing(0.2, 0.2, 1.0)
    assert not is_printed(printed) and image_of_volume(printed).grid.unit == "mm"


def test_it_counts_pixels_as_the_library_does_and_is_saved_so(printed, scene, tmp_path):
    storages = scene.GetNumberOfNodesByClass("vtkMRMLStorageNode")
    count_pixels(printed)
    image, read = image_of_volume(printed), load_image(tmp_path / "a.jpg")
    assert not is_printed(printed) and image.grid.unit == read.grid.unit == "px"
    assert image.grid.spacing[:2] == read.grid.spacing and np.array_equal(image.array[:, 0], read.array)
    assert printed.GetStorageNode() is None, "its file would bring the size for printing back"
    assert scene.GetNumberOfNodesByClass("vtkMRMLStorageNode") == storages - 1
    printed.SetSpacing(0.2, 0.2, 1.0)
    assert image_of_volume(printed).grid.unit == "mm", "somebody knew the true size"


def test_points_that_may_lie_on_a_volume_are_known(printed, scene):
    other = add_volume(scene, Grid((9, 7, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)))
    marks = LandmarkSet((Landmark("a", (1.0, 2.0, 0.0)),), "px", "a")
    assert not bears_points(printed)
    create_result(scene, marks, other)
    assert bears_points(other) and not bears_points(printed)
    empty = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert not bears_points(printed)
    empty.AddControlPoint((0.0, 0.0, 0.0))
    assert bears_points(printed), "nobody says of which volume these are"
