"""What was predicted, believed as it is: no truth is looked at, and nothing is promised."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np

from LandmarkDetectorLib.evaluation.regions.method import Calibrated, RegionMethod, check_level
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions


class BelievedMethod(RegionMethod):
    """A yardstick for methods that learn their bounds."""

    condition: ClassVar[str]
    """What would have to hold for the level to hold, behind "only if"."""

    @abstractmethod
    def bound(self, probability: float, dimension: int) -> float:
        """The bound on the scores that takes in this probability, if :attr:`condition` holds."""

    def calibrate(
        self,
        predictions: Predictions,
        truths: Any = None,
        level: float = 0.95,
        *,
        joint: bool = False,
        pooled: bool = False,
        subjects: Sequence[Hashable] | None = None,
    ) -> Calibrated:
        """Bounds by the level alone; jointly, each landmark gets its share of what may fail.

        The truths, where given, are only looked at for their shape.

        Raises:
            LandmarkError: as :meth:`RegionMethod.calibrate`.
        """
        check_level(level)
        if truths is not None:
            predictions.truths(truths)
        landmarks = len(predictions.labels)
        share = (1 - level) / landmarks if joint else 1 - level
        bounds = np.full((landmarks, 1), self.bound(1 - share, predictions.dimension))
        notice = f"Not calibrated: the level holds only if {self.condition}."
        return Calibrated(self, level, joint, pooled, predictions.labels, bounds, (0,) * landmarks, (notice,))
