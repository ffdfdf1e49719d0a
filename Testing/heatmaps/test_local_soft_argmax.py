"""The local soft-arg-max."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps import promises
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


def test_each_map_is_read_for_itself():
    promises.reads_each_map_for_itself("local_soft_argmax")


def test_a_flat_map_has_no_landmark():
    promises.finds_nothing_in_flat_maps("local_soft_argmax")


def test_every_width_of_number_is_read():
    promises.reads_every_width_of_number("local_soft_argmax", 0.01)


def test_logits_of_a_hundred_are_read():
    promises.reads_logits_of_a_hundred("local_soft_argmax", 0.02)


def test_what_is_not_finite_counts_as_not_there():
    promises.leaves_out_what_is_not_finite("local_soft_argmax", 0.3)


@pytest.mark.parametrize("sharpness", [2.0, 5.0])
def test_the_higher_of_two_peaks_is_taken(sharpness):
    promises.takes_the_higher_of_two_peaks("local_soft_argmax", 0.03, sharpness=sharpness)


@pytest.mark.parametrize("shape", [(30, 34), (17, 20, 23)])
def test_positions_move_with_the_landmarks_that_made_the_map(shape):
    centre = torch.tensor([[[9.3, 8.2, 7.6][: len(shape)]]], dtype=torch.float64, requires_grad=True)
    maps, _ = gaussian_heatmaps(centre, shape, 2.0, dtype=torch.float64)
    position = decode(maps, "local_soft_argmax").positions[0, 0]
    for axis in range(len(shape)):
        (slope,) = torch.autograd.grad(position[axis], centre, retain_graph=True)
        expected = torch.zeros_like(slope)
        expected[0, 0, axis] = 1
        torch.testing.assert_close(slope, expected, rtol=0, atol=0.1)


def test_gradients_stay_finite_beside_maps_without_a_landmark():
    promises.keeps_gradients_finite("local_soft_argmax")


def test_asking_for_gradients_changes_no_position():
    maps = noisy(inner_centres(PLANE, 20, 0.0), PLANE, 2.0, 0.1)
    asked = decode(maps.clone().requires_grad_(), "local_soft_argmax")
    assert promises.same(decode(maps, "local_soft_argmax"), asked)


@pytest.mark.parametrize(("sigma", "most"), [(1.0, 0.035), (2.0, 0.023), (3.0, 0.023), (5.0, 0.025)])
def test_the_position_is_nearly_as_exact_as_the_noise_allows(sigma, most):
    centres = inner_centres(PLANE, 200, 3 * sigma)
    assert errors(decode(noisy(centres, PLANE, sigma, 0.02), "local_soft_argmax"), centres).mean() < most
    centres = inner_centres(VOLUME, 40, 2.5 * sigma)
    assert errors(decode(noisy(centres, VOLUME, sigma, 0.02), "local_soft_argmax"), centres).mean() < most


@pytest.mark.parametrize("window", [3, 4, 5, 6, 6.5, 9])
def test_windows_odd_even_and_broken_are_balanced(window):
    centres = inner_centres(PLANE, 200, 8.0)
    out = decode(gaussian_heatmaps(centres, PLANE, 2.0)[0], "local_soft_argmax", window=window)
    assert out.found.all()
    assert (out.positions - centres)[0].mean(0).abs().max() < 0.005
    assert errors(out, centres).mean() < 0.03


@pytest.mark.parametrize("sides", [(-1, -1), (-1, 1), (1, -1), (1, 1), (0, 1), (-1, 0, 1), (1, 1, 1)])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_a_corner_pulls_by_less_than_a_fifth_of_a_voxel(sides, sigma):
    shape = PLANE if len(sides) == 2 else VOLUME
    centres = border_centres(shape, sides, 60, 0.0, 2.0)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "local_soft_argmax")
    assert out.found.all()
    assert (out.positions - centres)[0].mean(0).abs().max() < 0.2
    assert errors(out, centres).mean() < 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [({"window": 1}, "window"), ({"window": float("nan")}, "window"), ({"sharpness": 0.0}, "sharpness")],
)
def test_what_cannot_be_weighed_is_refused(options, said):
    with pytest.raises(LandmarkDetectorError, match=said):
        decode(torch.zeros(1, 1, 5, 5), "local_soft_argmax", **options)


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_a_peak_sharpened_to_few_voxels_comes_to_rest_nearer_than_the_arg_max(shape):
    centres = inner_centres(shape, 100, 4.0)
    maps = gaussian_heatmaps(centres, shape, 1.0)[0]
    read = decode(maps, "local_soft_argmax", window=3, sharpness=10.0)
    assert errors(read, centres).max() < 0.3
    assert errors(read, centres).mean() < 0.5 * errors(decode(maps, "argmax"), centres).mean()
