"""From voxel values to numbers around [0, 1], by a rule that the bundle states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from LandmarkDetectorLib.core import RecipeError

SAMPLES = 1_000_000
"""Quantiles are read off about this many voxels: exact enough, and the same time for every volume."""


@dataclass(frozen=True)
class Intensity:
    """The rule.

    Args:
        window: two fixed values, for calibrated modalities such as CT.
        quantiles: two fractions of the image's own values. Either this or ``window``.
        ceiling: the lower value becomes 0, the upper 1; beyond they are clipped at 0 and at this.

    Raises:
        RecipeError: not exactly one of the two, or values that do not ascend.
    """

    window: tuple[float, float] | None = None
    quantiles: tuple[float, float] | None = None
    ceiling: float = 1.5

    def __post_init__(self) -> None:
        if (self.window is None) == (self.quantiles is None):
            raise RecipeError("intensity: give either window or quantiles, not both and not neither.")
        low, high = self.window or self.quantiles or (0, 0)
        if not low < high:
            raise RecipeError(f"intensity: the lower value {low} must lie below the upper value {high}.")
        if self.quantiles is not None and not 0 <= low < high <= 1:
            raise RecipeError(f"intensity: quantiles are fractions from 0 to 1, and {low} and {high} are given.")

    def scale(self, array: np.ndarray) -> Callable[[Tensor], Tensor]:
        """The function that scales values of this image, a Tensor to a Tensor of the same shape."""
        low, high = self.window if self.window is not None else self._quantile_values(array)
        width = max(high - low, 1e-12)
        return lambda values: values.sub(low).div_(width).clamp_(0, self.ceiling)

    def _quantile_values(self, array: np.ndarray) -> tuple[float, float]:
        # A regular stride per axis, never a flattened copy.
        step = max(1, int(np.ceil((array.size / SAMPLES) ** (1 / (array.ndim - 1)))))
        thin = array[tuple([slice(None), *[slice(None, None, step)] * (array.ndim - 1)])]
        low, high = np.quantile(thin, self.quantiles or (0.0, 1.0))
        return float(low), float(high)
