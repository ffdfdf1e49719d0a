"""CoorTransformer: a U-Net whose decoder looks, by attention, at where a coarse head believes the landmarks to be.

Zhu et al. 2025. The default does what the abstract asks for: attention that the landmarks' coordinates guide, sparse,
over the whole image. ``as_published`` is the network of the code that came with it, in which no coordinate of a
landmark enters the attention. Both are for the central loss of :mod:`LandmarkDetectorLib.losses`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation, spatial_softmax
from LandmarkDetectorLib.models.blocks import Norm, conv_norm_relu, convolution, enlarged, in_single
from LandmarkDetectorLib.models.landmark_attention import ChannelAndPixelGates, FreeAttention, LandmarkAttention
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model

WIDTHS = {2: (64, 128, 256, 512, 512), 3: (16, 32, 64, 128, 128)}
GRID = {2: 8, 3: 4}
ATTENDED = 3
"""Of the decoder's four stages, from the coarsest on; the one at full resolution has none."""


@register_model("coortransformer")
class CoorTransformer(PaddedNetwork):
    """CoorTransformer.

    Args:
        dimension: D, 2 or 3.
        in_channels: channels of the image, C.
        landmarks: number of landmarks K.
        widths: features of the encoder at 1, 1/2, 1/4, 1/8 and 1/16, each at least 8; None is those of the paper in 2D
            and a quarter of them in 3D.
        as_published: the attention, the batch normalisation and the concatenation of the published code, without a
            coarse head; what follows, up to the temperature, then plays no part.
        guided: samples around the landmarks; without it the tokens look at the grid alone.
        samples: m, around each landmark.
        grid: cells an axis that everybody looks at; None is 8 in 2D and 4 in 3D.
        reach: the largest offset of a sample from its landmark along an axis, as a share of half the axis.
        temperature: times which the coarse maps are logits of where a landmark is. 2 suits maps trained as logits
            (central loss, cross-entropies); maps trained to be Gaussians of height 1 need about 20.
        prior: what the sigmoid of the maps begins at everywhere; None is as drawn, about 0.5. The share of an image
            that targets fill spares a training its first steps (Lin et al. 2017, arXiv:1708.02002, section 3.3).
        norm: normalisation; None is "group", and "batch" as published.
        coord_channels: the encoder sees coordinates beside the image.
        covariance: a head for covariances.

    Shapes:
        images (B, C, [Z, ]Y, X); guided, the auxiliary maps are at 1/8.

    Raises:
        RecipeError: not five widths, or a number that must be positive is not.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] | None = None,
        as_published: bool = False,
        guided: bool = True,
        samples: int = 8,
        grid: int | None = None,
        reach: float = 0.25,
        temperature: float = 2.0,
        prior: float | None = None,
        norm: Norm | None = None,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        if dimension not in WIDTHS:
            raise RecipeError(f"A CoorTransformer cannot have dimension {dimension}; give 2 or 3.")
        widths = WIDTHS[dimension] if widths is None else tuple(widths)
        grid = GRID[dimension] if grid is None else grid
        if len(widths) != 5 or min(widths) < 8:
            raise RecipeError(f"A CoorTransformer has five widths of 8 or more, not {list(widths)}; give such ones.")
        if min(samples, grid, reach, temperature) <= 0:
            raise RecipeError("samples, grid, reach and temperature of a CoorTransformer must be above 0; mend them.")
        if prior is not None and not 0 < prior < 1:
            raise RecipeError(f"The prior of a CoorTransformer is {prior:g}; give a probability between 0 and 1.")
        stages = (*reversed(widths[:3]), *widths[:1])
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=16,
            width=sum(stages) if as_published else widths[0],
            deepest=widths[-1],
            coord_channels=coord_channels,
            covariance=covariance,
        )
        self.temperature = temperature
        norm = norm or ("batch" if as_published else "group")

        def twice(before: int, after: int) -> nn.Sequential:
            first = conv_norm_relu(norm, dimension, before, after, 3)
            return nn.Sequential(first, conv_norm_relu(norm, dimension, after, after, 3))

        self.down = nn.ModuleList()
        for before, after in zip((self.body_channels, *widths), widths, strict=False):
            self.down.append(twice(before, after))
        self.pool = (nn.MaxPool2d, nn.MaxPool3d)[dimension - 2](2)
        self.up, self.attention, self.gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for level, (skip, width) in enumerate(zip(widths[3::-1], stages, strict=True)):
            self.up.append(twice(below + skip, width))
            self.gates.append(ChannelAndPixelGates(dimension, width))
            below = width
            if level < ATTENDED:
                self.attention.append(
                    FreeAttention(dimension, width)
                    if as_published
                    else LandmarkAttention(dimension, width, landmarks if guided else 0, samples, grid, reach)
                )
        guided = guided and not as_published
        self.coarse_head = convolution(dimension, stages[0], landmarks, bias=True) if guided else None
        self.auxiliary_strides = (8,) if guided else ()
        if prior is not None:
            for head in filter(None, (self.head, self.coarse_head)):
                assert isinstance(head.bias, nn.Parameter)
                nn.init.constant_(head.bias, math.log(prior / (1 - prior)))
        # The head is linear: reducing each stage first, and adding, spares the concatenation at full resolution.
        self.reduce = None
        if not as_published:
            self.reduce = nn.ModuleList(convolution(dimension, width, widths[0], bias=True) for width in stages)

    def centres(self, coarse: Tensor) -> Tensor:
        """Where coarse maps (B, K, [z, ]y, x) see the landmarks, (B, K, D): -1 to 1 between the image's borders."""
        mean = spatial_expectation(spatial_softmax(self.temperature * in_single(coarse))).mean
        sides = mean.new_tensor(coarse.shape[:1:-1])
        return (2 * mean + 1) / sides - 1

    def encode(self, images: Tensor) -> Encoded:
        """Features of images whose sides are multiples of 16."""
        skips = [self.down[0](images)]
        for step in self.down[1:]:
            skips.append(step(self.pool(skips[-1])))
        deepest = x = skips.pop()
        stages: list[Tensor] = []
        auxiliary: tuple[Tensor, ...] = ()
        centres = None
        for level, (step, gates) in enumerate(zip(self.up, self.gates, strict=True)):
            x = step(torch.cat([enlarged(x, 2), skips.pop()], 1))
            if level == 0 and self.coarse_head is not None:
                auxiliary = (self.coarse_head(x),)
                centres = self.centres(auxiliary[0])
            if level < ATTENDED:
                x = self.attention[level](x, centres)
            x = gates(x)
            stages.append(x)
        if self.reduce is None:
            wide = [enlarged(stage, 2 ** (3 - level)) for level, stage in enumerate(stages)]
            return Encoded(torch.cat(wide, 1), deepest, auxiliary)
        features = self.reduce[-1](stages[-1])
        for level, (reduce, stage) in enumerate(zip(self.reduce[:-1], stages[:-1], strict=True)):
            features = features + enlarged(reduce(stage), 2 ** (3 - level))
        return Encoded(features, deepest, auxiliary)
