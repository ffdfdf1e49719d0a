"""How far a prediction lies from the truth, over landmarks and cases.

A missed landmark is never averaged away: means are over the landmarks that were found, the number missed stands beside
them, and success rates count a miss as a failure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.plain import plain
from LandmarkDetectorLib.evaluation.resampling import draw_weights, owners, ratio_interval, sums_by_case

ISBI_RADII = (2.0, 2.5, 3.0, 4.0)
"""The radii in mm of the ISBI 2015 cephalometric challenge (Wang et al. 2016, Medical Image Analysis 31:63-76)."""


@dataclass(frozen=True)
class LandmarkSummary:
    """The errors of one landmark over the cases; lengths in the summary's unit, NaN where nothing was found.

    Attributes:
        n: cases in which it was annotated and found; mean, median and p95 are over these.
        missed: cases in which it was annotated and not found.
        sdr: radius -> fraction of the ``n + missed`` annotated cases within that radius.
        sd: standard deviation of the sample (n - 1).
        mean_interval: bootstrap 95 % interval of the mean, cases resampled; NaN with fewer than two cases.
        quantiles: fraction -> quantile of the found, those that were asked for.
    """

    mean: float
    median: float
    p95: float
    sdr: Mapping[float, float]
    n: int
    missed: int
    sd: float = np.nan
    mean_interval: tuple[float, float] = (np.nan, np.nan)
    quantiles: Mapping[float, float] = field(default_factory=dict)


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
        quantiles: fraction -> quantile of the found, those that were asked for.
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
    quantiles: Mapping[float, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict: radii become text keys, values that could not be computed become ``None``.

        Quantiles stand in it where some were asked for.
        """
        content = asdict(self)
        for part in (content, *content["per_landmark"].values()):
            if not part["quantiles"]:
                del part["quantiles"]
        return plain(content)

    def table(self) -> list[dict[str, Any]]:
        """One row a landmark and a last one for all; success rates in percent, ``None`` where not computed."""
        rows = [_row(label, item, self.unit) for label, item in self.per_landmark.items()]
        every = (self.mean, self.median, self.p95, self.sdr, self.found, self.missed, self.sd, self.mean_interval)
        return [*rows, _row("all", LandmarkSummary(*every, self.quantiles), self.unit)]


def summarise(
    errors: np.ndarray,
    labels: Sequence[str],
    unit: str,
    radii: Sequence[float] = ISBI_RADII,
    *,
    false_finds: np.ndarray | None = None,
    cases: Sequence[Hashable] | None = None,
    quantiles: Sequence[float] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> Summary:
    """Summarise radial errors.

    Args:
        errors: (N, K) from :func:`.distances.radial_errors`, one row an image: NaN not annotated, +inf missed.
        labels: the K labels.
        unit: of the errors.
        radii: for the success detection rate; an error equal to the radius succeeds.
        false_finds: (N, K) bool from :func:`.distances.false_finds`, if they are to be counted.
        cases: to which case (subject) each row belongs; rows of one case are resampled together. Each row is a case of
            its own by default.
        quantiles: fractions in [0, 1] for which the error is wanted beside median and p95, such as 0.25 and 0.75.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap; the same seed gives the same interval.

    Returns:
        The summary; its intervals, over all landmarks and for each, are those of
        :func:`LandmarkDetectorLib.evaluation.resampling.ratio_interval`.

    Raises:
        LandmarkError: shapes that do not fit, a label twice, no case, a negative error, a quantile beyond [0, 1].
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
    if any(not 0 <= fraction <= 1 for fraction in quantiles):
        raise LandmarkError(f"The quantiles {list(quantiles)} are not fractions; give numbers from 0 to 1.")
    owner = owners(cases, len(errors))
    found, values = np.isfinite(errors), errors[np.isfinite(errors)]
    sums, counts = sums_by_case(np.where(found, errors, 0.0), owner), sums_by_case(found, owner)
    weights = draw_weights(len(sums), resamples, seed)
    return Summary(
        unit=unit,
        cases=len(errors),
        found=values.size,
        missed=int(np.isposinf(errors).sum()),
        false_finds=None if false_finds is None else int(np.sum(false_finds)),
        mean=_mean(values),
        mean_interval=ratio_interval(weights, sums.sum(axis=1), counts.sum(axis=1)),
        sd=_deviation(values),
        median=_percentile(values, 50),
        p95=_percentile(values, 95),
        max=float(values.max()) if values.size else np.nan,
        sdr=_success(errors, radii),
        per_landmark={
            label: _one(errors[:, k], radii, quantiles, ratio_interval(weights, sums[:, k], counts[:, k]))
            for k, label in enumerate(labels)
        },
        quantiles=_quantiles(values, quantiles),
    )


def _one(
    column: np.ndarray, radii: Sequence[float], quantiles: Sequence[float], interval: tuple[float, float]
) -> LandmarkSummary:
    found = column[np.isfinite(column)]
    return LandmarkSummary(
        mean=_mean(found),
        median=_percentile(found, 50),
        p95=_percentile(found, 95),
        sdr=_success(column, radii),
        n=found.size,
        missed=int(np.isposinf(column).sum()),
        sd=_deviation(found),
        mean_interval=interval,
        quantiles=_quantiles(found, quantiles),
    )


def _mean(found: np.ndarray) -> float:
    return float(found.mean()) if found.size else np.nan


def _deviation(found: np.ndarray) -> float:
    return float(found.std(ddof=1)) if found.size > 1 else np.nan


def _percentile(found: np.ndarray, q: float) -> float:
    return float(np.percentile(found, q)) if found.size else np.nan


def _quantiles(found: np.ndarray, fractions: Sequence[float]) -> dict[float, float]:
    return {float(fraction): _percentile(found, 100 * fraction) for fraction in fractions}


def _success(errors: np.ndarray, radii: Sequence[float]) -> dict[float, float]:
    annotated = errors[~np.isnan(errors)]
    return {float(r): float((annotated <= r).mean()) if annotated.size else np.nan for r in radii}


def _row(label: str, item: LandmarkSummary, unit: str) -> dict[str, Any]:
    low, high = item.mean_interval
    row = {"landmark": label, "mean": item.mean, "mean from": low, "mean to": high, "sd": item.sd}
    row |= {"median": item.median, "p95": item.p95}
    row |= {f"quantile {fraction:g}": value for fraction, value in item.quantiles.items()}
    row |= {f"within {radius:g} {unit} (%)": 100 * rate for radius, rate in item.sdr.items()}
    return plain({**row, "n": item.n, "missed": item.missed})
