"""From the maps of a stage to measurements: a place with a covariance for each landmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from LandmarkDetectorLib.bundles.pipeline import FrameStage, ImageStage, PatchStage
from LandmarkDetectorLib.heatmaps import decode, find_peaks
from LandmarkDetectorLib.heatmaps.layout import coordinates_of
from LandmarkDetectorLib.heatmaps.window import window_moments

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
        mean, covariance = _density(maps, _radius(stage))
    else:
        read = decode(maps.sigmoid() if stage.activation == "sigmoid" else maps, stage.decoder)
        mean, covariance = read.positions[0], read.covariance[0]
    return mean.double().cpu().numpy(), _sharpened(covariance, stage)


def read_peaks(maps: Tensor, stage: ImageStage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The highest ``stage.peaks`` peaks of maps (1, M, [Z, ]Y, X), P of each.

    Returns:
        Means (M, P, d) and covariances (M, P, d, d) in samples, as :func:`read_maps` gives them, and the probability
        (M, P) of each; a map with fewer peaks has NaN and 0. Of one peak only it is 1.
    """
    if stage.peaks == 1:
        mean, covariance = read_maps(maps, stage)
        return mean[:, None], covariance[:, None], np.isfinite(mean).all(-1).astype(float)[:, None]
    radius = _radius(stage)
    log_sum = maps.flatten(2).logsumexp(-1)
    first = window_moments(maps, find_peaks(maps, stage.peaks, radius).positions, radius, log_sum)
    moments = window_moments(maps, first.mean, radius, log_sum)
    mass = moments.mass[0].double().nan_to_num().cpu().numpy()
    return moments.mean[0].double().cpu().numpy(), _sharpened(moments.covariance[0], stage), mass


def _radius(stage: ImageStage | FrameStage | PatchStage) -> int:
    """Samples around a peak within which a density is read."""
    return max(1, round(stage.window / stage.spacing))


def _sharpened(covariance: Tensor, stage: ImageStage | FrameStage | PatchStage) -> np.ndarray:
    """Covariances (..., d, d) less those of the Gaussians that a network was trained on."""
    values, axes = np.linalg.eigh(np.nan_to_num(covariance.double().cpu().numpy()))
    values = np.maximum(values - stage.sigma**2, LEAST_DEVIATION**2)
    return np.einsum("...ij,...j,...kj->...ik", axes, values, axes)


def _density(maps: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the softmax of maps in a window around its peak."""
    highest, place = maps.flatten(2).max(-1)
    peak = coordinates_of(place, maps.shape[2:])[:, :, None].to(maps.dtype)
    # Within a window only the proportions count, so the sum over the whole map is not needed. The window is centred on
    # its own mean once, so that a ragged peak does not pull it to one side.
    first = window_moments(maps, peak, radius, highest)
    moments = window_moments(maps, first.mean, radius, highest)
    return moments.mean[0, :, 0], moments.covariance[0, :, 0]
