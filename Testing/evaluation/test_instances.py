"""Several landmarks of one class: the assignment is the best there is, and the threshold counts."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import match_instances, summarise_instances

NAN = np.nan


def test_the_assignment_is_the_best_and_not_the_first_that_offers_itself():
    # A greedy one gives the first prediction, at 9, to the truth at 10, and leaves 11 between the others.
    matching = match_instances([[9.0, 0], [11.0, 0]], [[10.0, 0], [0.0, 0]])
    assert matching.predicted.tolist() == [1, 0]
    assert matching.distances.tolist() == [1.0, 9.0]


def test_it_finds_as_many_pairs_as_the_threshold_allows_before_it_looks_for_short_ones():
    # The shortest pair, 4 with 5, would leave 7 and 0 without a partner.
    matching = match_instances([[4.0, 0], [7.0, 0]], [[0.0, 0], [5.0, 0]], threshold=4.0)
    assert matching.predicted.tolist() == [0, 1]
    assert matching.distances.tolist() == [4.0, 2.0]


def test_a_pair_beyond_the_threshold_is_a_miss_and_a_false_find():
    matching = match_instances([[0.0, 0], [30.0, 0]], [[1.0, 0], [20.0, 0]], threshold=5.0)
    assert (matching.predicted.tolist(), matching.truth.tolist()) == ([0], [0])
    assert (matching.missed.tolist(), matching.false.tolist()) == ([1], [1])
    assert match_instances([[30.0, 0]], [[20.0, 0]]).distances.tolist() == [10.0]
    assert match_instances([[3.0, 4.0]], [[0.0, 0.0]], threshold=5.0).distances.tolist() == [5.0]


def test_rows_of_nan_are_padding_and_neither_missed_nor_false():
    matching = match_instances([[NAN, NAN], [1.0, 1.0]], [[1.0, 1.0], [NAN, NAN], [NAN, NAN]], threshold=2.0)
    assert (matching.predicted.tolist(), matching.truth.tolist()) == ([1], [0])
    assert matching.missed.size == matching.false.size == 0


@pytest.mark.parametrize("nothing", [[], np.empty((0, 2)), [[NAN, NAN]]])
def test_nothing_found_or_nothing_there_is_counted_and_no_error(nothing):
    assert match_instances(nothing, [[1.0, 1.0]]).missed.tolist() == [0]
    assert match_instances([[1.0, 1.0]], nothing).false.tolist() == [0]
    assert match_instances(nothing, nothing).distances.size == 0


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4), st.sampled_from([2, 3]))
def test_no_other_assignment_is_shorter_and_order_does_not_matter(seed, found, known, dimension):
    rng = np.random.default_rng(seed)
    here, there = rng.normal(0, 5, (found, dimension)), rng.normal(0, 5, (known, dimension))
    matching = match_instances(here, there)
    few, many = (here, there) if found <= known else (there, here)
    best = min(
        np.linalg.norm(few - many[list(chosen)], axis=1).sum() for chosen in permutations(range(len(many)), len(few))
    )
    assert matching.distances.sum() == pytest.approx(best)
    turned = match_instances(here[::-1], there[::-1], threshold=6.0)
    assert np.sort(turned.distances) == pytest.approx(np.sort(match_instances(here, there, threshold=6.0).distances))


def test_scores_count_over_images_and_classes():
    truth = [[[[0.0, 0], [10.0, 0]], [[5.0, 5]]], [[[0.0, 0]], []]]
    found = [[[[1.0, 0], [50.0, 0], [60.0, 0]], []], [[[0.0, 2]], [[7.0, 7]]]]
    summary = summarise_instances(found, truth, ["root", "crown"], "px", threshold=3.0)
    root, crown = summary.per_class["root"], summary.per_class["crown"]
    assert (root.found, root.missed, root.false) == (2, 1, 2)
    assert (root.precision, root.recall, root.f1) == (0.5, 2 / 3, 4 / 7)
    assert (root.mean, root.max) == (1.5, 2.0)
    assert (crown.found, crown.missed, crown.false, crown.precision, crown.f1) == (0, 1, 1, 0.0, 0.0)
    assert (summary.overall.found, summary.overall.missed, summary.overall.false) == (2, 2, 3)
    assert [row["class"] for row in summary.table()] == ["root", "crown", "all"]
    assert json.loads(json.dumps(summary.to_json(), allow_nan=False))["per_class"]["crown"]["mean"] is None


def test_padded_arrays_and_a_spacing_for_each_image_will_do():
    truth = np.array([[[[0.0, 0, 0], [NAN] * 3]], [[[0.0, 0, 0], [9, 9, 9]]]])
    found = np.array([[[[0.0, 3, 4]]], [[[0.0, 3, 4]]]])
    summary = summarise_instances(found, truth, ["a"], "mm", threshold=5.0, spacing=[(1, 1, 1), (1, 2, 2)])
    assert (summary.overall.found, summary.overall.missed, summary.overall.false) == (1, 2, 1)


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(LandmarkError, match="2D and in 3D"):
        match_instances([[1.0, 1.0]], [[1.0, 1.0, 1.0]])
    with pytest.raises(LandmarkError, match="threshold"):
        match_instances([[1.0, 1.0]], [[1.0, 1.0]], threshold=0)
    with pytest.raises(LandmarkError, match="do not fit"):
        summarise_instances([[[]]], [[[], []]], ["a"], "px")


@pytest.mark.parametrize("spacing", [0, -1, np.nan, (1, 2, 3)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(LandmarkError, match="not a positive number, nor one along each axis"):
        match_instances(np.zeros((1, 2)), np.full((1, 2), 40.0), 3.0, spacing)
