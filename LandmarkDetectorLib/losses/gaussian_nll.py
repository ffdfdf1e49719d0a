"""Negative log-likelihood of a multivariate Gaussian: the network answers for its uncertainty.

Kendall and Gal 2017, arXiv:1703.04977; for landmarks with full covariance: Kumar et al. 2020 (LUVLi), arXiv:2004.02980.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.losses.estimate import EstimateLoss
from LandmarkDetectorLib.losses.loss import Reduction, Tensors
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("gaussian_nll")
class GaussianNLLLoss(EstimateLoss):
    """½ eᵀ Σ⁻¹ e + ½ ln det Σ + D/2 ln 2π, in nats, with e the error of the position; see ``EstimateLoss``.

    Args:
        floor: added to each variance, so that a map that has collapsed to one voxel costs something finite; in the
            square of the coordinates' unit. 0 is the definition to the letter.
        reduction: over landmarks, see ``LandmarkLoss``.

    Raises:
        ValueError: when called with a covariance of a valid landmark that is not positive definite.
    """

    def __init__(self, floor: float = 1e-3, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not floor >= 0:
            raise ValueError(f"the floor is {floor}; give a number from 0 on")
        self.floor = floor

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each estimate costs, (B, K)."""
        positions, covariances = prediction
        dimension = positions.shape[-1]
        identity = torch.eye(dimension, dtype=covariances.dtype, device=covariances.device)
        # Halves of the two triangles: rounding makes them differ, and the factorisation reads only one.
        symmetric = (covariances + covariances.mT) / 2 + self.floor * identity
        factor, failed = torch.linalg.cholesky_ex(symmetric)
        if bool(failed.any()):
            raise ValueError("the covariance of a valid landmark is not positive definite; give a larger floor")
        error = (target[0] - positions).unsqueeze(-1)
        whitened = torch.linalg.solve_triangular(factor, error, upper=False).squeeze(-1)
        half_log_determinant = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return whitened.square().sum(-1) / 2 + half_log_determinant + dimension / 2 * math.log(2 * math.pi)
