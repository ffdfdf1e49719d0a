"""The networks that a pipeline names. Needs torch, which is imported when the first one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from LandmarkDetectorLib.bundles.pipeline import NetworkSettings, Pipeline

if TYPE_CHECKING:
    from LandmarkDetectorLib.models.network import HeatmapNetwork


def build_network(pipeline: Pipeline, settings: NetworkSettings) -> HeatmapNetwork:
    """The network of a stage, its weights at random; it sees the auxiliary landmarks too.

    Raises:
        RecipeError: the registry has no such network, or it does not take these arguments.
    """
    from LandmarkDetectorLib.models import build_model

    return build_model(
        settings.name,
        dimension=pipeline.dimension,
        in_channels=pipeline.channels,
        landmarks=len(pipeline.design),
        **settings.arguments,
    )
