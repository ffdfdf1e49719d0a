"""Two models on the same cases."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import wilcoxon

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import compare_models
from LandmarkDetectorLib.evaluation.comparison import holm

NAN, INF = np.nan, np.inf
RNG = np.random.default_rng(0)
LEVEL = RNG.gamma(4, 1, (40, 1))
FIRST = LEVEL + RNG.normal(0, 0.1, (40, 3))
SECOND = LEVEL - 0.2 + RNG.normal(0, 0.1, (40, 3))
LABELS = ["a", "b", "c"]


def test_a_small_gain_on_cases_that_differ_widely_is_seen_because_the_comparison_is_paired():
    overall = compare_models(FIRST, SECOND, LABELS, "mm").overall
    assert overall.difference == pytest.approx((SECOND - FIRST).mean())
    low, high = overall.interval
    assert low < overall.difference < high < -0.1
    assert overall.p < 1e-6


def test_the_sign_turns_round_with_the_order_of_the_models():
    there, back = compare_models(FIRST, SECOND, LABELS, "mm"), compare_models(SECOND, FIRST, LABELS, "mm")
    assert back.overall.difference == pytest.approx(-there.overall.difference)
    assert back.overall.interval == pytest.approx(tuple(-value for value in there.overall.interval[::-1]))
    assert back.overall.p == there.overall.p
    assert back.overall.sdr[2.0].difference == -there.overall.sdr[2.0].difference


def test_the_rank_test_of_a_landmark_is_that_of_scipy_over_subjects():
    item = compare_models(FIRST, SECOND, LABELS, "mm").per_landmark["b"]
    assert item.p == pytest.approx(wilcoxon(SECOND[:, 1] - FIRST[:, 1]).pvalue)


def test_equal_models_do_not_differ():
    overall = compare_models(FIRST, FIRST, LABELS, "mm").overall
    assert (overall.difference, overall.interval, overall.p) == (0.0, (0.0, 0.0), 1.0)


def test_images_of_one_subject_count_once():
    alone = compare_models(FIRST, SECOND, LABELS, "mm")
    subjects = np.repeat(np.arange(40), 3).tolist()
    thrice = compare_models(FIRST.repeat(3, 0), SECOND.repeat(3, 0), LABELS, "mm", cases=subjects)
    assert thrice.overall.interval == pytest.approx(alone.overall.interval)
    assert thrice.overall.p == pytest.approx(alone.overall.p)
    assert thrice.subjects == 40


def test_a_miss_is_left_out_of_the_means_fails_in_the_rates_and_is_worst_in_the_ranks():
    first = np.array([[1.0], [1.0], [1.0], [1.0], [1.0], [1.0]])
    second = np.array([[0.9], [0.8], [0.7], [0.6], [0.5], [INF]])
    item = compare_models(first, second, ["a"], "mm", (2.0,)).overall
    assert (item.n, item.missed_first, item.missed_second) == (5, 0, 1)
    assert item.difference == pytest.approx(-0.3)
    assert item.sdr[2.0].difference == pytest.approx(-1 / 6)
    # The miss has the highest of six ranks, and speaks against the second model.
    assert item.p == pytest.approx(wilcoxon([-1, -2, -3, -4, -5, 6]).pvalue)


def test_a_landmark_that_both_missed_or_nobody_annotated_says_nothing_about_either():
    first, second = np.array([[1.0, INF, NAN]] * 6), np.array([[2.0, INF, NAN]] * 6)
    comparison = compare_models(first, second, LABELS, "mm", (1.5,))
    assert comparison.overall.difference == 1.0
    assert comparison.per_landmark["b"].p == 1.0
    assert comparison.overall.sdr[1.5].first == 0.5
    assert np.isnan(comparison.per_landmark["c"].p)
    assert comparison.to_json()["per_landmark"]["c"]["difference"] is None
    json.dumps(comparison.to_json(), allow_nan=False)


def test_different_annotations_cannot_be_compared():
    with pytest.raises(LandmarkError, match="different annotations"):
        compare_models([[1.0, NAN]], [[1.0, 2.0]], ["a", "b"], "mm")
    with pytest.raises(LandmarkError, match="do not fit"):
        compare_models([[1.0]], [[1.0], [2.0]], ["a"], "mm")


@pytest.mark.parametrize(("sign", "labels", "why"), [(1, ["a", "a", "c"], "stands twice"), (-1, LABELS, "is negative")])
def test_labels_and_errors_that_a_summary_refuses_are_refused_here_too(sign, labels, why):
    with pytest.raises(LandmarkError, match=why):
        compare_models(sign * FIRST, sign * SECOND, labels, "mm")


def test_holm_steps_down_and_never_turns_back():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([0.9, NAN, 0.02])
    assert corrected[0] == 0.9 and np.isnan(corrected[1]) and corrected[2] == 0.04
    assert holm([0.4, 0.6]) == [0.8, 0.8]


def test_each_landmark_is_corrected_and_the_whole_is_not():
    comparison = compare_models(FIRST, SECOND, LABELS, "mm", names=("old", "new"))
    assert [item.p_corrected for item in comparison.per_landmark.values()] == pytest.approx(
        holm([item.p for item in comparison.per_landmark.values()])
    )
    assert comparison.overall.p_corrected == comparison.overall.p
    rows = comparison.table()
    assert [row["landmark"] for row in rows] == ["a", "b", "c", "all"]
    assert rows[0]["new"] < rows[0]["old"]


def test_differences_that_only_rounding_tells_apart_are_ties() -> None:
    first = np.ones((10, 1))
    second = first + np.repeat([[0.1], [-0.1]], 5, axis=0)  # 1.1 - 1 is larger than 1 - 0.9 in doubles
    assert compare_models(first, second, ["a"], "mm").overall.p == 1
