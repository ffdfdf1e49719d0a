"""The importer of anatomical fiducials of the brain, from a small BIDS tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.core import DatasetError, Image, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers import import_dataset
from LandmarkDetectorLib.datasets.importers.afids import LABELS
from LandmarkDetectorLib.io import save_image, save_landmarks

NUMBERS = [str(number) for number in range(1, 33)]
PLACES = np.arange(96.0).reshape(32, 3)


def scan(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(Image.from_array(np.arange(60, dtype=np.int16).reshape(3, 4, 5)), path)
    return path


def note(folder: Path, subject: str, observer: str, shift: float = 0.0, system: str = "RAS", labels=NUMBERS) -> Path:
    folder = folder / "derivatives" / "afids" / subject / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject}_space-T1w_desc-{observer}_afids.fcsv"
    save_landmarks(LandmarkSet.from_positions(labels, PLACES[: len(labels)] + shift), path, coordinate_system=system)
    return path


def tree(folder: Path) -> Path:
    for subject in ("sub-01", "sub-02"):
        scan(folder / subject / "anat" / f"{subject}_T1w.nii.gz")
        note(folder, subject, "groundtruth", 1.0)
        note(folder, subject, "AT", 0.0, "LPS")
        note(folder, subject, "GG", 3.0)
    scan(folder / "sub-03" / "anat" / "sub-03_T1w.nii.gz")
    scan(folder / "derivatives" / "fmriprep" / "sub-01" / "sub-01_desc-preproc_T1w.nii.gz")
    return folder


def test_fiducials_come_in_lps_by_name_with_every_observer(tmp_path: Path) -> None:
    dataset = import_dataset("afids", tree(tmp_path / "in"), tmp_path / "out")
    assert dataset.labels == LABELS and len(LABELS) == 32 and LABELS[13] == "pineal gland"
    assert [case.subject for case in dataset.cases] == ["sub-01", "sub-02"]
    case = dataset.cases[0]
    assert case.image_path.name == "sub-01_T1w.nii.gz" and case.family == "sub-01"
    np.testing.assert_allclose(case.landmarks.positions, PLACES + 1)  # whatever the file's own axes are
    raters = case.raters
    assert sorted(raters) == ["AT", "GG"]
    np.testing.assert_allclose(raters["AT"].positions, PLACES)


def test_the_mean_of_the_observers_or_one_of_them_may_count_as_true(tmp_path: Path) -> None:
    source = tree(tmp_path / "in")
    mean = import_dataset("afids", source, tmp_path / "mean", truth="mean").cases[0].landmarks
    np.testing.assert_allclose(mean.positions, PLACES + 1.5)
    one = import_dataset("afids", source, tmp_path / "one", truth="GG").cases[0].landmarks
    np.testing.assert_allclose(one.positions, PLACES + 3)
    with pytest.raises(
        DatasetError, match="sub-01: nobody called 'XX' annotated it; take one of mean, AT, GG, groundtruth"
    ):
        import_dataset("afids", source, tmp_path / "none", truth="XX")


def test_sessions_are_told_apart(tmp_path: Path) -> None:
    source = tree(tmp_path / "in")
    for session in "ab":
        scan(source / "sub-04" / f"ses-{session}" / "anat" / f"sub-04_ses-{session}_T1w.nii.gz")
        note(source, f"sub-04_ses-{session}", "groundtruth")
    cases = import_dataset("afids", source, tmp_path / "out").cases
    assert [case.subject for case in cases[2:]] == ["sub-04_ses-a", "sub-04_ses-b"]
    assert {case.family for case in cases[2:]} == {"sub-04"}
    assert cases[3].image_path.name == "sub-04_ses-b_T1w.nii.gz"


def break_it(source: Path, how: str) -> None:
    path = note(source, "sub-01", "groundtruth")
    if how == "no scan":
        (source / "sub-01" / "anat" / "sub-01_T1w.nii.gz").unlink()
    elif how == "two scans":
        scan(source / "sub-01" / "anat" / "sub-01_run-2_T1w.nii.gz")
    elif how == "31":
        note(source, "sub-01", "groundtruth", labels=NUMBERS[:31])
    elif how == "twice":
        note(source, "sub-01", "groundtruth", labels=[*NUMBERS[:31], "1"])
    elif how == "named":
        note(source, "sub-01", "groundtruth", labels=["AC", *NUMBERS[1:]])
    elif how == "no axes":
        path.write_text(path.read_text().replace("# CoordinateSystem = RAS\n", ""))
    elif how == "no observer":
        path.rename(path.with_name("sub-01_space-T1w_afids.fcsv"))
    elif how == "copied":
        (source / "copy").mkdir()
        (source / "copy" / path.name).write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("no scan", DatasetError, r"sub-01: no image ends in _T1w\.nii\.gz"),
        ("two scans", DatasetError, r"sub-01: 2 images end in _T1w\.nii\.gz"),
        ("31", LandmarkFileError, "it has 31 landmarks, some of them lacking and should have each of 1 to 32 once"),
        ("twice", LandmarkFileError, "it has 32 landmarks, some of them lacking"),
        ("named", LandmarkFileError, "it has the landmark 'AC'"),
        ("no axes", LandmarkFileError, "does not say its coordinate system"),
        ("no observer", DatasetError, "its name has no desc- to tell the observer"),
        ("copied", DatasetError, "there are two files of groundtruth for this scan"),
    ],
)
def test_a_tree_that_is_not_clear_is_refused(tmp_path: Path, how: str, error: Any, words: str) -> None:
    source = tree(tmp_path / "in")
    break_it(source, how)
    with pytest.raises(error, match=words):
        import_dataset("afids", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scans", [False, True])
def test_a_folder_without_annotations_is_told_what_was_looked_for_and_where(tmp_path: Path, scans: bool) -> None:
    (tmp_path / "in").mkdir()
    if scans:
        scan(tmp_path / "in" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    with pytest.raises(DatasetError) as caught:
        import_dataset("afids", tmp_path / "in", tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'in'}: no file sub-..._desc-..._afids.fcsv lies in it or below; give the folder of the BIDS "
        "tree, with its derivatives."
    )


def test_a_mean_needs_observers(tmp_path: Path) -> None:
    scan(tmp_path / "in" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    note(tmp_path / "in", "sub-01", "groundtruth")
    with pytest.raises(DatasetError, match="sub-01: no single observer is here; take the truth 'groundtruth'"):
        import_dataset("afids", tmp_path / "in", tmp_path / "out", truth="mean")
