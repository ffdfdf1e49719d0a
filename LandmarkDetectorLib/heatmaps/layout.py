"""How heatmaps lie in memory: (B, K, [Z, ]Y, X) arrays against x, y[, z] index coordinates, turned here alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError


def check_heatmaps(heatmaps: Tensor) -> tuple[int, ...]:
    """The spatial shape ([Z, ]Y, X) of heatmaps (B, K, [Z, ]Y, X).

    Raises:
        LandmarkDetectorError: not a floating-point tensor of four or five axes, or one without voxels.
    """
    if not heatmaps.is_floating_point():
        raise LandmarkDetectorError(f"Heatmaps of type {heatmaps.dtype} are not floating-point numbers; convert them.")
    if heatmaps.ndim not in (4, 5):
        raise LandmarkDetectorError(
            f"Heatmaps of shape {tuple(heatmaps.shape)} are not (batch, landmarks, [Z, ]Y, X); add the missing axes."
        )
    shape = tuple(heatmaps.shape[2:])
    if min(shape) < 1:
        raise LandmarkDetectorError(f"Heatmaps of shape {tuple(heatmaps.shape)} have no voxel; give a larger grid.")
    return shape


def coordinates_of(flat: Tensor, shape: Sequence[int]) -> Tensor:
    """Integer coordinates (..., D) in x, y[, z] of positions (...) in the flattened grid of this shape ([Z, ]Y, X)."""
    axes = []
    for size in reversed(shape):
        axes.append(flat % size)
        flat = torch.div(flat, size, rounding_mode="floor")
    return torch.stack(axes, dim=-1)
