"""Intraclass correlations and kappa against the worked examples of those who published them."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.icc import class_agreement, reliability

# Shrout & Fleiss 1979, table 2: four judges rate six targets.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_the_example_of_shrout_and_fleiss_has_their_mean_squares_and_correlations():
    found = reliability(JUDGES)
    assert (found.between, found.readers_square, found.residual) == pytest.approx((11.24, 32.49, 1.02), abs=5e-3)
    assert round(found.agreement, 2) == 0.29
    assert round(found.consistency, 2) == 0.71
    # The intervals that R's psych package prints for these data, upper ends with two digits.
    assert found.agreement_interval == pytest.approx((0.019, 0.76), abs=5e-3)
    assert found.consistency_interval == pytest.approx((0.342, 0.95), abs=5e-3)
    assert (found.subjects, found.readers) == (6, 4)


def test_a_constant_difference_between_readers_counts_against_agreement_and_not_against_consistency():
    rng = np.random.default_rng(0)
    truth = rng.normal(80, 4, 40)
    noise = rng.normal(0, 0.5, (40, 2))
    same = reliability(truth[:, None] + noise)
    shifted = reliability(truth[:, None] + noise + [0, 5])
    assert shifted.consistency == pytest.approx(same.consistency)
    assert same.agreement > 0.97 and shifted.agreement < 0.6


def test_the_intervals_hold_the_true_correlation_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    true, held = 4 / (4 + 0.5 + 1), {"agreement": 0, "consistency": 0}
    for _ in range(400):
        readings = rng.normal(0, 2, (25, 1)) + rng.normal(0, 0.5**0.5, (1, 6)) + rng.normal(0, 1, (25, 6))
        found = reliability(readings)
        held["agreement"] += found.agreement_interval[0] <= true <= found.agreement_interval[1]
        held["consistency"] += found.consistency_interval[0] <= 4 / 5 <= found.consistency_interval[1]
    assert 0.91 < held["agreement"] / 400 < 0.985
    assert 0.91 < held["consistency"] / 400 < 0.985


def test_readers_who_say_the_same_agree_wholly_and_one_subject_says_nothing():
    found = reliability(np.array([[1.0, 1], [2, 2], [5, 5]]))
    assert (found.agreement, found.agreement_interval, found.consistency) == (1, (1, 1), 1)
    assert np.isnan(reliability(np.array([[1.0, 2]])).agreement)
    assert np.isnan(reliability(np.full((5, 2), 3.0)).agreement)
    assert reliability(np.array([[1.0, 2]])).to_json()["agreement"] is None


def test_a_subject_that_somebody_did_not_read_is_left_out():
    gap = np.vstack([JUDGES, [3, np.nan, 1, 1]])
    assert reliability(gap).agreement == pytest.approx(reliability(JUDGES).agreement)
    with pytest.raises(LandmarkError, match="two readers or more"):
        reliability(JUDGES[:, :1])


def test_kappa_and_its_interval_are_those_of_the_example_of_fleiss_cohen_and_everitt():
    # Their table of 200 diagnoses in shares: 0.53 0.05 0.02 / 0.11 0.14 0.05 / 0.01 0.06 0.03; kappa is 0.429.
    counts = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])
    first, second = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices((3, 3)))
    found = class_agreement(first, second, ["a", "b", "c"], ("one", "other"))
    assert found.counts.tolist() == counts.tolist()
    assert found.observed == pytest.approx(0.70)
    assert found.kappa == pytest.approx(0.429, abs=5e-4)
    assert found.interval == pytest.approx((0.32, 0.53), abs=6e-3)


def test_kappa_of_one_class_is_not_known_and_unknown_classes_do_not_count():
    assert np.isnan(class_agreement([1, 1], [1, 1], ["a", "b"], ("one", "other")).kappa)
    found = class_agreement([0, 1, -1, 1], [0, 1, 1, -1], ["a", "b"], ("one", "other"))
    assert found.counts.sum() == 2 and found.kappa == 1 and found.interval[1] <= 1
    assert np.isnan(class_agreement([-1], [0], ["a", "b"], ("one", "other")).observed)
    with pytest.raises(LandmarkError, match="do not fit"):
        class_agreement([0, 1], [0], ["a", "b"], ("one", "other"))
