"""Exponential weighted centre loss: the voxels near the landmark count up to α times those of the background.

Ao and Wu 2023, Feature aggregation and refinement network for 2D anatomical landmark detection (FARNet),
https://doi.org/10.1007/s10278-022-00718-4.
"""

from __future__ import annotations

from torch import Tensor

from LandmarkDetectorLib.losses.loss import HeatmapLoss, Reduction, Space
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("exponential_weighted_centre")
class ExponentialWeightedCentreLoss(HeatmapLoss):
    """(p - y)² α^y.

    Args:
        alpha: how much the landmark's own voxel, where y = 1, counts against the background; 40 in the paper.
        space: over voxels, see ``HeatmapLoss``.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, alpha: float = 40.0, space: Space = "mean", reduction: Reduction = "mean") -> None:
        super().__init__(space, reduction)
        if not alpha >= 1:
            raise ValueError(f"alpha is {alpha}; give a number from 1 on")
        self.alpha = alpha

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        return (prediction - target).square() * self.alpha**target
