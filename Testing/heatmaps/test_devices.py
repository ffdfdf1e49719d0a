"""A GPU reads and makes what the CPU does."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.heatmaps import (
    build_generator,
    decode,
    decode_instances,
    decoder_names,
    find_peaks,
    gaussian_heatmaps,
    generator_names,
)
from Testing.heatmaps.promises import same
from Testing.heatmaps.samples import PLANE, VOLUME, inner_centres, noisy

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_targets_are_the_same_on_both(shape, dtype):
    centres = inner_centres(shape, 5, 0.0)
    here, _ = gaussian_heatmaps(centres, shape, [1.0, 2.0, 3.0, 4.0, 5.0], dtype=dtype)
    there, mask = gaussian_heatmaps(centres.cuda(), shape, [1.0, 2.0, 3.0, 4.0, 5.0], dtype=dtype)
    assert there.is_cuda and mask.is_cuda and there.dtype == dtype
    torch.testing.assert_close(there.cpu(), here, rtol=4 * torch.finfo(dtype).eps, atol=1e-7)


@pytest.mark.parametrize("name", generator_names())
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("turned", [False, True])
def test_generators_make_the_same_on_both(name, shape, turned):
    d = len(shape)
    rotation = (0.5 if d == 2 else (0.3, 0.2, 0.5)) if turned else None
    generator = build_generator(name, landmarks=4, dimension=d, sigma=(2.0, 4.0, 3.0)[:d], rotation=rotation)
    centres = inner_centres(shape, 4, 0.0)
    centres[0, 1] = torch.nan
    here, mask = generator(centres, shape)
    there, mask_there = generator.cuda()(centres.cuda(), shape)
    assert there.is_cuda and mask_there.cpu().tolist() == mask.tolist()
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", decoder_names())
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_positions_are_the_same_on_both(method, shape, sigma):
    maps = noisy(inner_centres(shape, 10, 0.0), shape, sigma, 0.02)
    maps[0, 0], maps[0, 1] = torch.nan, 1.0
    here, there = decode(maps, method), decode(maps.cuda(), method)
    assert there.positions.is_cuda
    assert there.found.cpu().tolist() == here.found.tolist()
    torch.testing.assert_close(there.positions.cpu(), here.positions, rtol=0, atol=1e-3, equal_nan=True)
    torch.testing.assert_close(there.covariance.cpu(), here.covariance, rtol=1e-2, atol=1e-2, equal_nan=True)


@pytest.mark.parametrize("weights", ["none", "relu", "sigmoid", "softmax"])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weighted_means_are_the_same_on_both(weights, shape, dtype):
    maps = 20 * gaussian_heatmaps(inner_centres(shape, 6, 4.0), shape, 2.0, dtype=dtype)[0]
    maps[0, 0, ..., 0, 0] = torch.nan
    here = decode(maps, "weighted_mean", weights=weights)
    there = decode(maps.cuda(), "weighted_mean", weights=weights)
    torch.testing.assert_close(there.positions.cpu(), here.positions, rtol=0, atol=1e-3)
    torch.testing.assert_close(there.covariance.cpu(), here.covariance, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", decoder_names())
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_instances_are_the_same_on_both(method, shape):
    maps = noisy(inner_centres(shape, 4, 6.0), shape, 1.5, 0.01).amax(1, keepdim=True)
    here = decode_instances(maps, 6, threshold=0.3, method=method)
    there = decode_instances(maps.cuda(), 6, threshold=0.3, method=method)
    assert there.positions.is_cuda
    assert there.found.cpu().tolist() == here.found.tolist()
    torch.testing.assert_close(there.positions.cpu(), here.positions, rtol=0, atol=2e-3, equal_nan=True)


def test_neither_autocast_nor_short_products_cost_the_fraction_of_the_voxel():
    maps = noisy(inner_centres(VOLUME, 10, 5.0), VOLUME, 2.0, 0.02).cuda()
    plain = {method: decode(maps, method) for method in decoder_names()}
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.autocast("cuda"):
            for method, out in plain.items():
                assert same(decode(maps, method), out), method
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def test_gradients_flow_there():
    centres = torch.tensor([[[9.3, 8.2, 7.6]]], device="cuda", requires_grad=True)
    maps, _ = gaussian_heatmaps(centres, (17, 20, 23), 1.7)
    decode(maps).positions.sum().backward()
    torch.testing.assert_close(centres.grad.cpu(), torch.ones(1, 1, 3), rtol=0, atol=0.01)


def test_peaks_are_the_same_on_both():
    maps = torch.randint(30, (2, 3, 20, 24), generator=torch.Generator().manual_seed(0)).float()
    here, there = find_peaks(maps, 20, radius=2), find_peaks(maps.cuda(), 20, radius=2)
    torch.testing.assert_close(there.positions.cpu(), here.positions, equal_nan=True)
    torch.testing.assert_close(there.values.cpu(), here.values)
