"""A look at the whole image that is torn between two places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles.pipeline import ImageStage, NetworkSettings
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps
from LandmarkDetectorLib.inference.decoding import read_maps, read_peaks
from LandmarkDetectorLib.inference.image_look import _chosen


def stage(dimension: int, peaks: int, **changes) -> ImageStage:
    settings = {"spacing": 1.0, "window": 5.0, "tolerance": 3.0, "size": [40] * dimension}
    return ImageStage(network=NetworkSettings(name="unet"), peaks=peaks, **(settings | changes))


def torn(dimension: int) -> torch.Tensor:
    """Logits (1, 1, ...) of a density with 70 % of it at 10 and 30 % at 30 along every axis."""
    places = torch.tensor([[[10.0] * dimension], [[30.0] * dimension]])
    maps, _ = gaussian_heatmaps(places, (40,) * dimension, sigma=1.5)
    return (0.7 * maps[:1] + 0.3 * maps[1:]).clamp_min(1e-9).log()


@pytest.mark.parametrize("dimension", [2, 3])
def test_every_peak_has_its_place_and_its_share(dimension: int) -> None:
    means, covariances, masses = read_peaks(torn(dimension), stage(dimension, 3))
    np.testing.assert_allclose(means[0, :2], [[10.0] * dimension, [30.0] * dimension], atol=0.05)
    np.testing.assert_allclose(masses[0, :2], [0.7, 0.3], atol=0.02)
    assert masses[0, 2] < 0.01
    assert (np.linalg.eigvalsh(covariances[0]) > 0).all()


def test_one_peak_is_what_every_other_stage_reads() -> None:
    means, covariances, masses = read_peaks(torn(2), stage(2, 1))
    mean, covariance = read_maps(torn(2), stage(2, 1))
    np.testing.assert_array_equal(means[:, 0], mean)
    np.testing.assert_array_equal(covariances[:, 0], covariance)
    assert masses.tolist() == [[1.0]]


def test_the_peak_that_agrees_with_the_pose_is_taken_and_without_one_the_most_probable() -> None:
    positions = np.array([[[0.0, 0.0], [9.0, 9.0]], [[5.0, 5.0], [np.nan, np.nan]]])
    covariances = np.arange(16.0).reshape(2, 2, 2, 2)
    masses = np.array([[0.7, 0.3], [1.0, 0.0]])
    agreed = np.array([[8.5, 9.0], [np.nan, np.nan]])
    places, spread = _chosen(positions, covariances, masses, agreed)
    np.testing.assert_array_equal(places, [[9.0, 9.0], [5.0, 5.0]])
    np.testing.assert_array_equal(spread, covariances[[0, 1], [1, 0]])


def test_a_decoder_reads_one_peak_only() -> None:
    with pytest.raises(ValueError, match="a decoder reads one peak"):
        stage(2, 4, decoder="gaussian_fit")
