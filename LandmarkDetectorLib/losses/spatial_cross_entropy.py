"""Cross-entropy between the spatial softmax of the logits and a normalised Gaussian around the landmark.

The map is read as a distribution over voxels (as in DSNT, Nibali et al. 2018), so its spread is a statement about
uncertainty, and a landmark far from every voxel cannot be drowned by the background.
"""

from __future__ import annotations

import torch
from torch import Tensor


def spatial_cross_entropy(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid landmarks of the batch.

    Args:
        logits: (B, K, [Z, ]Y, X).
        targets: the same shape, non-negative; normalised here. A map that is zero everywhere does not count.
        valid: (B, K) bool; a landmark that is not annotated gives no gradient.

    Returns:
        A scalar, in nats; 0 when nothing is valid.
    """
    flat = logits.flatten(2)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    target = targets.flatten(2)
    mass = target.sum(-1)
    valid = valid & (mass > 1e-6)
    # Not log_softmax: it would write a third map of this size. log p(target) = mean logit under it - log-sum-exp.
    loss = flat.logsumexp(-1) - (target * flat).sum(-1) / mass.clamp_min(1e-6)
    return (loss * valid).sum() / valid.sum().clamp_min(1)
