"""Networks by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from typing import Any

from LandmarkDetectorLib.core import Registry
from LandmarkDetectorLib.models.network import HeatmapNetwork

_MODELS: Registry[type[HeatmapNetwork]] = Registry("network")
register_model = _MODELS.register
model_names = _MODELS.names


def build_model(name: str, **arguments: Any) -> HeatmapNetwork:
    """A network by name.

    Raises:
        RecipeError: no network has this name, or it does not take these arguments.
    """
    network: HeatmapNetwork = _MODELS.build(name, **arguments)
    return network
