"""Reading a folder of annotated images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import DatasetError, Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.heatmap_dataset import HeatmapDataset
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.inference.evaluate import judge
from LandmarkDetectorLib.io import save_image
from Testing.phantoms import LABELS, write_dataset


def test_cases_come_with_their_landmarks_in_the_order_of_the_labels(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path, 4))
    assert [case.subject for case in dataset.cases] == ["case00", "case01", "case02", "case03"]
    assert {case.family for case in dataset.cases} == {"f0", "f1"}
    for case in dataset.cases:
        assert case.landmarks.labels == LABELS
        assert case.image().grid.contains(case.landmarks.positions).all()


def test_points_of_a_picture_are_pixels_and_become_millimetres(tmp_path: Path) -> None:
    write_dataset(tmp_path, 1)
    entry = {"image": "case00.mha", "points": [[10, 20], None], "spacing_mm": [0.5, 0.25], "subject": "x", "note": 7}
    (tmp_path / "dataset.json").write_text(json.dumps({"landmark_labels": ["a", "b"], "training": [entry]}))
    case = read_dataset(tmp_path).cases[0]
    np.testing.assert_allclose(case.landmarks["a"].position, [5, 5])
    assert case.landmarks["b"].status == "undefined"
    assert case.landmarks.unit == "mm" and case.extra == {"note": 7}


@pytest.mark.parametrize("raters", [False, True])
def test_pixels_of_an_image_that_lies_elsewhere_in_the_world_are_refused(tmp_path: Path, raters: bool) -> None:
    grid = Grid((8, 6), (0.5, 0.5), (100.0, 50.0), np.diag([-1.0, -1.0]))
    save_image(Image(np.arange(48, dtype=np.uint8).reshape(1, 6, 8), grid), tmp_path / "a.mha")
    entry = {"image": "a.mha", "spacing_mm": [0.5, 0.5], "subject": "s"}
    (tmp_path / "a.json").write_text(json.dumps({"raters": {"A": [[2, 3]]}}))
    entry |= {"landmarks": "a.json"} if raters else {"points": [[2, 3]]}
    (tmp_path / "dataset.json").write_text(json.dumps({"landmark_labels": ["p"], "training": [entry]}))
    with pytest.raises(DatasetError, match="a: its landmarks are given in pixels, .* it has an origin or directions"):
        read_dataset(tmp_path).cases[0].image()


def test_what_an_entry_leaves_empty_is_not_said(tmp_path: Path) -> None:
    write_dataset(tmp_path, 3)
    listing = json.loads((tmp_path / "dataset.json").read_text())
    for entry in listing["training"]:
        entry |= {"family": None, "origin": None, "absent": None, "raters": None, "spacing_mm": None, "note": None}
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8-sig")
    cases = read_dataset(tmp_path).cases
    assert [case.family for case in cases] == ["case00", "case01", "case02"]
    assert {case.origin for case in cases} == {"native"} and all(case.extra == {} for case in cases)
    listing["training"][1]["subject"] = None
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(DatasetError, match="entry 1 has no 'subject'; add it"):
        read_dataset(tmp_path)
    listing["training"][1] = {"subject": "b", "image": "case01.mha", "landmark": "case01.mrk.json"}
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(DatasetError, match="entry 1 is not usable: it has neither landmarks nor points nor raters"):
        read_dataset(tmp_path)
    for points in ([[1, 2]], [[1, 2, 3]] * 5, [[1, 2]] * 4 + [[1]]):
        listing["training"][1]["points"] = points
        (tmp_path / "dataset.json").write_text(json.dumps(listing))
        with pytest.raises(DatasetError, match=r"entry 1 .* points are not \[x, y\] or null for each of 5 labels"):
            read_dataset(tmp_path)


def test_what_a_file_lacks_is_not_labelled_and_what_the_list_calls_absent_is_absent(tmp_path: Path) -> None:
    write_dataset(tmp_path, 2)
    listing = json.loads((tmp_path / "dataset.json").read_text())
    for entry in listing["training"]:
        marks = json.loads((tmp_path / entry["landmarks"]).read_text())
        marks["markups"][0]["controlPoints"] = marks["markups"][0]["controlPoints"][:3]
        (tmp_path / entry["landmarks"]).write_text(json.dumps(marks))
    listing["training"][0]["absent"] = [LABELS[3]]
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    dataset = read_dataset(tmp_path)
    statuses = [[mark.status for mark in case.landmarks] for case in dataset.cases]
    assert statuses == [["defined"] * 3 + ["missing", "undefined"], ["defined"] * 3 + ["undefined"] * 2]
    samples = LandmarkDataset(dataset)
    assert samples[0]["labelled"].tolist() == [True, True, True, True, False]
    maps = HeatmapDataset(samples, GaussianHeatmaps(5, 2, 2.0))
    assert maps[0]["valid"].tolist() == [True, True, True, True, False]
    assert maps[1]["valid"].tolist() == [True, True, True, False, False]
    everything = LandmarkSet.from_positions(LABELS, np.full((5, 2), 100.0))
    judged = [judge(LABELS, (case,), [everything])["summary"]["false_finds"] for case in dataset.cases]
    assert judged == [1, 0]
    more = [*LABELS, "known to the bundle only"]
    found = LandmarkSet.from_positions(more, np.ones((6, 2)))
    assert judge(more, dataset.cases[1:], [found])["summary"]["false_finds"] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no dataset.json"),
        ("{", "needs landmark_labels"),
        ('{"landmark_labels": ["a"]}', "needs landmark_labels"),
        (
            '{"landmark_labels": ["a"], "training": [{"image": "x.png", "subject": "s", "points": [[1, 2]]}]}',
            "not there",
        ),
        ('{"landmark_labels": ["a"], "training": [{"subject": "s"}]}', "entry 0"),
        ('{"landmark_labels": ["a"], "training": [7]}', "entry 0"),
        ('{"landmark_labels": "nose", "training": []}', "landmark_labels is 'nose'; write a list"),
        ('{"landmark_labels": ["a", "b", "a"], "training": []}', "the label 'a' stands there twice"),
    ],
)
def test_a_list_that_lacks_something_says_what(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DatasetError, match=words):
        read_dataset(tmp_path)


def test_a_subject_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no case of subject 'nobody'"):
        read_dataset(write_dataset(tmp_path, 1)).select(["nobody"])


def test_of_several_observers_the_mean_is_true_and_each_is_kept(tmp_path: Path) -> None:
    save_image(
        Image(np.zeros((1, 8, 8), np.uint8), Grid((8, 8), (1.0, 1.0), (0.0, 0.0), np.eye(2))), tmp_path / "a.mha"
    )
    raters = {"A": [[2, 4], [6, 6]], "B": [[4, 4], None]}
    (tmp_path / "a.json").write_text(json.dumps({"spacing_mm": [0.5, 0.5], "raters": raters}), encoding="utf-8")
    entry = {"image": "a.mha", "landmarks": "a.json", "subject": "a"}
    listing = {"name": "two", "landmark_labels": ["S", "N"], "training": [entry]}
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    (case,) = read_dataset(tmp_path).cases
    np.testing.assert_allclose(case.landmarks.positions, [[1.5, 2], [3, 3]])
    assert list(case.raters) == ["A", "B"] and case.spacing == (0.5, 0.5)
    np.testing.assert_allclose(case.raters["B"]["S"].position, [2, 2])


def test_what_somebody_looked_for_in_vain_is_told_from_what_nobody_looked_for(tmp_path: Path) -> None:
    save_image(
        Image(np.zeros((1, 8, 8), np.uint8), Grid((8, 8), (1.0, 1.0), (0.0, 0.0), np.eye(2))), tmp_path / "a.mha"
    )
    entry = {"image": "a.mha", "points": [[2, 4], None, None], "spacing_mm": [1, 1], "subject": "a", "absent": ["N"]}
    listing = {"name": "one", "landmark_labels": ["S", "N", "A"], "training": [entry]}
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    assert read_dataset(tmp_path).cases[0].absent == {"N"}
    entry["absent"] = ["S"]
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    with pytest.raises(DatasetError, match="'S' is called absent and has a place"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("said", [["a.mrk.json"], "a.mrk.json"])
def test_raters_without_names_are_refused_in_a_sentence(tmp_path: Path, said: object) -> None:
    write_dataset(tmp_path, 1)
    listing = json.loads((tmp_path / "dataset.json").read_text())
    listing["training"][0]["raters"] = said
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    with pytest.raises(DatasetError, match="raters of subject case00 is .*; write each observer's name with the file"):
        read_dataset(tmp_path)
