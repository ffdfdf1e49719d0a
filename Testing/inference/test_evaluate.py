"""What is judged when a bundle is evaluated, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle, judge
from Testing.phantoms import LABELS, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_dataset(tmp_path / "data", 2)


def test_subjects_of_which_none_is_left_are_refused(flat_bundle: Bundle, data: Path, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(DatasetError, match="no case is left to judge by .*none.txt"):
        evaluate_bundle(flat_bundle, data, subjects=str(tmp_path / "none.txt"), device="cpu")
    (tmp_path / "bytes.txt").write_bytes(b"case00\n\xff\n")
    with pytest.raises(LandmarkFileError, match="bytes.txt: byte 7 is not UTF-8"):
        evaluate_bundle(flat_bundle, data, subjects=str(tmp_path / "bytes.txt"), device="cpu")
    (tmp_path / "notepad.txt").write_bytes("\ufeffcase01\r\n".encode())
    judged = evaluate_bundle(flat_bundle, data, subjects=str(tmp_path / "notepad.txt"), device="cpu")
    assert [case["subject"] for case in judged["cases"]] == ["case01"]
    listing = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps(listing | {"training": []}))
    with pytest.raises(DatasetError, match="no case is left to judge by all"):
        evaluate_bundle(flat_bundle, data, subjects="all", device="cpu")


def test_errors_in_mm_and_in_px_have_no_mean(data: Path) -> None:
    cases = read_dataset(data).cases
    found = [LandmarkSet.from_positions(LABELS, np.zeros((5, 2)), unit) for unit in ("mm", "px")]
    pixels = LandmarkSet(cases[1].landmarks.landmarks, "px")
    object.__setattr__(cases[1], "landmarks", pixels)
    with pytest.raises(DatasetError, match="in mm and in px, whose errors have no mean"):
        judge(LABELS, cases, found)
