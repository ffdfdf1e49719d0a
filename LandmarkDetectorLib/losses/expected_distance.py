"""Distance from the expectation of the map to the landmark: what is judged at the end, as a loss.

Soft-arg-max regression: Sun et al. 2018, arXiv:1711.08229.
"""

from __future__ import annotations

from torch import Tensor

from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation, spatial_softmax


def expected_distance(logits: Tensor, landmarks: Tensor, valid: Tensor, smooth: float = 0.5) -> Tensor:
    """Mean over the valid landmarks of a smoothed Euclidean distance in voxels.

    Args:
        logits: (B, K, [Z, ]Y, X).
        landmarks: (B, K, D) in x, y[, z] voxel index; NaN allowed where not valid.
        valid: (B, K) bool.
        smooth: below this distance the loss is quadratic, so that its gradient is defined at zero.
    """
    mean = spatial_expectation(spatial_softmax(logits)).mean
    squared = (mean - landmarks.nan_to_num()).square().sum(-1)
    distance = (squared + smooth**2).sqrt() - smooth
    return (distance * valid).sum() / valid.sum().clamp_min(1)
