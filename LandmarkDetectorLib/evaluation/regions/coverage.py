"""How often regions hold the truth, and how large they are, on cases that did not calibrate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from LandmarkDetectorLib.evaluation.plain import plain
from LandmarkDetectorLib.evaluation.regions.method import Calibrated
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions


@dataclass(frozen=True)
class Coverage:
    """How many of ``n`` were held.

    Attributes:
        n: regions that were judged.
        covered: those that hold the truth.
        rate: covered / n; NaN for none.
        interval: exact binomial interval of the rate (:func:`binomial_interval`), for cases that are independent.
        missed: landmarks that were annotated and not found, which have no region; cases with one of them, jointly.
    """

    n: int
    covered: int
    rate: float
    interval: tuple[float, float]
    missed: int


@dataclass(frozen=True)
class RegionSize:
    """How large regions are, over all that there are, in unit² or unit³.

    Attributes:
        mean: infinite as soon as one region is everywhere.
        median: of the same.
        everywhere: how many are.
        adaptivity: Spearman's rank correlation of size and error, over those that can be judged: 1 where the regions
            know exactly which errors are larger, 0 where they know nothing; NaN where all are of one size.
    """

    mean: float
    median: float
    everywhere: int
    adaptivity: float


@dataclass(frozen=True)
class CoverageReport:
    """What was promised and what came true.

    Attributes:
        method: name.
        level: the probability that was promised.
        joint: whether it was promised of all landmarks of a case at once.
        unit: of lengths.
        per_landmark: label -> coverage of this landmark.
        landmarks: coverage over all landmarks; its interval is too narrow, for landmarks of one case go together.
        cases: of how many cases all regions hold their truths.
        sizes: label -> size; ``"all"`` for all of them.
        notices: of the calibration.
    """

    method: str
    level: float
    joint: bool
    unit: str
    per_landmark: Mapping[str, Coverage]
    landmarks: Coverage
    cases: Coverage
    sizes: Mapping[str, RegionSize]
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what is not a finite number becomes ``None``."""
        return plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row a landmark and a last one for all; rates in percent, ``None`` where not computed."""
        rows = [*self.per_landmark.items(), ("all", self.landmarks)]
        return [
            plain(
                {
                    "landmark": label,
                    "held (%)": 100 * held.rate,
                    "from (%)": 100 * held.interval[0],
                    "to (%)": 100 * held.interval[1],
                    "mean size": self.sizes[label].mean,
                    "median size": self.sizes[label].median,
                    "n": held.n,
                    "missed": held.missed,
                }
            )
            for label, held in rows
        ]


def coverage_report(
    calibrated: Calibrated, predictions: Predictions, truths: Any, confidence: float = 0.95
) -> CoverageReport:
    """Judge regions on cases that did not calibrate them.

    Args:
        calibrated: a method with its bounds.
        predictions: of N cases.
        truths: (N, K, D), NaN where nobody annotated.
        confidence: of the binomial intervals.

    Raises:
        LandmarkError: what is given does not fit.
    """
    truths = predictions.truths(truths)
    held, volumes = calibrated.covers(predictions, truths), calibrated.volumes(predictions)
    annotated = np.isfinite(truths).all(-1)
    missed = annotated & np.isnan(held)
    errors = np.linalg.norm((truths - predictions.positions) * predictions.spacing[:, None], axis=-1)
    judged = ~np.isnan(held)
    whole = np.where(judged.any(1), np.where(judged, held, 1).min(1), np.nan)
    sizes = {label: _size(volumes[:, k], errors[:, k]) for k, label in enumerate(predictions.labels)}
    return CoverageReport(
        method=calibrated.method.name,
        level=calibrated.level,
        joint=calibrated.joint,
        unit=predictions.unit,
        per_landmark={
            label: _coverage(held[:, k], missed[:, k], confidence) for k, label in enumerate(predictions.labels)
        },
        landmarks=_coverage(held.ravel(), missed.ravel(), confidence),
        cases=_coverage(whole, missed.any(1), confidence),
        sizes=sizes | {"all": _size(volumes.ravel(), errors.ravel())},
        notices=calibrated.notices,
    )


def binomial_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404); 0 to 1 for none."""
    tail = (1 - confidence) / 2
    low = betaincinv(successes, n - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return float(low), float(high)


def _coverage(held: np.ndarray, missed: np.ndarray, confidence: float) -> Coverage:
    judged = held[~np.isnan(held)]
    covered, n = int(judged.sum()), len(judged)
    return Coverage(
        n, covered, covered / n if n else np.nan, binomial_interval(covered, n, confidence), int(missed.sum())
    )


def _size(volumes: np.ndarray, errors: np.ndarray) -> RegionSize:
    from scipy.stats import spearmanr  # here: who only detects need not wait for it

    there = volumes[~np.isnan(volumes)]
    both = np.isfinite(volumes) & np.isfinite(errors)
    varies = both.sum() > 2 and np.ptp(volumes[both]) > 0 and np.ptp(errors[both]) > 0
    return RegionSize(
        float(there.mean()) if len(there) else np.nan,
        float(np.median(there)) if len(there) else np.nan,
        int(np.isinf(there).sum()),
        float(spearmanr(volumes[both], errors[both]).statistic) if varies else np.nan,
    )
