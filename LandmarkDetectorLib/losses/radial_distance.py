"""Distance from a decoded position to the landmark: what is judged at the end, as a loss.

With the expectation of the spatial softmax as position it is soft-arg-max regression: Sun et al. 2018,
arXiv:1711.08229.
"""

from __future__ import annotations

import torch
from torch import Tensor


def radial_distance(positions: Tensor, landmarks: Tensor, valid: Tensor, smooth: float = 0.5) -> Tensor:
    """Mean over the valid landmarks of a smoothed Euclidean distance, in the coordinates' unit.

    Args:
        positions: (B, K, D) decoded, differentiable; NaN allowed where not valid.
        landmarks: (B, K, D); likewise.
        valid: (B, K) bool; a landmark that is not annotated gives no gradient.
        smooth: below this distance the loss is quadratic, so that its gradient is defined at zero.

    Returns:
        A scalar; 0 when nothing is valid.
    """
    squared = torch.where(valid[..., None], positions - landmarks, 0.0).square().sum(-1)
    distance = (squared + smooth**2).sqrt() - smooth
    return (distance * valid).sum() / valid.sum().clamp_min(1)
