"""Several looks at one landmark: who leads, what is left out, and how sure the whole is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Landmark
from LandmarkDetectorLib.inference.combine import combine, join


def mark(place, variance=0.04, confidence: float | None = 0.9) -> Landmark:
    place = np.asarray(place, float)
    return Landmark("a", place, "defined", confidence, np.eye(len(place)) * variance)


MISSING = Landmark("a", status="missing")


def joined(*marks: Landmark | None, tolerance: float = 1.0) -> Landmark:
    return combine([[one] for one in marks], tolerance)[0]


def test_of_one_look_nothing_is_changed() -> None:
    only = mark([1.0, 2.0])
    assert joined(only) is only


def test_looks_that_agree_give_their_place_and_are_no_surer_together() -> None:
    both = joined(mark([1.0, 2.0]), mark([1.0, 2.0]))
    np.testing.assert_allclose(both.position, [1, 2])
    np.testing.assert_allclose(both.covariance, np.eye(2) * 0.04, rtol=1e-5)
    assert both.confidence == pytest.approx(0.9, abs=1e-5)


def test_the_surer_of_two_that_nearly_agree_leads() -> None:
    both = joined(mark([0.0, 0.0], 0.01), mark([0.1, 0.0], 1.0))
    # Weights (C + S)⁻¹ by hand: S = 0.005 along x, so 1 / 0.015 against 1 / 1.005.
    assert both.position[0] == pytest.approx(0.1 * (1 / 1.005) / (1 / 0.015 + 1 / 1.005), rel=1e-4)


def test_two_that_contradict_each_other_meet_in_the_middle_and_say_how_far_they_are_apart() -> None:
    both = joined(mark([0.0, 0.0], 0.01), mark([10.0, 0.0], 0.04))
    assert both.position[0] == pytest.approx(5, abs=0.01)
    assert both.covariance[0, 0] == pytest.approx(50, rel=0.01)  # the variance of 0 and 10
    assert both.covariance[1, 1] < 0.04
    assert both.confidence < 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.sampled_from([2, 3]), st.integers(0, 10_000))
def test_the_joint_covariance_is_never_below_the_surest_nor_without_the_disagreement(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n, d)) * rng.uniform(0.01, 5)
    forms = np.array([a @ a.T + 1e-3 * np.eye(d) for a in rng.normal(size=(n, d, d))])
    mean, covariance = join(places, forms)
    assert np.linalg.eigvalsh(covariance).min() >= np.linalg.eigvalsh(forms).min() * (1 - 1e-6)
    spread = np.cov(places.T)
    assert np.linalg.eigvalsh(covariance - spread).min() >= -1e-6 * np.trace(covariance)
    order = rng.permutation(n)
    np.testing.assert_allclose(join(places[order], forms[order])[0], mean, atol=1e-8)


def test_one_of_three_that_lies_far_away_is_left_out() -> None:
    three = joined(mark([0.0, 0.0]), mark([0.1, 0.0]), mark([30.0, 0.0], 1e-4))
    assert three.position[0] == pytest.approx(0.05, abs=0.01)
    assert three.confidence == pytest.approx(0.6, abs=0.02)  # two of three believe in this place


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([mark([0.0, 0]), MISSING], True),
        ([mark([0.0, 0]), MISSING, MISSING], False),
        ([mark([0.0, 0]), mark([0.0, 0]), MISSING], True),
        ([MISSING, MISSING], False),
        ([mark([0.0, 0]), None, None], True),  # those without a say are not asked
        ([MISSING, None], False),
    ],
)
def test_half_of_the_looks_decide_what_is_found(looks: list[Landmark | None], found: bool) -> None:
    assert (joined(*looks).status == "defined") is found


def test_a_look_that_missed_takes_its_share_of_the_confidence() -> None:
    assert joined(mark([0.0, 0.0]), MISSING).confidence == pytest.approx(0.45, abs=1e-5)


def test_looks_without_covariance_or_confidence_are_averaged_and_nothing_is_made_up() -> None:
    both = joined(Landmark("a", [0.0, 0.0, 0.0]), Landmark("a", [1.0, 0.0, 0.0]))
    np.testing.assert_allclose(both.position, [0.5, 0, 0], atol=1e-6)
    assert both.confidence is None
