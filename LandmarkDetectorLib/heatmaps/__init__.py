"""From landmarks to heatmaps and back: targets, decoders, peaks. Needs torch."""

from LandmarkDetectorLib.heatmaps.generate import gaussian_heatmaps
from LandmarkDetectorLib.heatmaps.peaks import Peaks, find_peaks

__all__ = ["Peaks", "find_peaks", "gaussian_heatmaps"]
