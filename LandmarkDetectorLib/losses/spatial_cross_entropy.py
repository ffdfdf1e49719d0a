"""Cross-entropy between the spatial softmax of the logits and a normalised Gaussian around the landmark.

The map is read as a distribution over voxels (as in DSNT, Nibali et al. 2018), so its spread is a statement about
uncertainty, and a landmark far from every voxel cannot be drowned by the background.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.losses.loss import LandmarkLoss, Tensors
from LandmarkDetectorLib.losses.registry import register_loss


def spatial_cross_entropy(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid landmarks of the batch.

    Args:
        logits: (B, K, [Z, ]Y, X).
        targets: the same shape, non-negative and finite, also where not valid; normalised here. A map that is zero
            everywhere does not count.
        valid: (B, K) bool; a landmark that is not annotated gives no gradient.

    Returns:
        A scalar, in nats; 0 when nothing is valid.
    """
    loss, mass = _for_each_landmark(logits, targets)
    valid = valid & (mass > _EMPTY)
    return (loss * valid).sum() / valid.sum().clamp_min(1)


@register_loss("spatial_cross_entropy")
class SpatialCrossEntropyLoss(LandmarkLoss):
    """-Σ y/Σy · ln softmax(z), in nats, of logits z and non-negative maps y, both (B, K, [Z, ]Y, X).

    The same as the function, with all else of a loss. With a target of one voxel it is the negative log-likelihood of
    that voxel; it is computed on logits, so no logarithm of zero is ever taken. A map that is zero everywhere does not
    count.

    Args:
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each map costs, (B, K)."""
        return _for_each_landmark(prediction[0], target[0])[0]

    def countable(self, target: Tensors) -> Tensor:
        """Landmarks whose map is not empty; one with a NaN counts, so that the fault is seen."""
        return ~(target[0].flatten(2).sum(-1) <= _EMPTY)


def _for_each_landmark(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The cross-entropy of each map and the mass of its target, (B, K) both."""
    flat = logits.flatten(2)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    target = targets.flatten(2)
    mass = target.sum(-1)
    # Not log_softmax: it would write a third map of this size. log p(target) = mean logit under it - log-sum-exp.
    return flat.logsumexp(-1) - (target * flat).sum(-1) / mass.clamp_min(_EMPTY), mass


_EMPTY = 1e-6  # a map with less mass is empty
