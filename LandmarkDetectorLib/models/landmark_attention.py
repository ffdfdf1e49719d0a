"""Attention that looks where the landmarks are thought to be, and on a coarse grid for the rest.

After Zhu et al. 2025 (CoorTransformer), whose abstract asks for attention that the landmarks' coordinates guide and
that is sparse; how the samples are placed is ours, after deformable attention, Zhu et al. 2021, arXiv:2010.04159.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.models.blocks import enlarged, in_single
from LandmarkDetectorLib.models.cross_attention import CrossAttention, PositionEncoding, lattice, sampled


class LandmarkAttention(nn.Module):
    """The tokens of a feature look at m samples around each of K landmarks and at a grid of G cells an axis.

    The landmarks' own tokens look first, at the samples and at one another: what the image then sees of them knows of
    the whole shape. The cost is that of N·(K·(m + 1) + G^D) products for N tokens: linear in the size of the image.

    Args:
        dimension: D, 2 or 3.
        width: channels C of the feature.
        landmarks: K; 0 leaves the grid alone, which is the attention without guidance.
        samples: m.
        grid: G.
        reach: the largest offset of a sample from its landmark along an axis, where 2 is the length of the axis.

    Shapes:
        feature (B, C, [z, ]y, x) with even sides, and centres (B, K, D) in the unit of :mod:`.cross_attention`.
    """

    def __init__(self, dimension: int, width: int, landmarks: int, samples: int, grid: int, reach: float) -> None:
        super().__init__()
        self.dimension, self.landmarks, self.samples, self.grid, self.reach = (
            dimension,
            landmarks,
            samples,
            grid,
            reach,
        )
        self.tokens = _tokens(dimension, width)
        self.encoding = PositionEncoding(dimension, width)
        self.look = CrossAttention(width)
        if landmarks:
            self.names = nn.Parameter(torch.randn(landmarks, width) / width**0.5)
            self.own_look = CrossAttention(width)
            self.offsets = nn.Linear(width, samples * dimension)
            # Spread from the start, otherwise all samples of a landmark would see, and learn, the same.
            nn.init.uniform_(self.offsets.bias, -1, 1)

    def place(self, feature: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """The landmarks' tokens (B, K, C) and where their samples lie (B, K, m, D): centre + reach·tanh(...)."""
        tokens = sampled(feature, centres) + self.names + self.encoding(centres)
        offsets = self.reach * in_single(self.offsets(tokens)).tanh().unflatten(-1, (self.samples, self.dimension))
        return tokens, centres[:, :, None] + offsets

    def forward(self, feature: Tensor, centres: Tensor | None = None) -> Tensor:
        """The feature, changed by what its tokens have seen."""
        batch = feature.shape[0]
        everywhere = lattice((self.grid,) * self.dimension, feature).expand(batch, -1, -1)
        keys = sampled(feature, everywhere) + self.encoding(everywhere)
        if self.landmarks:
            assert centres is not None
            tokens, positions = self.place(feature, centres)
            around = sampled(feature, positions.flatten(1, 2)).unflatten(1, positions.shape[1:3])
            around = around + self.names[:, None] + self.encoding(positions)
            keys = torch.cat([keys, around.flatten(1, 2)], 1)
            keys = torch.cat([keys, self.own_look(tokens, torch.cat([keys, tokens], 1))], 1)
        small = self.tokens(feature)
        here = small.flatten(2).transpose(1, 2) + self.encoding(lattice(tuple(small.shape[2:]), feature))
        seen = self.look(here, keys).transpose(1, 2).unflatten(2, small.shape[2:])
        return feature + enlarged(seen, 2)


class FreeAttention(nn.Module):
    """The attention as it was published: as many samples as tokens, at coordinates that a convolution invents.

    With the flaws that define it: a ReLU leaves the samples the quadrant (octant) behind the middle of the image, there
    is no grid that they would be offsets from, no encoding of positions, and the cost is quadratic in the image's size.

    Args:
        dimension: D, 2 or 3.
        width: channels C of the feature.

    Shapes:
        feature (B, C, [z, ]y, x) with even sides.
    """

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[dimension - 2]
        self.tokens = _tokens(dimension, width)
        self.coordinates = nn.Sequential(
            conv(width, width, 3, stride=2, padding=1), nn.ReLU(), conv(width, dimension, 1), nn.ReLU()
        )
        self.look = CrossAttention(width)

    def place(self, feature: Tensor) -> Tensor:
        """Where the samples lie (B, N, D)."""
        return self.coordinates(feature).flatten(2).transpose(1, 2)

    def forward(self, feature: Tensor, centres: Tensor | None = None) -> Tensor:
        """The feature, changed by what its tokens have seen; the centres play no part."""
        small = self.tokens(feature)
        keys = sampled(feature, self.place(feature))
        seen = self.look(small.flatten(2).transpose(1, 2), keys).transpose(1, 2).unflatten(2, small.shape[2:])
        return feature + enlarged(seen, 2)


class ChannelAndPixelGates(nn.Module):
    """Each channel times a number in [0, 1] that the whole image gives, then each voxel times one of its own.

    Qin et al. 2020 (FFA-Net), arXiv:1911.07559.

    Args:
        dimension: 2 or 3.
        width: channels.
    """

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[dimension - 2]
        narrow = max(8, width // 8)
        self.channels = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, width))
        self.voxels = nn.Sequential(conv(width, narrow, 1), nn.ReLU(), conv(narrow, 1, 1))

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, [z, ]y, x), gated."""
        gates = self.channels(feature.flatten(2).mean(-1)).sigmoid()
        feature = feature * gates.view(*gates.shape, *[1] * (feature.ndim - 2))
        return feature * self.voxels(feature).sigmoid()


def _tokens(dimension: int, width: int) -> nn.Module:
    return (nn.Conv2d, nn.Conv3d)[dimension - 2](width, width, 2, stride=2)
