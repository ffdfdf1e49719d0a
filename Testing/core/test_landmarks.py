"""Landmarks that contradict themselves cannot be built; sets pair by label."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"position": [1, 2, np.nan]}, "finite"),
        ({"position": [1.0]}, "2D or 3D"),
        ({"position": [1, 2, 3], "status": "missing"}, "contradicts"),
        ({"position": None, "status": "defined"}, "contradicts"),
        ({"position": [1, 2, 3], "status": "lost"}, "not one of"),
        ({"position": [1, 2, 3], "confidence": 1.2}, "between 0 and 1"),
        ({"position": [1, 2, 3], "confidence": float("nan")}, "between 0 and 1"),
        ({"position": [1, 2, 3], "covariance": np.eye(2)}, "no place"),
        ({"position": None, "covariance": np.eye(3)}, "no place"),
        ({"position": [1, 2, 3], "covariance": np.diag([1.0, 1, -1])}, "positive semi-definite"),
        ({"position": [1, 2, 3], "covariance": np.triu(np.ones((3, 3)))}, "symmetric"),
    ],
)
def test_a_landmark_that_contradicts_itself_cannot_be_built(arguments, words) -> None:
    with pytest.raises(LandmarkError, match=words):
        Landmark("a", **arguments)


def test_a_landmark_cannot_be_changed_from_outside() -> None:
    place = np.array([1.0, 2, 3])
    mark = Landmark("a", place)
    place[0] = 9
    assert mark.position is not None and mark.position[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        mark.position[0] = 5


def test_sets_pair_by_label_and_what_is_lacking_is_missing() -> None:
    marks = LandmarkSet.from_positions(["b", "a"], [[1, 1, 1], [2, 2, 2]])
    ordered = marks.reordered(["a", "c", "b"])
    assert ordered.labels == ["a", "c", "b"]
    assert ordered["c"].status == "missing"
    np.testing.assert_array_equal(ordered.positions[[0, 2]], [[2, 2, 2], [1, 1, 1]])
    assert np.isnan(ordered.positions[1]).all()
    with pytest.raises(KeyError):
        marks["c"]


def test_a_label_twice_is_read_but_does_not_pair() -> None:
    marks = LandmarkSet.from_positions(["a", "a"], np.zeros((2, 2)))
    assert len(marks) == 2
    with pytest.raises(LandmarkError, match="two landmarks are called 'a'"):
        marks.reordered(["a"])


def test_instances_of_a_label_stand_together_and_what_is_lacking_is_missing() -> None:
    marks = LandmarkSet.from_positions(["a", "b", "a"], [[1, 1], [2, 2], [3, 3]])
    grouped = marks.grouped(["b", "c", "a"])
    assert grouped.labels == ["b", "c", "a", "a"] and grouped["c"].status == "missing"
    np.testing.assert_array_equal(grouped.positions[[0, 2, 3]], [[2, 2], [1, 1], [3, 3]])


def test_two_and_three_dimensions_do_not_mix() -> None:
    with pytest.raises(LandmarkError, match="2D and 3D"):
        LandmarkSet((Landmark("a", [1, 2]), Landmark("b", [1, 2, 3])))


def test_a_set_in_the_plane_loses_its_zeros_and_refuses_anything_else() -> None:
    flat = LandmarkSet((Landmark("a", [1, 2, 0], covariance=np.eye(3)), Landmark("b"))).to_plane()
    assert flat.dimension == 2 and flat["a"].covariance is not None and flat["a"].covariance.shape == (2, 2)
    with pytest.raises(LandmarkError, match="plane"):
        LandmarkSet((Landmark("a", [1, 2, 3]),)).to_plane()
