"""SpatialConfiguration-Net: what a landmark looks like times where it stands among the others.

Payer et al. 2019, 10.1016/j.media.2019.03.007. A local appearance network makes maps that are exact but take a
landmark for its look-alikes; from all of them, made small, a second network of wide kernels says which places the
others allow; the product keeps what both agree on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.blocks import begun, convolution, in_single, summary
from LandmarkDetectorLib.models.cholesky_head import CholeskyHead
from LandmarkDetectorLib.models.network import (
    HeatmapNetwork,
    HeatmapOutput,
    check_counts,
    check_images,
    cropped,
    of_landmark,
    padded,
)
from LandmarkDetectorLib.models.registry import build_model, register_model

SLOPE = 0.1
"""Of the leaky ReLU."""


@register_model("scn")
class SpatialConfigurationNet(HeatmapNetwork):
    """SCN with any network of the registry as its local appearance.

    The maps are local·tanh(configuration): large where both are, near 0 where the configuration knows of no landmark.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        appearance: name of the network that makes the local maps and answers for the presence.
        appearance_arguments: what its constructor takes beside dimension, channels and landmarks.
        width: features of the spatial configuration; 128 in 2D and 64 in 3D where it is not given (He et al. 2015,
            arXiv:1502.01852, begin them).
        kernel: side of its kernels; 11 in 2D and 7 in 3D where it is not given.
        downsampling: voxels along an axis that become one of it; 16 in 2D and 4 in 3D where it is not given.
        image_input: the configuration sees the image too, made as small.
        head_deviation: standard deviation of the weights by which both factors are read; near 0 at first.
        coord_channels: the appearance sees coordinates beside the image.
        covariance: a head for covariances, which reads the configuration.

    Raises:
        RecipeError: no network has the name of the appearance, it does not take the arguments, or it is a conditioned
            one; the kernel is even.
    """

    factor = 1

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        appearance: str = "local_appearance",
        appearance_arguments: Mapping[str, Any] | None = None,
        width: int | None = None,
        kernel: int | None = None,
        downsampling: int | None = None,
        image_input: bool = False,
        head_deviation: float = 1e-3,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        super().__init__()
        check_counts(dimension, in_channels, landmarks)
        plane = dimension == 2
        width = width if width is not None else (128 if plane else 64)
        kernel = kernel if kernel is not None else (11 if plane else 7)
        if kernel % 2 == 0:
            raise RecipeError(f"The kernel of the spatial configuration has the even side {kernel}; give an odd one.")
        arguments = dict(appearance_arguments or {})
        if arguments.get("conditional"):
            raise RecipeError("The local appearance makes the maps of all landmarks; take conditional out of it.")
        if coord_channels:
            arguments["coord_channels"] = True
        self.appearance = build_model(
            appearance, dimension=dimension, in_channels=in_channels, landmarks=landmarks, **arguments
        )
        self.dimension, self.in_channels, self.landmarks = dimension, in_channels, landmarks
        self.downsampling = downsampling if downsampling is not None else (16 if plane else 4)
        if self.downsampling < 1:
            raise RecipeError(f"A downsampling of {self.downsampling} leaves no voxel; give 1 or more.")
        self.image_input = image_input
        seen = landmarks + (in_channels if image_input else 0)
        self.configuration = nn.ModuleList(
            convolution(dimension, channels, width, kernel, bias=True) for channels in (seen, width, width)
        )
        self.places = convolution(dimension, width, landmarks, kernel, bias=True)
        self.cholesky = CholeskyHead(2 * width, landmarks, dimension) if covariance else None
        for conv in self.configuration:
            nn.init.kaiming_normal_(begun(conv), SLOPE)
        nn.init.trunc_normal_(begun(self.places), std=head_deviation)
        head = getattr(self.appearance, "head", None)  # networks at a coarser resolution begin as they like
        if isinstance(head, nn.Module):
            nn.init.trunc_normal_(begun(head), std=head_deviation)

    def combined(self, local: Tensor, places: Tensor) -> Tensor:
        """The maps of both networks as one."""
        return local * torch.tanh(places)

    def _seen(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features, the appearance's vector, and the configuration's features."""
        check_images(images, self.dimension, self.in_channels)
        features, vector = self.appearance.features(images)
        pool = (F.avg_pool2d, F.avg_pool3d)[self.dimension - 2]
        local = self.appearance.head_maps(features, slice(0, self.landmarks))
        if self.image_input:
            local = torch.cat([local, images.to(local.dtype)], 1)
        x = pool(padded(local, self.downsampling), self.downsampling)
        for conv in self.configuration:
            x = F.leaky_relu(conv(x), SLOPE)
        mode = "bicubic" if self.dimension == 2 else "trilinear"
        places = F.interpolate(in_single(self.places(x)), scale_factor=float(self.downsampling), mode=mode)
        # One tensor, for head_maps: places stand behind the appearance's features.
        return torch.cat([features, cropped(places, images).to(features.dtype)], 1), vector, x

    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The appearance's features with the K maps of the configuration behind, and the appearance's vector."""
        features, vector, _ = self._seen(images)
        return features, vector

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Raw maps (B, k, [Z, ]Y, X) of some landmarks from features."""
        local, places = features[:, : -self.landmarks], features[:, -self.landmarks :]
        return self.combined(self.appearance.head_maps(local, part), places[:, part])

    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of presence, as the appearance says."""
        return self.appearance.presence_of(vector)

    def covariance_of(self, configuration: Tensor, heatmaps: Tensor) -> Tensor | None:
        """Covariances (B, K, D, D) in voxel², where the network predicts some."""
        return None if self.cholesky is None else self.cholesky(summary(configuration))

    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """Maps, presence, covariances; with ``landmark`` (B,) of one landmark an image.

        Raises:
            ImageError: the images are not (B, C, [Z, ]Y, X).
        """
        features, vector, configuration = self._seen(images)
        maps = in_single(self.head_maps(features, slice(0, self.landmarks)))
        presence = in_single(self.presence_of(vector))
        output = HeatmapOutput(maps, presence, covariance=self.covariance_of(configuration, maps))
        return output if landmark is None else of_landmark(output, landmark)


@register_model("scn_monai")
class MonaiSpatialConfigurationNet(SpatialConfigurationNet):
    """SCN on a U-Net of MONAI, whose configuration sees the image too.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        appearance: residual_unet, attention_unet, basic_unet or dyn_unet.
        appearance_arguments: what its constructor takes; four levels of 128 features (64 in 3D) where not given.
        image_input: the configuration sees the image, made as small as the local maps.
        others: arguments of :class:`SpatialConfigurationNet`.
    """

    levels = 4

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        appearance: str = "residual_unet",
        appearance_arguments: Mapping[str, Any] | None = None,
        image_input: bool = True,
        **others: Any,
    ) -> None:
        if appearance_arguments is None and appearance == "residual_unet":
            appearance_arguments = {"widths": ((128,), (64,))[dimension - 2] * self.levels}
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            appearance,
            appearance_arguments,
            image_input=image_input,
            **others,
        )
