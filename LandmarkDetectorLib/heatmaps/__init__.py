"""From landmarks to heatmaps and back: targets, decoders, peaks. Needs torch."""

from LandmarkDetectorLib.heatmaps.peaks import Peaks, find_peaks

__all__ = ["Peaks", "find_peaks"]
