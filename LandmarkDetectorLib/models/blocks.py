"""The small parts that networks share: convolution, normalisation, and a vector of an image."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError

Norm = Literal["batch", "group", "instance"]


def convolution(
    dimension: int, channels: int, width: int, kernel: int = 1, stride: int = 1, bias: bool = False
) -> nn.Module:
    """A convolution that keeps the size (divided by the stride); without a bias, as before a normalisation."""
    conv = (nn.Conv2d, nn.Conv3d)[dimension - 2]
    return conv(channels, width, kernel, stride, padding=kernel // 2, bias=bias)


def begun(conv: nn.Module) -> Tensor:
    """The weights of a convolution, to be filled; its bias is 0."""
    assert isinstance(conv.weight, Tensor)
    if isinstance(conv.bias, Tensor):
        nn.init.zeros_(conv.bias)
    return conv.weight


def normalisation(norm: Norm, dimension: int, channels: int) -> nn.Module:
    """A normalisation by name; groups are 8, or as many as divide the channels.

    Raises:
        RecipeError: there is none of this name.
    """
    check_norm(norm)
    if norm == "batch":
        return (nn.BatchNorm2d, nn.BatchNorm3d)[dimension - 2](channels)
    if norm == "instance":
        return (nn.InstanceNorm2d, nn.InstanceNorm3d)[dimension - 2](channels, affine=True)
    return nn.GroupNorm(math.gcd(8, channels), channels)


def check_norm(norm: str) -> None:
    """Raise :class:`RecipeError` where there is no normalisation of this name."""
    if norm not in get_args(Norm):
        raise RecipeError(f"There is no normalisation {norm!r}; choose one of {', '.join(get_args(Norm))}.")


def conv_norm_relu(
    norm: Norm, dimension: int, channels: int, width: int, kernel: int = 1, stride: int = 1
) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    return nn.Sequential(
        convolution(dimension, channels, width, kernel, stride), normalisation(norm, dimension, width), nn.ReLU()
    )


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """Maps (B, K, [z, ]y, x) enlarged linearly, with voxel i of the small at factor·(i + ½) - ½ of the large."""
    if factor == 1:
        return maps
    mode = "bilinear" if maps.ndim == 4 else "trilinear"
    return F.interpolate(maps, scale_factor=float(factor), mode=mode, align_corners=False)


def summary(features: Tensor) -> Tensor:
    """A vector (B, 2C) of features (B, C, ...): the mean of each and its maximum, in single precision or better.

    Means alone would say nothing behind an instance normalisation, which makes them equal for all images.
    """
    flat = in_single(features.flatten(2))
    return torch.cat([flat.mean(-1), flat.amax(-1)], 1)


def in_single(values: Tensor) -> Tensor:
    """The values in single precision, or better where they are in better."""
    return values if values.dtype == torch.float64 else values.float()
