"""Fetal head biometry from four landmarks: the ends of the occipito-frontal and of the biparietal diameter.

The head's outline is taken as the ellipse with these two diameters as axes, as the sonographers of the HC18 challenge
drew it (van den Heuvel et al. 2018, PLoS ONE 13(8):e0200412). A measurement whose landmark is missing is NaN, which
means "not computed"; it is never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ellipe

from LandmarkDetectorLib.core import LandmarkError


@dataclass(frozen=True, eq=False)
class HeadBiometry:
    """Biparietal diameter, occipito-frontal diameter and head circumference in mm, each (...); NaN: not computed."""

    bpd: np.ndarray
    ofd: np.ndarray
    hc: np.ndarray


@dataclass(frozen=True)
class Difference:
    """How far one measurement lies from its truth over the cases in which both were computed.

    Attributes:
        mean_absolute: mean of the absolute differences in mm; NaN when ``n`` is 0.
        bias: mean of predicted minus true in mm; NaN when ``n`` is 0.
        n: number of cases that these are over.
        not_computed: cases whose truth is known and whose prediction could not be computed.
    """

    mean_absolute: float
    bias: float
    n: int
    not_computed: int


def ellipse_perimeter(axis: np.ndarray, other_axis: np.ndarray) -> np.ndarray:
    """Perimeter of ellipses whose full axes have these lengths, in any order.

    Exact: 4·a·E(k) with the semi-major axis a, the complete elliptic integral of the second kind E and
    k² = 1 - b²/a² (NIST Digital Library of Mathematical Functions, 19.9.9). An axis of 0 gives twice the other axis.

    Args:
        axis: lengths (...), not negative; NaN gives NaN.
        other_axis: lengths (...).

    Returns:
        (...) perimeters in the unit of the axes.
    """
    long = np.maximum(axis, other_axis) / 2
    short = np.minimum(axis, other_axis) / 2
    ratio = np.divide(short, long, out=np.ones(np.shape(long)), where=long != 0)
    return 4 * long * ellipe(1 - ratio**2)


def head_biometry(
    ofd_left: np.ndarray, ofd_right: np.ndarray, bpd_upper: np.ndarray, bpd_lower: np.ndarray
) -> HeadBiometry:
    """Diameters and circumference from the ends of the diameters.

    Args:
        ofd_left: one end of the occipito-frontal diameter, (..., 2) in mm; a missing landmark is NaN.
        ofd_right: its other end; which end is which does not matter.
        bpd_upper: one end of the biparietal diameter.
        bpd_lower: its other end.

    Returns:
        BPD, OFD and HC, each (...) in mm.

    Raises:
        LandmarkError: the positions do not all have the same last axis of 2 (or 3) coordinates.
    """
    ends = [np.asarray(end, dtype=np.float64) for end in (ofd_left, ofd_right, bpd_upper, bpd_lower)]
    if any(end.ndim < 1 or end.shape[-1] not in (2, 3) or end.shape != ends[0].shape for end in ends):
        shapes = ", ".join(str(end.shape) for end in ends)
        raise LandmarkError(f"Head biometry needs four arrays of one shape (..., 2) and was given {shapes}.")
    ofd = np.linalg.norm(ends[0] - ends[1], axis=-1)
    bpd = np.linalg.norm(ends[2] - ends[3], axis=-1)
    return HeadBiometry(bpd=bpd, ofd=ofd, hc=ellipse_perimeter(ofd, bpd))


def biometry_errors(predicted: HeadBiometry, truth: HeadBiometry) -> dict[str, Difference]:
    """How far the predicted measurements lie from the true ones.

    Args:
        predicted: measurements of N cases.
        truth: the same cases; NaN where a measurement is not known.

    Returns:
        ``bpd``, ``ofd`` and ``hc``, each with its mean absolute difference, its bias and what it is over.

    Raises:
        LandmarkError: the numbers of cases differ.
    """
    return {name: _difference(name, getattr(predicted, name), getattr(truth, name)) for name in ("bpd", "ofd", "hc")}


def _difference(name: str, predicted: np.ndarray, truth: np.ndarray) -> Difference:
    predicted, truth = np.atleast_1d(predicted), np.atleast_1d(truth)
    if predicted.shape != truth.shape:
        raise LandmarkError(f"{name.upper()}: {predicted.shape} predictions do not fit {truth.shape} true values.")
    known, computed = np.isfinite(truth), np.isfinite(predicted)
    both = known & computed
    gap = (predicted - truth)[both]
    lost = int((known & ~computed).sum())
    if not gap.size:
        return Difference(float("nan"), float("nan"), 0, lost)
    return Difference(float(np.abs(gap).mean()), float(gap.mean()), int(gap.size), lost)
