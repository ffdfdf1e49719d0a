"""Hourglasses: down to the whole image and up again, several times, each corrected by what the last one said.

Newell et al. 2016, arXiv:1603.06937: residual bottlenecks that normalise first, a depth of four, 256 features, heads
at a quarter of the resolution, one behind every hourglass (intermediate supervision).
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import Norm, conv_norm_relu, convolution, enlarged, in_single, normalisation
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model


@register_model("hourglass")
class Hourglass(PaddedNetwork):
    """One hourglass, or several in a row; the last one's maps, enlarged linearly, are the heatmaps.

    Its features are the maps of all landmarks: 256 features at the image's size would take more memory.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        stacks: hourglasses; the maps of all but the last are auxiliary.
        width: features, a multiple of four.
        depth: how often an hourglass halves the resolution.
        stride: voxels of the image for one of the maps, 4, 2 or 1.
        norm: batch, group or instance.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances, which reads the last hourglass where it is narrowest.

    Raises:
        RecipeError: a stride other than these, a width that is not a multiple of four, no stack or no depth.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        stacks: int = 1,
        width: int = 256,
        depth: int = 4,
        stride: Literal[1, 2, 4] = 4,
        norm: Norm = "batch",
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        if stride not in (1, 2, 4) or width % 4 or min(width, stacks, depth) < 1:
            raise RecipeError(
                f"An hourglass cannot have stride {stride}, width {width}, {stacks} stacks and depth {depth}; "
                "give a stride of 1, 2 or 4, a multiple of 4, and at least 1 of the others."
            )
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=stride * 2**depth,
            width=0,
            deepest=width,
            coord_channels=coord_channels,
            covariance=covariance,
        )
        self.stride, self.auxiliary_strides = stride, (stride,) * (stacks - 1)
        quarter, half = width // 4, width // 2
        self.stem = nn.Sequential(
            conv_norm_relu(norm, dimension, self.body_channels, quarter, 7, min(stride, 2)),
            _Residual(norm, dimension, quarter, half),
            (nn.MaxPool2d, nn.MaxPool3d)[dimension - 2](2) if stride == 4 else nn.Identity(),
            _Residual(norm, dimension, half, half),
            _Residual(norm, dimension, half, width),
        )
        self.glasses = nn.ModuleList(_Glass(norm, dimension, width, depth) for _ in range(stacks))
        self.after = nn.ModuleList(
            nn.Sequential(_Residual(norm, dimension, width, width), conv_norm_relu(norm, dimension, width, width))
            for _ in range(stacks)
        )
        self.heads = nn.ModuleList(convolution(dimension, width, landmarks, bias=True) for _ in range(stacks))
        self.again = nn.ModuleList(convolution(dimension, width, width) for _ in range(stacks - 1))
        self.said = nn.ModuleList(convolution(dimension, landmarks, width) for _ in range(stacks - 1))

    def encode(self, images: Tensor) -> Encoded:
        """See :class:`.PaddedNetwork`; the features are the maps."""
        x = self.stem(images)
        maps: list[Tensor] = []
        for number, (glass, after, head) in enumerate(zip(self.glasses, self.after, self.heads, strict=True)):
            y, neck = glass(x)
            y = after(y)
            maps.append(head(y))
            if number < len(self.said):
                x = x + self.again[number](y) + self.said[number](maps[-1])
        return Encoded(enlarged(in_single(maps[-1]), self.stride), neck, tuple(maps[:-1]))

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Some of the maps."""
        return features[:, part]


@register_model("stacked_hourglass")
class StackedHourglass(Hourglass):
    """The eight hourglasses of the paper.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        stacks: hourglasses.
        width: features.
        depth: how often an hourglass halves the resolution.
        stride: voxels of the image for one of the maps, 4, 2 or 1.
        norm: batch, group or instance.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        stacks: int = 8,
        width: int = 256,
        depth: int = 4,
        stride: Literal[1, 2, 4] = 4,
        norm: Norm = "batch",
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        super().__init__(
            dimension, in_channels, landmarks, stacks, width, depth, stride, norm, coord_channels, covariance
        )


class _Residual(nn.Module):
    """Bottleneck that normalises first: He et al. 2016, arXiv:1603.05027."""

    def __init__(self, norm: Norm, dimension: int, channels: int, width: int) -> None:
        super().__init__()
        half = width // 2
        layers: list[nn.Module] = []
        for had, made, kernel in ((channels, half, 1), (half, half, 3), (half, width, 1)):
            layers += [normalisation(norm, dimension, had), nn.ReLU(), convolution(dimension, had, made, kernel)]
        self.layers = nn.Sequential(*layers)
        self.short = nn.Identity() if channels == width else convolution(dimension, channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) + self.layers(x)


class _Glass(nn.Module):
    """One hourglass; gives its features and the narrowest ones."""

    def __init__(self, norm: Norm, dimension: int, width: int, depth: int) -> None:
        super().__init__()
        self.beside, self.down, self.up = (
            nn.ModuleList(_Residual(norm, dimension, width, width) for _ in range(depth)) for _ in range(3)
        )
        self.neck = _Residual(norm, dimension, width, width)
        self.pool = (nn.MaxPool2d, nn.MaxPool3d)[dimension - 2](2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept = []
        for beside, down in zip(self.beside, self.down, strict=True):
            kept.append(beside(x))
            x = down(self.pool(x))
        neck = x = self.neck(x)
        for up in self.up:
            x = kept.pop() + F.interpolate(up(x), scale_factor=2.0, mode="nearest")
        return x, neck
