"""Heatmap generators by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from typing import Any

from LandmarkDetectorLib.core import Registry
from LandmarkDetectorLib.heatmaps.generators.generator import HeatmapGenerator

_GENERATORS: Registry[type[HeatmapGenerator]] = Registry("heatmap generator")
register_generator = _GENERATORS.register
generator_names = _GENERATORS.names


def build_generator(name: str, **arguments: Any) -> HeatmapGenerator:
    """A heatmap generator by name.

    Raises:
        RecipeError: no generator has this name, or it does not take these arguments.
    """
    generator: HeatmapGenerator = _GENERATORS.build(name, **arguments)
    return generator
