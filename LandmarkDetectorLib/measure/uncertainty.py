"""From the uncertainty of landmarks to that of a measurement.

A measurement f of landmarks x is followed to the first order: its gradient g is taken numerically (central
differences, on the copies of the landmarks that :func:`moved_copies` makes, all in one pass), and

- from covariances Σ its variance is Σ gᵀΣg over the landmarks, its interval the normal one; covariances of a detector
  that was calibrated are widened first, since networks are surer of themselves than they are right;
- from conformal regions its interval reaches as far as f can go while each landmark stays in its region: Σ |g|·h over
  boxes with half widths h, Σ r·√(gᵀΣg) over ellipsoids of radius r, and the most that f's bending can add. What is
  neglected is of the third order in the regions' sizes.

Landmarks are taken to err independently of each other; the detector knows no correlations between them. A monte
carlo in the tests says how well the first order does for every measurement that is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions
from LandmarkDetectorLib.measure.results import Interval

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.regions import Region

STEP = 1e-4
"""Of the central differences, as a part of the landmarks' extent: errors of 1e-8, rounding of 1e-12."""

FOLD = 0.1
"""Of a smooth value the bend over one step is some 1e-4 of its slope; where it is more than this, the value folds."""

MISFIT = 1e-3
"""How far, relative to the landmarks' extent, a region's centre may lie from its landmark."""


def moved_copies(positions: np.ndarray, movable: Sequence[int]) -> tuple[np.ndarray, float]:
    """The landmarks as they are, and copies in which one coordinate of one landmark is moved forth and back.

    Args:
        positions: (R, d).
        movable: indices of the landmarks whose uncertainty is known.

    Returns:
        (1 + 2·d·len(movable), R, d) and the step; after the first copy come, for each movable landmark and each
        coordinate, the one moved forth and the one moved back.
    """
    count, d = positions.shape
    step = STEP * max(float(np.ptp(positions, axis=0).max()), 1e-6)
    copies = np.repeat(positions[None], 1 + 2 * d * len(movable), axis=0)
    row = np.arange(1, len(copies)).reshape(len(movable), d, 2)
    for place, landmark in enumerate(movable):
        for axis in range(d):
            copies[row[place, axis, 0], landmark, axis] += step
            copies[row[place, axis, 1], landmark, axis] -= step
    return copies, step


def gradient_of(values: np.ndarray, step: float, d: int) -> np.ndarray:
    """Gradients (len(movable), d) from the values (1 + 2·d·len(movable),) of a measurement on the copies."""
    pairs = values[1:].reshape(-1, d, 2)
    return (pairs[..., 0] - pairs[..., 1]) / (2 * step)


def folds(values: np.ndarray) -> bool:
    """Whether a measurement turns back where the landmarks are, as a distance of 0 does, which grows on every side.

    The first order sees no slope there and would call the value certain.

    Args:
        values: (1 + 2·d·M,) of the measurement on the copies.
    """
    forth, back = values[1::2], values[2::2]
    bend, slope = np.abs(forth + back - 2 * values[0]), np.abs(forth - back)
    return bool(bend.size and bend.max() > FOLD * slope.max())


def widening(info: Mapping[str, Any], d: int) -> dict[str, float]:
    """How many times a landmark's standard deviations must be taken for a normal error to lie where it was measured to.

    The regions that a calibrated detection states hold the truth with their level, and their radius is in standard
    deviations of the covariance; a normal error with that covariance would need the root of the quantile of χ².

    Args:
        info: of the landmarks.
        d: 2 or 3.

    Returns:
        The factor by label, of those landmarks of which a region is stated.
    """
    said = checked_regions(info.get(REGIONS))
    if said is None or said["method"] != "ellipsoidal":
        return {}
    from scipy.special import gammaincinv

    # The bound of the region method "normal", whose package would bring torch into the application.
    normal = float(np.sqrt(2 * gammaincinv(d / 2, said["level"])))
    return {label: radius / normal for label, radius in said["radii"].items() if radius is not None}


def from_covariances(
    value: float, gradients: np.ndarray, covariances: np.ndarray, level: float, calibrated: bool
) -> Interval:
    """The normal interval of the first order.

    Args:
        value: of the measurement.
        gradients: (M, d), zero where a landmark has no influence.
        covariances: (M, d, d).
        level: probability between the ends.
        calibrated: whether all covariances that count were widened to what was measured.
    """
    of = "as calibrated on held-out cases" if calibrated else "as they stand, not calibrated"
    sd = float(np.sqrt(max(np.einsum("mi,mij,mj->", gradients, covariances, gradients), 0.0)))
    reach = NormalDist().inv_cdf((1 + level) / 2) * sd
    return Interval(
        value - reach,
        value + reach,
        level,
        sd,
        f"first order, from the landmarks' covariances {of}; landmarks taken to err independently",
    )


