"""Distribution-aware reading."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps import promises
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


def test_each_map_is_read_for_itself():
    promises.reads_each_map_for_itself("dark")


def test_a_flat_map_has_no_landmark():
    promises.finds_nothing_in_flat_maps("dark")


def test_every_width_of_number_is_read():
    promises.reads_every_width_of_number("dark", 0.003)


def test_logits_of_a_hundred_are_read():
    promises.reads_logits_of_a_hundred("dark", 0.01)


def test_what_is_not_finite_counts_as_not_there():
    promises.leaves_out_what_is_not_finite("dark", 0.1)


def test_the_higher_of_two_peaks_is_taken():
    promises.takes_the_higher_of_two_peaks("dark", 0.05)


def test_positions_move_with_the_landmarks_that_made_the_map():
    promises.moves_with_the_landmark("dark")


def test_gradients_stay_finite_beside_maps_without_a_landmark():
    promises.keeps_gradients_finite("dark")


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 5.0])
def test_the_position_is_as_exact_as_the_noise_allows(sigma):
    centres = inner_centres(PLANE, 200, 3 * sigma)
    assert errors(decode(noisy(centres, PLANE, sigma, 0.02), "dark"), centres).mean() < 0.023
    centres = inner_centres(VOLUME, 40, 2.5 * sigma)
    assert errors(decode(noisy(centres, VOLUME, sigma, 0.02), "dark"), centres).mean() < 0.026


@pytest.mark.parametrize(("shape", "sides"), [(PLANE, (-1, 1)), (PLANE, (0, 1)), (VOLUME, (-1, 0, 1))])
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_a_border_pulls_by_tenths_of_a_voxel_and_two_voxels_inside_hardly(shape, sides, sigma):
    centres = border_centres(shape, sides, 40, 0.0, 2.0)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "dark")
    assert out.found.all()
    assert errors(out, centres).mean() < 0.3
    centres = border_centres(shape, sides, 40, 2.5, 5.0)
    assert errors(decode(gaussian_heatmaps(centres, shape, sigma)[0], "dark"), centres).max() < 0.12


def test_the_covariance_is_the_form_of_the_peak():
    out = decode(gaussian_heatmaps(inner_centres(PLANE, 20, 14.0), PLANE, 3.0)[0], "dark")
    torch.testing.assert_close(out.covariance, (9 * torch.eye(2)).expand_as(out.covariance), rtol=0.03, atol=0.03)


def test_one_voxel_has_no_width_and_stays_where_it_is():
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 4, 5] = 1
    out = decode(maps, "dark")
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([5.0, 4.0]))
    torch.testing.assert_close(out.covariance[0, 0], torch.zeros(2, 2))


@pytest.mark.parametrize("blur", [1.0, 2.5, 8.0])
def test_the_blur_may_be_given(blur):
    centres = inner_centres(PLANE, 40, 34.0)
    assert errors(decode(gaussian_heatmaps(centres, PLANE, 2.0)[0], "dark", blur=blur), centres).max() < 0.02


@pytest.mark.parametrize("blur", [0.0, -1.0, float("nan"), float("inf")])
def test_a_blur_that_is_none_is_refused(blur):
    with pytest.raises(LandmarkDetectorError, match="blur"):
        decode(torch.zeros(1, 1, 5, 5), "dark", blur=blur)
