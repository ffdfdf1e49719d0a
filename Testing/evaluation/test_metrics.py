"""Errors computed by hand, and what a miss must never do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation import false_finds, position_errors, radial_errors, summarise

NAN, INF = np.nan, np.inf


def test_landmarks_pair_by_label_and_not_by_order():
    truth = LandmarkSet.from_positions(["a", "b"], [[0, 0, 0], [10, 0, 0]])
    predicted = LandmarkSet.from_positions(["b", "extra", "a"], [[10, 3, 4], [1, 1, 1], [0, 0, 2]])
    assert radial_errors(predicted, truth).tolist() == [2.0, 5.0]


def test_a_miss_is_infinite_and_an_unannotated_landmark_is_nan():
    truth = LandmarkSet.from_positions(["a", "b", "c"], [[0, 0], [NAN, NAN], [1, 1]])
    predicted = LandmarkSet.from_positions(["a", "b"], [[NAN, NAN], [5, 5]])
    np.testing.assert_array_equal(radial_errors(predicted, truth), [INF, NAN, INF])


def test_a_landmark_placed_where_the_truth_says_absent_is_a_false_find():
    truth = LandmarkSet((Landmark("a"), Landmark("b", status="undefined"), Landmark("c"), Landmark("d", [0, 0])))
    predicted = LandmarkSet.from_positions(["a", "b", "c", "d"], [[1, 1], [1, 1], [NAN, NAN], [1, 1]])
    assert false_finds(predicted, truth).tolist() == [True, False, False, False]


def test_different_units_or_dimensions_are_refused():
    truth = LandmarkSet.from_positions(["a"], [[0, 0]], name="truth")
    with pytest.raises(LandmarkError, match="px and truth in mm"):
        radial_errors(LandmarkSet.from_positions(["a"], [[0, 0]], "px"), truth)
    with pytest.raises(LandmarkError, match="3D and truth 2D"):
        radial_errors(LandmarkSet.from_positions(["a"], [[0, 0, 0]]), truth)


@pytest.mark.parametrize("twice", ["truth", "prediction"])
def test_a_label_that_stands_twice_is_refused(twice):
    single = LandmarkSet.from_positions(["a"], [[0, 0]])
    double = LandmarkSet.from_positions(["a", "a"], [[0, 0], [1, 1]])
    with pytest.raises(LandmarkError, match="two landmarks"):
        radial_errors(*((single, double) if twice == "truth" else (double, single)))


def test_a_summary_agrees_with_one_made_by_hand():
    errors = np.array([[1.0, 2.0], [3.0, INF], [NAN, 6.0]])
    wrong = np.array([[False, False], [False, False], [True, False]])
    summary = summarise(errors, ["a", "b"], "mm", radii=(2.0, 4.0), false_finds=wrong)
    assert (summary.cases, summary.found, summary.missed, summary.false_finds) == (3, 4, 1, 1)
    assert summary.mean == 3.0
    assert summary.median == 2.5
    assert summary.max == 6.0
    assert summary.sd == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3))
    assert summary.p95 == pytest.approx(3 + 0.85 * 3)
    assert summary.sdr == {2.0: 2 / 5, 4.0: 3 / 5}
    first, second = summary.per_landmark["a"], summary.per_landmark["b"]
    assert (first.mean, first.n, first.missed, first.sdr[2.0]) == (2.0, 2, 0, 0.5)
    assert (second.mean, second.n, second.missed, second.sdr[4.0]) == (4.0, 2, 1, 1 / 3)


def test_misses_lower_the_success_rate_and_leave_the_mean_alone():
    found = np.full((10, 1), 1.0)
    lost = np.vstack([found, np.full((10, 1), INF)])
    assert summarise(lost, ["a"], "mm").mean == summarise(found, ["a"], "mm").mean == 1.0
    assert summarise(lost, ["a"], "mm").sdr[2.0] == 0.5


def test_false_finds_that_nobody_counted_are_not_reported_as_none_found():
    assert summarise([[1.0]], ["a"], "mm").to_json()["false_finds"] is None


def test_the_interval_is_the_same_for_the_same_seed_and_holds_the_mean():
    errors = np.random.default_rng(3).gamma(2, 1, (40, 5))
    labels = list("abcde")
    first = summarise(errors, labels, "mm", seed=1)
    assert first.mean_interval == summarise(errors, labels, "mm", seed=1).mean_interval
    assert first.mean_interval != summarise(errors, labels, "mm", seed=2).mean_interval
    assert first.mean_interval[0] < first.mean < first.mean_interval[1]


def test_the_interval_has_the_width_that_theory_gives_for_independent_cases():
    errors = np.random.default_rng(0).normal(10, 1, (400, 1))
    low, high = summarise(errors, ["a"], "mm").mean_interval
    assert high - low == pytest.approx(2 * 1.96 * errors.std() / np.sqrt(400), rel=0.1)


def test_cases_are_resampled_whole_so_that_landmarks_of_one_image_do_not_count_as_independent():
    level = np.random.default_rng(0).normal(10, 1, (30, 1))
    narrow = summarise(level, ["a"], "mm").mean_interval
    repeated = summarise(np.repeat(level, 20, axis=1), [str(k) for k in range(20)], "mm").mean_interval
    assert repeated == pytest.approx(narrow)


def test_images_of_one_subject_are_resampled_together():
    level = np.random.default_rng(0).normal(10, 1, (30, 1))
    subjects = np.repeat(np.arange(30), 4).tolist()
    together = summarise(np.repeat(level, 4, axis=0), ["a"], "mm", cases=subjects).mean_interval
    assert together == pytest.approx(summarise(level, ["a"], "mm").mean_interval)


def test_one_case_has_no_interval():
    summary = summarise([[1.0, 2.0]], ["a", "b"], "mm")
    assert np.isnan(summary.mean_interval).all()
    assert summary.to_json()["mean_interval"] == [None, None]


def test_a_model_that_finds_nothing_has_no_mean_and_no_success():
    summary = summarise([[INF], [INF]], ["a"], "mm", radii=(2.0,))
    assert np.isnan(summary.mean)
    assert summary.sdr == {2.0: 0.0}
    assert summary.missed == 2


def test_the_summary_is_valid_json_without_nan():
    text = json.dumps(summarise([[INF, 1.0]], ["a", "b"], "px", radii=(2.5,)).to_json(), allow_nan=False)
    back = json.loads(text)
    assert back["unit"] == "px"
    assert back["sdr"] == {"2.5": 0.5}
    assert back["per_landmark"]["a"]["mean"] is None
    assert back["per_landmark"]["b"]["n"] == 1


def test_the_table_ends_with_the_row_of_all():
    table = summarise([[1.0, 3.0]], ["a", "b"], "mm", radii=(2.0,)).table()
    assert [row["landmark"] for row in table] == ["a", "b", "all"]
    assert table[-1]["mean"] == 2.0
    assert table[-1]["within 2 mm (%)"] == 50.0


@pytest.mark.parametrize(
    ("errors", "labels", "why"),
    [
        ([[1.0, 2.0]], ["a"], "do not fit"),
        (np.empty((0, 1)), ["a"], "do not fit"),
        ([[1.0, 2.0]], ["a", "a"], "twice"),
        ([[-1.0]], ["a"], "negative"),
    ],
)
def test_errors_that_make_no_sense_are_refused(errors, labels, why):
    with pytest.raises(LandmarkError, match=why):
        summarise(errors, labels, "mm")


def test_positions_in_arrays_are_told_apart_like_those_in_sets():
    truth = np.array([[[0.0, 0.0], [NAN, NAN], [1.0, 1.0]]])
    found = np.array([[[3.0, 4.0], [5.0, 5.0], [NAN, 1.0]]])
    np.testing.assert_array_equal(position_errors(found, truth), [[5.0, NAN, INF]])


def test_voxels_become_lengths_by_the_spacing_of_their_own_image():
    truth, found = np.zeros((2, 1, 3)), np.full((2, 1, 3), [3.0, 4.0, 0.0])
    assert position_errors(found, truth, (1, 0.5, 9)).ravel() == pytest.approx(np.sqrt([13, 13]))
    assert position_errors(found, truth, [(1, 1, 9), (2, 2, 9)]).ravel().tolist() == [5.0, 10.0]
    with pytest.raises(LandmarkError, match="spacing of shape"):
        position_errors(found, truth, (1, 1))


@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 4, 3)])
def test_a_spacing_for_each_image_is_refused_where_the_rows_are_not_images(shape):
    with pytest.raises(LandmarkError, match="does not fit"):
        position_errors(np.zeros(shape), np.ones(shape), np.ones((shape[0], 3)))


@pytest.mark.parametrize("spacing", [0, -1, NAN])
def test_a_spacing_that_is_not_positive_is_refused(spacing):
    with pytest.raises(LandmarkError, match="not positive"):
        position_errors(np.zeros((2, 3)), np.ones((2, 3)), spacing)


def test_quantiles_that_were_asked_for_stand_beside_the_median():
    summary = summarise([[1.0], [2.0], [3.0], [INF]], ["a"], "mm", quantiles=(0.25, 0.5))
    assert summary.quantiles == summary.per_landmark["a"].quantiles == {0.25: 1.5, 0.5: 2.0}
    assert summary.table()[0]["quantile 0.25"] == 1.5
    with pytest.raises(LandmarkError, match="quantiles"):
        summarise([[1.0]], ["a"], "mm", quantiles=(95,))


def test_each_landmark_has_its_own_interval_and_deviation():
    errors = np.random.default_rng(0).normal([5, 9], [0.1, 2], (50, 2))
    summary = summarise(errors, ["sharp", "blunt"], "mm")
    for k, item in enumerate(summary.per_landmark.values()):
        low, high = item.mean_interval
        assert high - low == pytest.approx(2 * 1.96 * errors[:, k].std() / np.sqrt(50), rel=0.15)
        assert item.sd == pytest.approx(errors[:, k].std(ddof=1))
        row = summary.table()[k]
        assert (row["mean from"], row["mean to"]) == (low, high)


def test_a_landmark_found_in_one_case_only_has_no_interval():
    summary = summarise([[1.0, 2.0], [NAN, 3.0], [INF, 4.0]], ["a", "b"], "mm")
    assert np.isnan(summary.per_landmark["a"].mean_interval).all()
    assert np.isfinite(summary.per_landmark["b"].mean_interval).all()
