"""The promise of the default decoder: as near as the noise allows, no pull at the border, silence where nothing is."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps.promises import moves_with_the_landmark
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy

PROMISE = 0.022
"""Mean error in pixels at a noise of 0.02 of the height."""


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 5.0])
@pytest.mark.parametrize(("shape", "count"), [(PLANE, 200), (VOLUME, 60)])
def test_the_promise_holds_for_every_width(shape, count, sigma):
    centres = inner_centres(shape, count, min(3 * sigma, 12.0))
    out = decode(noisy(centres, shape, sigma, 0.02))
    assert out.found.all()
    assert errors(out, centres).mean() <= PROMISE
    widths = out.covariance.diagonal(dim1=-2, dim2=-1).sqrt().mean((0, 1))
    torch.testing.assert_close(widths, torch.full_like(widths, sigma), rtol=0.03, atol=0)


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0, 5.0, 9.0])
def test_without_noise_the_centre_and_the_width_are_exact(shape, sigma):
    centres = inner_centres(shape, 15, 2.0)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0])
    assert out.found.all()
    assert errors(out, centres).max() < 1e-3
    form = torch.eye(len(shape)).expand_as(out.covariance) * sigma**2
    torch.testing.assert_close(out.covariance, form, rtol=2e-3, atol=2e-3 * sigma**2)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(12, 40), min_size=2, max_size=3),
    data=st.data(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_what_was_generated_is_decoded(shape, data, dtype):
    size = shape[::-1]
    centre = [data.draw(st.floats(0.0, n - 1.0), label="centre") for n in size]
    sigma = [data.draw(st.floats(0.7, n / 8), label="sigma") for n in size]
    maps, mask = gaussian_heatmaps(torch.tensor([[centre]], dtype=torch.float64), shape, [sigma], dtype=dtype)
    out = decode(maps)
    assert mask.all() and out.found.all()
    torch.testing.assert_close(out.positions[0, 0].double(), torch.tensor(centre).double(), rtol=0, atol=5e-3)
    widths = out.covariance[0, 0].diagonal().sqrt().double()
    torch.testing.assert_close(widths, torch.tensor(sigma).double(), rtol=2e-2, atol=0)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.1])
def test_a_slanted_peak_gives_its_covariance(angle):
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    form = turn @ torch.diag(torch.tensor([25.0, 2.25])) @ turn.T
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    offset = torch.stack([x - 60.3, y - 40.8], -1)
    maps = torch.exp(-0.5 * torch.einsum("yxi,ij,yxj->yx", offset, torch.linalg.inv(form), offset))[None, None]
    out = decode(maps + 0.02 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(4)))
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([60.3, 40.8]), rtol=0, atol=0.1)
    torch.testing.assert_close(out.covariance[0, 0], form, rtol=0.1, atol=0.5)


SIDES_2D = [s for s in itertools.product((-1, 0, 1), repeat=2) if any(s)]
SIDES_3D = [
    (-1, 0, 0),
    (1, 0, 0),
    (0, -1, 0),
    (0, 1, 0),
    (0, 0, -1),
    (0, 0, 1),
    (-1, 1, 0),
    (0, 1, 1),
    (-1, -1, -1),
    (1, 1, 1),
]


@pytest.mark.parametrize("shape_and_sides", [(PLANE, s) for s in SIDES_2D] + [(VOLUME, s) for s in SIDES_3D])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_no_border_pulls(shape_and_sides, sigma):
    shape, sides = shape_and_sides
    count = 100 if shape == PLANE else 40
    centres = border_centres(shape, sides, count, 0.0, 2.0)
    exact = decode(gaussian_heatmaps(centres, shape, sigma)[0])
    assert exact.found.all()
    assert errors(exact, centres).max() < 5e-3
    out = decode(noisy(centres, shape, sigma, 0.02))
    assert out.found.all()
    signed = (out.positions - centres)[0]
    # A bias is what the scatter of the mean does not explain.
    assert (signed.mean(0).abs() < 4 * signed.std(0) / count**0.5).all()
    assert errors(out, centres).mean() < 0.03 * (1 + sum(map(abs, sides)))


@pytest.mark.parametrize("side", [(-1, 0), (1, 0), (0, -1), (0, 1)])
def test_a_centre_in_the_outer_half_of_a_border_voxel_is_found(side):
    centres = border_centres(PLANE, side, 50, -0.45, 0.0)
    out = decode(gaussian_heatmaps(centres, PLANE, 2.0)[0])
    assert out.found.all()
    assert errors(out, centres).max() < 0.01


@pytest.mark.parametrize("sigma", [2.0, 4.0])
@pytest.mark.parametrize(("low", "high"), [(-1.5, -0.7), (-1.2 * 4, -1.5)])
@pytest.mark.parametrize(("shape", "side"), [(PLANE, (-1, 0)), (PLANE, (0, 1)), (PLANE, (1, 1)), (VOLUME, (0, 0, -1))])
def test_a_landmark_out_of_view_is_not_found_or_lies_at_the_border(shape, side, sigma, low, high):
    centres = border_centres(shape, side, 50, low, high)
    maps = noisy(centres, shape, sigma, 0.02)
    out = decode(maps)
    assert out.found.float().mean() < 0.3
    at_border = torch.tensor(side) != 0
    size = torch.tensor(shape[::-1])
    depth = torch.minimum(out.positions, size - 1 - out.positions)[out.found][:, at_border]
    assert (depth < 1).all()
    assert not decode(gaussian_heatmaps(centres, shape, sigma)[0]).found.any()


def test_a_slope_has_no_landmark():
    x = torch.arange(50.0).expand(40, 50)
    maps = torch.stack([x, -x, x + torch.arange(40.0)[:, None], x**2, (x / 9).exp()])[None]
    assert not decode(maps).found.any()


def test_a_bowl_has_no_landmark():
    x = (torch.arange(50.0) - 24.3).expand(40, 50)
    y = (torch.arange(40.0) - 20.0)[:, None]
    assert not decode((x**2 + y**2)[None, None]).found.any()


@pytest.mark.parametrize(("shape", "count"), [((32, 32), 500), (PLANE, 300), (VOLUME, 40)])
@pytest.mark.parametrize("kind", [torch.randn, torch.rand])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pure_noise_has_no_landmark(shape, count, kind, dtype):
    maps = kind(1, count, *shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert decode(maps).found.float().mean() <= 0.004


def test_a_faint_peak_in_strong_noise_is_still_found():
    centres = inner_centres(PLANE, 50, 10.0)
    out = decode(noisy(centres, PLANE, 3.0, 0.15))
    assert out.found.float().mean() > 0.95
    assert errors(out, centres)[out.found].mean() < 0.25


def test_one_high_voxel_is_a_landmark_where_it_stands():
    maps = torch.zeros(1, 2, 20, 22)
    maps[0, 0, 7, 9] = 1
    maps[0, 1, 7, 9], maps[0, 1, 7, 10] = 1, 1
    out = decode(maps)
    assert out.found.all()
    torch.testing.assert_close(out.positions[0], torch.tensor([[9.0, 7.0], [9.5, 7.0]]), rtol=0, atol=0.01)


def test_a_clipped_peak_gives_the_middle_of_its_plateau():
    maps, _ = gaussian_heatmaps(torch.tensor([[[60.3, 40.6]]]), PLANE, 3.0)
    out = decode(maps.clamp(max=0.6))
    assert out.found.all()
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([60.3, 40.6]), rtol=0, atol=0.05)


def test_a_lower_peak_elsewhere_does_not_pull():
    centres = torch.tensor([[[40.3, 30.6]]])
    maps = gaussian_heatmaps(centres, PLANE, 2.0)[0] + 0.8 * gaussian_heatmaps(centres + 14, PLANE, 3.0)[0]
    assert errors(decode(maps), centres).max() < 0.01


def test_a_window_without_voxels_enough_is_no_fit():
    maps = torch.full((1, 1, 20, 20), torch.nan)
    maps[0, 0, 10, 8:13] = torch.tensor([0.1, 0.6, 1.0, 0.6, 0.1])
    maps[0, 0, 0] = 0.0
    assert not decode(maps).found.any()


def test_a_known_width_steadies_a_corner_and_is_given_back():
    centres = border_centres(PLANE, (-1, -1), 100, 0.0, 2.0)
    maps = noisy(centres, PLANE, 3.0, 0.02)
    free, known = decode(maps), decode(maps, sigma=3.0)
    assert known.found.all()
    assert errors(known, centres).mean() < 0.75 * errors(free, centres).mean()
    torch.testing.assert_close(known.covariance, 9 * torch.eye(2).expand(1, 100, 2, 2))


def test_a_known_width_goes_by_axis():
    centres = inner_centres(PLANE, 5, 20.0)
    maps, _ = gaussian_heatmaps(centres, PLANE, torch.tensor([2.0, 4.0]))
    out = decode(maps, sigma=[2.0, 4.0])
    assert errors(out, centres).max() < 1e-3
    torch.testing.assert_close(out.covariance[0, 0], torch.diag(torch.tensor([4.0, 16.0])))


def test_covariances_are_symmetric_and_positive():
    centres = torch.cat([inner_centres(PLANE, 30, 0.0), border_centres(PLANE, (1, -1), 30, 0.0, 2.0)], 1)
    out = decode(noisy(centres, PLANE, 2.0, 0.15))
    form = out.covariance[out.found]
    torch.testing.assert_close(form, form.mT)
    assert torch.linalg.eigvalsh(form).min() > 0


@pytest.mark.parametrize("shape", [(60, 70), (30, 34, 32)])
@pytest.mark.parametrize("sigma", [1.5, 4.0])
def test_a_known_height_makes_the_form_more_exact(shape, sigma):
    maps = noisy(inner_centres(shape, 60, 3 * sigma if len(shape) == 2 else 9.0), shape, sigma, 0.02)
    form = sigma**2 * torch.eye(len(shape))
    free, known = ((decode(maps, height=height).covariance - form).square().mean().sqrt() for height in (None, 1.0))
    assert known < 0.9 * free


def test_a_known_height_holds_for_wide_peaks_that_are_read_in_cells():
    maps = noisy(inner_centres((200, 220), 20, 60.0), (200, 220), 20.0, 0.02)
    out = decode(maps, height=1.0)
    assert out.found.all()
    torch.testing.assert_close(out.covariance, 400 * torch.eye(2).expand(1, 20, 2, 2), rtol=0, atol=8)


def test_a_known_height_and_a_known_width_leave_the_place_alone_to_be_found():
    centres = inner_centres((40, 44), 50, 8.0)
    out = decode(noisy(centres, (40, 44), 2.0, 0.02), height=1.0, sigma=2.0)
    assert out.found.all() and (out.positions - centres).norm(dim=-1).mean() < 0.022
    moves_with_the_landmark("gaussian_fit", height=1.0)


@pytest.mark.parametrize("option", ["sigma", "window", "height"])
def test_what_is_not_finite_is_refused(option):
    with pytest.raises(LandmarkDetectorError, match="finite"):
        decode(torch.rand(1, 1, 9, 9), **{option: float("inf")})


def test_a_height_that_is_not_positive_is_refused():
    with pytest.raises(LandmarkDetectorError, match="height of 0 is not positive"):
        decode(torch.zeros(1, 1, 9, 9), height=0)
