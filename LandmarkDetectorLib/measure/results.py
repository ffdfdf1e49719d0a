"""What measuring gives: a value with its unit, its view, its interval and its norm; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from LandmarkDetectorLib.measure.schema import Norm, View
from LandmarkDetectorLib.measure.values import Shape


@dataclass(frozen=True)
class Interval:
    """Between which values a measurement lies, as far as its landmarks' uncertainty is known.

    Attributes:
        low: lower end, in the result's unit.
        high: upper end.
        level: the probability that is claimed.
        sd: standard deviation, ``None`` where regions and no covariances were given.
        method: how it came about, in words for a report.
    """

    low: float
    high: float
    level: float
    sd: float | None
    method: str

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= value <= self.high


@dataclass(frozen=True, eq=False)
class Result:
    """One measurement of one set of landmarks in one view.

    Attributes:
        name: of the measurement.
        title: as a person calls it.
        value: in ``unit``; ``None`` when it was not computed.
        unit: ``px`` and ``px²`` for pictures without a scale.
        view: ``2D``, ``3D`` (true angles and distances) or ``mid-sagittal`` (of the landmarks' projections).
        side: ``left`` or ``right`` where each side is measured by itself or one was asked for.
        needs: the landmarks that it is made of, as a person calls them.
        not_computed: why there is no value, for example ``needs Gonion left, Menton``.
        norm: what is usual, where that may be compared; the notes say why not otherwise.
        deviation: of the value from the norm's mean in standard deviations, where both are known.
        interval: where the landmarks' uncertainty is known.
        sign: what positive means.
        notes: what a person should know: choices, sides, cut-offs nearby, norms left out.
        geometry: the construction in world coordinates, for drawing.
        citation: of the definition.
        set_name: of the set.
        labels: of the landmarks that the value depends on and that there are; a projection's plane has its own.
    """

    name: str
    title: str
    value: float | None
    unit: str
    view: View
    side: str | None = None
    needs: tuple[str, ...] = ()
    not_computed: str | None = None
    norm: Norm | None = None
    deviation: float | None = None
    interval: Interval | None = None
    sign: str = ""
    notes: tuple[str, ...] = ()
    geometry: tuple[Shape, ...] = ()
    citation: str = ""
    set_name: str = ""
    labels: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value as it is printed, or ``not computed: ...``; never 0 or NaN for what is not known."""
        if self.value is None:
            return f"not computed: {self.not_computed}"
        digits = 2 if self.unit == "ratio" else 1
        signs = {"degrees": "°", "ratio": ""}
        mark = signs.get(self.unit, f" {self.unit}")

        def printed(number: float) -> str:
            return f"{round(number, digits) + 0.0:.{digits}f}"  # + 0.0: no -0.0

        value = f"{printed(self.value)}{mark}"
        if self.interval is None:
            return value
        return f"{value} ({printed(self.interval.low)} to {printed(self.interval.high)})"

    @property
    def within_norm(self) -> bool | None:
        """Whether the value lies within the norm's limits, or within 1 SD of its mean; ``None`` when not known."""
        if self.value is None or self.norm is None:
            return None
        if self.norm.low is not None or self.norm.high is not None:
            above = self.norm.low is None or self.value >= self.norm.low
            return above and (self.norm.high is None or self.value <= self.norm.high)
        return None if self.deviation is None else abs(self.deviation) <= 1


def difference_of(first: Result, second: Result) -> tuple[float | None, float | None]:
    """How a measurement changed between two times: second minus first, and half of that difference's interval.

    Both times are taken to err independently of each other; bounds from regions, which no chance makes smaller, add up.
    What has no value at one of them, or no interval, has ``None``; and so have values in different units, of a picture
    with a scale and one without.
    """
    if first.value is None or second.value is None or first.unit != second.unit:
        return None, None
    change = second.value - first.value
    if first.interval is None or second.interval is None:
        return change, None
    one, other = first.interval.high - first.value, second.interval.high - second.value
    by_spread = first.interval.sd is not None and second.interval.sd is not None
    return change, hypot(one, other) if by_spread else one + other
