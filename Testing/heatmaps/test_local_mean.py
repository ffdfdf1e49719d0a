"""The local mean, and the arg-max that it improves on."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_without_noise_the_mean_is_the_centre(shape, sigma):
    centres = inner_centres(shape, 20, 3 * sigma)
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "local_mean")
    assert errors(out, centres).max() < 2e-3
    widths = out.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    torch.testing.assert_close(widths, torch.full_like(widths, sigma), rtol=0.03, atol=0)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 5.0])
def test_with_noise_the_mean_stays_well_within_a_twentieth(sigma):
    centres = inner_centres(PLANE, 200, 3 * sigma)
    assert errors(decode(noisy(centres, PLANE, sigma, 0.02), "local_mean"), centres).mean() < 0.035


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.5, 4.0, 9.0])
def test_any_radius_will_do(radius):
    centres = inner_centres(PLANE, 20, 12.0)
    out = decode(gaussian_heatmaps(centres, PLANE, 2.0)[0], "local_mean", radius=radius)
    assert errors(out, centres).max() < 0.05


@pytest.mark.parametrize("sides", [(-1, 0), (1, 0), (0, 1), (-1, -1), (1, 1), (1, -1)])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_the_border_pulls_little(sides, sigma):
    centres = border_centres(PLANE, sides, 100, 0.0, 2.0)
    exact = decode(gaussian_heatmaps(centres, PLANE, sigma)[0], "local_mean")
    assert errors(exact, centres).mean() < 0.06
    out = decode(noisy(centres, PLANE, sigma, 0.02), "local_mean")
    assert (out.positions - centres)[0].nanmean(0).abs().max() < 0.08
    assert errors(out, centres).nanmean() < 0.25


def test_a_lopsided_peak_has_its_mean_and_not_its_top():
    maps = torch.zeros(1, 1, 21, 31)
    maps[0, 0, 10, 10:14] = torch.tensor([1.0, 0.9, 0.8, 0.7])
    out = decode(maps, "local_mean", radius=6)
    expected = (0.9 + 1.6 + 2.1) / 3.4 + 10
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([expected, 10.0]), rtol=0, atol=0.02)


def test_covariances_are_symmetric_and_not_negative():
    centres = torch.cat([inner_centres(PLANE, 30, 0.0), border_centres(PLANE, (1, -1), 30, 0.0, 2.0)], 1)
    out = decode(noisy(centres, PLANE, 2.0, 0.15), "local_mean")
    form = out.covariance[out.found]
    torch.testing.assert_close(form, form.mT)
    assert torch.linalg.eigvalsh(form).min() > -1e-5


def test_argmax_takes_the_first_of_equals():
    maps = torch.zeros(1, 1, 5, 6)
    maps[0, 0, 3, 4] = maps[0, 0, 2, 5] = maps[0, 0, 3, 1] = 1
    out = decode(maps, "argmax")
    assert out.positions[0, 0].tolist() == [5, 2]
    assert out.covariance.isnan().all()


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (3, 1, 5)])
def test_argmax_reads_the_smallest_maps(shape):
    maps = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    out = decode(maps, "argmax")
    index = maps.flatten(2).argmax(-1)
    place = torch.stack(torch.unravel_index(index, shape)[::-1], -1)
    assert torch.equal(out.positions, place.float())


@pytest.mark.parametrize("method", ["gaussian_fit", "local_mean"])
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (1, 1), (3, 1, 5)])
def test_the_smallest_maps_break_no_decoder(method, shape):
    maps = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    out = decode(maps, method)
    size = torch.tensor(shape[::-1])
    places = out.positions[out.found]
    assert ((places >= -0.5) & (places <= size - 0.5)).all()
