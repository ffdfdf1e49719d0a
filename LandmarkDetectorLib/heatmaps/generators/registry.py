"""Heatmap generators by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from LandmarkDetectorLib.core import LandmarkError, RecipeError
from LandmarkDetectorLib.heatmaps.generators.generator import HeatmapGenerator

Generator = TypeVar("Generator", bound=type[HeatmapGenerator])
_GENERATORS: dict[str, type[HeatmapGenerator]] = {}


def register_generator(name: str) -> Callable[[Generator], Generator]:
    """Class decorator: make a generator known under this name."""

    def register(generator: Generator) -> Generator:
        if name in _GENERATORS:
            raise ValueError(f"two heatmap generators are called {name!r}")
        _GENERATORS[name] = generator
        return generator

    return register


def generator_names() -> list[str]:
    """The generators that a recipe may name."""
    return sorted(_GENERATORS)


def build_generator(name: str, **arguments: Any) -> HeatmapGenerator:
    """A heatmap generator by name.

    Raises:
        RecipeError: no generator has this name, or it does not take these arguments.
    """
    if name not in _GENERATORS:
        raise RecipeError(f"There is no heatmap generator {name!r}; choose one of {', '.join(generator_names())}.")
    try:
        return _GENERATORS[name](**arguments)
    except (TypeError, LandmarkError) as error:
        raise RecipeError(f"The heatmap generator {name!r} cannot be built: {str(error).rstrip('.')}.") from error
