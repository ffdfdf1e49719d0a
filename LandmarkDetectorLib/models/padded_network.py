"""What networks that take images of any size share: padding, coordinates, a presence head, covariances."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.models.blocks import convolution, in_single, summary
from LandmarkDetectorLib.models.cholesky_head import CholeskyHead
from LandmarkDetectorLib.models.coordinates import CoordinateChannels
from LandmarkDetectorLib.models.network import (
    HeatmapNetwork,
    HeatmapOutput,
    check_counts,
    check_images,
    cropped,
    of_landmark,
)


class Encoded(NamedTuple):
    """What the body of a network makes of padded images.

    Attributes:
        features: (B, C, [Z, ]Y, X) for ``head_maps``, at the size of the padded images.
        deepest: (B, F, [z, ]y, x), what the presence and the covariances are read from.
        auxiliary: maps (B, K, [z, ]y, x) of earlier heads, at the size of the padded images over their stride.
    """

    features: Tensor
    deepest: Tensor
    auxiliary: tuple[Tensor, ...] = ()


class PaddedNetwork(HeatmapNetwork):
    """A network whose body, :meth:`encode`, sees sides that are multiples, and whose caller need not know.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image, C.
        landmarks: number of landmarks K.
        multiple: of the sides that the body sees.
        width: features before the head; 0 where :meth:`head_maps` is the child's own.
        deepest: features that the presence is read from.
        coord_channels: the body sees coordinates beside the image, see :mod:`.coordinates`.
        covariance: a :class:`.CholeskyHead` predicts covariances too.

    Raises:
        RecipeError: a dimension other than 2 and 3, or fewer than one channel or landmark.
    """

    factor = 1

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        *,
        multiple: int,
        width: int,
        deepest: int,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        super().__init__()
        check_counts(dimension, in_channels, landmarks)
        self.dimension, self.in_channels, self.landmarks, self.multiple = dimension, in_channels, landmarks, multiple
        self.coordinates = CoordinateChannels(dimension) if coord_channels else None
        self.body_channels = in_channels + (self.coordinates.count if self.coordinates is not None else 0)
        self.head = convolution(dimension, width, landmarks, bias=True) if width else None
        self.presence = nn.Linear(2 * deepest, landmarks)
        self.cholesky = CholeskyHead(2 * deepest, landmarks, dimension) if covariance else None

    @abstractmethod
    def encode(self, images: Tensor) -> Encoded:
        """What the body makes of images (B, ``body_channels``, [Z, ]Y, X) whose sides are multiples."""

    def _seen(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        check_images(images, self.dimension, self.in_channels)
        seen = images if self.coordinates is None else self.coordinates(images)
        sizes = [-(-size // self.multiple) * self.multiple for size in images.shape[2:]]
        if all(size == self.multiple for size in sizes):
            sizes[-1] *= 2  # the deepest level of one image would be one voxel, which no normalisation can learn from
        gaps = [size - had for size, had in zip(sizes, images.shape[2:], strict=True)]
        seen = F.pad(seen, [n for gap in reversed(gaps) for n in (0, gap)])
        features, deepest, auxiliary = self.encode(seen)
        earlier = []
        for maps, stride in zip(auxiliary, self.auxiliary_strides, strict=True):
            kept = [slice(-(-size // stride)) for size in images.shape[2:]]
            earlier.append(in_single(maps[tuple([slice(None), slice(None), *kept])]))
        return cropped(features, images), summary(deepest), tuple(earlier)

    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The features (B, C, [Z, ]Y, X) before the head, and a vector an image."""
        features, vector, _ = self._seen(images)
        return features, vector

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Raw maps (B, k, [Z, ]Y, X) of some landmarks from features."""
        assert self.head is not None and isinstance(self.head.bias, Tensor) and isinstance(self.head.weight, Tensor)
        weight, bias = self.head.weight[part].to(features.dtype), self.head.bias[part].to(features.dtype)
        return (F.conv2d, F.conv3d)[self.dimension - 2](features, weight, bias)

    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of presence."""
        return in_single(self.presence(vector.to(self.presence.weight.dtype)))

    def covariance_of(self, vector: Tensor, heatmaps: Tensor) -> Tensor | None:
        """Covariances (B, K, D, D) in voxel², where the network predicts some."""
        return None if self.cholesky is None else self.cholesky(vector)

    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """Maps, presence, earlier heads, covariances; with ``landmark`` (B,) of one landmark an image.

        Raises:
            ImageError: the images are not (B, C, [Z, ]Y, X).
        """
        features, vector, auxiliary = self._seen(images)
        maps = in_single(self.head_maps(features, slice(0, self.landmarks)))
        output = HeatmapOutput(maps, self.presence_of(vector), auxiliary, self.covariance_of(vector, maps))
        return output if landmark is None else of_landmark(output, landmark)
