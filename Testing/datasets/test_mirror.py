"""Labels after a mirror, and labels that mean a place in the picture."""

from __future__ import annotations

import monai.transforms as mt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import DatasetError, Image, LandmarkSet
from LandmarkDetectorLib.datasets.samples import Sample, make_sample
from LandmarkDetectorLib.datasets.transforms import OrderByPosition, Reorient, SwapOnMirror, carry, swap_labels
from Testing.datasets.blobs import same

IMAGE = "image"
LABELS = ["left", "right", "nose"]
PAIRS = [("left", "right")]
PLACES = {2: [[3.0, 10.0], [16.0, 11.0], [9.5, 4.0]], 3: [[3.0, 10, 5], [16.0, 11, 6], [9.5, 4, 7]]}


def face(d: int = 2, instances: int = 0) -> Sample:
    """A picture with a left, a right and a nose, 20 voxels wide."""
    image = Image.from_array(torch.rand((14, 16, 20)[-d:]).numpy())
    sample = make_sample(image, LandmarkSet.from_positions(LABELS, PLACES[d]))
    if instances:
        places = sample["landmarks"][:, None].repeat(1, instances, 1) + torch.arange(instances)[:, None]
        sample = {**sample, "landmarks": places, "present": places.isfinite().all(-1)}
    return sample


@pytest.mark.parametrize("d", [2, 3])
def test_a_mirror_along_any_axis_swaps_left_and_right(d: int) -> None:
    for axis in range(d):
        before = face(d)
        moved = carry(mt.Flipd(IMAGE, axis))(before)["landmarks"]
        swapped = SwapOnMirror(mt.Flipd(IMAGE, axis), PAIRS)(before)
        assert swapped["landmarks"].equal(moved[[1, 0, 2]])
        assert swapped["labels"] == tuple(LABELS)


def test_a_left_landmark_of_a_mirrored_picture_lies_where_the_right_one_was() -> None:
    after = SwapOnMirror(mt.Flipd(IMAGE, 1), PAIRS)(face())
    assert after["landmarks"].tolist() == [[3.0, 11.0], [16.0, 10.0], [9.5, 4.0]]


@pytest.mark.parametrize(
    "turn", [mt.Flipd(IMAGE, (0, 1)), mt.Rotate90d(IMAGE, 2), mt.Rotate90d(IMAGE, 1), mt.Rotated(IMAGE, 2.5)]
)
def test_turns_by_180_degrees_and_others_swap_nothing(turn: mt.MapTransform) -> None:
    before = face()
    assert SwapOnMirror(turn, PAIRS)(before)["landmarks"].equal(carry(turn)(before)["landmarks"])


def test_two_mirrors_that_are_drawn_together_swap_nothing() -> None:
    both = [mt.RandFlipd(IMAGE, 1.0, spatial_axis=0), mt.RandFlipd(IMAGE, 1.0, spatial_axis=1)]
    before = face()
    assert SwapOnMirror(both, PAIRS)(before)["landmarks"].equal(carry(both)(before)["landmarks"])


def test_bringing_volumes_into_one_orientation_is_no_mirror() -> None:
    before = face(3)
    after = carry([Reorient("RPS"), SwapOnMirror(mt.RandFlipd(IMAGE, 0.0), PAIRS)])(before)
    assert after["landmarks"][0, 0] == 19 - 3 and after["landmarks"][1, 0] == 19 - 16


def test_what_is_known_of_a_landmark_goes_with_it_and_so_do_its_instances() -> None:
    before = face(instances=3)
    before["landmarks"][0, 1:] = torch.nan
    before = {
        **before,
        "present": before["landmarks"].isfinite().all(-1),
        "labelled": torch.tensor([True, False, True]),
    }
    after = SwapOnMirror(mt.Flipd(IMAGE, 1), PAIRS)(before)
    assert after["present"].tolist() == [[True] * 3, [True, False, False], [True] * 3]
    assert after["labelled"].tolist() == [False, True, True]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([2, 3]), st.integers(0, 2**31))
def test_swapping_and_ordering_are_undone(d: int, seed: int) -> None:
    before = face(d)
    chain = carry(
        [
            SwapOnMirror([mt.RandAxisFlipd(IMAGE, 0.6), mt.RandRotated(IMAGE, 1.0, prob=0.5)], PAIRS),
            OrderByPosition([(("left", "right"), "x"), (("nose",), "y")]),
        ]
    )
    chain.set_random_state(seed)
    same(chain.inverse(chain(before)), before)


@settings(max_examples=20, deadline=None)
@given(st.floats(-3.1, 3.1))
def test_ends_that_are_named_after_their_side_are_named_anew(angle: float) -> None:
    after = carry([mt.Rotated(IMAGE, angle), OrderByPosition([(("left", "right"), "x")])])(face())
    assert after["landmarks"][0, 0] <= after["landmarks"][1, 0]


def test_where_one_of_a_group_is_missing_the_group_is_not_labelled() -> None:
    before = face()
    before["landmarks"][1] = torch.nan
    before = {**before, "present": torch.tensor([True, False, True])}
    order = OrderByPosition([(("left", "right"), "x")])
    after = order(before)
    assert after["labelled"].tolist() == [False, False, True]
    same(order.inverse(after), before)


def test_labels_that_are_not_there_and_pairs_that_are_none_are_said() -> None:
    with pytest.raises(DatasetError, match="'wing'"):
        swap_labels(face(), [("left", "wing")])
    with pytest.raises(DatasetError, match="one pair"):
        SwapOnMirror(mt.Flipd(IMAGE), [("left", "right"), ("right", "nose")])
    with pytest.raises(DatasetError, match="'wing'"):
        OrderByPosition([(("left", "wing"), "x")])(face())
    with pytest.raises(DatasetError, match="axis"):
        OrderByPosition([(("left", "right"), "w")])
    for none in ("left", ("left", "x"), (("left", "right"), "x", "y")):
        with pytest.raises(DatasetError, match="takes pairs of labels and an axis"):
            OrderByPosition([none])
    with pytest.raises(DatasetError, match="one instance"):
        OrderByPosition([(("left", "right"), "x")])(face(instances=2))
