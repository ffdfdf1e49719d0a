"""What would stop a training at its last stage, or when its bundle is written: refused before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles.manifest import MAX_WEIGHTS_BYTES
from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import STAGES, Pipeline
from LandmarkDetectorLib.core import LandmarkDetectorError, RecipeError
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.losses import HeatmapLoss
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.publish import make_card, read_licence
from LandmarkDetectorLib.training.recipe import Recipe
from LandmarkDetectorLib.training.split import Split


def check_to_the_end(
    recipe: Recipe, pipeline: Pipeline, split: Split, data: Path, quoted: Mapping[str, Any] | None = None
) -> None:
    """Try what every stage and the bundle will need.

    Args:
        recipe: how the bundle is made.
        pipeline: its settings, of which the shape need not be known yet.
        split: what trains.
        data: the folder of the data set, which holds the licence text.
        quoted: what the card quotes of a cross-validation.

    Raises:
        RecipeError: a network or a loss cannot be built, the networks are larger than a bundle may be, or the recipe
            says what no card may say.
        DatasetError: the licence text is not there.
    """
    Intensity(recipe.intensity.window, recipe.intensity.quantiles)
    make_card(recipe, pipeline, split, dict(quoted or {}))
    read_licence(recipe, data)
    size = 0
    for name in STAGES:
        settings, training = getattr(recipe, name), getattr(recipe, f"{name}_training")
        if settings is None:
            continue
        try:
            network = build_network(pipeline, settings.network)
            size += sum(
                value.numel() * (2 if value.is_floating_point() else 8) for value in network.state_dict().values()
            )
            objective = Objective(training, settings, len(pipeline.design), pipeline.dimension)
            _check_that_maps_are_read_as_they_are_trained(objective)
        except LandmarkDetectorError as error:
            raise RecipeError(f"{recipe.name}: {name}: {error}") from error
    if size > MAX_WEIGHTS_BYTES:
        raise RecipeError(
            f"{recipe.name}: its networks have {size / 2e6:.0f} million weights, and a bundle holds at most "
            f"{MAX_WEIGHTS_BYTES / 2e6:.0f} million in half precision; make them smaller."
        )


def _check_that_maps_are_read_as_they_are_trained(objective: Objective) -> None:
    """Of a heatmap of height 1 the softmax is nearly flat: its mean is the highest sample's place, its mass nothing."""
    loss, named = objective.loss, objective.settings.loss
    if named is not None and isinstance(loss, HeatmapLoss) and not loss.logits and objective.decoder is None:
        raise RecipeError(
            f"The loss {named.name!r} trains heatmaps, and maps are read as logarithms of densities "
            "where there is no decoder; give the stage one, such as gaussian_fit (coarse has none), or leave out loss."
        )
