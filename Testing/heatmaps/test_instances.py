"""Several landmarks of a class in one map."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from LandmarkDetectorLib.heatmaps.decoders.instances import decode_instances
from Testing.heatmaps.samples import PLANE, VOLUME

PLACES = torch.tensor([[20.3, 15.6, 9.2], [34.8, 30.1, 28.7], [45.4, 9.3, 20.5], [0.4, 41.6, 38.8]])
HEIGHTS = torch.tensor([1.0, 0.9, 0.8, 0.7])


def several(shape: tuple[int, ...], sigma: float = 1.5, noise: float = 0.0) -> torch.Tensor:
    """A map (1, 1, [Z, ]Y, X) with peaks at the four places."""
    maps = gaussian_heatmaps(PLACES[None, :, : len(shape)], shape, sigma)[0]
    maps = (maps * HEIGHTS.view(1, 4, *[1] * len(shape))).sum(1, keepdim=True)
    return maps + noise * torch.randn(maps.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["gaussian_fit", "log_quadratic"])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_every_peak_is_read_to_a_fraction_of_a_voxel_highest_first(method, shape):
    for noise, most in ((0.0, 0.01), (0.02, 0.15)):
        out = decode_instances(several(shape, noise=noise), 4, threshold=0.3, method=method)
        assert out.found.all()
        assert out.positions.shape == (1, 1, 4, len(shape))
        assert out.covariance.shape == (1, 1, 4, len(shape), len(shape))
        assert (out.positions[0, 0] - PLACES[:, : len(shape)]).norm(dim=-1).max() < most


def test_one_instance_is_what_the_decoder_reads_of_the_map():
    maps = gaussian_heatmaps(torch.tensor([[[60.3, 40.6], [2.2, 94.1]]]), PLANE, 2.0)[0]
    out, plain = decode_instances(maps, 1), decode(maps)
    torch.testing.assert_close(out.positions[:, :, 0], plain.positions, rtol=0, atol=1e-3)
    torch.testing.assert_close(out.covariance[:, :, 0], plain.covariance, rtol=0, atol=1e-2)


def test_fewer_peaks_leave_nan_and_a_threshold_leaves_fewer():
    out = decode_instances(several(PLANE), 6, threshold=0.75)
    assert out.found[0, 0].tolist() == [True, True, True, False, False, False]
    assert out.positions[0, 0, 3:].isnan().all() and out.covariance[0, 0, 3:].isnan().all()
    assert out.peak[0, 0, 3:].isnan().all() and (out.peak[0, 0, :3] > 0.7).all()
    assert decode_instances(several(PLANE), 2).found.shape == (1, 1, 2)


@pytest.mark.parametrize("value", [0.0, 1.0, -100.0, torch.nan, torch.inf, -torch.inf])
def test_a_flat_map_has_no_instance(value):
    out = decode_instances(torch.full((2, 1, 20, 21), value), 3)
    assert not out.found.any() and out.positions.isnan().all()


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_a_neighbour_does_not_pull(shape):
    centres = torch.tensor([[20.3, 20.6, 20.2], [27.8, 20.1, 20.7]])[None, :, : len(shape)]
    maps = gaussian_heatmaps(centres, shape, 1.5)[0].amax(1, keepdim=True)
    out = decode_instances(maps, 2)
    assert out.found.all()
    order = out.positions[0, 0, :, 0].argsort()
    assert (out.positions[0, 0, order] - centres[0]).norm(dim=-1).max() < 0.1


def test_permuted_maps_give_permuted_instances_beside_nan():
    maps = torch.cat([several(PLANE), several(PLANE).flip(-1), several(PLANE).flip(-2), torch.zeros(1, 1, *PLANE)], 1)
    maps[0, 3] = torch.nan
    out, order = decode_instances(maps, 4), torch.tensor([3, 1, 0, 2])
    assert out.found[0].tolist() == [[True] * 4] * 3 + [[False] * 4]
    other = decode_instances(maps[:, order].transpose(0, 1), 4)
    torch.testing.assert_close(other.positions[:, 0], out.positions[0, order], rtol=0, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_a_hundred_in_half_precision_are_read(dtype):
    out = decode_instances((200 * several(PLANE) - 100).to(dtype), 4, threshold=0.0)
    assert out.found.all() and out.positions.dtype == torch.float32
    assert (out.positions[0, 0] - PLACES[:, :2]).norm(dim=-1).max() < 0.1


def test_a_voxel_that_is_not_finite_is_no_peak():
    maps = several(PLANE)
    maps[0, 0, 70, 100], maps[0, 0, 80, 100] = torch.inf, torch.nan
    out = decode_instances(maps, 4, threshold=0.3)
    assert out.found.all()
    assert (out.positions[0, 0] - PLACES[:, :2]).norm(dim=-1).max() < 0.01


def test_a_map_smaller_than_the_crop_is_read():
    maps = gaussian_heatmaps(torch.tensor([[[4.3, 3.6]]]), (8, 9), 1.0)[0]
    out = decode_instances(maps, 1)
    torch.testing.assert_close(out.positions[0, 0, 0], torch.tensor([4.3, 3.6]), rtol=0, atol=0.01)


def test_positions_carry_their_gradient():
    centres = torch.tensor([[[20.3, 30.6], [50.2, 60.1]]], dtype=torch.float64, requires_grad=True)
    maps = gaussian_heatmaps(centres, PLANE, 2.0, dtype=torch.float64)[0].sum(1, keepdim=True)
    out = decode_instances(maps, 3)
    out.positions[out.found].sum().backward()
    torch.testing.assert_close(centres.grad, torch.ones_like(centres), rtol=0, atol=0.02)


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 2, "radius": 0}, {"count": 2, "method": "best"}])
def test_what_cannot_be_found_is_refused(options):
    with pytest.raises(LandmarkDetectorError):
        decode_instances(torch.zeros(1, 1, 9, 9), **options)


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_no_maps_give_no_instances(shape):
    for lead in ((0, 3), (2, 0)):
        out = decode_instances(torch.zeros(*lead, *shape), 4)
        assert out.positions.shape == (*lead, 4, len(shape)) and out.found.shape == (*lead, 4)
