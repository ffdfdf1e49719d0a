"""SpatialConfiguration-Net in probabilities: the logarithms of both factors are added.

A map is the logit of a distribution over the voxels (trained by the spatial cross-entropy, say), and so the product of
two experts (Hinton 2002, 10.1162/089976602760128018): the local appearance's distribution times the configuration's,
normalised once. The distribution answers for its own uncertainty.
"""

from __future__ import annotations

from torch import Tensor

from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation, spatial_softmax
from LandmarkDetectorLib.models.registry import register_model
from LandmarkDetectorLib.models.scn import MonaiSpatialConfigurationNet


@register_model("probabilistic_scn")
class ProbabilisticSpatialConfigurationNet(MonaiSpatialConfigurationNet):
    """SCN whose maps are local + configuration, logits of a distribution; its covariance is that distribution's.

    Args:
        dimension: 2 or 3.
        in_channels: channels of the image.
        landmarks: number of landmarks K.
        appearance: name of the network that makes the local maps.
        appearance_arguments: what its constructor takes; five levels of 128 features (64 in 3D) where not given.
        image_input: the configuration sees the image too, made as small.
        covariance: a Cholesky head predicts the covariances, instead of the distribution.
        others: arguments of :class:`.SpatialConfigurationNet`.
    """

    levels = 5

    def combined(self, local: Tensor, places: Tensor) -> Tensor:
        """The sum: a product of probabilities but for its normalisation."""
        return local + places

    def covariance_of(self, configuration: Tensor, heatmaps: Tensor) -> Tensor:
        """Second moments (B, K, D, D) of the maps' softmax in voxel², or what the head says."""
        said = super().covariance_of(configuration, heatmaps)
        return spatial_expectation(spatial_softmax(heatmaps)).covariance if said is None else said
