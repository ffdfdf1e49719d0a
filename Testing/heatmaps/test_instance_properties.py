"""What holds for any number of landmarks of a class: all are read, highest first, in any order, type and company."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode_instances, find_peaks

SHAPE = {2: (48, 56), 3: (32, 36, 40)}
CELL = 12
"""Voxels a side of the cells of which each holds one landmark at most, in its middle half."""
SIGMA = 1.2


@st.composite
def scenes(draw) -> tuple[int, Tensor]:
    """A dimension, and up to five places (1, 1, N, D) that are at least half a cell apart."""
    d = draw(st.sampled_from([2, 3]))
    grid = [n // CELL for n in reversed(SHAPE[d])]
    cells = draw(st.lists(st.tuples(*[st.integers(0, n - 1) for n in grid]), min_size=1, max_size=5, unique=True))
    within = st.floats(0.25, 0.75)
    places = [[CELL * (c + draw(within)) for c in cell] for cell in cells]
    return d, torch.tensor(places, dtype=torch.float64)[None, None]


def made(d: int, places: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    return GaussianHeatmaps(1, d, SIGMA)(places, SHAPE[d], dtype=dtype)[0]


def apart(found: Tensor, places: Tensor) -> Tensor:
    """How far each place (N, D) is from the nearest that was found."""
    return (places[:, None] - found[None].double()).norm(dim=-1).nan_to_num(torch.inf).amin(1)


@settings(max_examples=25)
@given(scenes())
def test_all_that_were_made_are_read_and_nothing_else(scene):
    d, places = scene
    count = places.shape[2]
    out = decode_instances(made(d, places), count + 2, radius=2, threshold=0.3)
    assert out.found[0, 0].tolist() == [True] * count + [False] * 2
    assert apart(out.positions[0, 0], places[0, 0]).max() < 0.01
    assert out.peak[0, 0, :count].diff().le(0).all()


@settings(max_examples=15)
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_in_which_they_were_made_does_not_matter(scene, random):
    d, places = scene
    order = list(range(places.shape[2]))
    random.shuffle(order)
    assert made(d, places[:, :, order]).equal(made(d, places))


@settings(max_examples=15)
@given(scenes(), scenes())
def test_a_map_is_read_alike_in_any_company(one, other):
    if one[0] != other[0]:
        return
    both = torch.cat([made(*one), made(*other)], 1)
    alone = decode_instances(both[:, :1], 4, radius=2, threshold=0.3)
    for maps, row in ((both, 0), (both.flip(1), 1)):
        out = decode_instances(maps, 4, radius=2, threshold=0.3)
        torch.testing.assert_close(out.positions[:, row], alone.positions[:, 0], rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@settings(max_examples=10)
@given(scene=scenes())
def test_narrow_types_agree_with_double(scene, dtype):
    """To a thousandth of a voxel; bfloat16, which has eight bits, to a tenth. The voxels may differ by one."""
    d, places = scene
    count = places.shape[2]
    wide = decode_instances(made(d, places), count, radius=2, threshold=0.3)
    narrow = decode_instances(made(d, places, dtype), count, radius=2, threshold=0.3)
    assert narrow.positions.dtype == torch.float32 and narrow.found.all()
    most = 0.1 if dtype == torch.bfloat16 else 2e-3
    assert apart(narrow.positions[0, 0], wide.positions[0, 0].double()).max() < most
    peaks = find_peaks(made(d, places, dtype), count, 2, 0.3)
    assert apart(peaks.positions[0, 0], places[0, 0]).max() < (d**0.5 if dtype == torch.bfloat16 else 0.51 * d**0.5)
