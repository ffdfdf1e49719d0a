"""landmark-detector import: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.cli.import_data import FORMS
from LandmarkDetectorLib.core import Image, LandmarkSet
from LandmarkDetectorLib.datasets import importers, read_dataset
from LandmarkDetectorLib.io import save_image, save_landmarks


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures with landmarks in px."""
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        save_image(Image.from_array(np.eye(9, dtype=np.uint8), unit="px"), folder / part / f"{part}1.png")
        marks = LandmarkSet.from_positions(["tip", "base"], [[1, 2], [3, 4]], "px")
        save_landmarks(marks, folder / part / f"{part}1_marks.csv")
    return folder


def test_a_folder_becomes_a_data_set(run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "import", "markups", photos, "--output", out, "--ending", "_marks", "--spacing", "0.5", "--copy-images"
    )
    assert result.exit_code == 0, result.output
    assert "photos: 2 images, 2 landmarks (1 test, 1 training)." in result.stderr and result.stdout == ""
    case = read_dataset(out).cases[0]
    assert case.landmarks.unit == "mm" and case.landmarks["base"].position.tolist() == [1.5, 2]
    assert case.image_path == out / "images" / "test1.png"


def test_json_is_for_programs(run, photos: Path, tmp_path: Path) -> None:
    result = run("import", "markups", photos, "--output", tmp_path / "out", "--ending", "_marks", "--json")
    document = json.loads(result.stdout)
    assert document["parts"] == {"test": 1, "training": 1} and document["landmarks"] == ["tip", "base"]
    assert document["cases"] == 2 and document["folder"] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ceph"], f"There is no importer 'ceph'; choose one of {FORMS}."),
        (
            ["markups", "--truth", "mean"],
            "The importer 'markups' has no option 'truth'; it knows ending, spacing, lacking, instances.",
        ),
        (["markups", "--spacing", "a"], "--spacing a: give one number in mm, or two separated by a comma."),
        (["markups"], "photos: the folder holds no annotated image of this form; check its layout."),
    ],
)
def test_what_cannot_be_meant_ends_in_one_sentence(run, refused, photos: Path, tmp_path: Path, words, said) -> None:
    result = run("import", words[0], photos, "--output", tmp_path / "out", *words[1:])
    assert refused(result) == f"Error: {said}"
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing_behind(run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from LandmarkDetectorLib.datasets.importers import write

    saved = write.save_landmarks

    def interrupted(marks: LandmarkSet, path: Path) -> None:
        saved(marks, path)
        if path.name.startswith("train"):
            raise KeyboardInterrupt

    monkeypatch.setattr(write, "save_landmarks", interrupted)
    result = run("import", "markups", photos, "--output", tmp_path / "out", "--ending", "_marks")
    assert result.exit_code == 130 and result.stderr.splitlines()[-1] == "Cancelled; nothing was written."
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_help_names_every_importer(run) -> None:
    assert ", ".join(importers.importer_names()) == FORMS
    shown = " ".join(run("import", "--help").stdout.replace("│", " ").split())
    assert FORMS in shown
