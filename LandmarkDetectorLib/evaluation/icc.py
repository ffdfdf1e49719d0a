"""How reliable a number is between readers: intraclass correlations, and agreement of classes.

Shrout & Fleiss (1979), Psychological Bulletin 86(2):420-428, doi:10.1037/0033-2909.86.2.420; McGraw & Wong (1996),
Psychological Methods 1(1):30-46 (intervals); Cohen (1960), Educational and Psychological Measurement 20(1):37-46;
Fleiss, Cohen & Everitt (1969), Psychological Bulletin 72(5):323-327 (standard error of kappa).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.plain import plain

Interval = tuple[float, float]
UNKNOWN: Interval = (np.nan, np.nan)


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlations of single readings, with confidence intervals; NaN where they cannot be computed.

    Attributes:
        agreement: ICC(2,1): readers are some of many, and a constant difference between them counts against it.
        agreement_interval: of McGraw & Wong's ICC(A,1).
        consistency: ICC(3,1): these readers and no others; a constant difference between them is forgiven.
        consistency_interval: exact, by F.
        subjects: n, which all readers read.
        readers: k.
        level: of the intervals.
        between, readers_square, residual: mean squares of subjects (BMS), readers (JMS) and what is left (EMS).
    """

    agreement: float
    agreement_interval: Interval
    consistency: float
    consistency_interval: Interval
    subjects: int
    readers: int
    level: float
    between: float
    readers_square: float
    residual: float

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return plain(dict(vars(self)))


def reliability(readings: np.ndarray, level: float = 0.95) -> Reliability:
    """Intraclass correlations of readings (N, k), a row a subject and a column a reader.

    Args:
        readings: rows with a NaN are left out: all readers must have read a subject.
        level: of the intervals.

    Raises:
        LandmarkError: not (N, k) with two readers or more.
    """
    readings = np.asarray(readings, dtype=np.float64)
    if readings.ndim != 2 or readings.shape[1] < 2:
        raise LandmarkError(
            f"Readings of shape {readings.shape} have no reliability; give (subjects, two readers or more)."
        )
    readings = readings[np.isfinite(readings).all(axis=1)]
    n, k = readings.shape
    if n < 2:
        return Reliability(np.nan, UNKNOWN, np.nan, UNKNOWN, n, k, level, np.nan, np.nan, np.nan)
    grand = readings.mean()
    rows, columns = readings.mean(axis=1), readings.mean(axis=0)
    bms = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    jms = n * float(((columns - grand) ** 2).sum()) / (k - 1)
    left = readings - rows[:, None] - columns + grand
    ems = float((left**2).sum()) / ((n - 1) * (k - 1))
    ems = 0.0 if ems < 1e-12 * (bms + jms) else ems  # rounding
    squares = bms, jms, ems
    agreement = _ratio(bms - ems, bms + (k - 1) * ems + k * (jms - ems) / n)
    consistency = _ratio(bms - ems, bms + (k - 1) * ems)
    return Reliability(
        agreement,
        _agreement_interval(agreement, squares, n, k, level),
        consistency,
        _consistency_interval(squares, n, k, level),
        n,
        k,
        level,
        *squares,
    )


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else np.nan


def _agreement_interval(icc: float, squares: tuple[float, float, float], n: int, k: int, level: float) -> Interval:
    from scipy.stats import f

    bms, jms, ems = squares
    if not np.isfinite(icc):
        return UNKNOWN
    if ems == 0:  # readers that differ by nothing, or by the same everywhere: the formula divides by it
        return (1.0, 1.0) if jms == 0 else UNKNOWN
    ratio = jms / ems
    a = k * icc * ratio
    b = n * (1 + (k - 1) * icc) - k * icc
    freedom = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2)
    upper_f = float(f.ppf((1 + level) / 2, n - 1, freedom))
    lower_f = float(f.ppf((1 + level) / 2, freedom, n - 1))
    spread = k * jms + (k * n - k - n) * ems
    low = n * (bms - upper_f * ems) / (upper_f * spread + n * bms)
    high = n * (lower_f * bms - ems) / (spread + n * lower_f * bms)
    return low, high


def _consistency_interval(squares: tuple[float, float, float], n: int, k: int, level: float) -> Interval:
    from scipy.stats import f

    bms, _, ems = squares
    if ems == 0:
        return (1.0, 1.0) if bms > 0 else UNKNOWN
    one, other = n - 1, (n - 1) * (k - 1)
    low = bms / ems / float(f.ppf((1 + level) / 2, one, other))
    high = bms / ems * float(f.ppf((1 + level) / 2, other, one))
    return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


@dataclass(frozen=True, eq=False)
class ClassAgreement:
    """How two readers' classes agree.

    Attributes:
        names: of the two readers; the first one's classes are the rows.
        classes: the m classes in order.
        counts: (m, m) subjects.
        observed: share in which they agree; NaN without a subject.
        kappa: Cohen's; NaN where both put all into one class.
        interval: of kappa, by its standard error in large samples, within -1 and 1.
        level: of the interval.
    """

    names: tuple[str, str]
    classes: tuple[str, ...]
    counts: np.ndarray
    observed: float
    kappa: float
    interval: Interval
    level: float = field(default=0.95)

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        said = {key: value for key, value in vars(self).items() if key != "counts"}
        return plain(said | {"counts": self.counts.tolist()})


def class_agreement(
    first: Sequence[int], second: Sequence[int], classes: Sequence[str], names: tuple[str, str], level: float = 0.95
) -> ClassAgreement:
    """Cross-tabulate two readers' classes.

    Args:
        first: number of each subject's class; -1 where it is not known, and the subject does not count.
        second: likewise, of the same subjects.
        classes: the classes in order.
        names: of the readers.
        level: of kappa's interval.

    Raises:
        LandmarkError: different numbers of subjects.
    """
    one, other = np.asarray(first, dtype=int), np.asarray(second, dtype=int)
    if one.shape != other.shape or one.ndim != 1:
        raise LandmarkError(
            f"{one.shape} and {other.shape} classes do not fit each other; give those of the same subjects."
        )
    known = (one >= 0) & (other >= 0)
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (one[known], other[known]), 1)
    total = int(counts.sum())
    if not total:
        return ClassAgreement(names, tuple(classes), counts, np.nan, np.nan, UNKNOWN, level)
    share = counts / total
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed, expected = float(np.trace(share)), float(rows @ columns)
    if expected > 1 - 1e-12:
        return ClassAgreement(names, tuple(classes), counts, observed, np.nan, UNKNOWN, level)
    kappa = (observed - expected) / (1 - expected)
    a = float((np.diag(share) * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    apart = share * (columns[:, None] + rows[None, :]) ** 2
    b = (1 - kappa) ** 2 * float(apart.sum() - np.trace(apart))
    c = (kappa - expected * (1 - kappa)) ** 2
    error = float(np.sqrt(max(a + b - c, 0.0) / total)) / (1 - expected)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    interval = max(kappa - reach, -1.0), min(kappa + reach, 1.0)
    return ClassAgreement(names, tuple(classes), counts, observed, kappa, interval, level)
