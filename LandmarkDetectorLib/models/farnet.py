"""FARNet: a backbone made for photographs, its features aggregated at many scales, and a refinement at full resolution.

Ao and Wu 2023, Feature aggregation and refinement network for 2D anatomical landmark detection,
https://doi.org/10.1007/s10278-022-00718-4; here in 2D and 3D, for any number of landmarks.
"""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.backbones import build_backbone
from LandmarkDetectorLib.models.blocks import Norm, begun, conv_norm_relu, convolution, enlarged
from LandmarkDetectorLib.models.feature_aggregation import AGGREGATIONS, Aggregation, build_aggregation
from LandmarkDetectorLib.models.padded_network import Encoded, PaddedNetwork
from LandmarkDetectorLib.models.registry import register_model

STRIDE = 32
COARSE = 2


@register_model("farnet")
class FarNet(PaddedNetwork):
    """FARNet.

    The rows of the paper's tables are its switches, with the losses of :mod:`LandmarkDetectorLib.losses`:

    ========================  ======================================================  ==========================
    row                       switches                                                loss
    ========================  ======================================================  ==========================
    VGG-16 ... DenseNet-169   ``backbone="vgg16"`` ... ``"densenet169"``              exponential_weighted_centre
    U-Net                     ``aggregation="unet", refinement=False``                heatmap_l2
    FPN                       ``aggregation="pyramid", refinement=False``             heatmap_l2
    MSFA (+)                  ``aggregation="add", refinement=False``                 heatmap_l2
    MSFA                      ``refinement=False``                                    heatmap_l2
    + FR, no supervision      ``coarse_supervision=False``                            heatmap_l2
    + FR                      (none)                                                  heatmap_l2
    + FR, adaptive wing       (none)                                                  adaptive_wing
    + FR, EWC (FARNet)        (none)                                                  exponential_weighted_centre
    ========================  ======================================================  ==========================

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image, C.
        landmarks: number of landmarks K.
        backbone: one of :func:`.backbones.backbone_names`; "efficientnet_lite0" is the light one.
        pretrained: weights of the backbone, see :func:`.backbones.build_backbone`; None in a network whose own weights
            are loaded afterwards.
        aggregation: of features, "concatenate" (MSFA), "add" (MSFA by addition), "pyramid" or "unet".
        refinement: maps are refined at full resolution; otherwise those at half are enlarged.
        coarse_supervision: the maps at half resolution are an output too; only with refinement.
        width: the widths beyond the backbone are those of the paper times this. None is 1 in 2D and 1/4 in 3D, where
            the paper's would be 170 million parameters.
        norm: normalisation beyond the backbone (whose own is "batch"): "batch", "group" or "instance".
        head_deviation: standard deviation of the weights by which maps are read; None is as drawn. With a small one
            maps begin near 0, where nearly all of a volume belongs, and need not unlearn their noise first.
        coord_channels: the refinement sees coordinates beside the image; the backbone never does.
        covariance: a head for covariances.

    Shapes:
        images (B, C, [Z, ]Y, X) on [0, 1]; the auxiliary maps are at half resolution.

    Raises:
        RecipeError: no such backbone, aggregation or weights, a width that is not positive, or coordinates for a
            refinement that is not there.
    """

    def __init__(
        self,
        dimension: int,
        in_channels: int,
        landmarks: int,
        backbone: str = "densenet121",
        pretrained: str | PathLike[str] | None = None,
        aggregation: Aggregation = "concatenate",
        refinement: bool = True,
        coarse_supervision: bool = True,
        width: float | None = None,
        norm: Norm = "batch",
        head_deviation: float | None = None,
        coord_channels: bool = False,
        covariance: bool = False,
    ) -> None:
        factor = width if width is not None else (1.0 if dimension == 2 else 0.25)
        if aggregation not in AGGREGATIONS:
            raise RecipeError(f"There is no aggregation {aggregation!r}; choose one of {', '.join(AGGREGATIONS)}.")
        if not factor > 0:
            raise RecipeError(f"The width of a FARNet is {factor}; give a number above 0.")
        if coord_channels and not refinement:
            raise RecipeError("coord_channels of a FARNet go into its refinement; leave them out, or do refine.")

        if head_deviation is not None and not head_deviation > 0:
            raise RecipeError(f"The head_deviation of a FARNet is {head_deviation}; give a number above 0.")

        def scaled(channels: int) -> int:
            return max(8, round(channels * factor / 8) * 8)

        pyramid = build_backbone(backbone, dimension, in_channels, pretrained)
        half, image = scaled(64), scaled(32)
        super().__init__(
            dimension,
            in_channels,
            landmarks,
            multiple=STRIDE,
            width=image + half + landmarks if refinement else half,
            deepest=pyramid.channels[-1],
            coord_channels=coord_channels,
            covariance=covariance,
        )
        self.supervised = refinement and coarse_supervision
        self.auxiliary_strides = (COARSE,) if self.supervised else ()
        self.backbone = pyramid
        self.aggregation = build_aggregation(aggregation, dimension, pyramid.channels, scaled, norm)
        # Both heads are a 3×3 and a 1×1 convolution without anything between them, as in the paper.
        self.coarse = convolution(dimension, half, half, 3, bias=True)
        self.refined = self.coarse_head = self.stem = None
        if refinement:
            self.coarse_head = convolution(dimension, half, landmarks, bias=True)
            self.stem = conv_norm_relu(norm, dimension, self.body_channels, image, 3)
            count = image + half + landmarks
            self.refined = convolution(dimension, count, count, 3, bias=True)
        if head_deviation is not None:
            for head in filter(None, (self.head, self.coarse_head)):
                nn.init.trunc_normal_(begun(head), std=head_deviation)

    @property
    def pretrained_from(self) -> str:
        """Where the backbone's first weights come from, or "not pretrained"."""
        return self.backbone.pretrained_from

    def encode(self, images: Tensor) -> Encoded:
        """Features of images whose sides are multiples of 32."""
        pyramid = self.backbone(images[:, : self.in_channels])
        half = self.aggregation(pyramid)
        coarse = self.coarse(half)
        if self.refined is None or self.coarse_head is None or self.stem is None:
            # The head that follows is linear for each voxel: it may as well follow the enlargement.
            return Encoded(enlarged(coarse, COARSE), pyramid[-1])
        maps = self.coarse_head(coarse)
        joined = torch.cat([self.stem(images), enlarged(half, COARSE), enlarged(maps, COARSE)], 1)
        return Encoded(self.refined(joined), pyramid[-1], (maps,) if self.supervised else ())
