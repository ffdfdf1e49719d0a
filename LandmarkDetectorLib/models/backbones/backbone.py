"""What every backbone is: images in, features at five resolutions out, and the normalisation that weights expect."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights, load_weights

RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's photographs on [0, 1]; what torchvision's weights were trained with."""


class Backbone(nn.Module):
    """Features of images (B, C, [Z, ]Y, X), sides divisible by 32, values on [0, 1].

    In 2D the normalisation of ImageNet is part of the module, whether or not the weights come from there. A grey image
    is repeated to three channels. For any other number of channels the first convolution has as many inputs; from
    published weights each takes the filters of red, green, blue, red, ... in turn, times 3/C, and their normalisation,
    so that an image whose channels all agree gives about what it gave as grey. In 3D images are taken as they are.

    Attributes:
        channels: of the five features.
        pretrained_from: where the weights come from, or "not pretrained".
    """

    channels: tuple[int, ...]
    pretrained_from: str = "not pretrained"
    body: Any  # a network of MONAI or of ours, whose parts are reached by their names
    mean: Tensor
    std: Tensor

    def __init__(self, dimension: int, in_channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.dimension, self.in_channels = dimension, in_channels
        self.inputs = 3 if dimension == 2 and in_channels == 1 else in_channels
        shape = (1, self.inputs, *[1] * dimension)
        for name, values, nothing in (("mean", mean, 0.0), ("std", std, 1.0)):
            cycled = [values[c % 3] if dimension == 2 else nothing for c in range(self.inputs)]
            self.register_buffer(name, torch.tensor(cycled).view(shape), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        return self.pyramid((images - self.mean) / self.std)

    @abstractmethod
    def pyramid(self, normalised: Tensor) -> list[Tensor]:
        """Features of images that have ``inputs`` channels and are normalised."""


class _Entry(NamedTuple):
    build: Callable[[int, int], Backbone]
    weights: PublishedWeights


_BACKBONES: dict[str, _Entry] = {}


def register_backbone(name: str, build: Callable[[int, int], Backbone], weights: PublishedWeights) -> None:
    """Make a backbone known: a function of dimension and channels of the image, and the weights that exist for it."""
    if name in _BACKBONES:
        raise ValueError(f"two backbones are called {name!r}")
    _BACKBONES[name] = _Entry(build, weights)


def backbone_names() -> list[str]:
    """The backbones that a recipe may name."""
    return sorted(_BACKBONES)


def build_backbone(
    name: str, dimension: int, in_channels: int, pretrained: str | PathLike[str] | None = None
) -> Backbone:
    """A backbone by name.

    Args:
        name: one of :func:`backbone_names`.
        dimension: 2 or 3.
        in_channels: channels of the image.
        pretrained: None for random weights; "imagenet" for those that torchvision (or the pip package of
            EfficientNet-lite0) publishes, from the files that lie on this computer; or the path of such a file.

    Raises:
        RecipeError: no backbone has this name, or the weights are not there or are not those of this network.
    """
    if name not in _BACKBONES:
        raise RecipeError(f"There is no backbone {name!r}; choose one of {', '.join(backbone_names())}.")
    if dimension not in (2, 3) or in_channels < 1:
        raise RecipeError(
            f"There is no backbone of {dimension} dimensions and {in_channels} channels; give 2 or 3, and 1."
        )
    entry = _BACKBONES[name]
    backbone = entry.build(dimension, in_channels)
    if pretrained is not None:
        if str(pretrained) == "imagenet" and dimension != 2:
            raise RecipeError(
                f"The backbone {name!r} in 3D cannot take ImageNet's weights, which are those of a network in 2D; give "
                "the path of a file of its own, or leave pretrained out."
            )
        backbone.pretrained_from = load_weights(backbone.body, entry.weights, pretrained)
    return backbone
