"""Covariances that a network answers for, positive definite by construction.

The head predicts L, the lower triangle of Σ = L Lᵀ, as Kumar et al. 2019 (UGLLI), arXiv:1910.08187, and Kumar et al.
2020 (LUVLi), arXiv:2004.02980, do; the diagonal goes through a softplus, which unlike an ELU stays above its floor and
keeps a gradient. It is trained by ``losses.gaussian_nll``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CholeskyHead(nn.Module):
    """From features to a covariance for each landmark.

    Args:
        width: F, features that come in.
        landmarks: K.
        dimension: D, 2 or 3.
        per_landmark: each landmark brings its own features, and all share the weights.
        hidden: width of the hidden layer.
        initial: standard deviation along each axis that an untrained head predicts, in voxels.
        floor: smallest entry of L's diagonal, in voxels; no determinant is below its 2D-th power.

    Shapes:
        (B, F), or (B, K, F) when per landmark, to (B, K, D, D) in voxel² along x, y[, z], in the weights' precision.
    """

    def __init__(
        self,
        width: int,
        landmarks: int,
        dimension: int,
        per_landmark: bool = False,
        hidden: int = 128,
        initial: float = 2.0,
        floor: float = 0.05,
    ) -> None:
        super().__init__()
        if not 0 < floor < initial:
            raise ValueError(f"the floor {floor} is not between 0 and the initial deviation {initial}")
        self.landmarks, self.dimension, self.per_landmark, self.floor = landmarks, dimension, per_landmark, floor
        self.entries = dimension * (dimension + 1) // 2
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, self.entries if per_landmark else landmarks * self.entries)
        # Before training every covariance is nearly initial² I: the error's gradient is then that of a squared error.
        nn.init.normal_(self.out.weight, std=1e-3)
        with torch.no_grad():
            bias = torch.zeros(self.out.out_features // self.entries, self.entries)
            bias[:, :dimension] = math.log(math.expm1(initial - floor))
            self.out.bias.copy_(bias.flatten())

    def factor(self, features: Tensor) -> Tensor:
        """L (B, K, D, D), lower triangular with a positive diagonal."""
        # Products of half-precision entries lose the small eigenvalue of a long ellipse.
        with torch.autocast(features.device.type, enabled=False):
            entries = self.out(F.leaky_relu(self.hidden(features.to(self.hidden.weight.dtype)), 0.1))
        entries = entries.view(-1, self.landmarks, self.entries)
        diagonal = F.softplus(entries[..., : self.dimension]) + self.floor
        row, column = torch.tril_indices(self.dimension, self.dimension, -1, device=entries.device)
        lower = entries.new_zeros(*entries.shape[:2], self.dimension, self.dimension)
        lower[..., row, column] = entries[..., self.dimension :]
        return lower + torch.diag_embed(diagonal)

    def forward(self, features: Tensor) -> Tensor:
        """Σ = L Lᵀ."""
        factor = self.factor(features)
        with torch.autocast(features.device.type, enabled=False):
            return factor @ factor.mT