def reach_in(region: Region, gradient: np.ndarray) -> float:
    """How far a measurement with this gradient (d,) can go, to the first order, while a landmark stays in its region.

    Raises:
        MeasurementError: a region that is neither a box nor an ellipsoid.
    """
    from LandmarkDetectorLib.evaluation.regions.region import BoxRegion, EllipsoidRegion

    if not gradient.any():
        return 0.0
    if region.unbounded:
        return float("inf")
    if isinstance(region, BoxRegion):
        return float(np.abs(gradient) @ region.half)
    if isinstance(region, EllipsoidRegion):
        return float(region.radius * np.sqrt(gradient @ region.covariance @ gradient))
    raise MeasurementError(
        f"The region of {region.label!r} is neither a box nor an ellipsoid; calibrate with such a method."
    )


def half_widths(region: Region) -> np.ndarray:
    """Half of the widths (d,) of the box around a region that is not everywhere."""
    half = getattr(region, "half", None)
    return region.radius * np.sqrt(np.diag(region.covariance)) if half is None else half  # type: ignore[attr-defined]


def bending_moves(widths: np.ndarray) -> np.ndarray:
    """The moves (N, n) of n coordinates that :func:`bending_reach` wants the measurement's values of.

    Args:
        widths: (n,) half widths of the coordinates; 0 for one that does not count.
    """
    single = np.diag(widths)
    pairs = [(i, j) for i in range(len(widths)) for j in range(i)]
    both = [a * single[i] + b * single[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    return np.concatenate([single, -single, np.array(both).reshape(-1, len(widths))])


def bending_reach(value: float, values: np.ndarray, count: int) -> float:
    """How far the second order can carry a measurement: ½ Σ |∂²f/∂xᵢ∂xⱼ|·hᵢ·hⱼ, by differences over the widths.

    Args:
        value: of the measurement where the landmarks are.
        values: (N,) at the moves of :func:`bending_moves`.
        count: n, the number of coordinates.
    """
    own = values[:count] + values[count : 2 * count] - 2 * value
    cross = values[2 * count :].reshape(-1, 4) @ np.array([1, -1, -1, 1]) / 4
    return float(np.abs(own).sum() / 2 + np.abs(cross).sum())


def from_regions(value: float, reach: float, counting: int, level: float, joint: bool) -> Interval:
    """How far the measurement can go while every landmark stays in its region.

    Joint regions hold all landmarks at once with their level. Of regions that were calibrated one by one nobody knows
    how often they fail together, and the level is what is left when their failures add up (Bonferroni), 0 at least.

    Args:
        value: of the measurement.
        reach: to either side, of the first and the second order.
        counting: number of landmarks that have an influence.
        level: that each region, or all of them jointly, promises.
        joint: whether the promise is for all of them at once.
    """
    how = "all at once" if joint else f"{counting} of {100 * level:g} % each, whose failures add up"
    return Interval(
        value - reach,
        value + reach,
        level if joint else max(0.0, 1 - counting * (1 - level)),
        None,
        f"as far as it can go while the landmarks stay in their conformal regions ({how})",
    )


def check_regions(regions: Mapping[str, Region], labels: Sequence[str], positions: np.ndarray, extent: float) -> None:
    """Refuse regions of other landmarks, or in other coordinates than the landmarks.

    Args:
        regions: by label.
        labels: of the landmarks.
        positions: (K, d) of the landmarks, NaN where one has none.
        extent: of the landmarks.

    Raises:
        MeasurementError: a label that is not there, or a region that lies elsewhere.
    """
    for label, region in regions.items():
        if label not in labels:
            raise MeasurementError(f"There is a region of {label!r}, which is no landmark here; mend its label.")
        position = positions[list(labels).index(label)]
        if region.dimension != len(position):
            raise MeasurementError(f"The region of {label!r} is {region.dimension}D, its landmark {len(position)}D.")
        if not np.allclose(region.spacing, 1):
            raise MeasurementError(f"The region of {label!r} is in voxels; calibrate in world positions.")
        if np.isfinite(position).all() and not np.linalg.norm(region.centre - position) <= MISFIT * max(extent, 1e-9):
            raise MeasurementError(
                f"The region of {label!r} lies around {region.centre.tolist()} and the landmark at "
                f"{position.tolist()}; give regions in the landmarks' coordinates, calibrated in world positions."
            )
