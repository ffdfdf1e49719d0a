"""How sure the detector is, drawn around each landmark that nobody has reviewed: ellipsoids in 3D and in the slices.

A region whose coverage was measured on held-out cases is whole; one that only the detector believes in has gaps, so
that its outline in a slice is dashed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .control_points import is_placed
from .observations import Observations
from .regions import Region, regions_of
from .review import Review
from .state import UNREVIEWED, Proposal
from .volume_image import TO_LPS

LEVEL = {2: 2.4477, 3: 2.7955}
"""Standard deviations within which 95 % of a normal distribution in 2D and 3D lie, sqrt(chi2.ppf(BELIEVED, d))."""

SURE, FAIR, UNSURE, UNKNOWN = (86, 180, 233), (240, 228, 66), (213, 94, 0), (204, 204, 204)
"""Sky blue, yellow and vermilion of Okabe and Ito, told apart by those who see no red or green; gray where unknown."""

_THINNEST = 0.2
"""Shortest half-axis by the longest: a flat region in a picture's own plane would not be cut by that plane."""
_RINGS = 12
_MANY, _RINGS_OF_MANY = 500, 5
"""From so many regions on they are drawn coarsely, or a slice through them takes seconds."""
_STILL = 1e-6
"""Nearer than this, in the world's unit, a landmark stands where it was found."""
_COLOURS = "confidence"
_SHADES = 256
"""Of a table of colours: the first is for a confidence that is not known, the others go from 0 to 1.

The model points into a table; colours of its own would be drawn as well, but VTK complains of every slice that cuts
none of the regions.
"""


def colour_of(confidence: float | None) -> tuple[int, int, int]:
    """RGB in 0..255: from unsure (0) over fair (0.5) to sure (1); gray where nobody said."""
    if confidence is None:
        return UNKNOWN
    low, high, share = (UNSURE, FAIR, 2 * confidence) if confidence < 0.5 else (FAIR, SURE, 2 * confidence - 1)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue


