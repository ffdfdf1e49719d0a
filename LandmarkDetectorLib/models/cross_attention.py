"""Attention from tokens of an image to features sampled where somebody says, in any dimension.

Positions are in the unit of ``grid_sample``: -1 at the first border of an axis and 1 at the last, in the order
x, y[, z]; the centre of voxel i of n is at (2 i + 1)/n - 1, whatever the resolution.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.models.blocks import in_single

HEAD = 32
OCTAVES = 4


class CrossAttention(nn.Module):
    """Multi-head attention of queries (B, N, C) to keys (B, M, C): a residual, then an MLP with another.

    Vaswani et al. 2017, arXiv:1706.03762, normalised before each step. The table of N·M weights is never kept where
    torch has a kernel that goes without it.

    Args:
        width: C; there is a head for each 32 channels, as many as divide C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = math.gcd(max(1, width // HEAD), width)
        self.query_norm, self.key_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, keys: Tensor) -> Tensor:
        """The tokens (B, N, C) after they have looked at the keys (B, M, C)."""
        query = self.query(self.query_norm(tokens))
        key, value = self.key_value(self.key_norm(keys)).chunk(2, -1)
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(seen)
        return tokens + self.mlp(self.mlp_norm(tokens))


class PositionEncoding(nn.Module):
    """Positions (..., D) as vectors (..., C): sines and cosines of four octaves, mixed by a linear map."""

    octaves: Tensor

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.register_buffer("octaves", math.pi / 2 * 2.0 ** torch.arange(OCTAVES), persistent=False)
        self.mix = nn.Linear(2 * OCTAVES * dimension, width)

    def forward(self, positions: Tensor) -> Tensor:
        """The vectors."""
        angles = (positions[..., None] * self.octaves).flatten(-2)
        return self.mix(torch.cat([angles.sin(), angles.cos()], -1).to(self.mix.weight.dtype))


def lattice(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Positions (N, D) of the centres of a grid of cells [z, ]y, x, x the fastest; on the device of ``like``."""
    axes = [(2 * torch.arange(n, device=like.device, dtype=torch.float32) + 1) / n - 1 for n in shape]
    return torch.stack([*reversed(torch.meshgrid(*axes, indexing="ij"))], -1).flatten(0, -2)


def sampled(features: Tensor, positions: Tensor) -> Tensor:
    """Features (B, C, [z, ]y, x) read linearly at positions (B, N, D), as (B, N, C); beyond the border, the border."""
    dimension = features.ndim - 2
    grid = positions.reshape(positions.shape[0], *[1] * (dimension - 1), *positions.shape[1:])
    # In half precision a position would be rounded to 1/256 of the image.
    full = in_single(features)
    values = F.grid_sample(full, grid.to(full.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    return values.flatten(2).transpose(1, 2).to(features.dtype)
