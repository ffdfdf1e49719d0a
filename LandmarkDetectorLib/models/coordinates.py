"""Coordinates as channels, so that a convolution can know where it is.

Liu et al. 2018, CoordConv, arXiv:1807.03247.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CoordinateChannels(nn.Module):
    """Puts the position of each voxel behind the channels of an image.

    A coordinate runs from -1 at the first voxel's centre to 1 at the last one's; along an axis of one voxel it is 0.

    Args:
        dimension: D, 2 or 3.
        radial: one channel more, the distance from the image's middle in the same unit.

    Shapes:
        (B, C, [Z, ]Y, X) to (B, C + D [+ 1], [Z, ]Y, X), the new channels in the order x, y[, z][, distance].
    """

    def __init__(self, dimension: int, radial: bool = False) -> None:
        super().__init__()
        self.dimension, self.radial = dimension, radial

    @property
    def count(self) -> int:
        """How many channels are added."""
        return self.dimension + int(self.radial)

    def forward(self, images: Tensor) -> Tensor:
        """The images with their coordinates, in their dtype."""
        # In single precision: in half, neighbours of a long axis would share a coordinate before they are scaled.
        # Not by linspace: an exported graph would keep the size that it was made at.
        axes = [
            (2 * torch.arange(size, dtype=torch.float32, device=images.device) - (size - 1)) / (size - 1 or 1)
            for size in images.shape[2:]
        ]
        grids = [*reversed(torch.meshgrid(*axes, indexing="ij"))]
        if self.radial:
            grids.append(torch.stack(grids).norm(dim=0))
        added = torch.stack(grids).to(images.dtype).expand(images.shape[0], *[-1] * (self.dimension + 1))
        return torch.cat([images, added], 1)


class CoordConv(nn.Module):
    """A convolution that sees coordinates beside its input.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the input.
        width: channels of the output.
        kernel: side of the kernel.
        stride: of the convolution.
        radial: see :class:`CoordinateChannels`.
    """

    def __init__(
        self, dimension: int, in_channels: int, width: int, kernel: int = 3, stride: int = 1, radial: bool = False
    ) -> None:
        super().__init__()
        self.coordinates = CoordinateChannels(dimension, radial)
        conv = (nn.Conv2d, nn.Conv3d)[dimension - 2]
        self.conv = conv(in_channels + self.coordinates.count, width, kernel, stride, padding=kernel // 2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, [Z, ]Y, X) to (B, width, [z, ]y, x)."""
        return self.conv(self.coordinates(images))
