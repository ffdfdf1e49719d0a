"""DenseNet-121 and -169: Huang et al. 2017, arXiv:1608.06993. The network is MONAI's, in 2D and 3D.

MONAI is imported when the first one is built: it takes seconds, and a worker with another network need not wait.
"""

from __future__ import annotations

import re
from functools import partial

from torch import Tensor

from LandmarkDetectorLib.models.backbones.backbone import RGB_MEAN, RGB_STD, Backbone, register_backbone
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights

LAYERS = {"densenet121": (6, 12, 24, 16), "densenet169": (6, 12, 32, 32)}
FILES = {"densenet121": "densenet121-a639ec97.pth", "densenet169": "densenet169-b2777c0a.pth"}
TAPS = ("conv0", "denseblock1", "denseblock2", "denseblock3", "norm5")
GROWTH, FIRST = 32, 64


class DenseNetBackbone(Backbone):
    """The first convolution, the first three dense blocks, and the last normalisation.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        layers: of the four blocks.
    """

    def __init__(self, dimension: int, in_channels: int, layers: tuple[int, ...]) -> None:
        super().__init__(dimension, in_channels, RGB_MEAN, RGB_STD)
        from monai.networks.nets.densenet import DenseNet

        # MONAI's features are torchvision's; its head of one class is not kept.
        whole = DenseNet(dimension, self.inputs, 1, init_features=FIRST, growth_rate=GROWTH, block_config=layers)
        self.body = whole.features
        channels, widths = [FIRST], FIRST
        for count in layers:
            channels.append(widths + count * GROWTH)
            widths = channels[-1] // 2  # the transition after a block halves
        self.channels = tuple(channels)

    def pyramid(self, normalised: Tensor) -> list[Tensor]:
        """Features at 1/2 (the bare convolution), 1/4, 1/8, 1/16 and 1/32."""
        x, found = normalised, []
        for name, layer in self.body.named_children():
            x = layer(x)
            if name in TAPS:
                found.append(x)
        return found


def _ours(name: str) -> str | None:
    """``features.denseblock1.denselayer1.norm.1.weight`` (old files) or ``...norm1.weight`` in MONAI's words."""
    if not name.startswith("features."):
        return None
    name = re.sub(r"(denselayer\d+)\.(norm|conv)\.?([12])\.", r"\1.layers.\2\3.", name)
    return name.removeprefix("features.")


for _name, _layers in LAYERS.items():
    register_backbone(
        _name,
        partial(DenseNetBackbone, layers=_layers),
        PublishedWeights(FILES[_name], "torchvision", _ours, "conv0.weight"),
    )
