"""The Laplace distribution: a sharp peak on long tails."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.generators.generator import HeatmapGenerator
from LandmarkDetectorLib.heatmaps.generators.registry import register_generator


@register_generator("laplace")
class LaplaceHeatmaps(HeatmapGenerator):
    """exp(-√((D + 1) m)) at the squared Mahalanobis distance m, in two and three dimensions.

    With the factor D + 1 the covariance S is that of the distribution: it is the power exponential family of Gómez et
    al. 1998, https://doi.org/10.1080/03610929808832115, at β = ½. At the peak, where it has no derivative, its gradient
    is zero. The arguments and the call are those of :class:`HeatmapGenerator`.
    """

    def profile(self, squared: Tensor) -> Tensor:
        """See :class:`HeatmapGenerator`."""
        # The root's derivative is infinite at zero and would make NaN of the chain rule there.
        distance = squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()
        return torch.exp(-math.sqrt(self.dimension + 1) * distance)

    def mass(self) -> float:
        """2π / 3 in two dimensions, π in three: the sphere's surface times Γ(D) (D + 1)^(-D/2)."""
        d = self.dimension
        surface = 2 * math.pi ** (d / 2) / math.gamma(d / 2)
        return surface * math.gamma(d) * (d + 1) ** (-d / 2)
