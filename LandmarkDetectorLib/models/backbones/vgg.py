"""VGG-16 and -19, plain and with batch normalisation: Simonyan & Zisserman 2015, arXiv:1409.1556; in 3D as well."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from LandmarkDetectorLib.models.backbones.backbone import RGB_MEAN, RGB_STD, Backbone, register_backbone
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights

WIDTHS = (64, 128, 256, 512, 512)
LAYERS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
FILES = {
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
}


class VggBackbone(Backbone):
    """The last feature at each resolution before it is pooled, and the last pooling.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        layers: convolutions at each of the five resolutions, the first of which is the image's own.
        normalised: batch normalisation after each; without it, training from random weights hardly begins.
    """

    channels = (128, 256, 512, 512, 512)

    def __init__(self, dimension: int, in_channels: int, layers: tuple[int, ...], normalised: bool) -> None:
        super().__init__(dimension, in_channels, RGB_MEAN, RGB_STD)
        conv, norm = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))[dimension - 2]
        pool = (nn.MaxPool2d, nn.MaxPool3d)[dimension - 2]
        steps: list[nn.Module] = []
        channels = self.inputs
        for width, count in zip(WIDTHS, layers, strict=True):
            for _ in range(count):
                step = conv(channels, width, 3, padding=1)
                nn.init.kaiming_normal_(step.weight, mode="fan_out", nonlinearity="relu")
                assert step.bias is not None
                nn.init.zeros_(step.bias)
                steps += [step, norm(width), nn.ReLU(inplace=True)] if normalised else [step, nn.ReLU(inplace=True)]
                channels = width
            steps.append(pool(2))
        self.body = nn.Sequential(*steps)
        self.pool = pool

    def pyramid(self, normalised: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 (before the pooling) and 1/32."""
        x, found = normalised, []
        for step in self.body.children():
            if isinstance(step, self.pool):
                found.append(x)
            x = step(x)
        return [*found[1:], x]


def _ours(name: str) -> str | None:
    return name.removeprefix("features.") if name.startswith("features.") else None


for _name, _file in FILES.items():
    register_backbone(
        _name,
        partial(VggBackbone, layers=LAYERS[_name.removesuffix("_bn")], normalised=_name.endswith("_bn")),
        PublishedWeights(_file, "torchvision", _ours, "0.weight"),
    )
