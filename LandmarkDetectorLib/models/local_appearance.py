"""The U-Net of the SpatialConfiguration-Net, which says what a landmark looks like, wherever it is.

Payer et al. 2019, 10.1016/j.media.2019.03.007: one width at all levels, no normalisation, average pooling, linear
enlargement, and skips that pass a convolution and are added.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import convolution, enlarged
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model

SLOPE = 0.1
"""Of the leaky ReLU."""


@register_model("local_appearance")
class LocalAppearance(PaddedNetwork):
    """U-Net of Payer et al.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        width: features at every level; 128 in 2D and 64 in 3D where it is not given.
        levels: resolutions.
        dropout: share of a level's features that training leaves out.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        width: int | None = None,
        levels: int = 4,
        dropout: float = 0.5,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        if levels < 1:
            raise RecipeError(f"{levels} resolutions are none; give levels of 1 or more.")
        width = width if width is not None else (128 if dimension == 2 else 64)
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=2 ** (levels - 1),
            width=width,
            deepest=width,
            coord_channels=coord_channels,
            covariance=covariance,
        )
        self.first = nn.ModuleList()
        self.second = nn.ModuleList()
        self.skip = nn.ModuleList()
        for level in range(levels):
            channels = width if level else self.body_channels
            self.first.append(convolution(dimension, channels, width, 3, bias=True))
            self.second.append(convolution(dimension, width, width, 3, bias=True))
            if level < levels - 1:
                self.skip.append(convolution(dimension, width, width, 3, bias=True))
        self.dropout = (nn.Dropout2d, nn.Dropout3d)[dimension - 2](dropout)
        for module in (*self.first, *self.second, *self.skip):
            assert isinstance(module.weight, Tensor) and isinstance(module.bias, Tensor)
            nn.init.kaiming_normal_(module.weight, SLOPE)
            nn.init.zeros_(module.bias)

    def encode(self, images: Tensor) -> Encoded:
        """See :class:`.PaddedNetwork`."""
        pool = (F.avg_pool2d, F.avg_pool3d)[self.dimension - 2]
        x, skips = images, []
        for level, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            if level:
                x = pool(x, 2)
            x = F.leaky_relu(first(x), SLOPE)
            x = F.leaky_relu(second(self.dropout(x)), SLOPE)
            if level < len(self.skip):
                skips.append(F.leaky_relu(self.skip[level](x), SLOPE))
        deepest = x
        for skip in reversed(skips):
            x = enlarged(x, 2) + skip
        return Encoded(x, deepest)
