"""One landmark of several looks at it: by several bundles, or by one at an image that was turned and mirrored.

The looks weigh by their precision, with what they disagree by added to each covariance (random effects: DerSimonian &
Laird 1986, Controlled Clinical Trials 7(3):177-188, doi:10.1016/0197-2456(86)90046-2): where they agree the surest
leads, where they contradict each other nobody's claim to be sure counts for much. The covariance of the result is *not*
divided by the number of looks: they see the same image, and mostly err together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import chdtr

from LandmarkDetectorLib.core import Landmark

FAR = 4.0
"""A look is left out beyond so many times the common deviation from the middle of all; it takes three to tell."""


def combine(looks: Sequence[Sequence[Landmark | None]], tolerance: float) -> list[Landmark]:
    """The landmarks that several looks found together.

    Found is what at least half of the looks found, those that lie far from the middle of three or more not counted. The
    confidence is the probability that the landmark is there, averaged over the looks (one that missed it says 0), times
    that of lying within the tolerance under the joint covariance.

    Args:
        looks: the same landmarks in the same order and world; ``None`` where a look has no say.
        tolerance: the distance within which a confidence says that a landmark lies, in the world's unit.
    """
    return [_one([mark for mark in marks if mark is not None], tolerance) for marks in zip(*looks, strict=True)]


def _one(said: Sequence[Landmark], tolerance: float) -> Landmark:
    placed = _near([mark for mark in said if mark.position is not None])
    if len(said) == 1 or not placed or 2 * len(placed) < len(said):
        return said[0] if len(said) == 1 else Landmark(said[0].label, status="missing")
    mean, covariance = join([mark.position for mark in placed], [_covariance(mark) for mark in placed])
    confidence = None
    if all(mark.confidence is not None for mark in placed):
        there = sum(_presence(mark, tolerance) for mark in placed) / len(said)
        confidence = float(there * _within(covariance, tolerance))
    known = all(mark.covariance is not None for mark in placed)
    return Landmark(said[0].label, mean, "defined", confidence, covariance if known or len(placed) > 1 else None)


def restated(mark: Landmark, own: float, tolerance: float) -> Landmark:
    """A landmark whose confidence speaks of its own tolerance, with that of another."""
    if mark.position is None or mark.confidence is None or own == tolerance:
        return mark
    return replace(mark, confidence=_presence(mark, own) * _within(_covariance(mark), tolerance))


def join(positions: Sequence[np.ndarray], covariances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The precision-weighted mean (d,) of positions (n, d), and its covariance (d, d), disagreement included.

    With S the covariance of the n positions, weights are (C + S)⁻¹ and the covariance is the harmonic mean of C + S: of
    one position its own, of equal ones that of the surer.
    """
    places, forms = np.asarray(positions, dtype=np.float64), np.asarray(covariances, dtype=np.float64)
    apart = places - places.mean(0)
    spread = apart.T @ apart / max(1, len(places) - 1)
    forms = forms + spread
    # A form of no extent at all has no inverse; a millionth of the whole is nothing beside the rest.
    forms = forms + max(1e-12, 1e-6 * np.trace(forms, axis1=1, axis2=2).mean()) * np.eye(places.shape[1])
    weights = np.linalg.inv(forms)
    shared = np.linalg.inv(weights.sum(0))
    mean = shared @ np.einsum("nij,nj->i", weights, places)
    covariance = len(places) * shared
    return mean, (covariance + covariance.T) / 2


def _near(placed: Sequence[Landmark]) -> list[Landmark]:
    """Without those that lie far from the middle of three or more."""
    if len(placed) < 3:
        return list(placed)
    places = np.array([mark.position for mark in placed])
    distance = np.linalg.norm(places - np.median(places, axis=0), axis=1)
    own = [np.trace(_covariance(mark)) for mark in placed]
    common = np.sqrt(np.median(distance**2) + np.median(own))
    return [mark for mark, gap in zip(placed, distance, strict=True) if gap <= FAR * max(common, 1e-12)]


def _covariance(mark: Landmark) -> np.ndarray:
    assert mark.position is not None
    return np.zeros((mark.position.size,) * 2) if mark.covariance is None else np.asarray(mark.covariance)


def _presence(mark: Landmark, tolerance: float) -> float:
    """The probability that it is there: its confidence without that of lying within the tolerance."""
    return min(1.0, float(mark.confidence or 0.0) / max(_within(_covariance(mark), tolerance), 1e-6))


def _within(covariance: np.ndarray, tolerance: float) -> float:
    """Probability of an error below the tolerance, as the detector reckons it."""
    d = len(covariance)
    return float(chdtr(d, tolerance**2 / max(np.trace(covariance) / d, 1e-12)))
