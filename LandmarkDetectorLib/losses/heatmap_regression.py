"""Heatmap regression: the difference of two maps, voxel by voxel.

L2 on Gaussian maps is the beginning of the field: Tompson et al. 2014, arXiv:1406.2984; Pfister et al. 2015,
arXiv:1506.02897. In all of them a valid landmark with an empty target teaches the network to leave its map empty.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from LandmarkDetectorLib.losses.loss import HeatmapLoss, Reduction, Space
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("heatmap_l1")
class HeatmapL1Loss(HeatmapLoss):
    """|p - y|, in the unit of the maps."""

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        return (prediction - target).abs()


@register_loss("heatmap_l2")
class HeatmapL2Loss(HeatmapLoss):
    """(p - y)²."""

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        return (prediction - target).square()


@register_loss("heatmap_smooth_l1")
class HeatmapSmoothL1Loss(HeatmapLoss):
    """(p - y)² / 2β where |p - y| < β, |p - y| - β / 2 elsewhere. Girshick 2015, arXiv:1504.08083.

    Args:
        beta: the error at which the parabola becomes a line, in the unit of the maps.
        space: over voxels, see ``HeatmapLoss``.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, beta: float = 1.0, space: Space = "mean", reduction: Reduction = "mean") -> None:
        super().__init__(space, reduction)
        if not beta > 0:
            raise ValueError(f"beta is {beta}; give a positive number")
        self.beta = beta

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        return smooth_l1_loss(prediction, target, reduction="none", beta=self.beta)


@register_loss("heatmap_bce")
class HeatmapCrossEntropyLoss(HeatmapLoss):
    """-y log σ(z) - (1 - y) log(1 - σ(z)), in nats; z are logits, so that no logarithm of zero is ever taken."""

    logits = True

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        return binary_cross_entropy_with_logits(prediction, target, reduction="none")
