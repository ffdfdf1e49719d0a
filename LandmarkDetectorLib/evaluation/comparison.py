"""Two models on the same cases: is one better, by how much, and for which landmark.

The cases are the same, so the comparison is paired, which is far sharper than to look whether two intervals overlap.
Subjects, never landmarks, are what is resampled and ranked.

A miss has no distance. It is left out of the differences of means (over landmarks that both found) and counts in the
two others: as a failure in the success rates, and as worse than any landmark that was found in the ranks (Lachin 1999,
Controlled Clinical Trials 20(5):408-422, doi:10.1016/S0197-2456(99)00022-7).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII
from LandmarkDetectorLib.evaluation.plain import plain
from LandmarkDetectorLib.evaluation.resampling import draw_weights, owners, ratio_interval, sums_by_case


@dataclass(frozen=True)
class PairedRate:
    """Success rates of two models within one radius, as fractions; ``difference`` is second minus first."""

    first: float
    second: float
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class PairedDifference:
    """Two models on the same landmarks; lengths in the comparison's unit, NaN where it cannot be said.

    Attributes:
        first: mean error of the first model over the landmarks that both found.
        second: that of the second model.
        difference: second minus first: negative where the second is better.
        interval: bootstrap 95 % interval of the difference, subjects resampled.
        sdr: radius -> :class:`PairedRate`, over all annotated landmarks, a miss being a failure.
        p: two-sided Wilcoxon signed-rank test over subjects (Wilcoxon 1945, Biometrics Bulletin 1(6):80-83); 1 where
            no subject differs.
        p_corrected: ``p`` after Holm's correction for the number of landmarks (Holm 1979, Scandinavian Journal of
            Statistics 6(2):65-70); equal to ``p`` for the comparison over all landmarks.
        n: landmarks that both found.
        missed_first: annotated and not found by the first model.
        missed_second: annotated and not found by the second model.
    """

    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    sdr: Mapping[float, PairedRate]
    p: float
    p_corrected: float
    n: int
    missed_first: int
    missed_second: int


@dataclass(frozen=True)
class Comparison:
    """Two models over all landmarks and for each; ``names`` are theirs, ``subjects`` the number that was compared."""

    names: tuple[str, str]
    unit: str
    subjects: int
    overall: PairedDifference
    per_landmark: Mapping[str, PairedDifference]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row a landmark and a last one for all; differences of success rates in percent points."""
        return [_row(name, item, self) for name, item in [*self.per_landmark.items(), ("all", self.overall)]]


