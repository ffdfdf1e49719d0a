"""Euclidean distance of positions, alone and with a regulariser of the map's variance.

Without the regulariser nothing keeps a map whose mean is right from being spread over the whole image. Variance
regularisation: Nibali et al. 2018, arXiv:1801.07372.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.losses.estimate import EstimateLoss
from LandmarkDetectorLib.losses.loss import LandmarkLoss, Reduction, Tensors
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("euclidean")
class EuclideanLoss(LandmarkLoss):
    """√(|e|² + s²) - s, in the unit of the positions (B, K, D), as in ``radial_distance``.

    Args:
        smooth: s, the distance below which the loss is a parabola; 0 is the plain distance, whose gradient at zero
            error is taken as zero.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, smooth: float = 0.5, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.smooth = _not_negative("smooth", smooth)

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """The distance of each landmark, (B, K)."""
        return _distance(prediction[0] - target[0], self.smooth)


@register_loss("euclidean_variance")
class EuclideanVarianceLoss(EstimateLoss):
    """√(|e|² + s²) - s + ω Σ_d (Σ_dd - σ²)²; see ``EstimateLoss`` for the inputs.

    Args:
        sigma: σ, the standard deviation that a map should have on each axis, in the coordinates' unit.
        omega: ω, how much the variance counts. It weighs a fourth power against a distance: in voxels, where a map that
            is not trained yet has variances of hundreds, it wants to be small.
        smooth: s, see ``EuclideanLoss``.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(
        self, sigma: float = 1.0, omega: float = 0.01, smooth: float = 0.5, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction)
        self.sigma = _not_negative("sigma", sigma)
        self.omega = _not_negative("omega", omega)
        self.smooth = _not_negative("smooth", smooth)

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each estimate costs, (B, K)."""
        positions, covariances = prediction
        variances = covariances.diagonal(dim1=-2, dim2=-1)
        spread = (variances - self.sigma**2).square().sum(-1)
        return _distance(positions - target[0], self.smooth) + self.omega * spread


def _distance(error: Tensor, smooth: float) -> Tensor:
    if smooth == 0:
        return torch.linalg.vector_norm(error, dim=-1)
    return (error.square().sum(-1) + smooth**2).sqrt() - smooth


def _not_negative(name: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name} is {value}; give a number from 0 on")
    return value
