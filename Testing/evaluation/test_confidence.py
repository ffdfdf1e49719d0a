"""Confidence that means something: a probability that is kept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtr

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.confidence import (
    fit_confidence,
    found_first,
    reliability,
    reliability_figure,
    roc_auc,
)

LABELS = ["a", "b", "c", "d"]
TOLERANCE = 2.0


def drawn(rng: np.random.Generator, cases: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A detector that is twice as sure as it should be, and wrong about one landmark: beliefs, deviations, errors."""
    deviation = rng.lognormal(-0.5, 0.6, (cases, 4))
    true = deviation * np.array([2, 2, 2, 5])
    errors = np.linalg.norm(rng.normal(size=(cases, 4, 3)) * true[..., None], axis=-1)
    return chdtr(3, (TOLERANCE / deviation) ** 2), deviation, errors


def test_calibrated_confidences_keep_their_word_on_other_cases() -> None:
    rng = np.random.default_rng(0)
    model = fit_confidence(LABELS, *drawn(rng, 80), TOLERANCE)
    belief, deviation, errors = drawn(rng, 400)
    before = reliability(belief, errors, TOLERANCE)
    after = reliability(model(LABELS, belief, deviation, TOLERANCE), errors, TOLERANCE)
    assert before.expected_error > 0.2
    assert after.expected_error < 0.05
    assert after.brier < before.brier
    assert after.auc > 0.85
    assert sum(after.counts) == errors.size


def test_what_the_detector_calls_surer_never_becomes_less_sure() -> None:
    rng = np.random.default_rng(1)
    belief, deviation, _ = drawn(rng, 60)
    nonsense = rng.gamma(2, 1, deviation.shape) / deviation  # errors that fall with the spread
    model = fit_confidence(LABELS, belief, deviation, nonsense, TOLERANCE)
    assert min(model.spread, model.belief, model.image) >= 0
    steps = model(["a"] * 5, np.full(5, 0.5), np.array([4.0, 2.0, 1.0, 0.5, 0.25]), TOLERANCE)
    assert (np.diff(steps) >= 0).all()


def test_a_landmark_that_never_failed_on_few_cases_is_not_called_certain() -> None:
    belief, deviation = np.full((6, 4), 0.999), np.full((6, 4), 0.1)
    model = fit_confidence(LABELS, belief, deviation, np.full((6, 4), 0.2), TOLERANCE)
    assert 0.8 < model(LABELS, belief[:1], deviation[:1], TOLERANCE).max() < 0.99


def test_what_is_learnt_of_large_errors_holds_for_a_tolerance_that_few_exceed() -> None:
    rng = np.random.default_rng(3)
    belief, deviation, errors = drawn(rng, 25)
    rare = float(np.quantile(errors, 0.97))
    model = fit_confidence(LABELS, belief, deviation, errors, rare)
    belief, deviation, errors = drawn(rng, 2000)
    told = reliability(model(LABELS, belief, deviation, rare), errors, rare)
    assert told.auc > 0.9 and told.expected_error < 0.02


def test_sizes_in_another_unit_give_the_same_confidences() -> None:
    belief, deviation, errors = drawn(np.random.default_rng(4), 40)
    known = fit_confidence(LABELS, belief, deviation, errors, TOLERANCE)
    other = fit_confidence(LABELS, belief, 1000 * deviation, 1000 * errors, 1000 * TOLERANCE)
    np.testing.assert_allclose(
        known(LABELS, belief, deviation, TOLERANCE),
        other(LABELS, belief, 1000 * deviation, 1000 * TOLERANCE),
        atol=1e-4,
    )


def test_nothing_found_or_nothing_annotated_cannot_be_calibrated() -> None:
    nothing = np.full((3, 4), np.nan)
    with pytest.raises(LandmarkError, match="no confidence"):
        fit_confidence(LABELS, nothing, nothing, nothing, TOLERANCE)


def test_the_area_under_the_curve_counts_pairs_and_ties() -> None:
    assert roc_auc(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1])) == 1.0
    assert roc_auc(np.array([1.0, 1, 1, 1]), np.array([0, 0, 1, 1])) == 0.5
    assert np.isnan(roc_auc(np.array([1.0, 2]), np.array([1, 1])))


def test_looking_here_first_finds_the_large_errors_first() -> None:
    errors = np.array([1.0] * 16 + [5.0] * 4)
    assert found_first(errors, errors) == 1.0
    assert found_first(-errors, errors) == 0.0
    assert found_first(np.zeros(20), errors) == pytest.approx(0.2)
    assert np.isnan(found_first(np.zeros(5), np.ones(5)))


def test_the_diagram_can_be_drawn() -> None:
    rng = np.random.default_rng(2)
    belief, _, errors = drawn(rng, 50)
    figure = reliability_figure({"before": reliability(belief, errors, TOLERANCE)}, "2 mm")
    assert figure.axes[0].get_xlabel() == "stated confidence"