class Halo:
    """A model of the regions in which the landmarks lie, by what was measured of the bundle or by its own account.

    It follows the parent transform, and loses a landmark's region when that is reviewed, or moved: from the first
    movement of a drag on, since of a person's hand the detector knows nothing. It is not saved with the scene and
    cannot be picked, so that a point that is dragged in 3D does not stick to it.

    Args:
        review: whose landmarks are drawn.
    """

    def __init__(self, review: Review) -> None:
        self.review = review
        self.scene = review.scene
        self._slots: dict[str, int] = {}
        self._centres = np.empty((0, 3))
        self._drawn: list[tuple[str, Proposal, Region]] = []
        self._stale = True  # drawn anew at the next update
        self._template, self._cells = _unit_sphere(_RINGS)
        self.model = self._add_model()
        self.update()
        review.observe(self.update)
        node = review.node
        self._observations = Observations()
        for event, slot in (
            (node.PointModifiedEvent, self._on_point),
            (node.PointEndInteractionEvent, self._on_end),
            (slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._on_transform),
        ):
            self._observations.add(node, event, slot)
        self._on_transform()

    @property
    def drawn(self) -> list[tuple[str, Region]]:
        """The landmarks that have a region, by label, and that."""
        return [(proposal.label, region) for key, proposal, region in self._drawn if key in self._slots]

    def update(self) -> None:
        """Draw what the review says now; nothing where its record is damaged, which whoever shows the review says."""
        from LandmarkDetectorLib.core import LandmarkError

        if not self.review.alive:
            self._clear()
            return
        try:
            state = self.review.settled()
        except LandmarkError:
            self._drawn, self._slots = [], {}
            self.model.SetAndObservePolyData(vtk.vtkPolyData())
            return
        proposals = {
            key: entry.proposal
            for key, entry in state.points.items()
            if entry.status == UNREVIEWED and entry.proposal is not None and entry.proposal.covariance is not None
        }
        regions = regions_of(state, list(proposals.values()))
        drawn = [(key, proposal, region) for (key, proposal), region in zip(proposals.items(), regions, strict=True)]
        if self._stale or drawn != self._drawn:
            self._drawn, self._stale = drawn, False
            self._build()

    def release(self) -> None:
        """Take the model out of the scene."""
        self._observations.release()
        self._clear()

    def _clear(self) -> None:
        if self.model.GetScene() is not None:
            display = self.model.GetDisplayNode()
            shades = display.GetColorNode() if display is not None else None
            for node in (self.model, display, shades):
                if node is not None:
                    self.scene.RemoveNode(node)

    def _add_model(self) -> Any:
        model = self.scene.CreateNodeByClass("vtkMRMLModelNode")
        model.UnRegister(None)
        model.SetName(f"{self.review.node.GetName()} regions")
        display = self.scene.CreateNodeByClass("vtkMRMLModelDisplayNode")
        display.UnRegister(None)
        shades = self._make_shades()
        for node in (model, display, shades):
            node.SetSaveWithScene(False)
            node.SetHideFromEditors(True)
        model.SetSelectable(False)
        display.SetVisibility2D(True)
        display.SetSliceIntersectionThickness(3)
        display.SetSliceIntersectionOpacity(1.0)
        display.SetOpacity(0.35)
        display.SetBackfaceCulling(True)
        display.SetSpecular(0)
        display.SetAmbient(0.3)
        self.scene.AddNode(shades)
        self.scene.AddNode(display)
        self.scene.AddNode(model)
        model.SetAndObserveDisplayNodeID(display.GetID())
        model.SetAndObservePolyData(vtk.vtkPolyData())
        display.SetActiveScalar(_COLOURS, vtk.vtkAssignAttribute.POINT_DATA)
        display.SetAndObserveColorNodeID(shades.GetID())
        display.SetScalarRangeFlag(display.UseManualScalarRange)
        display.SetScalarRange(0, _SHADES - 1)
        display.SetScalarVisibility(True)
        return model

    def _make_shades(self) -> Any:
        shades = self.scene.CreateNodeByClass("vtkMRMLColorTableNode")
        shades.UnRegister(None)
        shades.SetName("confidence")
        shades.SetTypeToUser()
        shades.SetNumberOfColors(_SHADES)
        shades.GetLookupTable().SetTableRange(0, _SHADES - 1)
        for number in range(_SHADES):
            red, green, blue = colour_of((number - 1) / (_SHADES - 2) if number else None)
            shades.SetColor(number, str(number), red / 255, green / 255, blue / 255, 1.0)
        return shades

    def _build(self) -> None:
        """Shapes and colours of all regions, around the places of their proposals."""
        drawn = self._drawn
        count = len(drawn)
        rings = _RINGS if count < _MANY else _RINGS_OF_MANY
        self._template, self._cells = _unit_sphere(rings)
        size = len(self._template)
        axes = np.array([_half_axes(proposal, region) for _, proposal, region in drawn]).reshape(-1, 3, 3)
        self._slots = {key: slot for slot, (key, _, _) in enumerate(drawn)}
        self._centres = np.array([proposal.position for _, proposal, _ in drawn]).reshape(-1, 3) * TO_LPS
        points = np.einsum("pi,kji->kpj", self._template, axes) + self._centres[:, None]
        normals = np.einsum("pi,kji->kpj", self._template, np.linalg.inv(axes).transpose(0, 2, 1))
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        shades = np.array([_shade_of(proposal.confidence) for _, proposal, _ in drawn], dtype=np.uint8)
        data = vtk.vtkPolyData()
        places = vtk.vtkPoints()
        places.SetData(numpy_to_vtk(points.reshape(-1, 3), deep=1))
        data.SetPoints(places)
        dashes = self._cells[_checkered(self._template, self._cells, rings)]
        parts = [self._cells if region.calibrated else dashes for _, _, region in drawn]
        cells = np.concatenate([part + size * slot for slot, part in enumerate(parts)] or [self._cells[:0]])
        triangles = vtk.vtkCellArray()
        triangles.SetData(3, numpy_to_vtk(cells.ravel(), deep=1, array_type=vtk.VTK_ID_TYPE))
        data.SetPolys(triangles)
        data.GetPointData().SetNormals(numpy_to_vtk(normals.reshape(-1, 3), deep=1))
        painted = numpy_to_vtk(np.repeat(shades, size), deep=1)
        painted.SetName(_COLOURS)
        data.GetPointData().SetScalars(painted)
        self.model.SetAndObservePolyData(data)

    def _hide(self, key: str) -> None:
        """Let one region shrink to nothing; only once, since every view cuts all of them anew when one changes."""
        slot, size = self._slots.pop(key), len(self._template)
        data = self.model.GetPolyData()
        points = data.GetPoints()
        vtk_to_numpy(points.GetData())[slot * size : (slot + 1) * size] = self._centres[slot]
        for changed in (points.GetData(), points, data):
            changed.Modified()
        self._stale = True

    @vtk.calldata_type(vtk.VTK_INT)
    def _on_point(self, node: Any, event: str, index: int | None = None) -> None:
        if index is None or not 0 <= index < node.GetNumberOfControlPoints():
            return  # a whole list that changed reaches us through the review
        key = node.GetNthControlPointID(index)
        if key in self._slots:
            away = np.array(node.GetNthControlPointPosition(index)) - self._centres[self._slots[key]]
            if not is_placed(node, index) or np.abs(away).max() > _STILL:
                self._hide(key)

    def _on_end(self, *_: Any) -> None:
        if self._stale:  # a drag that ended where it began
            self.update()

    def _on_transform(self, *_: Any) -> None:
        self.model.SetAndObserveTransformNodeID(self.review.node.GetTransformNodeID())


