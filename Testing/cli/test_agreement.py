"""landmark-detector agreement prints tables and writes JSON, a page and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from LandmarkDetectorLib.io import save_landmarks
from Testing.measure.test_agreement import READERS, SUBJECTS


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = []
    for name, row in READERS.items():
        made.append(tmp_path / name)
        made[-1].mkdir()
        for subject, marks in zip(SUBJECTS, row, strict=True):
            save_landmarks(marks, made[-1] / f"{subject}.mrk.json")
    return made


def test_two_folders_of_files_become_tables(run, folders: list[Path]) -> None:
    result = run("agreement", *folders, "--set", "steiner")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert lines["images"] == ["images", "8"]
    assert lines["ANB"][1:4] == ["degrees", "0.500", "0.500"] and lines["ANB"][-1] == "8"
    assert "steiner, 2D: Ben minus Ada" in result.stdout and "distance between Ada and Ben" in result.stdout


def test_figures_page_and_pictures_are_written(run, folders: list[Path], tmp_path: Path) -> None:
    figures, page, pictures = tmp_path / "new" / "a.json", tmp_path / "new" / "a.html", tmp_path / "pictures"
    words = ("--set", "steiner", "--json", figures, "--html", page, "--figures", pictures)
    result = run("agreement", *folders, *words)
    assert result.exit_code == 0, result.output
    content = json.loads(figures.read_text("utf-8"))
    assert content["measurements"]["steiner, 2D: ANB"]["classes"]["Ada and Ben"]["kappa"] == 1
    assert "Agreement of Ada and Ben" in page.read_text("utf-8")
    names = {path.name for path in pictures.iterdir()}
    assert "correlations.png" in names and "bland-altman-steiner--2D-ANB-Ada-Ben.png" in names
    assert f"{len(names)} pictures" in result.stderr


def test_pictures_that_are_there_are_not_replaced_unasked(run, refused, folders: list[Path], tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "notes.txt").touch()
    assert run("agreement", *folders, "--figures", pictures).exit_code == 0
    (drawn,) = pictures.glob("*.png")
    drawn.write_bytes(b"somebody's own")
    assert "would be replaced; add --overwrite" in refused(run("agreement", *folders, "--figures", pictures))
    assert drawn.read_bytes() == b"somebody's own"
    assert run("agreement", *folders, "--figures", pictures, "--overwrite").exit_code == 0
    assert drawn.read_bytes() != b"somebody's own"


def test_json_goes_to_stdout_where_a_dash_asks_for_it(run, folders: list[Path]) -> None:
    content = json.loads(run("agreement", *folders, "--json", "-").stdout)
    assert content["readers"] == ["Ada", "Ben"] and content["measurements"] == {}


def test_notes_go_beside_the_result(run, folders: list[Path]) -> None:
    (folders[0] / "s7.mrk.json").unlink()
    result = run("agreement", *folders)
    assert "Note: All readers read 7 images; left out: 1." in result.stderr


def test_one_reader_and_a_choice_of_no_set_are_refused(run, refused, folders: list[Path]) -> None:
    assert "two readers or more" in refused(run("agreement", folders[0]))
    assert "--choice is of one set" in refused(run("agreement", *folders, "--choice", "a=b"))


def test_a_set_that_the_landmarks_do_not_allow_is_named(run, folders: list[Path]) -> None:
    result = run("agreement", *folders, "--set", "brain", "--json", "-")
    assert json.loads(result.stdout)["notices"] == ["None of these landmarks is one that brain could use."]
    assert "Note: None of these landmarks is one that brain could use." in result.stderr


def test_images_of_one_subject_are_said_to_be_taken_as_independent(run, folders: list[Path], tmp_path: Path) -> None:
    entries = []
    for number, subject in enumerate(SUBJECTS):
        (tmp_path / f"{subject}.png").touch()
        raters = {folder.name: f"{folder.name}/{subject}.mrk.json" for folder in folders}
        entries.append({"image": f"{subject}.png", "subject": f"person {number // 2}", "raters": raters})
    labels = next(iter(READERS.values()))[0].labels
    listing = {"name": "twice", "landmark_labels": list(labels), "training": entries}
    (tmp_path / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    words = ("agreement", *(folder.name for folder in folders), "--data", tmp_path, "--json", "-")
    assert json.loads(run(*words).stdout)["notices"] == []
    (notice,) = json.loads(run(*words, "--set", "steiner").stdout)["notices"]
    assert notice.startswith("4 of 8 images are further ones of a subject")
