"""Nodes and landmarks that the tests of the scene share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (pip install landmark-detector[desktop])")
import vtk  # noqa: E402
from vtk.util.numpy_support import numpy_to_vtk  # noqa: E402

from LandmarkDetectorLib.core import Grid, Landmark, LandmarkSet  # noqa: E402

TO_RAS = np.array([-1.0, -1.0, 1.0])
SPREAD = np.array([[0.9, 0.2, -0.1], [0.2, 0.4, 0.05], [-0.1, 0.05, 0.3]])


def add_volume(scene: Any, grid: Grid, array: np.ndarray | None = None, name: str = "CT") -> Any:
    """A volume node on a grid; its voxels count up unless an array ([C, ]Z, Y, X) is given."""
    array = np.arange(np.prod(grid.size), dtype=np.int32).reshape(grid.shape) if array is None else array
    colour = array.ndim == 4
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode", name)
    data = vtk.vtkImageData()
    data.SetDimensions(*grid.size)
    flat = np.moveaxis(array, 0, -1).reshape(-1, len(array)) if colour else array.ravel()
    data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(flat), deep=1))
    node.SetAndObserveImageData(data)
    matrix = vtk.vtkMatrix4x4()
    values = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.matrix
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, values[row, column])
    node.SetIJKToRASMatrix(matrix)
    return node


def counts(review: Any) -> Counter[str]:
    """How many landmarks of a review have each status."""
    return Counter(row.status for row in review.rows())


def marks_of(labels: str = "abcd", **info: str) -> LandmarkSet:
    """Landmarks at (10 i, 20 i, 30 i) with confidences 0.9, 0.8, …; the second one was not found."""
    marks = []
    for i, label in enumerate(labels):
        if i == 1:
            marks.append(Landmark(label, status="missing"))
        else:
            confidence = round(0.9 - 0.1 * i, 6)
            marks.append(Landmark(label, (10.0 * i, 20.0 * i, 30.0 * i), None, confidence, SPREAD * (1 + i)))
    source = {"bundle": "heads", "version": "1.2.3", "fingerprint": "f" * 64}
    return LandmarkSet(tuple(marks), name="CT", info={**source, **info})


def add_linear(scene: Any, seed: int = 0) -> Any:
    """A transform node with rotation, scale and shift."""
    rng = np.random.default_rng(seed)
    values = np.eye(4)
    values[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag([1.2, 0.7, 1.0])
    values[:3, 3] = rng.normal(size=3) * 100
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, values[row, column])
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(matrix)
    return node


def add_grid(scene: Any, seed: int = 0) -> Any:
    """A transform node with a field of smooth displacements of a few mm."""
    rng = np.random.default_rng(seed)
    field = vtk.vtkImageData()
    field.SetDimensions(9, 9, 9)
    field.SetOrigin(-200, -200, -200)
    field.SetSpacing(50, 50, 50)
    field.GetPointData().SetScalars(numpy_to_vtk(rng.normal(size=(9**3, 3)) * 3, deep=1))
    bent = slicer.vtkOrientedGridTransform() if hasattr(slicer, "vtkOrientedGridTransform") else vtk.vtkGridTransform()
    bent.SetDisplacementGridData(field)
    bent.SetInterpolationModeToCubic()
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "bent")
    node.SetAndObserveTransformToParent(bent)
    return node
