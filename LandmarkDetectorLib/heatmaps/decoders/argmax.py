"""The highest voxel, as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.summits import find_summits


@decoder("argmax")
def argmax(maps: Tensor) -> Decoded:
    """Takes the highest voxel of each map; of equal ones the first in the array.

    Found is whatever rises above the map's median by more than rounding. No form is read: the covariance is NaN.
    """
    summits = find_summits(maps)
    form = summits.base.new_full((*summits.at.shape, summits.at.shape[1]), torch.nan)
    return Decoded(summits.at.to(summits.base.dtype), form, summits.value, summits.rises)
