"""The networks that a pipeline names. Needs torch, which is imported when the first one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from LandmarkDetectorLib.bundles.pipeline import NetworkSettings, Pipeline

if TYPE_CHECKING:
    from LandmarkDetectorLib.models.network import HeatmapNetwork


INITIAL = "pretrained"
"""The argument that names weights to begin from: a file of the computer that trained, which others lack."""


def build_network(pipeline: Pipeline, settings: NetworkSettings, weights_follow: bool = False) -> HeatmapNetwork:
    """The network of a stage, its weights those to begin from; it sees the auxiliary landmarks too.

    Args:
        pipeline: the dimension, the channels and the landmarks.
        settings: the network's name and arguments.
        weights_follow: the caller loads weights of its own; those to begin from are not looked for.

    Raises:
        RecipeError: the registry has no such network, or it does not take these arguments.
    """
    from LandmarkDetectorLib.models import build_model

    return build_model(
        settings.name,
        dimension=pipeline.dimension,
        in_channels=pipeline.channels,
        landmarks=len(pipeline.design),
        **{name: value for name, value in settings.arguments.items() if not (weights_follow and name == INITIAL)},
    )
