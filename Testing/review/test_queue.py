"""What to review next: the unsure, the contested and the unlike come first, and the reason is said in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.review.queue import next_cases
from Testing.review.toys import make_image, make_proposal

SHAPE = np.array([[0.0, 0, 0], [10, 0, 0], [0, 12, 0], [3, 3, 9], [8, 8, 2]])


def summary(
    confidence: float | None = 0.95, shape: np.ndarray = SHAPE, observers: Any = None, second: Any = None, **more: Any
) -> dict[str, Any]:
    """What an index knows of a case with one proposal."""
    labels = [f"m{n}" for n in range(len(shape))]
    marks = {label: [place.tolist(), confidence, None] for label, place in zip(labels, shape, strict=True)}
    first = {"fingerprint": "a", "differences": [], "marks": marks}
    proposals = [first] if second is None else [{**first, "fingerprint": "b", "marks": second}, first]
    empty = {"added": "", "sha256": "", "changed": "", "problems": 0, "proposal_count": 1, "unit": "mm"}
    return {**empty, "labels": labels, "proposals": proposals, "observers": observers or {}, **more}


def said(shape: np.ndarray, count: int = 5) -> dict[str, Any]:
    return {f"m{n}": ["corrected", shape[n].tolist()] for n in range(count)}


def order(cases: dict[str, dict[str, Any]], **options: Any) -> list[str]:
    return [one.case for one in next_cases(cases, **options)]


def test_the_least_certain_case_comes_first_and_its_landmarks_are_named() -> None:
    found = next_cases({"sure": summary(0.95), "unsure": summary(0.3), "middling": summary(0.7)})
    assert [one.case for one in found] == ["unsure", "middling", "sure"]
    assert found[0].reason == "5 of 5 landmarks are uncertain (m0 30% sure, m1 30% sure ...)."
    assert found[2].reason == "No landmark is uncertain (the least: m0 95% sure)."


def test_a_landmark_that_was_not_found_is_as_uncertain_as_can_be() -> None:
    lost = summary(0.95)
    lost["proposals"][0]["marks"]["m3"][0] = None
    (first, *_) = next_cases({"sure": summary(), "lost": lost})
    assert first.case == "lost" and first.uncertainty == 1.0 and "m3 was not found" in first.reason


def test_without_a_confidence_the_covariance_speaks_by_the_measure_of_the_store() -> None:
    wide, narrow = summary(None), summary(None)
    for case, spread in ((wide, 3.0), (narrow, 0.3)):
        for mark in case["proposals"][0]["marks"].values():
            mark[2] = spread
    wide_one, narrow_one = next_cases({"narrow": narrow, "wide": wide})
    assert wide_one.case == "wide" and wide_one.uncertainty > 0.5 > narrow_one.uncertainty


def test_where_two_observers_differ_a_third_is_asked_first() -> None:
    agree = {"anna": said(SHAPE), "ben": said(SHAPE + 0.001)}
    differ = {"anna": said(SHAPE), "ben": said(SHAPE)}
    differ["ben"]["m4"] = ["corrected", (SHAPE[4] + [4, 0, 0]).tolist()]
    found = next_cases({"agree": summary(observers=agree), "differ": summary(observers=differ)}, observer="cleo")
    assert [one.case for one in found] == ["differ", "agree"]
    assert "observers anna and ben differ by 4 mm at m4" in found[0].reason and found[1].disagreement < 0.1


def test_a_landmark_that_only_one_observer_sees_is_contested() -> None:
    observers = {"anna": said(SHAPE), "ben": {**said(SHAPE), "m2": ["absent", None]}}
    (one,) = next_cases({"case": summary(observers=observers)}, observer="cleo")
    assert one.disagreement == 1.0 and "observers anna and ben do not agree that m2 is there" in one.reason


def test_two_bundles_that_differ_count_where_nobody_has_looked() -> None:
    other = {f"m{n}": [(SHAPE[n] + [3.0, 0, 0]).tolist(), 0.9, None] for n in range(5)}
    (one,) = next_cases({"case": summary(second=other)})
    assert one.disagreement > 0.5 and "two bundles differ by 3 mm" in one.reason


def test_a_shape_unlike_the_reviewed_ones_is_new_whatever_its_pose() -> None:
    rng = np.random.default_rng(0)
    cases = {f"seen {n}": summary(observers={"anna": said(SHAPE + rng.normal(0, 0.1, SHAPE.shape))}) for n in range(6)}
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    cases["turned"] = summary(shape=3 * SHAPE @ turn.T + 40 + rng.normal(0, 0.1, SHAPE.shape))
    bent = SHAPE.copy()
    bent[3] += [0, 0, 8]
    cases["bent"] = summary(shape=bent)
    first, second = next_cases(cases)
    assert (first.case, second.case) == ("bent", "turned")
    assert first.novelty > 0.8 > second.novelty
    assert "times as far from the reviewed ones as usual" in first.reason


def test_an_image_unlike_the_training_images_is_new() -> None:
    unlike = summary()
    unlike["proposals"][0]["differences"] = ["the image: its voxels are 3 mm wide."]
    first, _ = next_cases({"like": summary(), "unlike": unlike})
    assert first.case == "unlike" and "its voxels are 3 mm wide" in first.reason


def test_what_nobody_knows_counts_one_half_and_is_not_called_certain() -> None:
    (one,) = next_cases({"case": summary(None)})
    assert (one.uncertainty, one.disagreement, one.novelty) == (0.5, 0.5, 0.5)
    assert one.reason == "Nothing speaks for or against it."


def test_a_case_that_is_reviewed_does_not_wait_but_for_another_observer_it_does() -> None:
    cases = {"done": summary(observers={"anna": said(SHAPE)}), "half": summary(observers={"anna": said(SHAPE, 2)})}
    assert order(cases) == order(cases, observer="anna") == ["half"]
    assert set(order(cases, observer="ben")) == {"done", "half"}
    assert len(order(cases, observer="ben", limit=1)) == 1


def test_an_empty_store_has_nothing_next() -> None:
    assert next_cases({}) == []


def test_the_order_of_a_real_store_follows_its_proposals(store: ReviewStore, case: str) -> None:
    sure = store.add_image(make_image(4))
    marks = make_proposal()
    store.add_proposal(sure, type(marks)(marks.landmarks[:1], marks.unit, marks.name, marks.info))
    assert [one.case for one in store.next_cases()] == [case, sure]
    store.record(case, "anna", *(Correction(label, "absent") for label in marks.labels))
    assert [one.case for one in store.next_cases()] == [sure]
    assert [one.case for one in store.next_cases("ben")] == [case, sure]
    assert store.next_cases()[0].waiting == 1 and 0 < store.next_cases()[0].score == pytest.approx(
        (0.05 + 0.1) * 0.55 * 0.55
    )
