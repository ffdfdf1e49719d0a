"""What readers say, read or found: observers, bundles, folds, folders; and the benchmark that compares them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import BundleError, DatasetError
from LandmarkDetectorLib.inference.readers import gather_readings
from LandmarkDetectorLib.io import load_landmarks, save_landmarks
from Testing.phantoms import write_watched

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import measurements  # noqa: E402


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms that two observers annotated, each a little to one side."""
    return write_watched(tmp_path_factory.mktemp("watched"), 4)


def test_observers_and_their_mean_are_read_from_the_data(watched: Path) -> None:
    read = gather_readings(["A", "B", "mean"], watched)
    assert list(read.readers) == ["A", "B", "mean"] and read.subjects == tuple(f"case{n:02d}" for n in range(4))
    places = {name: np.array([marks.positions for marks in row]) for name, row in read.readers.items()}
    np.testing.assert_allclose(places["A"] - places["B"], np.broadcast_to([1.0, 0], places["A"].shape), atol=1e-9)
    np.testing.assert_allclose(places["mean"], (places["A"] + places["B"]) / 2)
    assert read.about["mean"] == "what counts as true in phantoms (mean of A, B)" and read.notices == []
    assert read.derived == ("mean",) and gather_readings(["A", "B"], watched).derived == ()


def test_a_bundle_is_run_and_folds_are_one_reader(flat_bundle: Bundle, watched: Path, tmp_path: Path) -> None:
    shutil.copytree(flat_bundle.folder, tmp_path / "cv" / "fold-0" / "phantom")
    steps: list[float] = []
    read = gather_readings(
        ["A", str(flat_bundle.folder), str(tmp_path / "cv")], watched, subjects="all", device="cpu",
        progress=lambda _, fraction: steps.append(fraction),
    )  # fmt: skip
    assert list(read.readers) == ["A", "phantom", "cv"]
    assert read.subjects == ("case00",), "the fold judges what it held out"
    assert any("left out: 3" in notice for notice in read.notices)
    assert any("too good" in notice for notice in read.notices)
    assert steps == sorted(steps)


def test_folders_of_files_are_paired_by_the_names_of_images_or_of_each_other(watched: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(3):
            marks = load_landmarks(watched / f"case{number:02d}-A.mrk.json")
            save_landmarks(marks, tmp_path / name / f"case{number:02d}.mrk.json")
    (tmp_path / "one" / "measurements.csv").write_text("no landmarks")
    with_data = gather_readings(["A", str(tmp_path / "one")], watched)
    assert with_data.subjects == ("case00", "case01", "case02") and len(with_data.notices) == 1
    alone = gather_readings([str(tmp_path / "one"), str(tmp_path / "two")])
    assert alone.subjects == ("case00", "case01", "case02") and list(alone.readers) == ["one", "two"]


def test_a_reader_that_nobody_knows_is_named_with_what_there_is(watched: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Zoe is no observer of phantoms \(it has A, B\)"):
        gather_readings(["A", "Zoe"], watched)
    with pytest.raises(DatasetError, match="add --data"):
        gather_readings(["A", "B"])
    with pytest.raises(DatasetError, match="two readers or more"):
        gather_readings(["A"], watched)
    with pytest.raises(DatasetError, match="given twice"):
        gather_readings(["A", "A"], watched)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no files of landmarks"):
        gather_readings(["A", str(tmp_path / "empty")], watched)
    save_landmarks(load_landmarks(watched / "case00-A.mrk.json"), tmp_path / "empty" / "other.mrk.json")
    with pytest.raises(DatasetError, match="no image that all readers read"):
        gather_readings(["A", str(tmp_path / "empty")], watched)


def test_a_bundle_that_is_damaged_says_so_itself(flat_bundle: Bundle, watched: Path, tmp_path: Path) -> None:
    shutil.copytree(flat_bundle.folder, tmp_path / "broken")
    (tmp_path / "broken" / "LICENSE").write_text("another")
    with pytest.raises(BundleError):
        gather_readings(["A", str(tmp_path / "broken")], watched)


def test_the_benchmark_takes_any_bundle_and_any_folder_of_detections(
    flat_bundle: Bundle, watched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        marks = load_landmarks(watched / f"case{number:02d}-A.mrk.json")
        save_landmarks(marks, tmp_path / f"case{number:02d}.mrk.json")
    results = tmp_path / "results" / "r.json"
    results.parent.mkdir()
    for reader, name in (
        (("--bundle", str(flat_bundle.folder), "--subjects", "all"), "phantom"),
        (("--detections", str(tmp_path)), tmp_path.name),
    ):
        words = ["measurements.py", "--cephalogram", str(watched), *reader, "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [*words, "--results", str(results)])
        measurements.main()
        part = json.loads(results.read_text())["cephalogram"]
        assert part["observers"]["pairs"]["B - A"]["mean_distance_mm"] == pytest.approx(1)
        assert part["model"]["images"] == 4
        assert part["model"]["pairs"][f"{name} - mean"]["mean_distance_mm"] == pytest.approx(0.5, abs=2)
    assert part["model"]["pairs"][f"A - {tmp_path.name}"]["mean_distance_mm"] == 0
