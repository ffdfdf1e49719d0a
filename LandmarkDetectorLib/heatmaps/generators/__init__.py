"""Heatmaps of many distributions and any spread: a base, one file per distribution, and their names."""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.heatmaps.generators.gaussian import GaussianHeatmaps
from LandmarkDetectorLib.heatmaps.generators.generator import HeatmapGenerator
from LandmarkDetectorLib.heatmaps.generators.laplace import LaplaceHeatmaps
from LandmarkDetectorLib.heatmaps.generators.registry import build_generator, generator_names, register_generator

__all__ = [
    "GaussianHeatmaps",
    "HeatmapGenerator",
    "LaplaceHeatmaps",
    "build_generator",
    "generator_names",
    "register_generator",
]

import_parts(__name__, __path__)
