"""How far a prediction lies from the truth, over landmarks and cases.

A missed landmark is never averaged away: means are over the landmarks that were found, the number missed stands beside
them, and success rates count a miss as a failure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError, LandmarkSet

ISBI_RADII = (2.0, 2.5, 3.0, 4.0)
"""The radii in mm of the ISBI 2015 cephalometric challenge (Wang et al. 2016, Medical Image Analysis 31:63-76)."""


def radial_errors(predicted: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    """Distance between each landmark of ``truth`` and the one of the same label in ``predicted``.

    Args:
        predicted: in any order; labels that the truth does not have are ignored.
        truth: gives the order of the result.

    Returns:
        (K,) distances in the common unit, in the order of ``truth``: NaN where the truth has no position, +inf where
        the truth has one and the prediction has none (a missed landmark).

    Raises:
        LandmarkError: units or dimensions differ, or a label stands twice in one of the sets.
    """
    found, known = _paired(predicted, truth)
    errors = np.full(len(known), np.nan)
    for k, (here, there) in enumerate(zip(found, known, strict=True)):
        if there.position is not None:
            errors[k] = np.inf if here.position is None else np.linalg.norm(here.position - there.position)
    return errors


def false_finds(predicted: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    """Where ``predicted`` places a landmark that ``truth`` says is absent.

    A landmark that nobody has annotated (``undefined`` in the truth) is no false find: nothing is known of it.

    Returns:
        (K,) bool, in the order of ``truth``.

    Raises:
        LandmarkError: as :func:`radial_errors`.
    """
    found, known = _paired(predicted, truth)
    pairs = zip(found, known, strict=True)
    return np.array([there.status == "missing" and here.position is not None for here, there in pairs], dtype=bool)


def _paired(predicted: LandmarkSet, truth: LandmarkSet) -> tuple[LandmarkSet, LandmarkSet]:
    if predicted.unit != truth.unit:
        raise LandmarkError(
            f"{predicted.name} is in {predicted.unit} and {truth.name} in {truth.unit}; bring both to one unit first."
        )
    if predicted.dimension and truth.dimension and predicted.dimension != truth.dimension:
        raise LandmarkError(
            f"{predicted.name} is {predicted.dimension}D and {truth.name} {truth.dimension}D; give sets of one image."
        )
    # The truth goes through `reordered` too: that is what refuses a label that stands twice.
    return predicted.reordered(truth.labels), truth.reordered(truth.labels)


@dataclass(frozen=True)
class LandmarkSummary:
    """The errors of one landmark over the cases; lengths in the summary's unit, NaN where nothing was found.

    Attributes:
        n: cases in which it was annotated and found; mean, median and p95 are over these.
        missed: cases in which it was annotated and not found.
        sdr: radius -> fraction of the ``n + missed`` annotated cases within that radius.
    """

    mean: float
    median: float
    p95: float
    sdr: Mapping[float, float]
    n: int
    missed: int


@dataclass(frozen=True)
class Summary:
    """Errors over all landmarks and cases; lengths in ``unit``, NaN where nothing was found.

    Attributes:
        unit: ``"mm"`` or ``"px"``.
        cases: number of rows that were summarised.
        found: landmarks annotated and found, the ones that mean, sd, median, p95 and max are over.
        missed: landmarks annotated and not found.
        false_finds: landmarks found where the truth says absent; ``None`` where nobody counted.
        mean: mean radial error.
        mean_interval: bootstrap 95 % interval of the mean, cases resampled; NaN with fewer than two cases.
        sd: standard deviation of the sample (n - 1).
        median: median radial error.
        p95: 95th percentile.
        max: the largest error among the found.
        sdr: success detection rate: radius -> fraction of found and missed landmarks within that radius.
        per_landmark: label -> :class:`LandmarkSummary`, in the order of the labels.
    """

    unit: str
    cases: int
    found: int
    missed: int
    false_finds: int | None
    mean: float
    mean_interval: tuple[float, float]
    sd: float
    median: float
    p95: float
    max: float
    sdr: Mapping[float, float]
    per_landmark: Mapping[str, LandmarkSummary]

    def to_json(self) -> dict[str, Any]:
        """A plain dict: radii become text keys, values that could not be computed become ``None``."""
        return _plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row a landmark and a last one for all; success rates in percent, ``None`` where not computed."""
        rows = [_row(label, item, self.unit) for label, item in self.per_landmark.items()]
        everything = LandmarkSummary(self.mean, self.median, self.p95, self.sdr, self.found, self.missed)
        return [*rows, _row("all", everything, self.unit)]


