"""What every network of the registry has: features, a head that serves some landmarks alone, a presence."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import ImageError, RecipeError


class HeatmapOutput(NamedTuple):
    """What a network says of a batch of images.

    Attributes:
        heatmaps: raw maps (B, K, [Z, ]Y, X), before any activation; K is 1 for a conditioned network. They, and all
            below, are in single precision, or in double from a network in double.
        presence: logits (B, K) of each landmark's presence.
        auxiliary: maps of earlier heads for deep supervision, coarse to fine, each (B, K, [z, ]y, x) at its own size,
            which is the image's over the network's ``auxiliary_strides``, rounded up.
        covariance: (B, K, D, D) in voxel² along x, y[, z], from a network that predicts one.
    """

    heatmaps: Tensor
    presence: Tensor
    auxiliary: tuple[Tensor, ...] = ()
    covariance: Tensor | None = None


class HeatmapNetwork(nn.Module):
    """A network from images (B, C, [Z, ]Y, X) to heatmaps of the same size.

    Attributes:
        dimension: 2 or 3.
        landmarks: number of landmarks K.
        factor: the sides of an image are multiples of it; 1 for a network that pads inside, see :func:`padded`.
        conditional: the network itself is asked for one landmark an image, see :meth:`features`.
        auxiliary_strides: voxels of the image along an axis for one of each earlier head: index i of the head is
            stride·(i + ½) - ½ of the image, whatever the sizes.
    """

    dimension: int
    landmarks: int
    factor: int
    conditional: bool = False
    auxiliary_strides: tuple[int, ...] = ()

    @abstractmethod
    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features at full resolution, for :meth:`head_maps`, and a vector an image, for :meth:`presence_of`."""

    @abstractmethod
    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Raw maps (B, k, [Z, ]Y, X) of some landmarks from features."""

    @abstractmethod
    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of each landmark's presence."""

    @abstractmethod
    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """All of it; ``landmark`` (B,) says which one a conditioned network is asked for."""


def padded(images: Tensor, multiple: int) -> Tensor:
    """Images (B, C, [Z, ]Y, X) with zeros behind the last voxel of each axis, up to a multiple; see :func:`cropped`."""
    missing = [-size % multiple for size in reversed(images.shape[2:])]
    return F.pad(images, [n for gap in missing for n in (0, gap)]) if any(missing) else images


def cropped(maps: Tensor, images: Tensor) -> Tensor:
    """Maps (B, K, ...) without what :func:`padded` added to these images: voxel 0 never moves."""
    return maps[tuple([slice(None), slice(None), *(slice(size) for size in images.shape[2:])])]


def check_counts(dimension: int, in_channels: int, landmarks: int) -> None:
    """Raise ``RecipeError`` for a dimension other than 2 and 3, and for no channel or no landmark."""
    if dimension not in (2, 3) or in_channels < 1 or landmarks < 1:
        raise RecipeError(
            f"A network cannot have dimension {dimension}, {in_channels} channels and {landmarks} landmarks; "
            "give 2 or 3, and at least 1 of each."
        )


def check_images(images: Tensor, dimension: int, channels: int) -> None:
    """Raise ``ImageError`` where images are not (B, channels, [Z, ]Y, X) with at least one voxel each."""
    if images.ndim != dimension + 2 or images.shape[1] != channels or 0 in images.shape[2:]:
        axes = "Y, X" if dimension == 2 else "Z, Y, X"
        raise ImageError(
            f"The network was given images of the shape {tuple(images.shape)}; give (B, {channels}, {axes})."
        )


def of_landmark(output: HeatmapOutput, landmark: Tensor) -> HeatmapOutput:
    """What is said of one landmark an image, ``landmark`` (B,): maps (B, 1, ...), presence (B, 1), and the rest."""
    rows = torch.arange(landmark.shape[0], device=landmark.device)
    heatmaps, presence, *earlier = (
        values[rows, landmark][:, None] for values in (output.heatmaps, output.presence, *output.auxiliary)
    )
    covariance = None if output.covariance is None else output.covariance[rows, landmark][:, None]
    return HeatmapOutput(heatmaps, presence, tuple(earlier), covariance)
