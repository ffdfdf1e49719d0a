"""The arg-max of the map enlarged."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps import promises
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


def test_each_map_is_read_for_itself():
    promises.reads_each_map_for_itself("enlarged_argmax")


def test_a_flat_map_has_no_landmark():
    promises.finds_nothing_in_flat_maps("enlarged_argmax")


def test_every_width_of_number_is_read():
    promises.reads_every_width_of_number("enlarged_argmax", 0.25)


def test_logits_of_a_hundred_are_read():
    promises.reads_logits_of_a_hundred("enlarged_argmax", 0.25)


def test_what_is_not_finite_counts_as_not_there():
    promises.leaves_out_what_is_not_finite("enlarged_argmax", 0.5)


def test_the_higher_of_two_peaks_is_taken():
    promises.takes_the_higher_of_two_peaks("enlarged_argmax", 0.3)


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_pixels_are_areas_so_that_enlarging_moves_nothing(factor, shape):
    centres = inner_centres(shape, 300 if shape == PLANE else 100, 6.0)
    out = decode(gaussian_heatmaps(centres, shape, 2.0)[0], "enlarged_argmax", factor=factor)
    off = (out.positions - centres)[0]
    assert off.mean(0).abs().max() < 0.05  # half a voxel of the enlarged map would be 0.06 and more
    assert (
        off.abs().mean()
        < 0.5 * (decode(gaussian_heatmaps(centres, shape, 2.0)[0], "argmax").positions - centres).abs().mean()
    ) or factor == 2
    places = (out.positions + 0.5) * factor - 0.5
    torch.testing.assert_close(places, places.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("sigma", "most"), [(1.0, 0.13), (2.0, 0.16), (3.0, 0.35), (5.0, 0.7)])
def test_it_is_nearer_than_the_arg_max(sigma, most):
    centres = inner_centres(PLANE, 200, 3 * sigma)
    maps = noisy(centres, PLANE, sigma, 0.02)
    mean = errors(decode(maps, "enlarged_argmax"), centres).mean()
    assert mean < most
    assert mean < errors(decode(maps, "argmax"), centres).mean()


@pytest.mark.parametrize(("shape", "sides"), [(PLANE, (-1, 1)), (PLANE, (0, 1)), (VOLUME, (-1, 0, 1))])
@pytest.mark.parametrize(("sigma", "most"), [(1.0, 0.35), (3.0, 0.12)])
def test_a_border_pulls_hardly_and_nothing_is_found_beyond_it(shape, sides, sigma, most):
    centres = border_centres(shape, sides, 40, 0.0, 2.0)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "enlarged_argmax")
    assert out.found.all()
    assert errors(out, centres).mean() < most
    assert (out.positions >= -0.5).all() and (out.positions <= torch.tensor(shape[::-1]) - 0.5).all()


def test_a_map_of_one_voxel_wide_is_read_along_its_length():
    maps = gaussian_heatmaps(torch.tensor([[[9.3, 0.0]]]), (1, 20), 2.0)[0]
    out = decode(maps, "enlarged_argmax")
    assert out.found.all()
    assert (out.positions[0, 0, 0] - 9.3).abs() < 0.1


@pytest.mark.parametrize("factor", [0, 1, 2.5, 33])
def test_a_factor_that_is_none_is_refused(factor):
    with pytest.raises(LandmarkDetectorError, match="factor"):
        decode(torch.zeros(1, 1, 5, 5), "enlarged_argmax", factor=factor)
