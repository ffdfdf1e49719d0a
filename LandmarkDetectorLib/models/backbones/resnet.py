"""ResNet: He et al. 2016, arXiv:1512.03385, with the stride on the 3×3 convolution. The network is MONAI's.

MONAI is imported when the first one is built: it takes seconds, and a worker with another network need not wait.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from LandmarkDetectorLib.models.backbones.backbone import RGB_MEAN, RGB_STD, Backbone, register_backbone
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights

LAYERS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}
FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
}


class ResNetBackbone(Backbone):
    """The stem before its pooling, and the four stages.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        block: "basic" or "bottleneck".
        layers: blocks of the four stages.
    """

    def __init__(self, dimension: int, in_channels: int, block: str, layers: tuple[int, ...]) -> None:
        super().__init__(dimension, in_channels, RGB_MEAN, RGB_STD)
        from monai.networks.nets.resnet import ResNet

        self.body = ResNet(
            block,
            list(layers),
            [64, 128, 256, 512],
            spatial_dims=dimension,
            n_input_channels=self.inputs,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        expansion = 4 if block == "bottleneck" else 1
        self.channels = (64, *(expansion * width for width in (64, 128, 256, 512)))

    def pyramid(self, normalised: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        body = self.body
        found = [body.act(body.bn1(body.conv1(normalised)))]
        x = body.maxpool(found[0])
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            found.append(x)
        return found


def _ours(name: str) -> str | None:
    return None if name.startswith("fc.") else name


for _name, (_block, _layers) in LAYERS.items():
    register_backbone(
        _name,
        partial(ResNetBackbone, block=_block, layers=_layers),
        PublishedWeights(FILES[_name], "torchvision", _ours, "conv1.weight"),
    )
