"""Agreement of a measurement with its reference: bias and limits of agreement, with their uncertainty.

Bland & Altman (1986), Lancet 327:307-310; (1999), Statistical Methods in Medical Research 8(2):135-160,
doi:10.1177/096228029900800204.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.plain import plain


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """Bias and 95 % limits of agreement, in ``unit``, with 95 % confidence intervals; NaN where n is too small.

    Attributes:
        name: of what is measured.
        unit: of everything here.
        bias: mean of measured minus reference.
        bias_interval: by Student's t.
        sd: standard deviation (n - 1) of the differences.
        lower: bias - 1.96 sd.
        lower_interval: by Student's t with the standard error sqrt(1/n + 1.96²/(2(n - 1))) sd, as in the 1999 paper.
        upper: bias + 1.96 sd.
        upper_interval: likewise.
        n: pairs of which both are known.
        not_computed: references whose measurement could not be computed.
        means: (n,) mean of both, the horizontal axis.
        differences: (n,) measured minus reference.
    """

    name: str
    unit: str
    bias: float
    bias_interval: tuple[float, float]
    sd: float
    lower: float
    lower_interval: tuple[float, float]
    upper: float
    upper_interval: tuple[float, float]
    n: int
    not_computed: int
    means: np.ndarray = field(repr=False)
    differences: np.ndarray = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """A plain dict of the figures, without the pairs; what could not be computed is ``None``."""
        skipped = ("means", "differences")
        return plain({key: value for key, value in vars(self).items() if key not in skipped})

    def table(self) -> list[dict[str, Any]]:
        """Three rows: bias, lower and upper limit, each with its interval."""
        rows = {"bias": self.bias_interval, "lower": self.lower_interval, "upper": self.upper_interval}
        named = [(key, getattr(self, key), ends) for key, ends in rows.items()]
        return plain([{"figure": key, "value": value, "from": a, "to": b} for key, value, (a, b) in named])


def digits_in(unit: str) -> int:
    """Digits behind the point with which differences in a unit are written: those of ratios are hundredths."""
    return 3 if unit == "ratio" else 2


def bland_altman(measured: np.ndarray, reference: np.ndarray, name: str, unit: str) -> BlandAltman:
    """Compare measurements with their references, one pair a subject.

    Args:
        measured: (N,); NaN: not computed.
        reference: (N,); NaN: not known, the pair does not count.
        name: of what is measured.
        unit: of both.

    Raises:
        LandmarkError: different numbers of values.
    """
    from scipy.stats import t

    measured, reference = np.asarray(measured, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if measured.shape != reference.shape or measured.ndim != 1:
        raise LandmarkError(
            f"{name}: {measured.shape} measurements do not fit {reference.shape} references; give (N,)."
        )
    known, computed = np.isfinite(reference), np.isfinite(measured)
    both = known & computed
    gaps = measured[both] - reference[both]
    n = gaps.size
    bias = float(gaps.mean()) if n else np.nan
    sd = float(gaps.std(ddof=1)) if n > 1 else np.nan
    reach = float(t.ppf(0.975, n - 1)) * sd if n > 1 else np.nan
    of_bias = reach * np.sqrt(1 / max(n, 1))
    of_limit = reach * np.sqrt(1 / max(n, 1) + 1.96**2 / (2 * max(n - 1, 1)))
    lower, upper = bias - 1.96 * sd, bias + 1.96 * sd
    return BlandAltman(
        name=name,
        unit=unit,
        bias=bias,
        bias_interval=_around(bias, of_bias),
        sd=sd,
        lower=lower,
        lower_interval=_around(lower, of_limit),
        upper=upper,
        upper_interval=_around(upper, of_limit),
        n=n,
        not_computed=int((known & ~computed).sum()),
        means=(measured[both] + reference[both]) / 2,
        differences=gaps,
    )


def _around(centre: float, reach: float) -> tuple[float, float]:
    return float(centre - reach), float(centre + reach)