def compare_models(
    first: np.ndarray,
    second: np.ndarray,
    labels: Sequence[str],
    unit: str,
    radii: Sequence[float] = ISBI_RADII,
    *,
    names: tuple[str, str] = ("first", "second"),
    cases: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two models by their errors on the same images.

    Args:
        first: (N, K) errors of the first model: NaN not annotated, +inf missed.
        second: (N, K) errors of the second model on the same rows and landmarks.
        labels: the K labels.
        unit: of the errors.
        radii: for the success detection rate.
        names: of the models.
        cases: to which subject (or family) each row belongs; each row is one of its own by default.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.

    Raises:
        LandmarkError: shapes that do not fit, errors against different truths (NaN at different places), a label twice,
            a negative error.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != len(labels) or not len(first):
        raise LandmarkError(
            f"Errors of shapes {first.shape} and {second.shape} do not fit {len(labels)} labels; "
            "give two (cases, landmarks)."
        )
    if np.any(np.isnan(first) != np.isnan(second)):
        raise LandmarkError(
            f"{names[0]} and {names[1]} were judged on different annotations; judge both on the same landmarks."
        )
    if len(set(labels)) != len(labels):
        raise LandmarkError("A label stands twice among the landmarks to compare; labels must differ.")
    if np.any(first < 0) or np.any(second < 0):
        raise LandmarkError("An error to compare is negative; give radial distances.")
    owner = owners(cases, len(first))
    weights = draw_weights(int(owner.max()) + 1, resamples, seed)

    def pair(columns: slice | list[int]) -> PairedDifference:
        return _compared(first[:, columns], second[:, columns], owner, weights, radii)

    each = {label: pair([k]) for k, label in enumerate(labels)}
    corrected = holm([item.p for item in each.values()])
    each = {label: replace(each[label], p_corrected=p) for label, p in zip(each, corrected, strict=True)}
    return Comparison(names, unit, len(weights[0]), pair(slice(None)), each)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values; NaN stays NaN and does not count as a test."""
    values = np.asarray(p, dtype=np.float64)
    result = np.full(values.shape, np.nan)
    order = [k for k in np.argsort(values, kind="stable") if not np.isnan(values[k])]
    highest = 0.0
    for place, k in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * values[k]))
        result[k] = highest
    return result.tolist()


def _compared(
    first: np.ndarray, second: np.ndarray, owner: np.ndarray, weights: np.ndarray, radii: Sequence[float]
) -> PairedDifference:
    both = np.isfinite(first) & np.isfinite(second)
    gaps = np.where(both, np.where(both, second, 0.0) - np.where(both, first, 0.0), 0.0)
    sums, counts = sums_by_case(gaps.sum(axis=1), owner), sums_by_case(both.sum(axis=1), owner)
    annotated = ~np.isnan(first)
    judged = sums_by_case(annotated.sum(axis=1), owner)
    rates = {}
    for radius in radii:
        hits = [(annotated & (np.nan_to_num(part, nan=np.inf) <= radius)) for part in (first, second)]
        more = sums_by_case(hits[1].sum(axis=1) - hits[0].sum(axis=1), owner)
        shares = [float(hit.sum() / annotated.sum()) if annotated.any() else np.nan for hit in hits]
        interval = ratio_interval(weights, more, judged)
        rates[float(radius)] = PairedRate(shares[0], shares[1], shares[1] - shares[0], interval)
    p = _signed_rank(first, second, owner, sums, counts)
    means = [float(part[both].mean()) if both.any() else np.nan for part in (first, second)]
    return PairedDifference(
        first=means[0],
        second=means[1],
        difference=means[1] - means[0],
        interval=ratio_interval(weights, sums, counts),
        sdr=rates,
        p=p,
        p_corrected=p,
        n=int(both.sum()),
        missed_first=int(np.isposinf(first).sum()),
        missed_second=int(np.isposinf(second).sum()),
    )


def _signed_rank(
    first: np.ndarray, second: np.ndarray, owner: np.ndarray, sums: np.ndarray, counts: np.ndarray
) -> float:
    """Over subjects: who missed more of a subject is worse there; where none did, the mean difference decides."""
    from scipy.stats import wilcoxon

    lost = sums_by_case(np.isposinf(second).sum(axis=1).astype(float) - np.isposinf(first).sum(axis=1), owner)
    judged = sums_by_case((~np.isnan(first)).sum(axis=1), owner) > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    # Differences that are equal but for the rounding of doubles are ties.
    scores = np.where(lost == 0, np.round(means, 9), np.copysign(np.inf, lost))[judged]
    if not scores.size:
        return np.nan
    return float(wilcoxon(scores).pvalue) if np.any(scores) else 1.0


def _row(name: str, item: PairedDifference, comparison: Comparison) -> dict[str, Any]:
    first, second = comparison.names
    low, high = item.interval
    row = {"landmark": name, first: item.first, second: item.second, "difference": item.difference}
    row |= {"difference from": low, "difference to": high}
    for radius, rate in item.sdr.items():
        row[f"more within {radius:g} {comparison.unit} (points)"] = 100 * rate.difference
    missed = {f"missed by {first}": item.missed_first, f"missed by {second}": item.missed_second}
    return plain({**row, "p": item.p, "p corrected": item.p_corrected, "n": item.n, **missed})