def summarise(
    errors: np.ndarray,
    labels: Sequence[str],
    unit: str,
    radii: Sequence[float] = ISBI_RADII,
    *,
    false_finds: np.ndarray | None = None,
    cases: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Summary:
    """Summarise radial errors.

    Args:
        errors: (N, K) from :func:`radial_errors`, one row an image: NaN not annotated, +inf missed.
        labels: the K labels.
        unit: of the errors.
        radii: for the success detection rate; an error equal to the radius succeeds.
        false_finds: (N, K) bool from :func:`false_finds`, if they are to be counted.
        cases: to which case (subject) each row belongs; rows of one case are resampled together. Each row is a case of
            its own by default.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap; the same seed gives the same interval.

    Returns:
        The summary; the interval is the percentile bootstrap of Efron & Tibshirani (1993), An Introduction to the
        Bootstrap, chapter 13. It is too narrow where there are fewer than about ten cases.

    Raises:
        LandmarkError: shapes that do not fit, a label twice, no case, a negative error.
    """
    errors = np.asarray(errors, dtype=np.float64)
    labels = list(labels)
    if errors.ndim != 2 or errors.shape[1] != len(labels) or not len(errors):
        raise LandmarkError(f"Errors of shape {errors.shape} do not fit {len(labels)} labels; give (cases, landmarks).")
    if len(set(labels)) != len(labels):
        raise LandmarkError("A label stands twice among the landmarks to summarise; labels must differ.")
    if np.any(errors < 0):
        raise LandmarkError("An error to summarise is negative; give radial distances.")
    if false_finds is not None and np.shape(false_finds) != errors.shape:
        raise LandmarkError(f"False finds of shape {np.shape(false_finds)} do not fit errors of shape {errors.shape}.")
    if cases is not None and len(cases) != len(errors):
        raise LandmarkError(f"{len(cases)} case names do not fit {len(errors)} rows of errors.")
    found = errors[np.isfinite(errors)]
    return Summary(
        unit=unit,
        cases=len(errors),
        found=found.size,
        missed=int(np.isposinf(errors).sum()),
        false_finds=None if false_finds is None else int(np.sum(false_finds)),
        mean=_mean(found),
        mean_interval=_bootstrap(errors, cases, resamples, seed),
        sd=float(found.std(ddof=1)) if found.size > 1 else np.nan,
        median=_percentile(found, 50),
        p95=_percentile(found, 95),
        max=float(found.max()) if found.size else np.nan,
        sdr=_success(errors, radii),
        per_landmark={label: _one(column, radii) for label, column in zip(labels, errors.T, strict=True)},
    )


def _one(column: np.ndarray, radii: Sequence[float]) -> LandmarkSummary:
    found = column[np.isfinite(column)]
    median, p95 = _percentile(found, 50), _percentile(found, 95)
    missed = int(np.isposinf(column).sum())
    return LandmarkSummary(_mean(found), median, p95, _success(column, radii), found.size, missed)


def _mean(found: np.ndarray) -> float:
    return float(found.mean()) if found.size else np.nan


def _percentile(found: np.ndarray, q: float) -> float:
    return float(np.percentile(found, q)) if found.size else np.nan


def _success(errors: np.ndarray, radii: Sequence[float]) -> dict[float, float]:
    annotated = errors[~np.isnan(errors)]
    return {float(r): float((annotated <= r).mean()) if annotated.size else np.nan for r in radii}


def _bootstrap(errors: np.ndarray, cases: Sequence[Hashable] | None, resamples: int, seed: int) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the mean over found landmarks, cases drawn with replacement."""
    found = np.isfinite(errors)
    sums, counts = np.where(found, errors, 0.0).sum(axis=1), found.sum(axis=1)
    if cases is not None:
        numbers = {name: i for i, name in enumerate(dict.fromkeys(cases))}
        owner = [numbers[name] for name in cases]
        sums, counts = np.bincount(owner, sums), np.bincount(owner, counts)
    n = len(sums)
    if n < 2:
        return np.nan, np.nan
    # How often each case is drawn is multinomial, so a resample is a row of weights and all means one product.
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    drawn = weights @ counts
    means = (weights @ sums)[drawn > 0] / drawn[drawn > 0]
    return _percentile(means, 2.5), _percentile(means, 97.5)


def _row(label: str, item: LandmarkSummary, unit: str) -> dict[str, Any]:
    rates = {f"within {radius:g} {unit} (%)": 100 * rate for radius, rate in item.sdr.items()}
    row = {"landmark": label, "mean": item.mean, "median": item.median, "p95": item.p95, **rates}
    return _plain({**row, "n": item.n, "missed": item.missed})


def _plain(value: Any) -> Any:
    """JSON has no NaN and no number for a key."""
    if isinstance(value, Mapping):
        return {f"{key:g}" if isinstance(key, float) else key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
