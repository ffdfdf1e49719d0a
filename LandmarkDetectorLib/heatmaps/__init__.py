"""From landmarks to heatmaps and back: targets, decoders, peaks. Needs torch."""

from LandmarkDetectorLib.heatmaps import decoders as _decoders  # noqa: F401  registers them
from LandmarkDetectorLib.heatmaps.decode import Decoded, decode
from LandmarkDetectorLib.heatmaps.generate import gaussian_heatmaps
from LandmarkDetectorLib.heatmaps.peaks import Peaks, find_peaks

__all__ = ["Decoded", "Peaks", "decode", "find_peaks", "gaussian_heatmaps"]
