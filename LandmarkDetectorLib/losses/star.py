"""STAR loss: an error along the direction in which the landmark is ambiguous counts less.

Zhou et al. 2023, STAR loss: reducing semantic ambiguity in facial landmark detection, arXiv:2306.02763. Two things
differ from what was published: the loss knows three dimensions, and it is a value for each landmark, so that the
size of the batch does not change it.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from LandmarkDetectorLib.losses.estimate import EstimateLoss
from LandmarkDetectorLib.losses.loss import Reduction, Tensors
from LandmarkDetectorLib.losses.registry import register_loss

Distance = Literal["smooth_l1", "l1", "l2"]


@register_loss("star")
class STARLoss(EstimateLoss):
    """Σᵢ d(vᵢᵀ e) / √λᵢ + ω/2 Σᵢ λᵢ, with λᵢ, vᵢ the eigenvalues and eigenvectors of the covariance, d a distance.

    See ``EstimateLoss`` for the inputs. The gradient reaches the eigenvalues, not the directions: those of a round
    covariance are arbitrary, and their derivative is infinite there.

    Args:
        omega: how much the covariance's trace costs, so that it does not grow to make every error cheap.
        distance: d, "smooth_l1", "l1" or "l2" (the square of the error).
        beta: the error below which "smooth_l1" is a parabola, in the coordinates' unit.
        floor: an eigenvalue counts as at least this, in the square of the coordinates' unit.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(
        self,
        omega: float = 1.0,
        distance: Distance = "smooth_l1",
        beta: float = 0.01,
        floor: float = 1e-3,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        if distance not in get_args(Distance):
            raise ValueError(f"the distance is {distance!r}; choose one of {', '.join(get_args(Distance))}")
        self.distance = distance
        if not (omega >= 0 and beta > 0 and floor > 0):
            raise ValueError("omega must not be negative, beta and floor must be positive")
        self.omega, self.beta, self.floor = omega, beta, floor

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each estimate costs, (B, K)."""
        positions, covariances = prediction
        directions = torch.linalg.eigh(covariances.detach())[1]  # columns
        # vᵀ Σ v with v held fixed is the eigenvalue, and so is its derivative.
        eigenvalues = (directions * (covariances @ directions)).sum(-2)
        along = (directions.mT @ (positions - target[0]).unsqueeze(-1)).squeeze(-1)
        if self.distance == "l2":
            distance = along.square()
        else:  # at β = 0, smooth L1 is L1
            beta = self.beta if self.distance == "smooth_l1" else 0.0
            distance = smooth_l1_loss(along, torch.zeros_like(along), reduction="none", beta=beta)
        ambiguity = eigenvalues.clamp_min(self.floor).sqrt()
        return (distance / ambiguity).sum(-1) + self.omega / 2 * eigenvalues.sum(-1)
