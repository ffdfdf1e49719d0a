"""Whether a retrained model may take over, and what speaks against a set of corrections."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.doubts import doubts
from LandmarkDetectorLib.evaluation.promotion import NOT_WORSE, UNDECIDED, WORSE, Margins, decide

LABELS = [str(k) for k in range(45)]


def errors(rng: np.random.Generator, subjects: int, mean: float = 1.0, marks: int = 45) -> np.ndarray:
    """Errors of a model: subjects differ, landmarks differ."""
    subject, mark = rng.gamma(20, 1 / 20, (subjects, 1)), rng.gamma(8, 1 / 8, (1, marks))
    return mean * subject * mark * rng.gamma(4, 1 / 4, (subjects, marks))


def test_a_better_model_takes_over_and_a_worse_one_does_not() -> None:
    rng = np.random.default_rng(0)
    old = errors(rng, 12)
    better = decide(old, 0.8 * old, LABELS, "mm")
    assert better.verdict == NOT_WORSE and better.overall.difference < 0
    assert not any(item.worse for item in better.landmarks.values())
    worse = decide(old, 1.3 * old, LABELS, "mm")
    assert worse.verdict == WORSE and "Overall it is worse" in worse.reasons[0]
    json.dumps(worse.to_json(), allow_nan=False)
    assert [row["landmark"] for row in worse.table()] == [*LABELS, "all"]


def test_one_landmark_that_two_labels_swapped_is_enough_though_all_together_are_better() -> None:
    rng = np.random.default_rng(1)
    old = errors(rng, 8)
    new = 0.85 * old
    new[:, 3] += 6.0
    decision = decide(old, new, LABELS, "mm")
    assert decision.verdict == WORSE
    assert [label for label, item in decision.landmarks.items() if item.worse] == ["3"]
    assert decision.reasons[0].startswith("3 is worse")


def test_of_many_landmarks_none_looks_worse_by_chance_alone() -> None:
    rng = np.random.default_rng(2)
    refused = naive = 0
    for _ in range(60):
        pair = [errors(np.random.default_rng(7), 6) * rng.lognormal(0, 0.35, (6, 45)) for _ in range(2)]
        decision = decide(pair[0], pair[1], LABELS, "mm", margins=Margins(overall=0.5))
        refused += decision.verdict == WORSE
        naive += any(item.difference > item.margin for item in decision.landmarks.values())
    assert naive > 40  # by the bare difference nearly every equal pair has a landmark beyond its margin
    assert refused <= 6


def test_too_few_subjects_show_nothing_and_it_is_said() -> None:
    old = errors(np.random.default_rng(3), 2)
    decision = decide(old, 0.9 * old, LABELS, "mm")
    assert decision.verdict == UNDECIDED and "too few" in decision.reasons[0]
    assert decide(np.zeros((0, 45)), np.zeros((0, 45)), LABELS, "mm").verdict == UNDECIDED
    noisy = np.random.default_rng(4)
    old = errors(noisy, 4, marks=4)
    decision = decide(old, old * noisy.lognormal(0, 0.8, (4, 4)), LABELS[:4], "mm", margins=Margins(0.05, 50.0))
    assert decision.verdict in (UNDECIDED, WORSE)


def test_of_one_subject_chance_is_not_called_worse_and_swapped_labels_are() -> None:
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(20):
        shared = errors(rng, 1)
        old, new = (0.7 * shared + 0.3 * errors(rng, 1) for _ in range(2))
        called += decide(old, 0.95 * new, LABELS, "mm").verdict == WORSE
        new[:, [3, 4]] += 8.0
        swapped = decide(old, new, LABELS, "mm").landmarks
        assert swapped["3"].worse and swapped["4"].worse
    assert called < 8, "by itself every such subject has some landmark that looks worse"


def test_landmarks_that_are_not_found_any_more_count() -> None:
    old = errors(np.random.default_rng(5), 10)
    new = 0.7 * old
    new[:4, 7] = np.inf
    decision = decide(old, new, LABELS, "mm")
    assert decision.verdict == WORSE and decision.landmarks["7"].missed == (0, 4)
    assert any("misses 4" in reason for reason in decision.reasons)


def test_subjects_are_what_is_counted_not_images() -> None:
    old = errors(np.random.default_rng(6), 12)
    decision = decide(old, 0.9 * old, LABELS, "mm", ["a"] * 6 + ["b"] * 6)
    assert decision.subjects == 2 and decision.verdict == UNDECIDED


def test_corrections_that_are_wrong_on_both_sides_of_a_split_are_found_on_the_cases_from_before() -> None:
    rng = np.random.default_rng(8)
    old = errors(rng, 12)
    new = 0.8 * old
    earlier = np.arange(12) < 4
    old[~earlier] += 3.0  # the new cases are wrong: they say that the old model is off, and that the new one is not
    new[earlier] += 3.0
    blind = decide(old, new, LABELS, "mm")
    seeing = decide(old, new, LABELS, "mm", earlier=earlier)
    assert blind.verdict != WORSE
    assert seeing.verdict == WORSE and "to judge by before" in seeing.reasons[0]


def test_errors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LandmarkError, match="do not fit"):
        decide(np.zeros((3, 4)), np.zeros((3, 5)), LABELS[:4], "mm")


def shapes(rng: np.random.Generator, cases: int) -> tuple[np.ndarray, np.ndarray]:
    """What people say and what the model before said, which errs by about 0.5."""
    truth = rng.normal(0, 20, (1, 6, 3)) + rng.normal(0, 1, (cases, 6, 3))
    return truth, truth + rng.normal(0, 0.3, truth.shape)


def test_honest_corrections_raise_no_doubt() -> None:
    rng = np.random.default_rng(9)
    for _ in range(50):
        reviewed, predicted = shapes(rng, 8)
        assert doubts(reviewed, predicted, LABELS[:6], "mm", 1.0) == []
    assert doubts(reviewed[:0], predicted[:0], LABELS[:6], "mm", 1.0) == []


def test_labels_that_were_exchanged_are_named() -> None:
    reviewed, predicted = shapes(np.random.default_rng(10), 8)
    reviewed[:3, [1, 4]] = reviewed[:3, [4, 1]]
    (sentence,) = doubts(reviewed, predicted, LABELS[:6], "mm", None)
    assert sentence.startswith("1 and 4 lie crosswise") and "3 of 8" in sentence


def test_positions_twice_as_far_from_the_model_as_before_are_seen_even_where_it_errs_much() -> None:
    rng = np.random.default_rng(13)
    reviewed, predicted = shapes(rng, 8)
    before = np.linalg.norm(rng.normal(0, 0.6, (5, 6, 3)), axis=-1)
    away = rng.normal(size=reviewed.shape)
    moved = reviewed + 2.5 * away / np.linalg.norm(away, axis=-1, keepdims=True)
    assert doubts(moved, predicted, LABELS[:6], "mm", 4.0) == []
    (sentence,) = doubts(moved, predicted, LABELS[:6], "mm", 4.0, before)
    assert "times as far as in the cases that it was judged by" in sentence
    assert doubts(moved, predicted, LABELS[:6], "mm", 4.0, before[:2]) == []
    assert doubts(predicted + rng.normal(0, 0.8, moved.shape), predicted, LABELS[:6], "mm", 4.0, before) == []


def test_of_many_exchanged_labels_the_surest_are_named_and_the_others_counted() -> None:
    labels = [str(number) for number in range(12)]
    reviewed = np.random.default_rng(12).normal(0, 20, (8, 12, 3))
    predicted = reviewed[:, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 10, 11]]
    reviewed[:4, :2] = predicted[:4, :2]
    found = doubts(reviewed, predicted, labels, "mm", None)
    assert len(found) == 4 and all("8 of 8" in sentence for sentence in found[:3])
    assert found[-1].startswith("2 further pairs of labels")


@pytest.mark.parametrize("together", [True, False])
def test_positions_that_are_off_by_3_mm_are_seen(together: bool) -> None:
    rng = np.random.default_rng(11)
    reviewed, predicted = shapes(rng, 8)
    shift = np.array([3.0, 0, 0]) if together else rng.normal(size=reviewed.shape)
    reviewed = reviewed + 3 * shift / np.linalg.norm(shift, axis=-1, keepdims=True)
    found = doubts(reviewed, predicted, LABELS[:6], "mm", 1.0)
    assert any("half of the landmarks" in sentence for sentence in found)
    assert any("to one side" in sentence for sentence in found) == together
