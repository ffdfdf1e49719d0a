"""The bootstrap over cases: whole cases are drawn with replacement, for the landmarks of one case depend on each other.

How often each case is drawn is multinomial, so a resample is a row of weights, and the means of all resamples are one
matrix product: no error is ever copied.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from LandmarkDetectorLib.core import LandmarkError

LEVEL = 0.95
"""Of every interval in this room."""


def owners(cases: Sequence[Hashable] | None, rows: int) -> np.ndarray:
    """(rows,) number of the case that each row belongs to, counted from 0; each is one of its own with ``None``.

    Raises:
        LandmarkError: not one case a row.
    """
    if cases is None:
        return np.arange(rows)
    if len(cases) != rows:
        raise LandmarkError(f"{len(cases)} case names do not fit {rows} rows of errors.")
    numbers = {name: i for i, name in enumerate(dict.fromkeys(cases))}
    return np.array([numbers[name] for name in cases], dtype=int)


def sums_by_case(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Sums (S, ...) of values (N, ...) over the rows of each of S cases."""
    values = np.asarray(values, dtype=np.float64)
    total = np.zeros((int(owner.max()) + 1, *values.shape[1:]))
    np.add.at(total, owner, values)
    return total


def draw_weights(cases: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, cases) how often each case is drawn; the same seed draws the same."""
    return np.random.default_rng(seed).multinomial(cases, np.full(cases, 1 / cases), size=resamples)


def ratio_interval(weights: np.ndarray, above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """Percentile interval of sum(above) / sum(below) over cases.

    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13. It is too narrow where there are fewer
    than about ten cases.

    Args:
        weights: (R, S) by :func:`draw_weights`.
        above: (S,) numerator of each case.
        below: (S,) denominator of each case.

    Returns:
        Lower and upper end; NaN where fewer than two cases have anything to say.
    """
    if np.count_nonzero(below) < 2:
        return np.nan, np.nan
    drawn = weights @ below
    some = drawn > 0
    return percentile_interval((weights @ above)[some] / drawn[some])


def percentile_interval(samples: np.ndarray) -> tuple[float, float]:
    """The middle :data:`LEVEL` of bootstrap samples (R,)."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(samples, (tail, 100 - tail))
    return float(low), float(high)
