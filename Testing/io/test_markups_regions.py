"""Regions with a stated coverage in markups files: written, kept by Slicer, read back; nonsense is nobody's region."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles.calibration import region_radius
from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks, save_landmarks
from LandmarkDetectorLib.io.markups_certainty import tells_confidence
from LandmarkDetectorLib.io.markups_regions import RADIUS, REGIONS, checked_regions, split_regions

SAID = {
    "level": 0.9,
    "method": "ellipsoidal",
    "radii": {"nose": 2.5, "ear": None, "eye": 3.25},
    "cases": 77,
    "subjects": 64,
}
MARKS = LandmarkSet(
    (Landmark("nose", (1, 2, 3), covariance=np.eye(3)), Landmark("ear", (4, 5, 6)), Landmark("eye", (0, 0, 1))),
    info={"bundle": "heads", REGIONS: SAID},
)


def entries(path: Path) -> list[dict]:
    return json.loads(path.read_text())["markups"][0]["measurements"]


def without_the_rest(path: Path) -> Path:
    """The file as Slicer saves it: keys outside of the markups are dropped, a point was deleted, one was renamed."""
    content = json.loads(path.read_text())
    del content["landmarkDetector"]
    content["markups"][0]["controlPoints"][0]["label"] = "snout"
    del content["markups"][0]["controlPoints"][1]
    path.write_text(json.dumps(content))
    return path


def test_a_file_says_the_radius_of_each_landmark_and_all_that_is_known(tmp_path: Path) -> None:
    save_landmarks(MARKS, tmp_path / "a.mrk.json")
    entry = next(entry for entry in entries(tmp_path / "a.mrk.json") if entry["name"] == RADIUS)
    assert entry["controlPointValues"] == [2.5, -1.0, 3.25] and json.loads(entry["description"]) == SAID
    again = load_landmarks(tmp_path / "a.mrk.json")
    assert again.info[REGIONS] == SAID and [region_radius(again, k) for k in again.labels] == [2.5, None, 3.25]
    save_landmarks(again, tmp_path / "b.mrk.json")
    assert (tmp_path / "a.mrk.json").read_text() == (tmp_path / "b.mrk.json").read_text()


def test_a_person_reads_how_far_a_measured_region_reaches_and_no_deviation_that_nobody_measured(tmp_path: Path) -> None:
    spread = np.diag([0.01, 0.04, 0.09])
    marks = LandmarkSet(
        tuple(Landmark(label, (1, 2, 3), confidence=0.5, covariance=spread) for label in ("nose", "ear")),
        info={REGIONS: SAID},
    )
    words = ["confidence 0.50, 90 % lie within 0.75 mm", "confidence 0.50, standard deviation 0.3 mm"]
    save_landmarks(marks, tmp_path / "a.mrk.json")
    content = json.loads((tmp_path / "a.mrk.json").read_text())
    points = content["markups"][0]["controlPoints"]
    assert [point["description"] for point in points] == words
    save_landmarks(marks, tmp_path / "a.fcsv")
    assert [mark.description for mark in load_landmarks(tmp_path / "a.fcsv")] == words
    assert all(tells_confidence(text) and tells_confidence(text.split(", ")[1]) for text in words)
    # Neither these words are a person's nor those of earlier versions, which had no others.
    assert [mark.description for mark in load_landmarks(tmp_path / "a.mrk.json")] == ["", ""]
    points[0]["description"] = words[1]
    (tmp_path / "a.mrk.json").write_text(json.dumps(content))
    assert [mark.description for mark in load_landmarks(tmp_path / "a.mrk.json")] == ["", ""]


def test_what_slicer_keeps_of_a_file_is_enough(tmp_path: Path) -> None:
    save_landmarks(MARKS, tmp_path / "a.mrk.json")
    again = load_landmarks(without_the_rest(tmp_path / "a.mrk.json"))
    assert again.labels == ["snout", "eye"] and again.info[REGIONS] == SAID
    assert region_radius(again, "snout") is None and region_radius(again, "eye") == 3.25


def test_where_no_regions_are_stated_a_file_has_no_such_measurement(tmp_path: Path) -> None:
    save_landmarks(LandmarkSet(MARKS.landmarks), tmp_path / "a.mrk.json")
    assert RADIUS not in [entry["name"] for entry in entries(tmp_path / "a.mrk.json")]
    assert REGIONS not in load_landmarks(tmp_path / "a.mrk.json").info


@pytest.mark.parametrize(
    "change",
    [
        {"level": 1.0},
        {"level": "0.9"},
        {"level": True},
        {"method": 3},
        {"radii": [1.0]},
        {"radii": {"nose": -1.0}},
        {"radii": {"nose": float("nan")}},
        {"radii": {"nose": "wide"}},
    ],
)
def test_what_is_not_of_that_form_states_nothing(change: dict) -> None:
    assert checked_regions({**SAID, **change}) is None
    assert region_radius(LandmarkSet((), info={REGIONS: {**SAID, **change}}), "nose") is None


def test_counts_that_are_none_are_left_out() -> None:
    said = checked_regions({**SAID, "cases": "many", "subjects": -1})
    assert said is not None and "cases" not in said and "subjects" not in said


def test_a_measurement_of_somebody_else_under_that_name_is_left_alone() -> None:
    theirs = [{"name": RADIUS, "description": "of a sphere"}, {"name": RADIUS, "value": 3}, "odd"]
    assert split_regions(theirs) == (None, theirs)
