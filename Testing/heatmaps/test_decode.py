"""What every decoder owes: the door, the order of things, what is not found, every number type."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import Decoded, decode, gaussian_heatmaps
from LandmarkDetectorLib.heatmaps.decode import _DECODERS, decoder, decoder_names
from Testing.heatmaps.samples import PLANE, VOLUME, errors, inner_centres, noisy

METHODS = ("argmax", "gaussian_fit", "local_mean")


def same(first: Decoded, second: Decoded) -> bool:
    names = ("positions", "covariance", "peak", "found")
    return all(torch.allclose(getattr(first, n), getattr(second, n), rtol=0, atol=1e-5, equal_nan=True) for n in names)


def part(decoded: Decoded, index) -> Decoded:
    return Decoded(*(getattr(decoded, n)[index] for n in ("positions", "covariance", "peak", "found")))


def test_the_three_decoders_are_known():
    assert set(METHODS) <= set(decoder_names())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_axes_come_as_x_y_z_and_shapes_as_promised(method, shape):
    d = len(shape)
    centres = torch.tensor([[[20.2, 30.4, 12.1][:d], [31.0, 11.7, 25.3][:d]]] * 3)
    maps, _ = gaussian_heatmaps(centres, shape, 2.0)
    out = decode(maps, method)
    assert out.positions.shape == (3, 2, d)
    assert out.covariance.shape == (3, 2, d, d)
    assert out.peak.shape == out.found.shape == (3, 2)
    assert out.found.all()
    assert errors(out, centres).max() < (0.9 if method == "argmax" else 1e-3)
    torch.testing.assert_close(out.peak, maps.flatten(2).amax(-1))


@pytest.mark.parametrize("method", METHODS)
def test_each_map_is_read_for_itself(method):
    centres = inner_centres(PLANE, 6, 2.0).reshape(2, 3, 2)
    maps = torch.cat([noisy(centres[:, :2], PLANE, 2.0, 0.02), noisy(centres[:, 2:], PLANE, 6.0, 0.02)], 1)
    maps[1, 0] = torch.nan
    out = decode(maps, method)
    order = torch.tensor([2, 0, 1])
    assert same(decode(maps[:, order], method), part(out, (slice(None), order)))
    assert same(decode(maps.flip(0), method), part(out, torch.tensor([1, 0])))
    assert same(decode(maps[:1, :1], method), part(out, (slice(0, 1), slice(0, 1))))


@pytest.mark.parametrize("method", METHODS)
def test_company_does_not_change_what_is_read(method):
    widths = torch.linspace(0.7, 11, 24)
    centres = inner_centres(PLANE, 24, 0.0, seed=6)
    maps, _ = gaussian_heatmaps(centres, PLANE, widths[:, None])
    maps += 0.05 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(6))
    together = decode(maps, method)
    for k in range(24):
        alone = decode(maps[:, k : k + 1], method)
        assert same(alone, part(together, (slice(None), slice(k, k + 1))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 0, 9, 9), (0, 3, 9, 9), (0, 3, 9, 9, 9)])
def test_no_maps_give_no_landmarks(method, shape):
    out = decode(torch.zeros(shape), method)
    assert out.positions.shape == (*shape[:2], len(shape) - 2)
    assert out.found.shape == shape[:2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0, -100.0, 1e-7, torch.nan, torch.inf, -torch.inf])
def test_a_flat_map_has_no_landmark(method, value):
    out = decode(torch.full((1, 2, 20, 21), value), method)
    assert not out.found.any()
    assert out.positions.isnan().all()
    assert out.covariance.isnan().all()


@pytest.mark.parametrize("method", METHODS)
def test_the_peak_of_a_map_of_nan_is_nan_and_its_neighbours_are_untouched(method):
    centres = inner_centres(PLANE, 2, 10.0)
    maps, _ = gaussian_heatmaps(centres, PLANE, 2.0)
    whole = decode(maps, method)
    maps[0, 0] = torch.nan
    out = decode(maps, method)
    assert out.found.tolist() == [[False, True]]
    assert out.peak[0, 0].isnan()
    assert same(part(out, (slice(None), slice(1, 2))), part(whole, (slice(None), slice(1, 2))))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_counts_as_not_there(method):
    centres = torch.tensor([[[60.3, 40.6]]])
    maps, _ = gaussian_heatmaps(centres, PLANE, 3.0)
    maps[0, 0, 40, 62], maps[0, 0, 5, 5], maps[0, 0, 7, 7] = torch.nan, torch.inf, -torch.inf
    maps[0, 0, :, 90:] = torch.nan
    out = decode(maps, method)
    assert out.found.all()
    assert errors(out, centres).max() < (0.8 if method == "argmax" else 0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 100.0), (1.0, -100.0), (50.0, -50.0), (1e-6, 0.0), (1e5, -3e4)])
def test_scale_and_background_do_not_matter(method, scale, offset):
    centres = inner_centres(PLANE, 20, 8.0)
    maps = noisy(centres, PLANE, 2.0, 0.02)
    moved = decode((maps.double() * scale + offset).float(), method)
    plain = decode(maps, method)
    assert moved.found.all()
    assert (moved.positions - plain.positions).abs().max() < (1.5 if method == "argmax" else 2e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 0.005), (torch.bfloat16, 0.05), (torch.float64, 0.001)])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_every_width_of_number_is_read(method, dtype, most, shape):
    centres = inner_centres(shape, 20, 8.0)
    maps, _ = gaussian_heatmaps(centres, shape, 2.0, dtype=dtype)
    out = decode(maps, method)
    assert out.found.all()
    assert out.positions.dtype == torch.promote_types(dtype, torch.float32)
    assert errors(out, centres).mean() < (0.6 if method == "argmax" else most)


@pytest.mark.parametrize("method", METHODS)
def test_autocast_does_not_cost_the_fraction_of_the_voxel(method):
    maps = noisy(inner_centres(PLANE, 10, 8.0), PLANE, 2.0, 0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = decode(maps, method)
    assert same(out, decode(maps, method))


@pytest.mark.parametrize("method", METHODS)
def test_memory_in_another_order_is_read_alike(method):
    maps = noisy(inner_centres(VOLUME, 4, 8.0), VOLUME, 2.0, 0.02)
    assert same(decode(maps.to(memory_format=torch.channels_last_3d), method), decode(maps, method))


@pytest.mark.parametrize("method", METHODS)
def test_below_the_threshold_nothing_is_found(method):
    maps, _ = gaussian_heatmaps(torch.tensor([[[20.0, 20.0], [30.0, 20.0]]]), PLANE, 2.0)
    maps[0, 1] *= 0.3
    out = decode(maps, method, threshold=0.5)
    assert out.found.tolist() == [[True, False]]
    assert out.positions[0, 1].isnan().all()
    assert out.peak[0, 1].item() == pytest.approx(0.3)


@pytest.mark.parametrize("method", METHODS)
def test_the_peak_carries_its_gradient(method):
    maps, _ = gaussian_heatmaps(torch.tensor([[[20.0, 30.0]]]), PLANE, 2.0)
    maps.requires_grad_()
    decode(maps, method).peak.sum().backward()
    assert maps.grad[0, 0, 30, 20] == 1
    assert maps.grad.abs().sum() == 1


@pytest.mark.parametrize("method", ["gaussian_fit", "local_mean"])
@pytest.mark.parametrize("shape", [(30, 34), (17, 20, 23)])
def test_positions_move_with_the_landmarks_that_made_the_map(method, shape):
    d = len(shape)
    centres = torch.tensor([[[9.3, 8.2, 7.6][:d], [0.7, 11.0, 9.5][:d]]], dtype=torch.float64, requires_grad=True)
    maps, _ = gaussian_heatmaps(centres, shape, 1.7, dtype=torch.float64)
    positions = decode(maps, method).positions
    for landmark in range(2 if method == "gaussian_fit" else 1):
        for axis in range(d):
            (slope,) = torch.autograd.grad(positions[0, landmark, axis], centres, retain_graph=True)
            expected = torch.zeros_like(slope)
            expected[0, landmark, axis] = 1
            torch.testing.assert_close(slope, expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("method", ["gaussian_fit", "local_mean"])
def test_asking_for_gradients_changes_no_position(method):
    maps = noisy(inner_centres(PLANE, 20, 0.0), PLANE, 2.0, 0.1)
    assert same(decode(maps, method), decode(maps.clone().requires_grad_(), method))


@pytest.mark.parametrize("method", ["gaussian_fit", "local_mean"])
def test_gradients_stay_finite_beside_maps_without_a_landmark(method):
    maps = noisy(torch.tensor([[[20.0, 30.0]] * 5]), (50, 60), 2.0, 0.02)
    maps[0, 1], maps[0, 2], maps[0, 3] = 0.0, torch.nan, torch.arange(60.0)
    maps[0, 4] = torch.nan
    maps[0, 4, 30, 20:22] = torch.tensor([1.0, 0.5])
    maps.requires_grad_()
    out = decode(maps, method)
    out.positions[out.found].sum().backward()
    assert out.found[0, 0] and not out.found[0, 1:3].any()
    assert maps.grad.isfinite().all()
    assert maps.grad[0, 0].abs().sum() > 0


def test_a_new_decoder_stands_behind_the_same_door(monkeypatch):
    monkeypatch.setattr(_DECODERS, "_entries", dict(_DECODERS._entries))

    @decoder("middle")
    def middle(maps, shift: float = 0.0):
        n, d = len(maps), maps.ndim - 1
        places = torch.full((n, d), shift) + (torch.tensor(maps.shape[:0:-1]) - 1) / 2
        return Decoded(places, torch.eye(d).expand(n, d, d), maps.flatten(1).amax(-1), torch.ones(n, dtype=torch.bool))

    assert decode(torch.zeros(2, 3, 5, 7), "middle", shift=1.0).positions[1, 2].tolist() == [4.0, 3.0]


@pytest.mark.parametrize(
    ("maps", "method", "options", "said"),
    [
        (torch.zeros(5, 5), "argmax", {}, "batch"),
        (torch.zeros(1, 1, 5, 5, dtype=torch.int32), "argmax", {}, "floating"),
        (torch.zeros(1, 1, 5, 0), "argmax", {}, "no voxel"),
        (torch.zeros(1, 1, 5, 5), "best", {}, "argmax"),
        (torch.zeros(1, 1, 5, 5), "gaussian_fit", {"radius": 3}, "window"),
        (torch.zeros(1, 1, 5, 5), "gaussian_fit", {"sigma": -1.0}, "positive"),
        (torch.zeros(1, 1, 5, 5), "gaussian_fit", {"sigma": [1.0, 2.0, 3.0]}, "positive"),
        (torch.zeros(1, 1, 5, 5), "gaussian_fit", {"window": 0.0}, "positive"),
        (torch.zeros(1, 1, 5, 5), "local_mean", {"radius": 0.0}, "positive"),
    ],
)
def test_what_cannot_be_decoded_is_refused_in_one_sentence(maps, method, options, said):
    with pytest.raises(LandmarkDetectorError, match=said):
        decode(maps, method, **options)
