"""The landmarks of a set as formulas meet them: found by label, moved by uncertainty, projected, seen from a side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.measure.formula import SIDES, Environment, Formula, Need
from LandmarkDetectorLib.measure.geometry import across, mid_sagittal_plane, project_on_plane, unit
from LandmarkDetectorLib.measure.labels import parts_of
from LandmarkDetectorLib.measure.schema import View
from LandmarkDetectorLib.measure.sets import MeasurementSet
from LandmarkDetectorLib.measure.uncertainty import check_regions, moved_copies, widening
from LandmarkDetectorLib.measure.values import Shape

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.regions import Region


FLAT = 1e-3
"""Landmarks whose height is at most this part of their extent lie in one horizontal plane."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The landmarks that a set knows and that have a place, and the copies of them that uncertainty moves.

    Attributes:
        column: of each landmark (R in all) in the copies.
        copies: (B, R, d); the first is as it is.
        step: by which the others are moved.
        uncertain: the columns whose uncertainty is known, M in all.
        covariances: (M, d, d) of these, widened where that was calibrated; empty where regions were given.
        calibrated: the columns of these.
        regions: of these; empty where none were given.
    """

    column: Mapping[Need, int]
    copies: np.ndarray
    step: float
    uncertain: tuple[int, ...]
    covariances: np.ndarray
    calibrated: frozenset[int]
    regions: tuple[Region, ...]

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return int(self.copies.shape[-1])

    @property
    def lies_flat(self) -> bool:
        """Whether the landmarks lie in one plane across the patient's axis, as Slicer keeps those of a picture."""
        if self.dimension == 2 or not self.column:
            return False
        extent = np.ptp(self.copies[0], axis=0)
        return bool(extent.max() > 0 and extent[2] <= FLAT * extent.max())


def build_scene(landmarks: LandmarkSet, found: Mapping[Need, str], regions: Mapping[str, Region] | None) -> Scene:
    """Gather what was found and has a position.

    Raises:
        MeasurementError: regions that are not the landmarks'.
    """
    by_label = {mark.label: mark for mark in landmarks}
    marks = {need: by_label[label] for need, label in found.items() if by_label[label].position is not None}
    column = {need: number for number, need in enumerate(marks)}
    d = landmarks.dimension or 3
    if not marks:
        return Scene(column, np.zeros((1, 0, d)), 1.0, (), np.zeros((0, d, d)), frozenset(), ())
    positions = np.array([mark.position for mark in marks.values()])
    if regions is None:
        uncertain = [(n, mark) for n, mark in enumerate(marks.values()) if mark.covariance is not None]
    else:
        check_regions(regions, landmarks.labels, landmarks.positions, float(np.ptp(positions, axis=0).max()))
        uncertain = [(n, mark) for n, mark in enumerate(marks.values()) if mark.label in regions]
    columns = tuple(n for n, _ in uncertain)
    copies, step = moved_copies(positions, columns)
    if regions is not None:
        own = tuple(regions[mark.label] for _, mark in uncertain)
        return Scene(column, copies, step, columns, np.zeros((0, d, d)), frozenset(), own)
    wider = widening(landmarks.info, d)
    widened = [wider.get(mark.label, 1.0) ** 2 * mark.covariance for _, mark in uncertain]
    calibrated = frozenset(n for n, mark in uncertain if mark.label in wider)
    return Scene(column, copies, step, columns, np.array(widened).reshape(-1, d, d), calibrated, ())


class Stage:
    """A scene in one view, with one way to use the two sides; formulas are computed on it.

    Args:
        scene: the landmarks.
        view: ``2D``, ``3D`` or ``mid-sagittal``.
        side: that bilateral landmarks are taken from; ``None``: their midpoints.
        measurements: the set that formulas belong to.
    """

    def __init__(self, scene: Scene, view: View, side: str | None, measurements: MeasurementSet) -> None:
        self.scene, self.view, self.side, self.measurements = scene, view, side, measurements
        self.midline: tuple[str, ...] = ()
        self.pairs: tuple[str, ...] = ()
        of_set = measurements.mid_sagittal
        if view == "mid-sagittal" and of_set is not None:
            there = scene.column
            self.midline = tuple(name for name in of_set.midline if (name, None) in there)
            self.pairs = tuple(n for n in of_set.pairs if (n, "left") in there and (n, "right") in there)
        self.has_plane = view != "mid-sagittal" or bool(self.pairs) or len(self.midline) >= 3
        self._environment = self._see(scene.copies)

    def parts(self, formula: Formula) -> tuple[Need, ...]:
        """The landmarks that a formula's value depends on here, in its order; then in a projection the plane's."""
        landmarks, there = self.measurements.landmarks, self.scene.column
        parts = [part for need in formula.needs for part in parts_of(need, self.side, landmarks, there)]
        of_plane = [(name, None) for name in self.midline] + [(n, side) for n in self.pairs for side in SIDES]
        return tuple(dict.fromkeys([*parts, *of_plane]))

    def _see(self, copies: np.ndarray) -> Environment:
        """An environment in which formulas find these copies as this view shows them."""
        up = np.array([[0.0, -1.0]] if self.scene.dimension == 2 else [[0.0, 0.0, 1.0]])  # rows run down; LPS
        if self.view == "mid-sagittal" and self.has_plane:
            point, normal = self._plane(copies)
            copies = project_on_plane(copies, point[:, None], normal[:, None])
            up = unit(across(up, normal))
        column, landmarks = self.scene.column, self.measurements.landmarks

        def place(name: str, said: str | None) -> np.ndarray:
            parts = parts_of((name, said), self.side, landmarks, column)
            if len(parts) == 1:
                return copies[:, column[parts[0]]]
            return (copies[:, column[parts[0]]] + copies[:, column[parts[1]]]) / 2

        return Environment(place, up)

    def _plane(self, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column = self.scene.column
        return mid_sagittal_plane(
            copies[:, [column[name, None] for name in self.midline]],
            copies[:, [column[name, "left"] for name in self.pairs]],
            copies[:, [column[name, "right"] for name in self.pairs]],
        )

    def compute(self, formula: Formula) -> tuple[np.ndarray, tuple[Shape, ...]]:
        """Values (B,) of a formula on all copies, NaN where there is none, and its construction on the first."""
        self._environment.trace.shapes = []
        with np.errstate(all="ignore"):  # what cannot be computed is NaN, and becomes "not computed"
            values = np.broadcast_to(formula.compute(self._environment), (len(self.scene.copies),))
        return values, _distinct(self._environment.trace.shapes)

    def compute_moved(self, formula: Formula, moves: np.ndarray) -> np.ndarray:
        """Values (N,) with the uncertain landmarks moved by (N, M, d)."""
        copies = np.repeat(self.scene.copies[:1], len(moves), axis=0)
        copies[:, list(self.scene.uncertain)] += moves
        with np.errstate(all="ignore"):
            return np.broadcast_to(formula.compute(self._see(copies)), (len(moves),))


def _distinct(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Each shape once: a line is drawn by every function that was given it."""
    return tuple({(shape.kind, shape.positions.tobytes()): shape for shape in shapes}.values())
