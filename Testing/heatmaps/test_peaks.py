"""Peaks are found once each, at borders too, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode_instances, find_peaks


def gaussian(shape, centre, sigma=2.0):
    """A map ([Z, ]Y, X) with its peak 1 at ``centre`` in x, y[, z]."""
    total = torch.zeros(shape)
    for axis, c in enumerate(reversed(centre)):
        along = torch.arange(shape[axis], dtype=torch.float32) - c
        total = total + (along**2).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return torch.exp(-total / (2 * sigma**2))


@pytest.mark.parametrize("shape", [(30, 40), (20, 30, 40)])
def test_peaks_come_highest_first_and_the_rest_is_nan(shape):
    d = len(shape)
    far, near = (30, 22, 14)[:d], (8, 7, 6)[:d]
    peaks = find_peaks((gaussian(shape, far) + 0.5 * gaussian(shape, near))[None, None], count=4)
    assert peaks.positions.shape == (1, 1, 4, d)
    assert peaks.positions[0, 0, 0].tolist() == list(far)
    assert peaks.positions[0, 0, 1].tolist() == list(near)
    assert peaks.positions[0, 0, 2:].isnan().all()
    assert peaks.values[0, 0, 2:].eq(-torch.inf).all()
    torch.testing.assert_close(peaks.values[0, 0, :2], torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize("place", [(0, 0), (39, 29), (0, 29), (39, 0), (0, 13), (39, 13), (17, 0), (17, 29)])
def test_a_peak_on_the_border_is_found(place):
    peaks = find_peaks(gaussian((30, 40), place)[None, None], count=3)
    assert peaks.positions[0, 0, 0].tolist() == list(place)
    assert peaks.positions[0, 0, 1:].isnan().all()


def test_the_far_background_of_a_gaussian_gives_no_peak():
    maps = gaussian((200, 200), (20.3, 30.7), sigma=1.0)[None, None].half()
    assert (maps == 0).float().mean() > 0.9
    assert find_peaks(maps, count=10).positions[0, 0, :, 0].isfinite().sum() == 1


def test_a_plateau_gives_its_first_voxel_whatever_its_form():
    maps = torch.zeros(1, 1, 12, 12)
    for x, y in [(2, 2), (2, 3), (2, 4), (3, 5), (4, 6), (5, 5), (6, 4), (6, 3), (6, 2), (6, 1)]:  # two prongs
        maps[0, 0, y, x] = 1
    peaks = find_peaks(maps, count=5)
    assert peaks.positions[0, 0, 0].tolist() == [6, 1]
    assert peaks.positions[0, 0, 1:].isnan().all()


def test_a_shoulder_is_no_peak():
    maps = torch.zeros(1, 1, 9, 20)
    maps[0, 0, 4, 3:15] = 1
    maps[0, 0, 4, 15] = 2
    peaks = find_peaks(maps, count=5)
    assert peaks.positions[0, 0, :, 0].isfinite().tolist() == [True, False, False, False, False]
    assert peaks.positions[0, 0, 0].tolist() == [15, 4]


def test_the_radius_keeps_only_the_highest():
    maps = torch.zeros(1, 1, 20, 20)
    maps[0, 0, 10, 5], maps[0, 0, 10, 9], maps[0, 0, 3, 18] = 1.0, 0.9, 0.8
    assert find_peaks(maps, 3, radius=3).values[0, 0].tolist() == pytest.approx([1.0, 0.9, 0.8])
    assert find_peaks(maps, 3, radius=4).values[0, 0].tolist() == pytest.approx([1.0, 0.8, -torch.inf])


def test_a_lower_threshold_lets_more_through():
    maps = torch.zeros(1, 1, 20, 20)
    maps[0, 0, 10, 5], maps[0, 0, 3, 18] = 1.0, 0.5
    assert find_peaks(maps, 2, threshold=0.5).values[0, 0].tolist() == [1.0, 0.5]
    assert find_peaks(maps, 2, threshold=0.6).values[0, 0].tolist() == [1.0, -torch.inf]


@pytest.mark.parametrize("value", [0.0, 7.0, -torch.inf, torch.nan])
def test_a_flat_map_has_no_peak(value):
    assert find_peaks(torch.full((2, 3, 8, 9), value), 2).positions.isnan().all()


def test_nan_is_lower_than_everything():
    maps = gaussian((20, 20), (12, 8))
    maps[:5] = torch.nan
    peaks = find_peaks(maps[None, None], 2)
    assert peaks.positions[0, 0, 0].tolist() == [12, 8]
    assert peaks.positions[0, 0, 1].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_width_gives_the_same_place_and_keeps_its_type(dtype):
    peaks = find_peaks((100 * gaussian((20, 30), (12, 8)) - 50)[None, None].to(dtype), 1)
    assert peaks.positions[0, 0, 0].tolist() == [12, 8]
    assert peaks.values.dtype == dtype


def test_noise_agrees_with_a_plain_search():
    maps = torch.rand(2, 2, 11, 13, generator=torch.Generator().manual_seed(0))
    peaks = find_peaks(maps, count=100, radius=2)
    for b in range(2):
        for k in range(2):
            m, plain = maps[b, k], set()
            for y in range(11):
                for x in range(13):
                    if m[y, x] == m[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max():
                        plain.add((x, y))
            found = peaks.positions[b, k][peaks.values[b, k].isfinite()]
            assert {(int(x), int(y)) for x, y in found} == plain


@pytest.mark.parametrize("shape", [(17, 19), (9, 10, 11)])
@pytest.mark.parametrize("levels", [3, 6, 20])
def test_ties_agree_with_labelled_plateaus(shape, levels):
    maps = torch.randint(levels, (3, *shape), generator=torch.Generator().manual_seed(levels)).float()
    around = np.ones((3,) * len(shape))
    peaks = find_peaks(maps[None], count=maps[0].numel() // 2)
    for m, places, values in zip(maps.numpy(), peaks.positions[0], peaks.values[0], strict=True):
        expected = set()
        for level in range(1, levels):
            plateaus, number = ndimage.label(m == level, around)
            for plateau in range(1, number + 1):
                inside = plateaus == plateau
                if not (m[ndimage.binary_dilation(inside, around)] > level).any():
                    first = np.argwhere(inside)[0]
                    expected.add((*first[::-1].tolist(), float(level)))
        found = values.isfinite()
        rows = torch.cat([places[found], values[found, None]], 1).tolist()
        assert len(rows) == len(expected)
        assert {tuple(r) for r in rows} == expected


def test_equal_peaks_within_the_radius_give_the_first():
    maps = torch.zeros(1, 1, 20, 20)
    maps[0, 0, 10, 5] = maps[0, 0, 10, 8] = 1.0
    assert find_peaks(maps, 2, radius=2).positions[0, 0].tolist() == [[5, 10], [8, 10]]
    peaks = find_peaks(maps, 2, radius=3)
    assert peaks.positions[0, 0, 0].tolist() == [5, 10]
    assert peaks.positions[0, 0, 1].isnan().all()


def test_the_values_carry_the_gradient():
    maps = gaussian((20, 20), (12, 8))[None, None].requires_grad_()
    find_peaks(maps, 2).values[..., 0].sum().backward()
    assert maps.grad[0, 0, 8, 12] == 1
    assert maps.grad.abs().sum() == 1


@pytest.mark.parametrize(
    ("maps", "count", "radius"),
    [
        (torch.zeros(4, 4), 1, 1),
        (torch.zeros(1, 1, 4, 4, dtype=torch.long), 1, 1),
        (torch.zeros(1, 1, 4, 4), 0, 1),
        (torch.zeros(1, 1, 4, 4), 1, 0),
        (torch.zeros(1, 1, 0, 4), 1, 1),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_sentence(maps, count, radius):
    with pytest.raises(LandmarkDetectorError):
        find_peaks(maps, count, radius)


@pytest.mark.parametrize("lead", [(0, 3), (2, 0)])
def test_no_maps_give_no_peaks(lead):
    peaks = find_peaks(torch.zeros(*lead, 8, 9), count=2)
    assert peaks.positions.shape == (*lead, 2, 2) and peaks.values.shape == (*lead, 2)


def test_whole_numbers_of_numpy_count_peaks_as_those_of_python_do() -> None:
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 2, 3], maps[0, 0, 6, 7] = 2.0, 1.0
    found = find_peaks(maps, np.int64(2), np.int32(1))
    assert found.positions.tolist() == [[[[3.0, 2.0], [7.0, 6.0]]]]
    assert decode_instances(maps, np.int64(3), radius=np.int64(2)).peak[0, 0, :2].tolist() == [2.0, 1.0]
