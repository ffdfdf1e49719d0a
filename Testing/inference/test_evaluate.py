"""What is judged when a bundle is evaluated, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.bundles.store import SHIPPED
from LandmarkDetectorLib.core import DatasetError, Image, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets import Dataset, read_dataset
from LandmarkDetectorLib.inference import Detection
from LandmarkDetectorLib.inference import evaluate as module
from LandmarkDetectorLib.inference.evaluate import chosen_cases, evaluate_bundle, judge, notice_of_training
from LandmarkDetectorLib.io import save_image
from Testing.phantoms import LABELS, write_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_dataset(tmp_path / "data", 2)


def test_subjects_of_which_none_is_left_are_refused(data: Path, tmp_path: Path) -> None:
    dataset = read_dataset(data)
    bundle: Any = SimpleNamespace(name="one", split=lambda: {"held_out": ["case00"], "origins": ["registered"]})
    with pytest.raises(DatasetError, match="no case is left to judge by held-out"):
        chosen_cases(bundle, dataset, "held-out")
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(DatasetError, match="no case is left to judge by .*none.txt"):
        chosen_cases(bundle, dataset, str(tmp_path / "none.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"case00\n\xff\n")
    with pytest.raises(LandmarkFileError, match="bytes.txt: byte 7 is not UTF-8"):
        chosen_cases(bundle, dataset, str(tmp_path / "bytes.txt"))
    (tmp_path / "notepad.txt").write_bytes("\ufeffcase01\r\n".encode())
    chosen = chosen_cases(bundle, dataset, str(tmp_path / "notepad.txt"))
    assert [case.subject for case in chosen.cases] == ["case01"]
    with pytest.raises(DatasetError, match="no case is left to judge by all"):
        chosen_cases(bundle, Dataset("empty", dataset.labels, ()), "all")


def test_data_without_any_of_the_landmarks_are_refused_before_an_image_is_read(data: Path) -> None:
    (data / "case00.mha").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="phantoms has none of the landmarks that fetal-head-us finds"):
        evaluate_bundle(SHIPPED / "fetal-head-us", data, subjects="all")


def test_errors_in_mm_and_in_px_have_no_mean(data: Path) -> None:
    cases = read_dataset(data).cases
    found = [LandmarkSet.from_positions(LABELS, np.zeros((5, 2)), unit) for unit in ("mm", "px")]
    pixels = LandmarkSet(cases[1].landmarks.landmarks, "px")
    object.__setattr__(cases[1], "landmarks", pixels)
    with pytest.raises(DatasetError, match="in mm and in px, whose errors have no mean"):
        judge(LABELS, cases, found)


class _Seer:
    """Finds every landmark in the first voxel, in the unit of the image, and counts its looks."""

    looks = 0

    def __init__(self, *_: object) -> None:
        self.pipeline = SimpleNamespace(labels=LABELS)
        self.bundle = SimpleNamespace(name="one")

    def detect(self, image: Image) -> Detection:
        type(self).looks += 1
        return Detection(LandmarkSet.from_positions(LABELS, np.zeros((5, 2)), image.grid.unit))


@pytest.mark.parametrize(
    ("change", "looks", "error", "words"),
    [
        (
            {"image": "scan.mha", "landmarks": None, "points": [[1, 2]] * 5},
            3,
            LandmarkError,
            "bring both to one unit",
        ),
        (
            {"image": "plain.png", "landmarks": None, "points": [[1, 2]] * 5},
            3,
            DatasetError,
            "whose errors have no mean",
        ),
        ({"head_circumference_mm": "abc"}, 0, DatasetError, "head_circumference_mm of subject case01 is no number"),
    ],
)
def test_what_cannot_be_judged_is_said_before_all_images_are_through(
    data: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], looks: int, error: type, words: str
) -> None:
    array = np.arange(20, dtype=np.uint8).reshape(4, 5)
    save_image(Image.from_array(array, unit="px"), data / "plain.png")
    save_image(Image.from_array(array, (1.0, 1.0)), data / "scan.mha")
    listing = json.loads((data / "dataset.json").read_text())
    listing["training"].append({**listing["training"][0], "subject": "last"})
    listing["training"][1] |= change
    (data / "dataset.json").write_text(json.dumps(listing))
    monkeypatch.setattr(module, "Detector", _Seer)
    monkeypatch.setattr(_Seer, "looks", 0)
    with pytest.raises(error, match=words):
        evaluate_bundle("one", data, subjects="all")
    assert _Seer.looks == looks  # the first image is looked at twice


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"trained": ["a", "b"]}, ["one was trained on 1 of 2 subjects here: its figures are too good."]),
        ({"trained": ["x"]}, []),
        ({}, ["one does not say who trained it: of subjects that did, its figures are too good."]),
    ],
)
def test_who_judges_a_model_that_was_trained_on_them_is_told(split: dict[str, Any], said: list[str]) -> None:
    bundle: Any = SimpleNamespace(name="one", split=lambda: split)
    assert notice_of_training(bundle, ["a", "c", "c"]) == said
