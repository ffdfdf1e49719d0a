"""Calibrating a bundle: what is promised holds on cases that did not calibrate; too few cases promise nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtr

from LandmarkDetectorLib.bundles.calibration import INFO, calibration_bytes, parse_calibration, region_radius, worth
from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet
from LandmarkDetectorLib.evaluation.regions import build_region_method
from LandmarkDetectorLib.inference.calibrate import KNOWN, MAP_SPREAD, Detected, calibrate

LABELS = ["a", "b", "c", "d", "e"]
TOLERANCE = 2.0
SAID = {"level": 0.9, "method": "ellipsoidal"}


def detections(rng: np.random.Generator, cases: int, dimension: int = 3) -> tuple[list[LandmarkSet], list[LandmarkSet]]:
    """A detector that is too sure of itself, more so where the whole image is bad, and its truths; some are missed."""
    found, true = [], []
    for _ in range(cases):
        image = rng.lognormal(-0.4, 0.5)
        marks, truths = [], []
        for k, label in enumerate(LABELS):
            place = rng.normal(0, 30, dimension)
            stated = 0.5 * image * (1 + 0.2 * k)
            error = rng.normal(size=dimension) * 2 * stated
            truths.append(Landmark(label, place))
            if rng.random() < 0.05:
                marks.append(Landmark(label))
                continue
            confidence = float(chdtr(dimension, (TOLERANCE / stated) ** 2))
            marks.append(Landmark(label, place + error, "defined", confidence, np.eye(dimension) * stated**2))
        found.append(LandmarkSet(tuple(marks), info={MAP_SPREAD: image}))
        true.append(LandmarkSet(tuple(truths)))
    return found, true


def made(seed: int, cases: int, dimension: int = 3, each: int = 1) -> Detected:
    found, true = detections(np.random.default_rng(seed), cases, dimension)
    return Detected.of(found, true, [1.0] * cases, [f"s{n // each}" for n in range(cases)], LABELS)


@pytest.mark.parametrize("dimension", [2, 3])
def test_regions_hold_what_they_promise_and_confidences_keep_their_word(dimension: int) -> None:
    held, gaps, curves = [], [], []
    for seed in range(6):
        detected = made(seed, 160, dimension)
        test = np.arange(160) >= 60
        sheet = calibrate(detected, TOLERANCE, "A test.", test=test).sheet
        assert sheet.regions is not None and not sheet.regions.pooled and sheet.subjects == 60
        held.append(sheet.measured["regions at 90 %, held"])
        gaps.append(sheet.measured["confidence, off by"] / sheet.measured["confidence, off by, before"])
        curves.append(sheet.measured["confidence, area under the ROC curve"])
    assert 0.86 <= np.mean(held) <= 0.94
    assert np.mean(gaps) < 0.5
    assert np.mean(curves) > 0.7


def test_few_subjects_share_one_radius_that_is_expected_to_hold_and_fewer_have_none_and_it_is_said() -> None:
    shared = calibrate(made(1, 20), TOLERANCE, "A test.").sheet
    assert shared.regions is not None and shared.regions.pooled and len(set(shared.regions.radii.values())) == 1
    method = build_region_method("ellipsoidal")
    promised = method.calibrate(made(1, 20).predictions, made(1, 20).truths, 0.9, pooled=True, subjects=range(20))
    assert shared.regions.radii["a"] < promised.bounds[0, 0], "more than subjects like these lead one to expect"
    none = calibrate(made(1, 6), TOLERANCE, "A test.").sheet
    assert none.regions is not None and set(none.regions.radii.values()) == {None}
    assert any("cannot promise 90 %" in notice for notice in none.notices)
    few = calibrate(made(1, 3), TOLERANCE, "A test.").sheet
    assert few.confidence is None and any("too few to calibrate" in notice for notice in few.notices)
    for sheet in (shared, none, few):
        assert parse_calibration(calibration_bytes(sheet), LABELS, "here") == sheet


def test_few_subjects_are_judged_each_by_a_calibration_on_all_others() -> None:
    detected = made(4, 12)
    sheet = calibrate(detected, TOLERANCE, "A test.").sheet
    assert sheet.cases == 12 and None not in sheet.regions.radii.values()
    assert sheet.measured["landmarks judged"] == np.isfinite(detected.errors).sum()
    assert 0.85 < sheet.measured["regions at 90 %, held"] < 1, "judged by itself it would hold all"


def test_regions_that_cannot_be_judged_for_the_others_are_too_few_are_not_said_to_have_held() -> None:
    sheet = calibrate(made(4, 9), TOLERANCE, "A test.").sheet
    assert None not in sheet.regions.radii.values() and sheet.measured["landmarks judged"] > 0
    assert sheet.measured["regions at 90 %, held"] is None, "eight others state none"
    assert not any("on others they held" in sentence for sentence in worth(sheet))


def test_images_of_one_subject_are_not_independent_cases() -> None:
    sheet = calibrate(made(2, 40, each=5), TOLERANCE, "A test.").sheet
    assert sheet.subjects == 8 and set(sheet.regions.radii.values()) == {None}


def test_nothing_to_calibrate_by_is_refused() -> None:
    with pytest.raises(DatasetError, match="no case to calibrate by"):
        Detected.of([], [], [], [], LABELS)


def test_a_radius_is_read_from_what_a_detection_says() -> None:
    marks = LandmarkSet((Landmark("a", (0.0, 0.0)),), info={INFO: {**SAID, "radii": {"a": 2.5, "b": None}}})
    assert region_radius(marks, "a") == 2.5
    assert region_radius(marks, "b") is None and region_radius(marks, "c") is None
    assert region_radius(LandmarkSet((), info={INFO: "nonsense"}), "a") is None


def test_where_hardly_a_landmark_is_wrong_the_sizes_of_the_errors_teach() -> None:
    gaps, curves = [], []
    for seed in range(6):
        detected = made(seed, 160)
        sheet = calibrate(detected, 6.0, "A test.", test=np.arange(160) >= 60).sheet
        assert (detected.errors[:60] > 6.0).sum() < 10 and sheet.confidence is not None
        gaps.append(sheet.measured["confidence, off by"])
        curves.append(sheet.measured["confidence, area under the ROC curve"])
    assert np.mean(gaps) < 0.02
    assert np.mean(curves) > 0.8


def test_a_handful_of_landmarks_calibrates_no_confidence_and_it_is_said() -> None:
    detected = made(3, 7)
    assert np.isfinite(detected.errors).sum() < KNOWN
    few = calibrate(detected, TOLERANCE, "A test.").sheet
    assert few.confidence is None and any("landmarks are too few to calibrate" in notice for notice in few.notices)
    words = worth(few)
    assert any("not calibrated: they are what the networks believe" in line for line in words)
