"""A U-Net for heatmaps in two or three dimensions, plain or conditioned on the landmark.

U-Net: Ronneberger et al. 2015, arXiv:1505.04597, with group normalisation (Wu & He 2018) and skips that add rather than
concatenate, which halves the cost at full resolution. Conditioning scales and shifts the features of every level but
the finest by the
landmark (FiLM, Perez et al. 2018, arXiv:1709.07871), and reads the map with a vector of the landmark's own: one
network serves any number of landmarks, one patch each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import in_single
from LandmarkDetectorLib.models.cholesky_head import CholeskyHead
from LandmarkDetectorLib.models.coordinates import CoordinateChannels
from LandmarkDetectorLib.models.network import (
    HeatmapNetwork,
    HeatmapOutput,
    check_counts,
    check_images,
    cropped,
    padded,
)
from LandmarkDetectorLib.models.registry import register_model


@register_model("unet")
class UNet(HeatmapNetwork):
    """U-Net.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each resolution, the finest first; each halves the resolution of the one before.
        conditional: one map for the landmark that is asked for, instead of one map for each.
        groups: groups of the normalisation.
        coord_channels: coordinates beside the image, see :mod:`.coordinates`.
        covariance: a :class:`.CholeskyHead` predicts covariances too.

    Shapes:
        images (B, C, [Z, ]Y, X), padded inside where a side is not divisible by 2^(len(widths)-1), the factor; landmark
        (B,) of integers when conditional.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] = (16, 32, 64, 96),
        conditional: bool = False,
        groups: int = 4,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        super().__init__()
        check_counts(dimension, in_channels, landmarks)
        self.dimension, self.conditional, self.landmarks = dimension, conditional, landmarks
        self.in_channels = in_channels
        if not widths:
            raise RecipeError("A U-Net without widths has no level; give one or more.")
        self.factor = 2 ** (len(widths) - 1)
        conv = (nn.Conv2d, nn.Conv3d)[dimension - 2]
        style = 32 if conditional else 0
        self.embedding = nn.Embedding(landmarks, style) if conditional else None
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.reduce = nn.ModuleList()
        self.coordinates = CoordinateChannels(dimension) if coord_channels else None
        channels = in_channels + (self.coordinates.count if self.coordinates is not None else 0)
        # The finest level looks the same for every landmark: its filters find edges, and conditioning it costs most.
        for level, width in enumerate(widths):
            style_here = style if level else 0
            first, second = (
                _Block(conv, channels, width, groups, style_here),
                _Block(conv, width, width, groups, style_here),
            )
            self.down.append(nn.ModuleList([first, second]))
            channels = width
        for level in range(len(widths) - 2, -1, -1):
            self.reduce.append(conv(widths[level + 1], widths[level], 1))
            self.up.append(_Block(conv, widths[level], widths[level], groups, style if level else 0))
        self.presence = nn.Linear(widths[-1], landmarks)
        self.head = conv(widths[0], landmarks, 1)
        self.cholesky = CholeskyHead(widths[-1], landmarks, dimension) if covariance else None
        self.pool = (nn.MaxPool2d, nn.MaxPool3d)[dimension - 2](2)

    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The features (B, widths[0], [Z, ]Y, X) before the head, and the mean of the deepest ones (B, widths[-1])."""
        check_images(images, self.dimension, self.in_channels)
        if self.embedding is not None and landmark is None:
            raise RecipeError("A conditioned network must be told which landmark it looks for; give landmark=, (B,).")
        style = self.embedding(landmark) if self.embedding is not None else None
        skips: list[Tensor] = []
        x = padded(images if self.coordinates is None else self.coordinates(images), self.factor)
        for level, blocks in enumerate(self.down):
            if level:
                x = self.pool(x)
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, style)
            skips.append(x)
        deepest = in_single(x.flatten(2)).mean(-1)
        skips.pop()
        for reduce, block in zip(self.reduce, self.up, strict=True):
            x = F.interpolate(reduce(x), scale_factor=2.0, mode="nearest")
            x = block(x + skips.pop(), style)
        return cropped(x, images), deepest

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Logits (B, k, [Z, ]Y, X) of some landmarks' maps from features."""
        weight, bias = self.head.weight[part].to(features.dtype), self.bias[part].to(features.dtype)
        return (F.conv2d, F.conv3d)[self.dimension - 2](features, weight, bias)

    @property
    def bias(self) -> Tensor:
        """One offset a landmark, (K,)."""
        assert self.head.bias is not None
        return self.head.bias

    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of presence."""
        return in_single(self.presence(vector))

    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """Logits of heatmaps and presence."""
        features, deepest = self.features(images, landmark)
        presence = self.presence_of(deepest)
        covariance = None if self.cholesky is None else self.cholesky(deepest)
        if landmark is None:
            return HeatmapOutput(in_single(self.head(features)), presence, covariance=covariance)
        weight = self.head.weight.flatten(1)[landmark].to(features.dtype)
        maps = in_single(torch.einsum("bc...,bc->b...", features, weight)[:, None])
        bias = self.bias[landmark].view(-1, *[1] * (self.dimension + 1))
        rows = torch.arange(landmark.shape[0], device=landmark.device)
        chosen = None if covariance is None else covariance[rows, landmark][:, None]
        return HeatmapOutput(maps + bias, presence.gather(1, landmark[:, None]), covariance=chosen)


class _Block(nn.Module):
    """Convolution, group normalisation, FiLM where conditioned, leaky ReLU; a residual where the widths agree."""

    def __init__(self, conv: type[nn.Module], channels: int, width: int, groups: int, style: int) -> None:
        super().__init__()
        self.conv = conv(channels, width, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(groups, width)
        self.film = nn.Linear(style, 2 * width) if style else None
        self.residual = channels == width

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        y = self.norm(self.conv(x))
        if self.film is not None:
            assert style is not None
            scale, shift = self.film(style).view(*y.shape[:1], -1, *[1] * (y.ndim - 2)).chunk(2, 1)
            y = torch.addcmul(y + shift, y, scale)
        y = F.leaky_relu(y, 0.1)
        return x + y if self.residual else y
