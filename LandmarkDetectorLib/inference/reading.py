"""From the maps of a stage to measurements: a place with a covariance for each landmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from LandmarkDetectorLib.bundles.pipeline import FrameStage, ImageStage, PatchStage
from LandmarkDetectorLib.heatmaps import decode
from LandmarkDetectorLib.heatmaps.layout import coordinates_of
from LandmarkDetectorLib.heatmaps.window import window_moments

MAPS_AT_ONCE = 16 << 20
"""So many values of heatmaps stand in memory together, whatever the number of landmarks."""
LEAST_DEVIATION = 0.3
"""No map is believed to be sure of its landmark to less than this, in samples along any axis."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a stage says, in the canonical frame.

    Args:
        positions: (M, d), NaN where nothing was seen.
        covariances: (M, d, d) in world units².
        presence: (M,) probability that the landmark is there at all.
    """

    positions: np.ndarray
    covariances: np.ndarray
    presence: np.ndarray


def read_maps(maps: Tensor, stage: ImageStage | FrameStage | PatchStage) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M, d) and covariance (M, d, d), in samples, of the highest peak of maps (1, M, [Z, ]Y, X).

    The covariance is that of the map less that of the Gaussians, of width ``sigma``, that the network was trained on.
    A mean is NaN where a stage's decoder found nothing.
    """
    if stage.decoder is None:
        mean, covariance = _density(maps, max(1, round(stage.window / stage.spacing)))
    else:
        read = decode(maps.sigmoid() if stage.activation == "sigmoid" else maps, stage.decoder)
        mean, covariance = read.positions[0], read.covariance[0]
    means, spread = mean.double().cpu().numpy(), covariance.double().cpu().numpy()
    values, axes = np.linalg.eigh(np.nan_to_num(spread))
    values = np.maximum(values - stage.sigma**2, LEAST_DEVIATION**2)
    return means, np.einsum("mij,mj,mkj->mik", axes, values, axes)


def _density(maps: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the softmax of maps in a window around its peak."""
    highest, place = maps.flatten(2).max(-1)
    peak = coordinates_of(place, maps.shape[2:])[:, :, None].to(maps.dtype)
    # Within a window only the proportions count, so the sum over the whole map is not needed. The window is centred on
    # its own mean once, so that a ragged peak does not pull it to one side.
    first = window_moments(maps, peak, radius, highest)
    moments = window_moments(maps, first.mean, radius, highest)
    return moments.mean[0, :, 0], moments.covariance[0, :, 0]
