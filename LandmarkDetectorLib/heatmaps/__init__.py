"""From landmarks to heatmaps and back: targets, decoders, peaks. Needs torch."""

from LandmarkDetectorLib.heatmaps import decoders as _decoders  # noqa: F401  registers them
from LandmarkDetectorLib.heatmaps.decode import Decoded, decode, decoder_names
from LandmarkDetectorLib.heatmaps.decoders.instances import decode_instances
from LandmarkDetectorLib.heatmaps.expectation import Expectation, spatial_expectation, spatial_softmax
from LandmarkDetectorLib.heatmaps.generate import gaussian_heatmaps
from LandmarkDetectorLib.heatmaps.generators import (
    GaussianHeatmaps,
    HeatmapGenerator,
    LaplaceHeatmaps,
    build_generator,
    generator_names,
    register_generator,
)
from LandmarkDetectorLib.heatmaps.peaks import Peaks, find_peaks
from LandmarkDetectorLib.heatmaps.window import WindowMoments, window_moments

__all__ = [
    "Decoded",
    "Expectation",
    "GaussianHeatmaps",
    "HeatmapGenerator",
    "LaplaceHeatmaps",
    "Peaks",
    "WindowMoments",
    "build_generator",
    "decode",
    "decode_instances",
    "decoder_names",
    "find_peaks",
    "gaussian_heatmaps",
    "generator_names",
    "register_generator",
    "spatial_expectation",
    "spatial_softmax",
    "window_moments",
]
