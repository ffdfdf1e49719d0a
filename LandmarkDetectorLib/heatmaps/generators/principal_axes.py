"""Covariances as numbers that an optimiser may move anywhere: logarithms of sigma along principal axes, and their turn.

Every covariance is R diag(σ²) Rᵀ. The logarithm keeps σ positive whatever the step, and a step changes it by the same
share in voxels and in millimetres. In space R is the exponential of a rotation vector, which has no special directions
near the identity, unlike three angles.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkError

LOG_LIMIT = 20.0
"""Sigma is kept between exp(-20) and exp(20): wider than any unit of length needs, and no square leaves the numbers."""


def log_of(sigma: Tensor) -> Tensor:
    """Logarithm of standard deviations.

    Raises:
        LandmarkError: one is outside of what is representable here.
    """
    log = sigma.log()
    if bool((log.abs() > LOG_LIMIT).any()):
        raise LandmarkError("A sigma is not between 1e-8 and 1e8; give it in another unit.")
    return log


def sigma_of(log: Tensor) -> Tensor:
    """Standard deviations of their logarithms."""
    return log.clamp(-LOG_LIMIT, LOG_LIMIT).exp()


def rotation_matrix(rotation: Tensor) -> Tensor:
    """Matrices that turn columns x, y[, z].

    Args:
        rotation: (..., 1) angle in radians from x towards y, or (..., 3) axis times angle.

    Returns:
        (..., 2, 2) or (..., 3, 3); of zeros exactly the identity.
    """
    if rotation.shape[-1] == 1:
        cosine, sine = rotation[..., 0].cos(), rotation[..., 0].sin()
        return torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
    x, y, z = rotation.unbind(-1)
    none = torch.zeros_like(x)
    return torch.linalg.matrix_exp(torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3)))


def covariance_of(sigma: Tensor, rotation: Tensor) -> Tensor:
    """R diag(σ²) Rᵀ: (..., D, D) of sigma (..., D) and a rotation (..., 1) or (..., 3)."""
    turn = rotation_matrix(rotation)
    return (turn * sigma[..., None, :] ** 2) @ turn.mT


def take_apart(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Sigma (K, D) and rotation (K, 1) or (K, 3) of symmetric, positive definite matrices (K, D, D).

    Of all the ways to name the principal axes it takes that with the smallest turn: a diagonal matrix has none.
    """
    variances, vectors = torch.linalg.eigh(covariance)
    d = covariance.shape[-1]
    best = torch.full_like(variances[:, 0], -torch.inf)
    sigma, turn = torch.empty_like(variances), torch.empty_like(covariance)
    for order in itertools.permutations(range(d)):
        axes = vectors[:, :, list(order)]
        diagonal = axes.diagonal(dim1=1, dim2=2)
        signs = torch.where(diagonal < 0, -1, 1).to(axes)
        mirrored = torch.linalg.det(axes * signs[:, None]) < 0
        cheapest = torch.nn.functional.one_hot(diagonal.abs().argmin(-1), d).bool()
        signs = torch.where(mirrored[:, None] & cheapest, -signs, signs)
        trace = (diagonal * signs).sum(-1)
        better = trace > best
        best = torch.where(better, trace, best)
        sigma = torch.where(better[:, None], variances[:, list(order)].sqrt(), sigma)
        turn = torch.where(better[:, None, None], axes * signs[:, None], turn)
    if d == 2:
        return sigma, torch.atan2(turn[:, 1, 0], turn[:, 0, 0])[:, None]
    # The axis times the sine of the angle; the smallest turn is below 63 degrees, so the sine tells the angle.
    skew = torch.stack(
        [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], -1
    )
    sine = skew.norm(dim=-1, keepdim=True) / 2
    angle = torch.atan2(sine, ((best - 1) / 2)[:, None])
    return sigma, torch.where(sine > 0, skew * angle / (2 * sine), 0)
