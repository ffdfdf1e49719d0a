"""What is measured now: a set, and one point list or two of different times; plain values for who shows or writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from LandmarkDetector.Panel.measure_rows import unreviewed_in


@dataclass(frozen=True, eq=False)
class TimePoint:
    """A point list as it was measured.

    Args:
        node: the point list.
        landmarks: its ``LandmarkSet``, in the world, LPS, or in the plane of a picture.
        results: of ``measure``, in the order of the table.
        reviewed: by label, whether somebody reviewed the landmark.
        in_space: takes positions (M, d) of landmarks and results into the world, (M, 3), LPS.
    """

    node: Any
    landmarks: Any
    results: Sequence[Any]
    reviewed: Mapping[str, bool]
    in_space: Callable[[np.ndarray], np.ndarray]

    @property
    def unreviewed(self) -> list[str]:
        """Labels of landmarks that went into a value and that nobody has reviewed."""
        found = [
            label for each in self.results for label in unreviewed_in(each, self.reviewed) if each.value is not None
        ]
        return list(dict.fromkeys(found))


@dataclass(frozen=True, eq=False)
class Measurements:
    """All that is shown.

    Args:
        set: the ``MeasurementSet``.
        first: the point list that is open.
        second: another time that it is compared with, or ``None``.
    """

    set: Any
    first: TimePoint
    second: TimePoint | None = None

    @property
    def times(self) -> list[TimePoint]:
        """The first time, and the second if there is one."""
        return [self.first] if self.second is None else [self.first, self.second]

    @property
    def unreviewed(self) -> list[str]:
        """As :attr:`TimePoint.unreviewed`, of both times."""
        return list(dict.fromkeys(label for time in self.times for label in time.unreviewed))
