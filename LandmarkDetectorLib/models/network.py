"""What every network of the registry has: features, a head that serves some landmarks alone, a presence."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


class HeatmapOutput(NamedTuple):
    """Logits of the maps (B, K, [Z, ]Y, X) and of each landmark's presence (B, K); K is 1 for a conditioned network."""

    heatmaps: Tensor
    presence: Tensor


class HeatmapNetwork(nn.Module):
    """A network from images (B, C, [Z, ]Y, X) to heatmaps of the same size.

    Attributes:
        dimension: 2 or 3.
        landmarks: number of landmarks K.
        factor: the sides of an image are multiples of it.
    """

    dimension: int
    landmarks: int
    factor: int

    @abstractmethod
    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features at full resolution, for :meth:`head_maps`, and a vector an image, for :meth:`presence_of`."""

    @abstractmethod
    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Logits (B, k, [Z, ]Y, X) of some landmarks' maps from features."""

    @abstractmethod
    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of each landmark's presence."""

    @abstractmethod
    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """All of it; ``landmark`` (B,) says which one a conditioned network is asked for."""
