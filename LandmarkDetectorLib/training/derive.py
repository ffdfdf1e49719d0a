"""A recipe from nothing but annotated images: what their sizes, voxels and landmarks say of how a network should look.

It is a first choice that works, not the best one; it is written out as a recipe like any other, to be read and changed.
The rules are those of ``docs/training.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.core.similarity import fit_similarity
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.models.shape_prior import learn_shape_prior
from LandmarkDetectorLib.training.recipe import Recipe
from LandmarkDetectorLib.training.specimens import check_all_placed, positions_on

LEAST_CASES = 5
ONE_POSE = 35.0
"""Degrees by which shapes may be turned to each other and still come in one pose."""
STRAIGHT = 0.15
"""A shape whose second longest axis is this part of its longest is a line, whose turn about itself nobody can see."""
ACROSS = {2: 144, 3: 40}
"""Samples along the longest side of a whole image."""
FINER = 1.6
"""Times the voxel: a network that looks at coarser samples than this is followed by one that looks closer."""


@dataclass(frozen=True)
class Measured:
    """What was found in the images; lengths in view units.

    Args:
        dimension: 2 or 3.
        channels: of the images.
        unit: ``"mm"`` or ``"px"``.
        view_unit: ``"world"``, or ``"image"`` where lengths are fractions of the longest side.
        voxel: the median of the finest spacing.
        extent: (d,) the largest extent along the world's axes.
        length: of the mean shape along its longest axis.
        turn: degrees, the largest between two shapes, NaN where it cannot be seen.
        straight: whether the landmarks lie on one line, or are too few to show a pose.
        eight_bit: whether all values are those of 8-bit pictures.
    """

    dimension: int
    channels: int
    unit: str
    view_unit: str
    voxel: float
    extent: tuple[float, ...]
    length: float
    turn: float
    straight: bool
    eight_bit: bool

    @property
    def one_pose(self) -> bool:
        """Whether the images come in one pose, as far as anybody can see."""
        return self.straight or not self.turn > ONE_POSE


def derive_recipe(
    name: str,
    cases: Sequence[Case],
    card: Mapping[str, Any],
    *,
    mirror: Sequence[Sequence[str]] = (),
    labels: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Recipe, Measured]:
    """A recipe for these images.

    Args:
        name: of the bundle.
        cases: annotated images, all of one kind.
        card: what the card says; see ``CardText``.
        mirror: pairs of left and right; none by default, for a wrong pair teaches nonsense.
        labels: of the landmarks; those of the first case by default.
        seed: of the training.

    Raises:
        DatasetError: as :func:`measure` says.
    """
    measured = measure(cases, name)
    labels = list(labels) or list(cases[0].landmarks.labels)
    stages = _one_pose(measured) if measured.one_pose else _any_pose(measured)
    tolerance = max(0.03 * measured.length, 2 * measured.voxel)
    content: dict[str, Any] = {
        "name": name,
        "version": "0.1.0",
        "seed": seed,
        "dimension": measured.dimension,
        "channels": measured.channels,
        "unit": measured.unit,
        "view_unit": measured.view_unit,
        "intensity": {"window": [0, 255]} if measured.eight_bit else {"quantiles": [0.01, 0.99]},
        "mirror": [list(group) for group in mirror],
        "prior_modes": min(8, len(cases) // 3),
        "validation": {"fold_count": min(5, len(cases))},
        **stages,
        # Few shapes say little of the next one: what the image shows is trusted, outliers of the shape are kept.
        "calibration": {"tolerance": _rounded(tolerance), "trust": 16.0, "surprise": 1000.0, "presence": 0.1},
        "card": dict(card),
    }
    return Recipe.model_validate(content), measured


def measure(cases: Sequence[Case], name: str = "the data set") -> Measured:
    """Look at the images and their landmarks.

    Args:
        cases: annotated images.
        name: of the data set, for messages.

    Raises:
        DatasetError: they are too few, not of one kind, nothing is placed on them, a landmark is placed on none of
            them, or landmarks do not fit their image.
    """
    placed = [case for case in cases if np.isfinite(case.landmarks.positions).any()]
    if len(placed) < LEAST_CASES:
        raise DatasetError(
            f"{len(placed)} annotated images are too few to learn from; annotate {LEAST_CASES}, better ten or more."
        )
    check_all_placed(placed, placed[0].landmarks.labels, name)
    grids, channels, eight_bit = [], set(), True
    for case in placed:
        image = case.image()
        positions_on(case, image.grid)
        grids.append(image.grid)
        channels.add(image.channels)
        values = image.array
        eight_bit = eight_bit and values.dtype == np.uint8 and int(values.max()) > 100
    dimensions, units = {grid.dimension for grid in grids}, {grid.unit for grid in grids}
    for what, found in (("dimension", dimensions), ("number of channels", channels), ("unit", units)):
        if len(found) > 1:
            words = " and ".join(str(one) for one in sorted(found, key=str))
            raise DatasetError(f"The images are not of one {what} ({words}); keep those of one kind.")
    d, unit = dimensions.pop(), units.pop()
    extents = np.array([np.abs(grid.direction) @ grid.extent for grid in grids])
    longest = np.array([float(grid.extent.max()) for grid in grids])
    sizes = np.array([_length(case.landmarks.positions) for case in placed])
    # Where the shape's size follows the image's better than any ruler, the image is the ruler.
    by_image = unit == "px" or _spread(sizes) > 1.6 * _spread(sizes / longest)
    scale = longest if by_image else np.ones(len(placed))
    shapes = np.array([case.landmarks.positions for case in placed]) / scale[:, None, None]
    prior = learn_shape_prior(shapes, modes=0)
    spans = np.linalg.svd(prior.mean - prior.mean.mean(0), compute_uv=False)
    straight = len(prior.mean) < 3 or bool(d == 3 and spans[1] < STRAIGHT * spans[0])
    return Measured(
        d,
        channels.pop(),
        unit,
        "image" if by_image else "world",
        float(np.median([min(grid.spacing) for grid in grids] / scale)),
        tuple(float(e) for e in (extents / scale[:, None]).max(0)),
        max(_length(prior.mean), float(np.median([min(grid.spacing) for grid in grids] / scale))),
        _largest_turn(shapes, prior.mean) if not straight else float("nan"),
        straight,
        eight_bit,
    )


def _one_pose(m: Measured) -> dict[str, Any]:
    """The whole image as it lies, then, where it was seen coarsely, a closer look at each landmark."""
    spacing = max(max(m.extent) / ACROSS[m.dimension], m.voxel)
    size = [max(16, 8 * math.ceil(extent / spacing / 8)) for extent in m.extent]
    widths = [16, 32, 64, 96] if m.dimension == 3 else [16, 32, 64, 96, 128]
    found: dict[str, Any] = {
        "image": {
            "spacing": _rounded(spacing),
            "size": size,
            "window": _rounded(4 * spacing),
            "tolerance": _rounded(max(4 * spacing, 0.15 * m.length)),
            "support": 0.2,
            "network": {"name": "unet", "arguments": {"widths": widths}},
        },
        "image_training": {
            "sigma": 1.5,
            "steps": 800,
            "batch": 4,
            "rate": 0.003,
            "distance": 0.3,
            "presence": 0.1,
            "average": 0.99,
            "augmentation": {
                "rotation": 10,
                "scale": 0.08,
                "shear": 0.04,
                "shift": _rounded(2 * spacing),
                "mirror": 0.5,
            },
        },
    }
    return found | _closer(m, spacing)


def _any_pose(m: Measured) -> dict[str, Any]:
    """The pose first, then the box around the shape, then, where that is coarse, each landmark from close by."""
    size = 48 if m.dimension == 3 else 80
    coarse, frame = (
        m.length / (26 if m.dimension == 3 else 40),
        max(m.length / (60 if m.dimension == 3 else 100), m.voxel),
    )
    widths = [16, 32, 64, 96]
    found: dict[str, Any] = {
        "coarse": {
            "spacing": _rounded(coarse),
            "peaks": 4,
            "tolerance": _rounded(1.5 * coarse),
            "tile": 48 if m.dimension == 3 else 96,
            "support": 0.15,
            "enough": 0.35,
            "network": {"name": "unet", "arguments": {"widths": [24, 48, 96, 128]}},
        },
        "coarse_training": {
            "size": size,
            "sigma": 1.2,
            "steps": 800,
            "batch": 8,
            "rate": 0.003,
            "average": 0.99,
            "augmentation": {
                "rotation": "full",
                "scale": 0.1,
                "shear": 0.05,
                "shift": _rounded(2 * coarse),
                "mirror": 0.5,
            },
        },
        "frame": {
            "spacing": _rounded(frame),
            "margin": _rounded(0.12 * m.length),
            "window": _rounded(5 * frame),
            "network": {"name": "unet", "arguments": {"widths": widths}},
        },
        "frame_training": {
            "sigma": 1.2,
            "steps": 800,
            "batch": 2 if m.dimension == 3 else 8,
            "rate": 0.003,
            "distance": 0.3,
            "presence": 0.1,
            "average": 0.99,
            "augmentation": {"rotation": 8, "scale": 0.05, "shear": 0.04, "shift": _rounded(frame), "mirror": 0.5},
        },
    }
    return found | _closer(m, frame)


def _closer(m: Measured, before: float) -> dict[str, Any]:
    """A patch around each landmark, where the stage before saw samples of this size and the image has finer ones."""
    if before <= FINER * m.voxel:
        return {}
    size = 24 if m.dimension == 3 else 32
    # It must cover what the stage before leaves open.
    spacing = max(1.2 * m.voxel, 6 * before / size)
    return {
        "patch": {
            "spacing": _rounded(spacing),
            "size": size,
            "window": _rounded(4 * spacing),
            "passes": 2,
            "network": {"name": "unet", "arguments": {"widths": [16, 32, 64], "conditional": True}},
        },
        "patch_training": {
            "sigma": 1.2,
            "steps": 800,
            "batch": 16,
            "cases": 4,
            "rate": 0.003,
            "distance": 0.5,
            "presence": 0.1,
            "average": 0.99,
            "augmentation": {
                "rotation": 6,
                "scale": 0.05,
                "shear": 0.03,
                "centre": _rounded(1.2 * before),
                "mirror": 0.5,
                "absent": 0.05,
            },
        },
    }


def _length(positions: np.ndarray) -> float:
    """Of a shape along its longest axis, 0 for one landmark."""
    known = positions[np.isfinite(positions).all(1)]
    if len(known) < 2:
        return 0.0
    return float(np.linalg.norm(known[:, None] - known[None], axis=-1).max())


def _spread(values: np.ndarray) -> float:
    """Standard deviation of the logarithm; 0 where there is nothing to compare."""
    values = values[values > 0]
    return float(np.log(values).std()) if len(values) > 1 else 0.0


def _largest_turn(shapes: np.ndarray, mean: np.ndarray) -> float:
    """Degrees between the pose of any shape and the middle of all."""
    turns = fit_similarity(mean, shapes)[:, :-1, :-1]
    turns = turns / np.abs(np.linalg.det(turns))[:, None, None] ** (1 / turns.shape[-1])
    if turns.shape[-1] == 2:
        angles = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
        middle = np.angle(np.exp(1j * angles).mean())
        return float(np.degrees(np.abs(np.angle(np.exp(1j * (angles - middle)))).max()))
    rotations = Rotation.from_matrix(turns)
    return float(np.degrees((rotations.mean().inv() * rotations).magnitude().max()))


def _rounded(value: float) -> float:
    """Three digits that a person can read."""
    return float(f"{value:.3g}")