def _shade_of(confidence: float | None) -> int:
    """Its place in the table of colours."""
    return 0 if confidence is None else 1 + round(confidence * (_SHADES - 2))


def _half_axes(proposal: Proposal, region: Region) -> np.ndarray:
    """The half-axes of a region as columns, in RAS, (3, 3)."""
    covariance = np.reshape(np.array(proposal.covariance), (3, 3))
    variances, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    flat = variances[0] <= 1e-9 * max(variances[-1], 1e-12)
    radius = LEVEL[2 if flat else 3] if region.radius is None else region.radius
    lengths = radius * np.sqrt(np.maximum(variances, 0))
    lengths = np.maximum(lengths, max(_THINNEST * lengths.max(), 1e-6))
    return TO_LPS[:, None] * directions * lengths


def _unit_sphere(rings: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) and triangles (T, 3), turned outwards, of a sphere of radius 1.

    It is turned by half a step, so that a plane through an axis cuts triangles and does not run along their edges.
    """
    source = vtk.vtkSphereSource()
    source.SetRadius(1.0)
    source.SetPhiResolution(rings)
    source.SetThetaResolution(2 * rings)
    source.SetOutputPointsPrecision(vtk.vtkAlgorithm.DOUBLE_PRECISION)
    source.Update()
    data = source.GetOutput()
    cells = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    half = np.pi / (2 * rings)
    turn = np.array([[np.cos(half), -np.sin(half), 0], [np.sin(half), np.cos(half), 0], [0, 0, 1]])
    return vtk_to_numpy(data.GetPoints().GetData()) @ turn.T, cells.astype(np.int64)


def _checkered(points: np.ndarray, triangles: np.ndarray, rings: int) -> np.ndarray:
    """Which triangles (T,) bool of a sphere lie in the black fields of a chessboard of meridians and parallels."""
    middles = points[triangles].mean(1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    along = np.floor(np.arctan2(middles[:, 1], middles[:, 0]) / (np.pi / rings) + 0.5)
    down = np.floor(np.arccos(middles[:, 2]) / (np.pi / (rings - 1)))
    return (along + down) % 2 == 0
