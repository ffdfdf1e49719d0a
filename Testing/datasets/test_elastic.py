"""The elastic transform: smooth, never folded, and the landmarks go exactly where the voxels go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.transforms import Elastic
from LandmarkDetectorLib.datasets.transforms.elastic import INJECTIVE, SplineField
from LandmarkDetectorLib.datasets.transforms.resample import index_grid
from Testing.datasets.blobs import EVEN, ODD, blob_sample, error, same


def drawn(elastic: Elastic, d: int, seed: int) -> SplineField:
    elastic.set_random_state(seed)
    return elastic._drawn(blob_sample(ODD[d])["image"])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([2, 3]), st.integers(0, 2**31), st.floats(5.0, 40.0), st.floats(0.1, 1.0))
def test_voxel_and_landmark_go_the_same_way_to_a_hundredth(d: int, seed: int, spacing: float, share: float) -> None:
    field = drawn(Elastic(spacing, share * INJECTIVE[d] * spacing), d, seed)
    places = torch.rand((50, d), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 60 - 10
    found = field.inverse(places)
    torch.testing.assert_close(found + field.at(found)[0], places, atol=1e-4, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([2, 3]), st.integers(0, 2**31), st.floats(6.0, 30.0))
def test_nothing_folds_at_the_largest_magnitude(d: int, seed: int, spacing: float) -> None:
    field = drawn(Elastic(spacing, INJECTIVE[d] * spacing * (1 if d == 3 else 0.999)), d, seed)
    # The worst that may be drawn: every control point at its limit, at random to either side.
    largest = field.control.abs().amax(tuple(range(1, d + 1)), keepdim=True)
    worst = SplineField(field.control.sign() * largest, field.step, field.origin)
    places = torch.rand((4000, d), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 48
    assert torch.linalg.det(torch.eye(d) + worst.at(places)[1]).min() > 0


@pytest.mark.parametrize("d", [2, 3])
def test_the_field_between_voxels_is_that_at_the_voxels_and_its_slope_is_its_slope(d: int) -> None:
    field = drawn(Elastic(12.0, 3.0), d, 1)
    shape = (5, 6, 7)[:d]
    voxels = index_grid(shape).reshape(-1, d).double()
    value, slope = field.at(voxels)
    torch.testing.assert_close(field.dense(shape).reshape(-1, d).double(), value, atol=1e-5, rtol=0)
    for axis in range(d):
        step = torch.zeros(d, dtype=torch.float64)
        step[axis] = 1e-5
        measured = (field.at(voxels + step)[0] - field.at(voxels - step)[0]) / 2e-5
        torch.testing.assert_close(slope[..., axis], measured, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [EVEN[2], ODD[2], EVEN[3], ODD[3]], ids=str)
def test_a_landmark_stays_in_the_middle_of_its_blob_and_comes_back(shape: tuple[int, ...]) -> None:
    d = len(shape)
    moves = []
    for seed in range(4):
        before = blob_sample(shape, width=1.2)
        elastic = Elastic(20.0, 6.0)
        elastic.set_random_state(seed)
        after = elastic(before)
        moves.append(float((after["landmarks"] - before["landmarks"])[0].norm()))
        assert error(after) < 0.1  # what a blob of this width loses of its shape where the field bends
        assert after["image"].affine.equal(before["image"].affine)
        back = elastic.inverse(after)
        same(back, before)
        blur = (back["image"] - before["image"]).abs().max()
        assert blur < 0.35 * before["image"].max()
    assert max(moves) > 0.5
    assert d == before["landmarks"].shape[-1]


def test_the_magnitude_is_in_mm_along_each_axis_of_an_anisotropic_image() -> None:
    field = drawn(Elastic(16.0, 5.0), 3, 0)
    steps = np.array([0.8, 1.3, 1.1])
    largest = field.control.abs().amax((1, 2, 3)).numpy() * steps
    assert np.all(largest <= 5.0) and np.all(largest > 4.5)
    np.testing.assert_allclose(field.step.numpy() * steps, 16.0)


def test_several_instances_absent_ones_and_those_out_of_the_view_are_moved_alike() -> None:
    before = blob_sample(EVEN[2])
    places = torch.tensor([[[3.0, 4.0], [20.0, 30.0]], [[torch.nan] * 2, [-30.0, 500.0]]])
    elastic = Elastic(15.0, 5.0)
    elastic.set_random_state(1)
    moved = elastic({**before, "landmarks": places})["landmarks"]
    assert moved[1, 0].isnan().all() and moved.shape == places.shape
    assert not moved[0].isclose(places[0]).any()
    assert moved[1, 1].equal(places[1, 1])  # far beyond the lattice nothing moves


def test_it_is_drawn_as_often_as_said_and_undone_where_it_was_not() -> None:
    elastic = Elastic(15.0, 5.0, prob=0.5)
    elastic.set_random_state(0)
    before = blob_sample(EVEN[2])
    moved = 0
    for _ in range(12):
        after = elastic(before)
        moved += not bool(after["image"].equal(before["image"]))
        same(elastic.inverse(after), before)
    assert 2 < moved < 10


def test_a_magnitude_that_could_fold_is_refused() -> None:
    with pytest.raises(DatasetError, match="take a smaller magnitude"):
        Elastic(10.0, 6.0)
    with pytest.raises(DatasetError, match="in 3D"):
        Elastic(10.0, 4.5)(blob_sample(EVEN[3]))
    with pytest.raises(DatasetError, match="positive"):
        Elastic(-1.0, 0.0)


@pytest.mark.gpu
def test_the_device_makes_no_difference() -> None:
    before = blob_sample(EVEN[3])
    elastic = Elastic(20.0, 6.0)
    outs = []
    for device in ("cpu", "cuda"):
        elastic.set_random_state(0)
        outs.append(
            elastic({**before, "image": before["image"].to(device), "landmarks": before["landmarks"].to(device)})
        )
    torch.testing.assert_close(outs[1]["image"].as_tensor().cpu(), outs[0]["image"].as_tensor(), atol=0.1, rtol=1e-3)
    torch.testing.assert_close(outs[1]["landmarks"].cpu(), outs[0]["landmarks"], atol=1e-4, rtol=0, equal_nan=True)
