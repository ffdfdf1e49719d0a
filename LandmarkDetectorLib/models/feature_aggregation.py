"""From the five features of a backbone to one at half the resolution: FARNet's way, and those it is held against.

Ao and Wu 2023, https://doi.org/10.1007/s10278-022-00718-4: multi-scale feature aggregation (MSFA) goes up, down and up
again. The feature pyramid: Lin et al. 2017, arXiv:1612.03144. The U-Net: Ronneberger et al. 2015, arXiv:1505.04597.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.models.blocks import Norm, conv_norm_relu, convolution, enlarged

Aggregation = Literal["concatenate", "add", "pyramid", "unet"]
AGGREGATIONS: tuple[Aggregation, ...] = ("concatenate", "add", "pyramid", "unet")


class MultiScaleAggregation(nn.Module):
    """MSFA: up from the deepest feature, down again, and up once more; each step takes what the last pass left there.

    Args:
        dimension: 2 or 3.
        channels: of the features f1 to f5, at 1/2 to 1/32.
        scaled: a width of the paper to the one that is used.
        norm: normalisation.
        add: features are added, brought to one width before, rather than concatenated.

    Shapes:
        f1 (B, channels[0], [Z/2, ]Y/2, X/2) to f5 (..., X/32); out comes (B, scaled(64), [Z/2, ]Y/2, X/2).
    """

    def __init__(
        self, dimension: int, channels: Sequence[int], scaled: Callable[[int], int], norm: Norm, add: bool
    ) -> None:
        super().__init__()
        w64, w128, w256, w512, w1024, w2048 = (scaled(64 << i) for i in range(6))

        def cbr(before: int, after: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
            return conv_norm_relu(norm, dimension, before, after, kernel, stride)

        def join(first: int, second: int, after: int, kernel: int = 1) -> _Join:
            return _Join(dimension, first, second, cbr(first if add else first + second, after, kernel), add)

        f1, f2, f3, f4, f5 = channels
        self.deepest = nn.Sequential(cbr(f5, w512, 3), cbr(w512, w256))
        self.first_up = nn.ModuleList([join(w256, f4, w256), join(w256, f3, w256), join(w256, f2, w256)])
        self.strided = nn.ModuleList([cbr(w256, w512, 3, 2), cbr(w512, w1024, 3, 2), cbr(w1024, w2048, 3, 2)])
        self.down = nn.ModuleList([join(w512, w256, w512), join(w1024, w256, w1024), join(w2048, w256, w1024, 3)])
        self.turn = cbr(w1024, w256)
        self.second_up = nn.ModuleList(
            [join(w256, w1024, w256), join(w256, w512, w256), join(w256, w256, w128), join(w128, f1, w64)]
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The features at 1/2 of f1 to f5."""
        f1, f2, f3, f4, f5 = features
        ups = [self.deepest(f5)]
        for step, feature in zip(self.first_up, (f4, f3, f2), strict=True):
            ups.append(step(enlarged(ups[-1], 2), feature))
        downs = [ups.pop()]
        for strided, step in zip(self.strided, self.down, strict=True):
            downs.append(step(strided(downs[-1]), ups.pop()))
        x = self.turn(downs.pop())
        for step, feature in zip(self.second_up, (*reversed(downs), f1), strict=True):
            x = step(enlarged(x, 2), feature)
        return x


class FeaturePyramid(nn.Module):
    """A feature pyramid's finest level: each feature to one width, added to the enlarged one below it.

    Args and shapes as of :class:`MultiScaleAggregation`.
    """

    def __init__(self, dimension: int, channels: Sequence[int], scaled: Callable[[int], int], norm: Norm) -> None:
        super().__init__()
        width = scaled(256)
        self.lateral = nn.ModuleList(convolution(dimension, count, width, bias=True) for count in channels)
        self.smooth = conv_norm_relu(norm, dimension, width, scaled(64), 3)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The features at 1/2 of f1 to f5."""
        *finer, x = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for feature in reversed(finer):
            x = enlarged(x, 2) + feature
        return self.smooth(x)


class UNetDecoder(nn.Module):
    """A U-Net's right side: enlarge, concatenate, convolve twice.

    Args and shapes as of :class:`MultiScaleAggregation`.
    """

    def __init__(self, dimension: int, channels: Sequence[int], scaled: Callable[[int], int], norm: Norm) -> None:
        super().__init__()
        self.up = nn.ModuleList()
        below = channels[-1]
        for count, width in zip(reversed(channels[:-1]), (512, 256, 128, 64), strict=True):
            first = conv_norm_relu(norm, dimension, below + count, scaled(width), 3)
            self.up.append(nn.Sequential(first, conv_norm_relu(norm, dimension, scaled(width), scaled(width), 3)))
            below = scaled(width)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The features at 1/2 of f1 to f5."""
        *finer, x = features
        for step, feature in zip(self.up, reversed(finer), strict=True):
            x = step(torch.cat([enlarged(x, 2), feature], 1))
        return x


def build_aggregation(
    name: Aggregation, dimension: int, channels: Sequence[int], scaled: Callable[[int], int], norm: Norm
) -> nn.Module:
    """One of :data:`AGGREGATIONS` by name."""
    if name in ("concatenate", "add"):
        return MultiScaleAggregation(dimension, channels, scaled, norm, add=name == "add")
    return {"pyramid": FeaturePyramid, "unet": UNetDecoder}[name](dimension, channels, scaled, norm)


class _Join(nn.Module):
    """Two features of one size as one: concatenated, or the second brought to the first's width and added."""

    def __init__(self, dimension: int, first: int, second: int, conv: nn.Module, add: bool) -> None:
        super().__init__()
        self.add, self.conv = add, conv
        self.lateral = convolution(dimension, second, first, bias=True) if add and first != second else None

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        if not self.add:
            return self.conv(torch.cat([first, second], 1))
        return self.conv(first + (second if self.lateral is None else self.lateral(second)))
