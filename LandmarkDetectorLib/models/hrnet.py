"""A high-resolution network: branches of several resolutions side by side, which tell each other what they see.

HRNetV2 of Wang et al. 2020, 10.1109/TPAMI.2020.2983686, arXiv:1908.07919, in the size W18 that it uses for faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import Norm, conv_norm_relu, convolution, enlarged, in_single, normalisation
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model

STRIDE = 4
"""Voxels of the image for one of the finest branch."""


@register_model("hrnet")
class HRNet(PaddedNetwork):
    """HRNetV2: the branches of all resolutions, made large and put together, give the maps.

    Its features are the maps of all landmarks: those of the branches at the image's size would take more memory.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        width: features of the finest branch; each next one has twice as many at half the resolution.
        modules: modules of the second, third ... stage, each with one branch more than the stage before.
        blocks: residual blocks of a branch in a module.
        stem: features of the first stage; its bottlenecks give four times as many.
        norm: batch, group or instance.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances, which reads the branches put together.

    Raises:
        RecipeError: no stage, or less than one of anything.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        width: int = 18,
        modules: Sequence[int] = (1, 4, 3),
        blocks: int = 4,
        stem: int = 64,
        norm: Norm = "batch",
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        if not modules or min(*modules, width, blocks, stem) < 1:
            raise RecipeError(
                f"An hrnet cannot have modules {list(modules)}, width {width}, {blocks} blocks and stem {stem}; "
                "give at least one stage, and at least 1 of each."
            )
        widths = [width * 2**branch for branch in range(len(modules) + 1)]
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=STRIDE * 2 ** len(modules),
            width=0,
            deepest=sum(widths),
            coord_channels=coord_channels,
            covariance=covariance,
        )
        self.stem = nn.Sequential(
            conv_norm_relu(norm, dimension, self.body_channels, stem, 3, 2),
            conv_norm_relu(norm, dimension, stem, stem, 3, 2),
            *(_Block(norm, dimension, 4 * stem if number else stem, stem, 4 * stem) for number in range(blocks)),
        )
        self.begins = nn.ModuleList()
        self.stages = nn.ModuleList()
        finest, coarsest = 4 * stem, 4 * stem
        for stage, count in enumerate(modules):
            # Only the first begins with other features than its finest branch has.
            first = conv_norm_relu(norm, dimension, finest, width, 3) if not stage else nn.Identity()
            added = conv_norm_relu(norm, dimension, coarsest, widths[stage + 1], 3, 2)
            self.begins.append(nn.ModuleList([first, added]))
            self.stages.append(
                nn.Sequential(*(_Exchange(norm, dimension, widths[: stage + 2], blocks) for _ in range(count)))
            )
            coarsest = widths[stage + 1]
        self.mix = conv_norm_relu(norm, dimension, sum(widths), sum(widths))
        self.maps = convolution(dimension, sum(widths), landmarks, bias=True)

    def encode(self, images: Tensor) -> Encoded:
        """See :class:`.PaddedNetwork`; the features are the maps."""
        branches = [self.stem(images)]
        for begin, stage in zip(self.begins, self.stages, strict=True):
            assert isinstance(begin, nn.ModuleList)
            added = begin[1](branches[-1])
            branches = stage([begin[0](branches[0]), *branches[1:], added])
        together = torch.cat([enlarged(branch, 2**level) for level, branch in enumerate(branches)], 1)
        mixed = self.mix(together)
        return Encoded(enlarged(in_single(self.maps(mixed)), STRIDE), mixed)

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Some of the maps."""
        return features[:, part]


class _Block(nn.Module):
    """Residual block: a bottleneck where ``width`` is not what it gives, else two convolutions of side 3."""

    def __init__(self, norm: Norm, dimension: int, channels: int, width: int, out: int) -> None:
        super().__init__()
        steps = [(channels, width, 1), (width, width, 3), (width, out, 1)]
        if out == width:
            steps = [(channels, width, 3), (width, out, 3)]
        layers: list[nn.Module] = []
        for had, made, kernel in steps:
            layers += [convolution(dimension, had, made, kernel), normalisation(norm, dimension, made), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.short: nn.Module = nn.Identity()
        if channels != out:
            self.short = nn.Sequential(convolution(dimension, channels, out), normalisation(norm, dimension, out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.short(x) + self.layers(x))


class _Exchange(nn.Module):
    """Blocks in each branch, then each branch becomes the sum of all, brought to its resolution."""

    def __init__(self, norm: Norm, dimension: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(_Block(norm, dimension, width, width, width) for _ in range(blocks))) for width in widths
        )
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(norm, dimension, widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        seen = [blocks(branch) for blocks, branch in zip(self.branches, branches, strict=True)]
        mixed = []
        for paths in self.paths:
            assert isinstance(paths, nn.ModuleList)
            mixed.append(F.relu(reduce(torch.add, (path(x) for path, x in zip(paths, seen, strict=True)))))
        return mixed


def _path(norm: Norm, dimension: int, widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: strided convolutions down, a 1×1 convolution and nearest voxels up."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            convolution(dimension, widths[source], widths[target]),
            normalisation(norm, dimension, widths[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps: list[nn.Module] = []
    for _ in range(source, target - 1):
        steps.append(conv_norm_relu(norm, dimension, widths[source], widths[source], 3, 2))
    steps.append(convolution(dimension, widths[source], widths[target], 3, 2))
    steps.append(normalisation(norm, dimension, widths[target]))
    return nn.Sequential(*steps)
