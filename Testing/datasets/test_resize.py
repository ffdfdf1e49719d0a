"""Resize and Reorient: exact to the half voxel, with and without padding, in 2D and 3D, and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import DatasetError, Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets.samples import Sample, grid_of, inside, make_sample, world
from LandmarkDetectorLib.datasets.transforms import Reorient, Resize
from Testing.datasets.blobs import EVEN, ODD, blob_sample, error, same

SHAPES = [EVEN[2], ODD[2], EVEN[3], ODD[3]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("wanted", [(41, 52, 37), (24, 25, 30), (90, 45, 51)], ids=str)
def test_a_landmark_stays_in_the_middle_of_its_blob(
    shape: tuple[int, ...], wanted: tuple[int, ...], keep: bool
) -> None:
    before = blob_sample(shape)
    resize = Resize(wanted[: len(shape)], keep_aspect=keep)
    after = resize(before)
    assert after["image"].shape[1:] == wanted[: len(shape)]
    assert error(after) < 0.02
    torch.testing.assert_close(world(after), world(before), atol=1e-3, rtol=0, equal_nan=True)
    same(resize.inverse(after), before)


def test_the_borders_of_the_voxels_meet_not_their_centres() -> None:
    image = Image.from_array(np.arange(4, dtype=np.float32).reshape(1, 4))
    marks = LandmarkSet.from_positions(["first", "border"], [[0.0, 0.0], [-0.5, 0.0]])
    after = Resize((1, 8))(make_sample(image, marks))
    assert after["landmarks"][:, 0].tolist() == [0.5, -0.5]
    after = Resize((1, 2), anti_alias=False)(make_sample(image, marks))
    assert after["image"][0, 0].tolist() == [0.5, 2.5]
    assert after["landmarks"][0, 0] == -0.25


def test_padding_moves_landmarks_in_3d_as_it_moves_voxels() -> None:
    # A volume twice as long along x: the others are padded by half of what is missing, on both sides.
    image = Image.from_array(np.ones((10, 10, 20), np.float32))
    after = Resize((20, 20, 20), keep_aspect=True)(
        make_sample(image, LandmarkSet.from_positions(["m", "corner"], [[9.5, 4.5, 4.5], [0, 0, 0]]))
    )
    assert after["landmarks"].tolist() == [[9.5, 9.5, 9.5], [0, 5, 5]]
    seen = after["image"][0]
    assert seen[5:15, 5:15].min() == 1 and seen[:5].max() == 0 and seen[:, 15:].max() == 0


def test_the_aspect_is_kept_in_mm() -> None:
    grid = Grid.regular((40, 40), (0.5, 1.0))
    sample = make_sample(Image(np.ones((1, 40, 40), np.uint8), grid), LandmarkSet.from_positions(["a"], [[0.0, 0.0]]))
    after = Resize((20, 20), keep_aspect=True)(sample)
    np.testing.assert_allclose(grid_of(after["image"]).spacing, (2.0, 2.0))
    assert after["image"][0, 10, 10] > 0.999 and after["image"][0, 10, 2] == 0


def test_a_mask_keeps_its_values_and_goes_along() -> None:
    before = blob_sample(ODD[2])
    before = {**before, "mask": (before["image"] > 300).float()}
    resize = Resize((60, 70), keys=("image", "mask"), mode=("bilinear", "nearest"))
    after = resize(before)
    assert set(after["mask"].unique().tolist()) == {0, 1}
    assert after["mask"].affine.equal(after["image"].affine)
    assert error({**after, "image": 1000 * after["mask"]}) < 0.2
    assert resize.inverse(after)["mask"].shape == before["mask"].shape


def test_making_small_averages_rather_than_picks() -> None:
    stripes = Image.from_array(np.tile([0.0, 100.0], (64, 32)).astype(np.float32))
    marks = LandmarkSet.from_positions(["a"], [[0.0, 0.0]])
    assert Resize((16, 16))(make_sample(stripes, marks))["image"].std() < 8
    assert Resize((16, 16), anti_alias=False)(make_sample(stripes, marks))["image"].shape == (1, 16, 16)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([2, 3]), st.tuples(*[st.integers(3, 30)] * 3), st.tuples(*[st.integers(3, 30)] * 3), st.booleans()
)
def test_there_and_back_returns_the_landmark(
    d: int, shape: tuple[int, ...], wanted: tuple[int, ...], keep: bool
) -> None:
    before = blob_sample(shape[:d], np.ones(d))
    resize = Resize(wanted[:d], keep_aspect=keep)
    after = resize(before)
    if keep:
        assert bool(inside(after)[0])
    same(resize.inverse(after), before)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SPL", "AIR"])
def test_reorienting_moves_voxels_and_landmarks_alike_and_back(axes: str) -> None:
    before = blob_sample(EVEN[3])
    reorient = Reorient(axes)
    after = reorient(before)
    assert error(after) < 0.002
    torch.testing.assert_close(world(after), world(before), atol=1e-3, rtol=0, equal_nan=True)
    letters = np.array([["L", "R"], ["P", "A"], ["S", "I"]])
    direction = grid_of(after["image"]).direction
    nearest = np.abs(direction).argmax(0)
    assert "".join(letters[n, int(direction[n, i] < 0)] for i, n in enumerate(nearest)) == axes
    same(reorient.inverse(after), before, 1e-4)


def test_every_storage_of_a_volume_becomes_the_same() -> None:
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    expected = None
    for permutation in itertools.permutations(range(3)):
        for flips in itertools.product([1, -1], repeat=3):
            direction = np.eye(3)[:, permutation] * flips
            array = values.transpose([2 - permutation[2 - axis] for axis in range(3)])
            origin = np.zeros(3)
            for axis, sense in enumerate(flips):
                if sense < 0:
                    array = np.flip(array, 2 - axis)
                    origin[permutation[axis]] = array.shape[2 - axis] - 1
            grid = Grid(array.shape[::-1], (1.0,) * 3, tuple(origin), direction)
            after = Reorient()(make_sample(Image(array[None], grid), LandmarkSet.from_positions(["a"], [[1.0, 2, 3]])))
            assert after["landmarks"].tolist() == [[1, 2, 3]]
            expected = after["image"] if expected is None else expected
            assert after["image"].equal(expected)


def test_a_picture_is_reoriented_too() -> None:
    before = blob_sample(ODD[2])
    after = Reorient("RA")(before)
    assert error(after) < 0.002 and after["image"].equal(before["image"].flip(1, 2))


def test_settings_that_do_not_fit_are_said() -> None:
    sample: Sample = blob_sample(EVEN[2])
    for call, words in (
        (lambda: Resize((5,)), "shape of an image"),
        (lambda: Resize((5, 5, 5))(sample), "does not become"),
        (lambda: Resize((5, 5), mode="cubic"), "bilinear, nearest"),
        (lambda: Resize((5, 5), keys=("image", "mask"), mode=("bilinear",)), "for each"),
        (lambda: Reorient("LLS"), "names no axes"),
        (lambda: Reorient("LPS")(sample), "3 axes"),
    ):
        with pytest.raises(DatasetError, match=words):
            call()
