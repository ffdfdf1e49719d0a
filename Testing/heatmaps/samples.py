"""Heatmaps with a known centre, for the tests of this room."""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps import gaussian_heatmaps

PLANE = (96, 128)
VOLUME = (40, 48, 56)


def noisy(centres: Tensor, shape: tuple[int, ...], sigma: float, noise: float, seed: int = 0) -> Tensor:
    """Gaussians (B, K, [Z, ]Y, X) at these centres (B, K, D) with white noise on them."""
    maps, _ = gaussian_heatmaps(centres, shape, sigma)
    return maps + noise * torch.randn(maps.shape, generator=torch.Generator().manual_seed(seed))


def inner_centres(shape: tuple[int, ...], count: int, margin: float, seed: int = 0) -> Tensor:
    """Centres (1, count, D) at random, ``margin`` voxels or more from the border."""
    size = torch.tensor(shape[::-1], dtype=torch.float64)
    share = torch.rand(1, count, len(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return margin + share * (size - 1 - 2 * margin)


def border_centres(shape: tuple[int, ...], sides: tuple[int, ...], count: int, low: float, high: float, seed: int = 0):
    """Centres (1, count, D), ``low`` to ``high`` voxels from borders: per axis -1 for the low one, 1 for the high one.

    Along an axis with 0 they lie in the middle third.
    """
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor(shape[::-1], dtype=torch.float64)
    centres = (1 + torch.rand(1, count, len(shape), generator=generator, dtype=torch.float64)) * size / 3
    depth = low + (high - low) * torch.rand(1, count, len(shape), generator=generator, dtype=torch.float64)
    for axis, side in enumerate(sides):
        if side:
            centres[..., axis] = depth[..., axis] if side < 0 else size[axis] - 1 - depth[..., axis]
    return centres


def errors(decoded, centres: Tensor) -> Tensor:
    """Distances (B, K) between what was decoded and the truth; NaN where nothing was found."""
    return (decoded.positions - centres).norm(dim=-1)
