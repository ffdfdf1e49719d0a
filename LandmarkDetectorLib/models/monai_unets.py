"""The U-Nets of MONAI as networks for heatmaps: residual, attention, basic, and nnU-Net's.

Each gives features at the image's size; a 1×1 convolution of ours reads the maps, so that some can be read alone.
MONAI is imported when the first one is built: it takes seconds, and a worker with another network need not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import Norm, check_norm
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)


class MonaiUNet(PaddedNetwork):
    """A U-Net of MONAI, made by a child's ``body``, with features of ``widths[0]`` at full resolution.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each resolution, the finest first; each halves the resolution of the one before.
        network: arguments of :class:`.PaddedNetwork`.
    """

    def __init__(self, dimension: int, in_channels: int, landmarks: int, widths: Sequence[int], **network: Any) -> None:
        if len(widths) < 2:
            raise RecipeError(f"A U-Net has at least two widths, not {list(widths)}; add one for each resolution.")
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=2 ** (len(widths) - 1),
            width=widths[0],
            deepest=widths[0],
            **network,
        )
        self.strides = (2,) * (len(widths) - 1)
        self.body: nn.Module

    def encode(self, images: Tensor) -> Encoded:
        """See :class:`.PaddedNetwork`; the presence is read from the features."""
        features = self.body(images)
        return Encoded(features, features)


@register_model("residual_unet")
class ResidualUNet(MonaiUNet):
    """U-Net of residual units with strided convolutions: Kerfoot et al. 2018, 10.1007/978-3-030-12029-0_40.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each resolution, the finest first.
        units: convolutions of a residual unit.
        dropout: share of features that training leaves out.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        units: int = 2,
        dropout: float = 0.0,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        from monai.networks.nets import UNet

        super().__init__(
            dimension, in_channels, landmarks, widths, coord_channels=coord_channels, covariance=covariance
        )
        self.body = UNet(
            dimension,
            self.body_channels,
            widths[0],
            widths,
            self.strides,
            num_res_units=units,
            norm=("instance", {"affine": True}),
            dropout=dropout,
            bias=False,
        )


@register_model("attention_unet")
class AttentionUNet(MonaiUNet):
    """U-Net whose skips pass an attention gate: Oktay et al. 2018, arXiv:1804.03999.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each resolution, the finest first.
        dropout: share of features that training leaves out.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        dropout: float = 0.0,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        from monai.networks.nets import AttentionUnet

        super().__init__(
            dimension, in_channels, landmarks, widths, coord_channels=coord_channels, covariance=covariance
        )
        self.body = AttentionUnet(dimension, self.body_channels, widths[0], widths, self.strides, dropout=dropout)
        self.body.model[2] = nn.Identity()  # its head, a 1×1 convolution: ours stands in its place
        _drop_idle_biases(self.body)


@register_model("basic_unet")
class BasicUNetNetwork(MonaiUNet):
    """U-Net with two convolutions a level, Falk et al. 2019, 10.1038/s41592-018-0261-2, as MONAI's ``BasicUNet``.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each of the five resolutions, the finest first.
        dropout: share of features that training leaves out.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] = (32, 32, 64, 128, 256),
        dropout: float = 0.0,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        from monai.networks.nets import BasicUNet

        if len(widths) != 5:
            raise RecipeError(f"A basic_unet has five widths, not {list(widths)}; residual_unet takes any number.")
        super().__init__(
            dimension, in_channels, landmarks, widths, coord_channels=coord_channels, covariance=covariance
        )
        self.body = BasicUNet(
            dimension, self.body_channels, widths[0], (*widths, widths[0]), bias=False, dropout=dropout
        )
        self.body.final_conv = nn.Identity()


@register_model("dyn_unet")
class DynUNetNetwork(MonaiUNet):
    """The U-Net of nnU-Net, Isensee et al. 2021, 10.1038/s41592-020-01008-z, as MONAI's ``DynUNet``.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        widths: features at each resolution, the finest first, at least three.
        residual: residual blocks instead of plain ones.
        norm: instance, batch or group.
        coord_channels: coordinates beside the image.
        covariance: a head for covariances.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        widths: Sequence[int] = (32, 64, 128, 256, 320),
        residual: bool = False,
        norm: Norm = "instance",
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        from monai.networks.nets import DynUNet

        if len(widths) < 3:
            raise RecipeError(f"A dyn_unet has at least three widths, not {list(widths)}; unet takes two.")
        super().__init__(
            dimension, in_channels, landmarks, widths, coord_channels=coord_channels, covariance=covariance
        )
        check_norm(norm)
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "instance": ("instance", {"affine": True}),
            "batch": ("batch", {}),
            "group": ("group", {"num_groups": 8}),
        }
        self.body = DynUNet(
            dimension,
            self.body_channels,
            widths[0],
            [3] * len(widths),
            [1, *self.strides],
            self.strides,
            filters=widths,
            norm_name=kinds[norm],
            res_block=residual,
        )
        self.body.output_block = nn.Identity()


def _drop_idle_biases(network: nn.Module) -> None:
    """Take away the biases that a normalisation right behind subtracts again: they would never learn."""
    for sequence in network.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        for first, second in pairwise(sequence):
            conv = getattr(first, "conv", first)
            norm = next(iter(second)) if isinstance(second, nn.Sequential) and len(second) else second
            if isinstance(conv, CONVOLUTIONS) and isinstance(norm, NORMS):
                conv.bias = None
