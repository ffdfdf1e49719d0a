"""What each decoder promises besides its accuracy; the tests of the decoders call it by name."""

from __future__ import annotations

from typing import Any

import torch

from LandmarkDetectorLib.heatmaps import Decoded, decode, gaussian_heatmaps
from Testing.heatmaps.samples import PLANE, VOLUME, errors, inner_centres, noisy

NAMES = ("positions", "covariance", "peak", "found")


def same(first: Decoded, second: Decoded) -> bool:
    return all(torch.allclose(getattr(first, n), getattr(second, n), rtol=0, atol=1e-4, equal_nan=True) for n in NAMES)


def part(decoded: Decoded, index: Any) -> Decoded:
    return Decoded(*(getattr(decoded, n)[index] for n in NAMES))


def reads_each_map_for_itself(method: str, **options: Any) -> None:
    """Permuted batch and landmarks give permuted answers, beside a map of NaN as well, in 2D and 3D."""
    for shape in (PLANE, VOLUME):
        centres = inner_centres(shape, 6, 6.0).reshape(2, 3, len(shape))
        maps = torch.cat([noisy(centres[:, :2], shape, 1.5, 0.01), noisy(centres[:, 2:], shape, 3.0, 0.01)], 1)
        maps[1, 0] = torch.nan
        out, order = decode(maps, method, **options), torch.tensor([2, 0, 1])
        assert out.found.tolist() == [[True] * 3, [False, True, True]]
        assert out.peak[1, 0].isnan()
        assert same(decode(maps[:, order], method, **options), part(out, (slice(None), order)))
        assert same(decode(maps.flip(0), method, **options), part(out, torch.tensor([1, 0])))
        assert same(decode(maps[:1, :1], method, **options), part(out, (slice(0, 1), slice(0, 1))))
        empty = decode(maps[:, :0], method, **options)
        assert empty.positions.shape == (2, 0, len(shape))


def finds_nothing_in_flat_maps(method: str, **options: Any) -> None:
    for value in (0.0, 1.0, -100.0, 1e-7, torch.nan, torch.inf, -torch.inf):
        for shape in ((20, 21), (8, 9, 10)):
            out = decode(torch.full((1, 2, *shape), value), method, **options)
            assert not out.found.any(), value
            assert out.positions.isnan().all() and out.covariance.isnan().all()


def reads_every_width_of_number(method: str, most: float, **options: Any) -> None:
    """Half precision is computed in single; its own rounding is all that it may cost beyond ``most``."""
    for shape in (PLANE, VOLUME):
        centres = inner_centres(shape, 20, 8.0)
        for dtype, cost in ((torch.float16, 0.005), (torch.bfloat16, 0.05), (torch.float64, 0.0)):
            maps, _ = gaussian_heatmaps(centres, shape, 2.0, dtype=dtype)
            out = decode(maps, method, **options)
            assert out.found.all()
            assert out.positions.dtype == torch.promote_types(dtype, torch.float32)
            assert errors(out, centres).mean() < most + cost
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert same(decode(maps, method, **options), out)


def reads_logits_of_a_hundred(method: str, most: float, **options: Any) -> None:
    """Backgrounds at -100 and peaks at 100 stay numbers, in half precision too, and say where the landmark is."""
    for shape in (PLANE, VOLUME):
        centres = inner_centres(shape, 20, 8.0)
        maps, _ = gaussian_heatmaps(centres, shape, 2.0)
        for dtype in (torch.float32, torch.float16):
            out = decode((200 * maps - 100).to(dtype), method, **options)
            assert out.found.all()
            assert errors(out, centres).mean() < most


def leaves_out_what_is_not_finite(method: str, most: float, **options: Any) -> None:
    centres = torch.tensor([[[60.3, 40.6]]])
    maps, _ = gaussian_heatmaps(centres, PLANE, 3.0)
    maps[0, 0, 40, 63], maps[0, 0, 5, 5], maps[0, 0, 7, 7] = torch.nan, torch.inf, -torch.inf
    maps[0, 0, :, 90:] = torch.nan
    out = decode(maps, method, **options)
    assert out.found.all()
    assert errors(out, centres).max() < most


def takes_the_higher_of_two_peaks(method: str, most: float, **options: Any) -> None:
    for shape in (PLANE, VOLUME):
        high = torch.tensor([[[14.3, 20.6, 12.2][: len(shape)]]])
        low = high + 14.0
        maps = gaussian_heatmaps(high, shape, 2.0)[0] + 0.8 * gaussian_heatmaps(low, shape, 2.0)[0]
        out = decode(maps, method, **options)
        assert out.found.all()
        assert errors(out, high).max() < most


def moves_with_the_landmark(method: str, **options: Any) -> None:
    """The derivative of the position read by the centre that made the map is the identity."""
    for shape in ((30, 34), (17, 20, 23)):
        d = len(shape)
        centre = torch.tensor([[[9.3, 8.2, 7.6][:d]]], dtype=torch.float64, requires_grad=True)
        maps, _ = gaussian_heatmaps(centre, shape, 1.2, dtype=torch.float64)
        position = decode(maps, method, **options).positions[0, 0]
        for axis in range(d):
            (slope,) = torch.autograd.grad(position[axis], centre, retain_graph=True)
            expected = torch.zeros_like(slope)
            expected[0, 0, axis] = 1
            torch.testing.assert_close(slope, expected, rtol=0, atol=0.02)


def keeps_gradients_finite(method: str, **options: Any) -> None:
    """Beside maps that are flat, NaN, a slope or one voxel."""
    maps = noisy(torch.tensor([[[20.0, 30.0]] * 5]), (50, 60), 2.0, 0.02)
    maps[0, 1], maps[0, 2], maps[0, 3], maps[0, 4] = 0.0, torch.nan, torch.arange(60.0), 0.0
    maps[0, 4, 25, 30] = 1
    maps.requires_grad_()
    out = decode(maps, method, **options)
    out.positions[out.found].sum().backward()
    assert out.found[0, 0] and not out.found[0, 1:3].any()
    assert maps.grad.isfinite().all()
    assert maps.grad[0, 0].abs().sum() > 0
