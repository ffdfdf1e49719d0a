"""Regularised coordinates (DSNT): the distance of the mean, and how unlike a Gaussian the map is.

Nibali et al. 2018, arXiv:1801.07372.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.losses.loss import LandmarkLoss, Reduction, Tensors, same_shape
from LandmarkDetectorLib.losses.registry import register_loss

# Far below any probability that matters and far above the smallest float32: it keeps log(p) finite where p is zero.
_TINY = 1e-20


@register_loss("jensen_shannon")
class JensenShannonLoss(LandmarkLoss):
    """|e| + ω JS(p, q), JS = ½ Σ p ln(p/m) + ½ Σ q ln(q/m), m = (p + q) / 2; in nats, at most ln 2.

    The prediction is (positions (B, K, D), probabilities (B, K, [Z, ]Y, X) that sum to one), the target (positions,
    maps), the maps non-negative; they are normalised here. A map that is zero everywhere does not count.

    Args:
        omega: ω, how much the divergence counts against a distance in the coordinates' unit.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, omega: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not omega >= 0:
            raise ValueError(f"omega is {omega}; give a number from 0 on")
        self.omega = omega

    def check(self, prediction: Tensors, target: Tensors) -> None:
        """See ``LandmarkLoss``."""
        if len(prediction) != 2 or len(target) != 2:
            raise ValueError("JensenShannonLoss takes (positions, probabilities) and (positions, maps)")
        same_shape(prediction[0], target[0])
        same_shape(prediction[1], target[1])

    def countable(self, target: Tensors) -> Tensor:
        """Landmarks whose map is not empty."""
        return target[1].flatten(2).sum(-1) != 0

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each landmark costs, (B, K)."""
        p, q = prediction[1].flatten(2), target[1].flatten(2)
        mass = q.sum(-1, keepdim=True)
        q = q / torch.where(mass != 0, mass, torch.ones_like(mass))
        middle = (p + q) / 2
        divergence = (_divergence(p, middle) + _divergence(q, middle)) / 2
        return torch.linalg.vector_norm(prediction[0] - target[0], dim=-1) + self.omega * divergence


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (p * ((p + _TINY).log() - (q + _TINY).log())).sum(-1)
