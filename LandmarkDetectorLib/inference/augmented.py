"""Test-time augmentation: the image is shown several times, mirrored, turned a little, scaled and moved.

No voxel is resampled: what changes is the grid, which says where the voxels lie, and the landmarks are taken back
through the inverse of the change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.inference.combine import combine
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.detector import Detector, Progress, as_dimension
from LandmarkDetectorLib.inference.ensemble import Ensemble, Finds, in_order, notices, share, timing, tolerance


@dataclass(frozen=True, eq=False)
class View:
    """One change of the world: ``linear`` (d, d), and the voxels left out at the low and the high end of each axis.

    Frames are laid about the middle of an image; leaving out a few voxels at one side moves that middle.
    """

    linear: np.ndarray
    cut: tuple[tuple[int, int], ...]
    mirrored: bool = False

    def of(self, image: Image) -> Image:
        """The image in this view; its voxels are those of the original, not a copy."""
        grid, d = image.grid, image.dimension
        low = np.array([first for first, _ in self.cut])
        size = [n - sum(ends) for n, ends in zip(grid.size, self.cut, strict=True)]
        part = tuple(slice(first, first + n) for first, n in zip(low, size, strict=True))
        scale = abs(np.linalg.det(self.linear)) ** (1 / d)
        new = Grid(
            tuple(size),
            tuple(scale * step for step in grid.spacing),
            tuple(self.linear @ grid.to_world(low)),
            self.linear @ grid.direction / scale,
            grid.unit,
        )
        axes = (slice(None), *part[::-1])
        return Image(image.array[axes], new, image.name)

    def back(self, mark: Landmark) -> Landmark:
        """A landmark of the view in the world of the original, under the label that it had in the view."""
        if mark.position is None:
            return mark
        inverse = np.linalg.inv(self.linear)
        covariance = None if mark.covariance is None else inverse @ mark.covariance @ inverse.T
        return replace(mark, position=inverse @ mark.position, covariance=covariance)


class Augmented:
    """A detector that looks several times and joins what it saw by :func:`.combine.combine`.

    The first look is at the image as it is. Where the bundle names mirror partners, every second one is at its mirror
    image, with the labels of left and right exchanged; a landmark without a partner has no say there. From the third
    on, views are also turned, scaled and moved, each by a draw of its own that is the same every time.

    Args:
        detector: a :class:`Detector` or an :class:`Ensemble`.
        looks: how many, the first included.
        rotation: standard deviation of the angle, in degrees.
        scale: standard deviation of the logarithm of the scale.
        shift: the largest part of an image's side that is left out at one end.

    Raises:
        ValueError: numbers that cannot be.
    """

    def __init__(
        self, detector: Finds, looks: int = 6, *, rotation: float = 4.0, scale: float = 0.02, shift: float = 0.01
    ) -> None:
        if looks < 1 or min(rotation, scale, shift) < 0 or shift > 0.1:
            raise ValueError(
                f"{looks} looks, rotation {rotation}, scale {scale}, shift {shift}: give one look or more, and spreads "
                "that are not negative, the shift at most 0.1"
            )
        # A calibration holds for one look at an image; several are joined by what the networks themselves believe.
        self.detector = detector.uncalibrated() if looks > 1 and isinstance(detector, Detector) else detector
        self.looks = looks
        self.rotation, self.scale, self.shift = rotation, scale, shift

    @property
    def bundle(self) -> Bundle:
        """That of the detector."""
        return self.detector.bundle

    @property
    def pipeline(self) -> Pipeline:
        """That of the detector."""
        return self.detector.pipeline

    def detect(
        self, image: Image, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Detection:
        """Find the landmarks of one image; arguments, result and errors are those of :meth:`Detector.detect`."""
        pipeline = self.pipeline
        flat, lift = as_dimension(image, pipeline, self.bundle.name)
        found, looks = [], []
        for number in range(self.looks):
            view = self.view(flat.grid, number)
            listen = share(progress, number, self.looks)
            found.append(self.detector.detect(view.of(flat), listen, cancelled))
            looks.append(self._seen(view, found[-1].landmarks))
        marks = in_order(combine(looks, tolerance(pipeline, flat)), pipeline)
        first = found[0].landmarks
        info = {**first.info, "looks": self.looks}
        landmarks = LandmarkSet(tuple(lift(mark) for mark in marks), first.unit, image.name, info)
        return Detection(landmarks, timing(found), notices(found, marks))

    def view(self, grid: Grid, number: int) -> View:
        """View ``number`` of an image on a grid, counted from 0, which is the image as it is."""
        d = grid.dimension
        linear, cut = np.eye(d), np.zeros((d, 2), dtype=int)
        if number > 1 or (number == 1 and not self.pipeline.mirror):
            rng = np.random.default_rng(number)
            linear = np.exp(rng.normal(0, self.scale)) * _turn(rng, d, np.radians(self.rotation))
            most = (self.shift * np.asarray(grid.size)).astype(int)
            cut[np.arange(d), rng.integers(0, 2, d)] = rng.integers(0, most + 1)
        mirrored = bool(self.pipeline.mirror) and number % 2 == 1
        if mirrored:
            linear = linear @ np.diag([-1.0, *[1.0] * (d - 1)])
        return View(linear, tuple((int(low), int(high)) for low, high in cut), mirrored)

    def _seen(self, view: View, landmarks: LandmarkSet) -> list[Landmark | None]:
        """The landmarks of a view in the original's world, under the labels that they have there."""
        pipeline = self.pipeline
        marks = [view.back(mark) for mark in landmarks]
        if not view.mirrored:
            return list(in_order(marks, pipeline))
        seen = {mark.label: mark for mark in marks}
        # What a partnerless landmark is called in the mirror nobody knows.
        pairs = [(label, pipeline.mirror.get(label)) for label in pipeline.labels]
        turned = [None if other is None else replace(seen[other], label=label) for label, other in pairs]
        if any(mark is None for mark in turned):
            return turned
        return list(in_order([mark for mark in turned if mark is not None], pipeline))


def _turn(rng: np.random.Generator, dimension: int, angle: float) -> np.ndarray:
    """A rotation drawn about none."""
    if dimension == 3:
        return Rotation.from_rotvec(rng.normal(0, angle / np.sqrt(3), 3)).as_matrix()
    turn = rng.normal(0, angle)
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def detector_of(bundles: Sequence[Bundle], looks: int = 1, device: str = "auto", engine: str = "torch") -> Finds:
    """A detector of one bundle or of several, which looks once or several times.

    Raises:
        BundleError: they do not fit each other.
        DeviceError: device or engine are not there.
    """
    detector: Finds = Detector(bundles[0], device, engine) if len(bundles) == 1 else Ensemble(bundles, device, engine)
    return detector if looks == 1 else Augmented(detector, looks)
