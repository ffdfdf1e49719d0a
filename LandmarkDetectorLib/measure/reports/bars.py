"""A value beside what is usual, as a bar: where everything stands along one axis, for any page to draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.schema import CutOff, Measurement

MARGIN = 0.06
"""Of the axis, beyond what stands at its ends."""


@dataclass(frozen=True)
class NormBar:
    """A value, its interval and its norm, in the value's unit.

    Attributes:
        low, high: ends of the axis.
        value: of the measurement.
        interval: of the value, or ``None``.
        usual: from where to where most people lie: the norm's limits, or its mean ± 1 SD; ``None`` where neither is
            known, since a mean alone does not say how far is far.
        wide: mean ± 2 SD, where an SD is known.
        mean: of the norm, or ``None``.
        cut_offs: that hold here.
    """

    low: float
    high: float
    value: float
    interval: tuple[float, float] | None
    usual: tuple[float, float] | None
    wide: tuple[float, float] | None
    mean: float | None
    cut_offs: tuple[float, ...]

    @property
    def digits(self) -> int:
        """Digits behind the point with which the ends of the axis are told apart, of a ratio as of an angle."""
        return max(1, 1 - math.floor(math.log10(self.high - self.low)))

    def at(self, value: float) -> float:
        """Where a value stands along the axis, from 0 to 1; beyond the ends at the ends."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def cut_offs_of(measurement: Measurement, result: Result) -> tuple[CutOff, ...]:
    """The cut-offs that a result may be compared with, in its view and unit, the lowest first."""
    if measurement.unit != result.unit:
        return ()
    return tuple(sorted((c for c in measurement.cut_offs if result.view in c.views), key=lambda cut: cut.value))


def norm_bar(result: Result, cut_offs: tuple[CutOff, ...] = ()) -> NormBar | None:
    """The bar of a result; ``None`` where there is nothing to compare the value with, or no value."""
    norm = result.norm
    if result.value is None or (norm is None and not cut_offs):
        return None
    mean = None if norm is None else norm.mean
    usual = wide = None
    if norm is not None and norm.low is not None and norm.high is not None:
        usual = (norm.low, norm.high)
    if norm is not None and norm.mean is not None and norm.sd is not None:
        usual = usual or (norm.mean - norm.sd, norm.mean + norm.sd)
        wide = (norm.mean - 2 * norm.sd, norm.mean + 2 * norm.sd)
    limits = [] if norm is None else [limit for limit in (norm.low, norm.high) if limit is not None]
    ends = None if result.interval is None else (result.interval.low, result.interval.high)
    if ends is not None and not all(map(math.isfinite, ends)):
        ends = None
    places = [result.value, *(ends or ()), *limits, *(usual or ()), *(wide or ()), *(cut.value for cut in cut_offs)]
    places += [mean] if mean is not None else []
    low, high = min(places), max(places)
    span = max(high - low, 1e-3 * abs(high), 1e-9)
    return NormBar(
        low - MARGIN * span,
        high + MARGIN * span,
        result.value,
        ends,
        usual,
        wide,
        mean,
        tuple(cut.value for cut in cut_offs),
    )
