"""The Gaussian: what most networks learn from, and the one distribution that is a product of its profiles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.generators.generator import HeatmapGenerator
from LandmarkDetectorLib.heatmaps.generators.registry import register_generator


@register_generator("gaussian")
class GaussianHeatmaps(HeatmapGenerator):
    """exp(-½ m) at the squared Mahalanobis distance m. The covariance S is that of the distribution.

    The arguments and the call are those of :class:`HeatmapGenerator`. With a covariance along the axes it makes what
    ``gaussian_heatmaps`` makes, at its cost.
    """

    separable = True

    def profile(self, squared: Tensor) -> Tensor:
        """See :class:`HeatmapGenerator`."""
        return torch.exp(-0.5 * squared)

    def mass(self) -> float:
        """(2π)^(D/2)."""
        return (2 * math.pi) ** (self.dimension / 2)
