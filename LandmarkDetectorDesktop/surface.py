"""A surface of the volume for the 3D view.

Volume rendering on a machine without a graphics card takes a quarter of a second to four seconds a picture (measured
on two cores), each time a landmark moves. A surface is made once and turns at any speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from LandmarkDetector.Scene.observations import Observations

_VOXELS = 6_000_000  # of the volume that the surface is made of; a surface in 0.3 s
_BINS = 110  # along each axis, of the decimation: some 100 000 triangles, which the slowest machine turns in 0.1 s
_BONE = 250.0  # in Hounsfield units


def threshold_of(array: np.ndarray) -> float | None:
    """The value that divides what is inside from what is around, or None for an image of one value.

    Computed tomography in Hounsfield units is divided at bone; anything else by Otsu's method (1979) on the values
    without the lowest and highest half per cent.
    """
    sample = array.ravel()[:: max(array.size // 200_000, 1)].astype(np.float64)
    low, high = np.quantile(sample, (0.005, 0.995))
    if not low < high:
        return None
    if low <= -500 and high >= 2 * _BONE:
        return _BONE
    counts, edges = np.histogram(sample, bins=256, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    above = below[-1] - below
    inner = slice(0, -1)
    mean_below = sums[inner] / np.maximum(below[inner], 1)
    mean_above = (sums[-1] - sums[inner]) / np.maximum(above[inner], 1)
    spread = below[inner] * above[inner] * (mean_below - mean_above) ** 2
    return float(edges[1 + int(np.argmax(spread))])


def surface_of(node: Any) -> Any:
    """The surface of a volume in its own RAS, as ``vtkPolyData``, or None where there is none to be seen."""
    data = node.GetImageData()
    if data is None or min(data.GetDimensions()) < 4 or data.GetNumberOfScalarComponents() != 1:
        return None
    array = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    level = threshold_of(array)
    if level is None:
        return None
    step = max(int(np.ceil((array.size / _VOXELS) ** (1 / 3))), 1)
    coarse = np.ascontiguousarray(array[::step, ::step, ::step])
    if min(coarse.shape) < 4:
        return None
    shape = _contour(coarse, level)
    if not shape.GetNumberOfCells():
        return None
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    to_ras = vtk.vtkTransform()
    to_ras.SetMatrix(matrix)
    to_ras.Scale(step, step, step)
    moved = vtk.vtkTransformPolyDataFilter()
    moved.SetTransform(to_ras)
    moved.SetInputData(shape)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(moved.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _contour(array: np.ndarray, level: float) -> Any:
    """The smoothed surface at ``level`` of (Z, Y, X) voxels, as ``vtkPolyData`` in voxel indices."""
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.AllocateScalars(get_vtk_array_type(array.dtype), 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = array.ravel()
    smooth = vtk.vtkImageGaussianSmooth()
    smooth.SetInputData(image)
    smooth.SetStandardDeviations(0.7, 0.7, 0.7)
    smooth.SetRadiusFactors(1.5, 1.5, 1.5)
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputConnection(smooth.GetOutputPort())
    contour.SetValue(0, level)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    fewer = vtk.vtkBinnedDecimation()
    fewer.SetInputConnection(contour.GetOutputPort())
    fewer.AutoAdjustNumberOfDivisionsOff()
    fewer.SetNumberOfDivisions(_BINS, _BINS, _BINS)
    fewer.SetPointGenerationModeToBinAverages()
    smoother = vtk.vtkWindowedSincPolyDataFilter()
    smoother.SetInputConnection(fewer.GetOutputPort())
    smoother.SetNumberOfIterations(12)
    smoother.SetPassBand(0.1)
    smoother.NonManifoldSmoothingOn()
    smoother.NormalizeCoordinatesOn()
    contour.Update()
    if not contour.GetOutput().GetNumberOfCells():
        return contour.GetOutput()  # the filters that follow complain about nothing
    smoother.Update()
    return smoother.GetOutput()


class Surface:
    """The surface of the volume that is shown, as a model that is hidden from lists and never saved.

    Args:
        scene: the ``vtkMRMLScene``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._observations = Observations()
        self.node: Any = None
        self.visible = True

    def show(self, volume: Any) -> None:
        """Make the surface of this volume; nothing for None."""
        self.clear()
        shape = None if volume is None else surface_of(volume)
        if shape is None:
            return
        self.node = slicer.vtkMRMLModelNode()
        self.node.SetName("Surface of the volume")
        self.node.SetHideFromEditors(1)
        self.node.SetSaveWithScene(0)
        self.node.SetAndObservePolyData(shape)
        self._scene.AddNode(self.node)
        self.node.CreateDefaultDisplayNodes()
        display = self.node.GetDisplayNode()
        display.SetSaveWithScene(0)
        display.SetColor(0.87, 0.82, 0.72)
        display.SetBackfaceCulling(0)
        display.SetVisibility2D(0)
        display.SetVisibility(int(self.visible))
        self._follow(volume)
        self._observations.add(
            volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_: self._follow(volume)
        )

    def _follow(self, volume: Any) -> None:
        if self.node is not None and self.node.GetTransformNodeID() != volume.GetTransformNodeID():
            self.node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())

    def set_visible(self, visible: bool) -> None:
        """Show or hide it."""
        self.visible = visible
        if self.node is not None and self.node.GetDisplayNode() is not None:
            self.node.GetDisplayNode().SetVisibility(int(visible))

    def clear(self) -> None:
        """Take it out of the scene."""
        self._observations.release()
        node, self.node = self.node, None
        if node is not None and node.GetScene() is not None:
            for i in reversed(range(node.GetNumberOfDisplayNodes())):
                self._scene.RemoveNode(node.GetNthDisplayNode(i))
            self._scene.RemoveNode(node)
