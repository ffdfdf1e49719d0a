"""Heatmap L2 where the spread of the target is learnt too, and large spreads cost something.

Payer et al. 2019 (learnt σ), https://doi.org/10.1016/j.media.2019.03.007; Thaler et al. 2021 (learnt anisotropic
covariance, the product of its axes as regulariser), arXiv:2109.09533. Generalised normal in several dimensions: Gómez
et al. 1998, https://doi.org/10.1080/03610929808832115.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.losses.loss import HeatmapLoss, LandmarkLoss, Reduction, Tensors, hidden, same_shape
from LandmarkDetectorLib.losses.registry import build_loss, register_loss


@register_loss("generalised_normal_heatmap_l2")
class GeneralisedNormalHeatmapLoss(LandmarkLoss):
    """Mean over voxels of (p - y)² or another distance, plus α √det C, C the covariance of exp(-½ (xᵀ S⁻¹ x)^β).

    C = 2^(1/β) Γ((D+2)/2β) / (D Γ(D/2β)) · S, which is S at β = 1, the Gaussian; β = ½ is Laplace's. √det C is an area
    or a volume, σ_major · σ_minor in two dimensions.

    The prediction is a map (B, K, [Z, ]Y, X), the target (maps of that shape, S as (K, D, D) or (B, K, D, D)). The maps
    are made of S, so the gradient reaches S through both terms.

    Args:
        alpha: how much the spread costs, per squared voxel (2D) or cubed voxel (3D).
        beta: β, the shape; 1 is Gaussian.
        distance: the loss on maps that stands in the place of (p - y)², by its name, with the mean over voxels.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(
        self,
        alpha: float = 1e-3,
        beta: float = 1.0,
        distance: str = "heatmap_l2",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        of_maps = build_loss(distance)
        if not isinstance(of_maps, HeatmapLoss):
            raise ValueError(f"{distance!r} is not a loss voxel by voxel; choose one such as heatmap_l1")
        self.distance = of_maps
        if not (alpha >= 0 and beta > 0):
            raise ValueError(f"alpha is {alpha} and beta {beta}; alpha must not be negative, beta must be positive")
        self.alpha = alpha
        self.beta = beta

    def check(self, prediction: Tensors, target: Tensors) -> None:
        """See ``LandmarkLoss``."""
        if len(prediction) != 1 or len(target) != 2:
            raise ValueError(f"{type(self).__name__} takes maps as prediction and (maps, matrices) as target")
        maps, (goals, matrices) = prediction[0], target
        same_shape(maps, goals)
        full = (*maps.shape[:2], maps.ndim - 2, maps.ndim - 2)
        if matrices.shape not in (full, full[1:]):
            raise ValueError(f"the matrices have the shape {tuple(matrices.shape)}; give {full[1:]} or {full}")

    def hide(self, prediction: Tensors, target: Tensors, valid: Tensor) -> tuple[Tensors, Tensors]:
        """Empty maps, unit matrices."""
        goals, matrices = target
        matrices = matrices.expand(valid.shape + matrices.shape[-2:])
        return (hidden(prediction[0], valid),), (hidden(goals, valid), hidden(matrices, valid, matrices=True))

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each map and its spread cost, (B, K)."""
        goals, matrices = target
        dimension = matrices.shape[-1]
        a = dimension / (2 * self.beta)
        log_scale = math.log(2) / self.beta + math.lgamma(a + 1 / self.beta) - math.lgamma(a) - math.log(dimension)
        # slogdet, because a determinant of small variances underflows long before its square root does.
        spread = torch.exp((torch.linalg.slogdet(matrices)[1] + dimension * log_scale) / 2)
        return self.distance.per_landmark(prediction, (goals,)) + self.alpha * spread


@register_loss("gaussian_heatmap_l2")
class GaussianHeatmapLoss(GeneralisedNormalHeatmapLoss):
    """Mean over voxels of (p - y)², plus α √det Σ: ``GeneralisedNormalHeatmapLoss`` at β = 1, where S = Σ.

    Args:
        alpha: how much the spread costs, per squared voxel (2D) or cubed voxel (3D).
        distance: see ``GeneralisedNormalHeatmapLoss``.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, alpha: float = 1e-3, distance: str = "heatmap_l2", reduction: Reduction = "mean") -> None:
        super().__init__(alpha, 1.0, distance, reduction)
