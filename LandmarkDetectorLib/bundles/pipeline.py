"""The numbers of a detector: what it looks at in which order, and what it knows of the shape.

They stand in a bundle's ``configs/inference.json`` under ``landmark_detector``, as plain JSON, and are checked here.
Training writes them, inference reads them; nothing in them is ever executed.

Lengths are in *view units*: the world's unit, or, with ``view_unit: image``, the longest side of the image (for
pictures whose physical scale differs from one to the next or is not known).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from LandmarkDetectorLib.bundles.appearance import Appearance
from LandmarkDetectorLib.core import BundleError, Grid
from LandmarkDetectorLib.models.shape_prior import ShapePrior


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSettings(_Strict):
    """A network of the registry and its arguments; the pipeline adds dimension, channels and landmarks."""

    name: str
    arguments: dict[str, Any] = {}


class IntensitySettings(_Strict):
    """See :class:`LandmarkDetectorLib.datasets.intensity.Intensity`."""

    window: tuple[float, float] | None = None
    quantiles: tuple[float, float] | None = None


class WholeStage(_Strict):
    """The coarse pass over the whole image in any pose: every landmark's peaks, from which the pose is found.

    ``tolerance`` is the distance at which a peak still supports a pose; ``support`` the share of the peaks'
    probability that a pose needs, below which nothing is found; short of ``enough`` further views are taken, up to
    ``views``. A frame of more than ``tile`` samples a side is seen in parts: the network's normalisation knows fields
    of about the size that it was trained on.
    """

    spacing: float = Field(gt=0)
    network: NetworkSettings
    peaks: int = Field(4, ge=1)
    tolerance: float = Field(gt=0)
    support: float = Field(0.35, gt=0, lt=1)
    enough: float = Field(0.7, gt=0, lt=1)
    views: int = Field(6, ge=1)
    tile: int = Field(96, ge=16)


class _ReadStage(_Strict):
    """A stage whose maps are read to a fraction of a sample.

    A map is the logarithm of a density and is read in a ``window`` around its peak; with a ``decoder`` of
    :mod:`LandmarkDetectorLib.heatmaps` it is, after the ``activation``, a heatmap that the network was trained to draw.
    ``sigma`` is the width, in samples, of the Gaussians that it was trained on: a map is that much wider than what the
    network does not know.
    """

    spacing: float = Field(gt=0)
    network: NetworkSettings
    window: float = Field(gt=0)
    decoder: str | None = None
    activation: Literal["none", "sigmoid"] = "none"
    sigma: float = Field(0.0, ge=0)


class ImageStage(_ReadStage):
    """The whole image as it lies, all landmarks in one look: how most published networks see it.

    It stands in the place of the coarse pass and the frame, where images come in one pose. The image lies in the middle
    of a frame of ``size`` samples along x, y[, z], the world's axes; a larger one is seen whole, up to twice the size.
    ``tolerance`` is the distance at which a landmark still supports a pose of the mean shape, ``support`` the share of
    the landmarks that a pose needs. ``presence`` says whether the network was trained to tell what is not there. Of a
    density ``peaks`` may be looked at, of which the pose chooses: a network that is torn between two places is right
    about one of them.
    """

    size: list[int] = Field(min_length=2, max_length=3)
    tolerance: float = Field(gt=0)
    support: float = Field(0.3, ge=0, lt=1)
    presence: bool = True
    peaks: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _peaks_are_of_a_density(self) -> ImageStage:
        if self.peaks > 1 and self.decoder is not None:
            raise ValueError("a decoder reads one peak; leave out the stage's decoder, or its peaks")
        return self


class _FineStage(_ReadStage):
    """A stage after the pose is known."""

    passes: int = Field(1, ge=1)


class FrameStage(_FineStage):
    """The box around the mean shape in the pose-normalised frame, with a margin, all landmarks at once."""

    margin: float = Field(gt=0)


class PatchStage(_FineStage):
    """A patch of ``size`` samples a side around each landmark, one conditioned network for all."""

    size: int = Field(ge=8)


class PriorSettings(_Strict):
    """A :class:`~LandmarkDetectorLib.models.shape_prior.ShapePrior` in view units."""

    mean: list[list[float]]
    factors: list[list[float]]
    noise: list[float]
    scales: tuple[float, float]


class Order(_Strict):
    """Of two landmarks that only their place tells apart, ``first`` has the smaller world coordinate along ``axis``."""

    first: str
    second: str
    axis: Literal["x", "y", "z"]


class Calibration(_Strict):
    """How much to believe, read off cases that did not train.

    ``covariance``: factor on the maps' covariances (a map is too sure of itself); ``trust``: factor on the prior's
    covariance; ``presence``: probability below which a landmark is not found; ``surprise``: squared Mahalanobis
    distance
    from where the other landmarks put it, above which a landmark is not believed; ``spread``: standard deviation along
    an axis, of the mean shape's size, above which a map is too flat to be believed; ``tolerance``: the distance within
    which ``confidence`` says the landmark lies.
    """

    covariance: float = Field(1.0, gt=0)
    trust: float = Field(1.0, gt=0)
    presence: float = Field(0.5, ge=0, le=1)
    surprise: float = Field(40.0, gt=0)
    spread: float = Field(1e6, gt=0)
    tolerance: float = Field(gt=0)


STAGES = ("coarse", "image", "frame", "patch")
"""In the order in which they look at an image; no detector has all of them."""
OFFSETS_AND_ORDER = "landmarks that only their order tells apart have no offsets; leave order or offsets out"


class Pipeline(_Strict):
    """All of it.

    ``offsets``: what is added to each landmark's place, (K, d) in view units in the frame of the mean shape; see
    :mod:`LandmarkDetectorLib.inference.offsets`.
    """

    format: Literal[1] = 1
    dimension: Literal[2, 3]
    channels: int = Field(1, ge=1)
    labels: list[str] = Field(min_length=1)
    view_unit: Literal["world", "image"] = "world"
    intensity: IntensitySettings
    prior: PriorSettings
    mirror: dict[str, str] = {}
    order: list[Order] = []
    auxiliary: dict[str, dict[str, float]] = {}
    coarse: WholeStage | None = None
    image: ImageStage | None = None
    frame: FrameStage | None = None
    patch: PatchStage | None = None
    calibration: Calibration
    appearance: Appearance | None = None
    offsets: list[list[float]] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Pipeline:
        count, d = len(self.labels), self.dimension
        disagreement = stages_disagree(self.dimension, self.coarse, self.image, self.frame, self.patch)
        if disagreement:
            raise ValueError(disagreement)
        if len(set(self.labels)) != count:
            raise ValueError("labels must differ")
        mean = np.asarray(self.prior.mean)
        if mean.shape != (count, d):
            raise ValueError(f"the prior's mean has shape {mean.shape}, not ({count}, {d})")
        factors = np.asarray(self.prior.factors)
        if factors.shape[:1] != (count * d,) or factors.ndim != 2 or len(self.prior.noise) != count * d:
            raise ValueError("the prior's factors and noise do not fit its mean")
        if not all(np.isfinite(np.asarray(v)).all() for v in (mean, factors, self.prior.noise)):
            raise ValueError("the prior holds values that are not finite")
        named = (
            {o.first for o in self.order}
            | {o.second for o in self.order}
            | set(self.mirror)
            | set(self.mirror.values())
        )
        named |= {label for weights in self.auxiliary.values() for label in weights}
        unknown = next((rule.axis for rule in self.order if "xyz".index(rule.axis) >= d), None)
        if unknown is not None:
            raise ValueError(f"order names the axis {unknown!r}, which images in {d}D do not have")
        if self.appearance is not None and (self.appearance.dimension, self.appearance.channels) != (d, self.channels):
            raise ValueError("the appearance is of images of another dimension or with other channels")
        if named - set(self.labels):
            raise ValueError(f"{sorted(named - set(self.labels))[0]!r} is not one of the labels")
        if self.offset_array.shape != mean.shape or not np.isfinite(self.offset_array).all():
            raise ValueError(f"the offsets are not ({count}, {d}) finite numbers")
        if self.offsets is not None and self.order:
            raise ValueError(OFFSETS_AND_ORDER)
        return self

    @property
    def offset_array(self) -> np.ndarray:
        """(K, d) the offsets, 0 where there are none."""
        return np.zeros_like(np.asarray(self.prior.mean)) if self.offsets is None else np.asarray(self.offsets)

    @property
    def design(self) -> np.ndarray:
        """(M, K): the landmarks that the networks see, the annotated ones first, as sums of the annotated ones."""
        return design_matrix(self.labels, self.auxiliary)

    def shape_prior(self, unit: float = 1.0) -> ShapePrior:
        """The prior in world units, where a view unit is so many of them."""
        prior = self.prior
        factors = np.asarray(prior.factors).reshape(len(prior.noise), -1)
        return ShapePrior(unit * np.asarray(prior.mean), unit * factors, unit * np.asarray(prior.noise), prior.scales)

    def unit(self, grid: Grid) -> float:
        """World units of one view unit, for an image on this grid."""
        return 1.0 if self.view_unit == "world" else float(grid.extent.max())

    def arrangement(self, positions: np.ndarray) -> np.ndarray:
        """Which of positions (K, d) each landmark takes, (K,), so that those that only their place tells apart obey."""
        places = np.arange(len(positions))
        for rule in self.order:
            rows, axis = [self.labels.index(rule.first), self.labels.index(rule.second)], "xyz".index(rule.axis)
            if positions[rows[0], axis] > positions[rows[1], axis]:
                places[rows] = places[rows[::-1]]
        return places

    def ordered(self, positions: np.ndarray) -> np.ndarray:
        """Positions (K, d) as :meth:`arrangement` puts them."""
        return positions[self.arrangement(positions)]


def stages_disagree(
    dimension: int,
    coarse: WholeStage | None,
    image: ImageStage | None,
    frame: FrameStage | None,
    patch: PatchStage | None,
) -> str | None:
    """Why these stages do not make a detector, or ``None`` where they do."""
    if (coarse is None) == (image is None):
        return "give either a coarse stage, for images in any pose, or an image stage, for images in one; not both"
    if coarse is not None and frame is None and patch is None:
        return "a coarse stage alone places nothing; give frame, patch or both"
    if image is not None and frame is not None:
        return "an image stage stands in the place of the frame; leave one of them out"
    if image is not None and len(image.size) != dimension:
        return f"the image stage's size {image.size} is not {dimension} numbers"
    return None


def design_matrix(labels: list[str], auxiliary: dict[str, dict[str, float]]) -> np.ndarray:
    """(K + A, K) rows of weights that sum to 1: the annotated landmarks, then the auxiliary ones as sums of them."""
    rows = [np.eye(len(labels))]
    for name, weights in auxiliary.items():
        row = np.array([[weights.get(label, 0.0) for label in labels]])
        if abs(row.sum() - 1) > 1e-6:
            raise BundleError(
                f"The weights of the auxiliary landmark {name!r} sum to {row.sum():g}; they must sum to 1."
            )
        rows.append(row)
    return np.concatenate(rows)


def read_pipeline(settings: Any, name: str) -> Pipeline:
    """Check settings read from a bundle.

    Raises:
        BundleError: what does not fit, in one sentence.
    """
    try:
        return Pipeline.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "landmark_detector"
        raise BundleError(f"Bundle {name}: {place} in configs/inference.json is wrong ({first['msg']}).") from error
