"""Networks by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.network import HeatmapNetwork

Network = TypeVar("Network", bound=type[HeatmapNetwork])
_MODELS: dict[str, type[HeatmapNetwork]] = {}


def register_model(name: str) -> Callable[[Network], Network]:
    """Class decorator: make a network known under this name."""

    def register(network: Network) -> Network:
        if name in _MODELS:
            raise ValueError(f"two networks are called {name!r}")
        _MODELS[name] = network
        return network

    return register


def model_names() -> list[str]:
    """The networks that a recipe may name."""
    return sorted(_MODELS)


def build_model(name: str, **arguments: Any) -> HeatmapNetwork:
    """A network by name.

    Raises:
        RecipeError: no network has this name, or it does not take these arguments.
    """
    if name not in _MODELS:
        raise RecipeError(f"There is no network {name!r}; choose one of {', '.join(model_names())}.")
    try:
        return _MODELS[name](**arguments)
    except TypeError as error:
        raise RecipeError(f"The network {name!r} cannot be built: {error}.") from error
