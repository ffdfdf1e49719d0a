"""The parabola through the logarithm."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps import promises
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


def test_each_map_is_read_for_itself():
    promises.reads_each_map_for_itself("log_quadratic")


def test_a_flat_map_has_no_landmark():
    promises.finds_nothing_in_flat_maps("log_quadratic")


def test_every_width_of_number_is_read():
    promises.reads_every_width_of_number("log_quadratic", 0.001)


def test_logits_of_a_hundred_are_read():
    promises.reads_logits_of_a_hundred("log_quadratic", 0.01)


def test_what_is_not_finite_counts_as_not_there():
    promises.leaves_out_what_is_not_finite("log_quadratic", 0.01)


def test_the_higher_of_two_peaks_is_taken():
    promises.takes_the_higher_of_two_peaks("log_quadratic", 0.01)


def test_positions_move_with_the_landmarks_that_made_the_map():
    promises.moves_with_the_landmark("log_quadratic")


def test_gradients_stay_finite_beside_maps_without_a_landmark():
    promises.keeps_gradients_finite("log_quadratic")


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 5.0])
def test_the_position_is_as_exact_as_the_noise_allows(sigma):
    centres = inner_centres(PLANE, 200, 3 * sigma)
    assert errors(decode(noisy(centres, PLANE, sigma, 0.02), "log_quadratic"), centres).mean() < 0.023
    centres = inner_centres(VOLUME, 40, 2.5 * sigma)
    assert errors(decode(noisy(centres, VOLUME, sigma, 0.02), "log_quadratic"), centres).mean() < 0.026


@pytest.mark.parametrize(("shape", "sides"), [(PLANE, (-1, 1)), (PLANE, (0, 1)), (VOLUME, (-1, 0, 1))])
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_no_border_pulls(shape, sides, sigma):
    centres = border_centres(shape, sides, 40, 0.0, 2.0)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "log_quadratic")
    assert out.found.all()
    assert errors(out, centres).max() < 0.01


def test_the_covariance_is_the_form_of_the_peak():
    centres = inner_centres(PLANE, 20, 12.0)
    out = decode(gaussian_heatmaps(centres, PLANE, [2.0, 4.0])[0][:, :1], "log_quadratic")
    form = torch.linalg.eigvalsh(out.covariance[0, 0]).sqrt()
    assert form.isfinite().all()
    out = decode(gaussian_heatmaps(centres, PLANE, 3.0)[0], "log_quadratic")
    torch.testing.assert_close(out.covariance, (9 * torch.eye(2)).expand_as(out.covariance), rtol=0.01, atol=0.01)


def test_a_slope_has_no_landmark():
    x = torch.arange(50.0).expand(40, 50)
    assert not decode(torch.stack([x, -x, x**2])[None], "log_quadratic").found.any()


@pytest.mark.parametrize("window", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(LandmarkDetectorError, match="window"):
        decode(torch.zeros(1, 1, 5, 5), "log_quadratic", window=window)
