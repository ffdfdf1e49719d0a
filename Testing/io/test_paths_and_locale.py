"""Paths with any letters and of any length, folders of landmarks, and computers that write decimals with a comma."""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, ImageError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks
from LandmarkDetectorLib.io.landmarks import landmark_files

NAMES = ["Schädel größer", "頭蓋骨 点", "череп", "a  b (1) [2] #3 %41 & ' ;", "e\u0301-\U0001f480", "dots.in.the.name"]
VALUES = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
MARKS = LandmarkSet.from_positions(["Größe", "点"], [[0.5, -1.25, 1e-3], [np.nan] * 3])


def round_trips(folder, stem):
    image = Image(VALUES, Grid((4, 3, 2), (0.5, 0.75, 1.25), (-0.5, 1.5, 2.5), np.eye(3)))
    for suffix in (".nii", ".nii.gz", ".nrrd", ".mha", ".npz"):
        save_image(image, folder / f"{stem}{suffix}")
        read = load_image(folder / f"{stem}{suffix}")
        assert read.grid.same_as(image.grid) and np.array_equal(read.array, VALUES) and read.name == stem
    picture = Image.from_array(VALUES[0, 0].astype(np.uint8), unit="px")
    save_image(picture, folder / f"{stem}.png")
    assert np.array_equal(load_image(folder / f"{stem}.png").array, picture.array)
    for suffix in (".mrk.json", ".csv"):
        save_landmarks(MARKS, folder / f"{stem}{suffix}")
        assert np.array_equal(load_landmarks(folder / f"{stem}{suffix}").positions, MARKS.positions, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_letters(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    round_trips(folder, name)


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_series_in_a_folder_of_any_letters(tmp_path, dicom, name):
    dicom.series_in(tmp_path / name, VALUES[0])
    assert load_image(tmp_path / name).name == name


def test_paths_of_more_than_260_characters(tmp_path):
    folder = tmp_path
    for i in range(6):
        folder = folder / f"{i} a rather long folder name, as hospitals' archives make them"
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this system makes no paths of more than 260 characters")
    assert len(str(folder)) > 260
    round_trips(folder, "image")


def test_a_name_that_the_system_cannot_open_is_a_sentence(tmp_path, refused):
    for name in ("n" * 300 + ".nii", "a\0b.nii"):
        assert "rename it" in refused(ImageError, load_image, tmp_path / name)
    refused(LandmarkFileError, load_landmarks, tmp_path / ("n" * 300 + ".csv"))
    refused(LandmarkFileError, load_landmarks, tmp_path / "a\0b.csv")
    refused(LandmarkFileError, save_landmarks, MARKS, tmp_path / ("n" * 300 + ".csv"))


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name hold bytes that are no text")
def test_a_name_that_is_no_text_is_a_sentence(tmp_path, refused):
    path = os.path.join(os.fsencode(tmp_path), b"a\xff.nii")
    with open(path, "wb") as stream:
        stream.write(b"x")
    message = refused(ImageError, load_image, os.fsdecode(path))
    message.encode("utf-8")


def test_a_relative_path_and_a_path_as_text_do_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_landmarks(MARKS, "a.csv")
    assert load_landmarks("./a.csv").name == "a"
    save_image(Image(VALUES, Grid.regular((4, 3, 2))), "a.nii.gz")
    assert load_image("a.nii.gz").name == "a"


CHECK = """
import locale, sys
from pathlib import Path
locale.setlocale(locale.LC_ALL, sys.argv[2])
assert locale.localeconv()["decimal_point"] == ",", locale.localeconv()["decimal_point"]
import numpy as np
from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks
folder = Path(sys.argv[1])
image = Image(np.ones((1, 2, 3, 4), np.int16), Grid((4, 3, 2), (0.5, 0.75, 1.25), (-0.5, 1.5, 2.5), np.eye(3)))
for suffix in (".nii.gz", ".nrrd", ".mha", ".npz"):
    save_image(image, folder / f"a{suffix}")
    assert load_image(folder / f"a{suffix}").grid.same_as(image.grid), suffix
marks = LandmarkSet.from_positions(["a"], [[0.5, -1.25, 1e-3]])
for suffix in (".mrk.json", ".csv", ".fcsv"):
    save_landmarks(marks, folder / f"a{suffix}")
    assert "0,5" not in (folder / f"a{suffix}").read_text(encoding="utf-8")
    assert np.array_equal(load_landmarks(folder / f"a{suffix}").positions, marks.positions), suffix
assert locale.localeconv()["decimal_point"] == ",", "the region must be as it was"
"""


def comma_locale(folder):
    """A locale that writes decimals with a comma, and the environment for it; or made in ``folder``; or ``None``."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8", "pt_BR.UTF-8", "de_DE", "German"):
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            if locale.localeconv()["decimal_point"] == ",":
                return name, {}
    finally:
        locale.setlocale(locale.LC_ALL, before)
    if shutil.which("localedef") is None:
        return None
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    done = subprocess.run(made, capture_output=True)
    return ("de_DE.UTF-8", {"LOCPATH": str(folder)}) if done.returncode == 0 else None


def test_a_comma_decimal_region_does_not_matter(tmp_path):
    found = comma_locale(tmp_path)
    if found is None:
        pytest.skip("this system has no region that writes decimals with a comma, and makes none")
    name, environment = found
    command = [sys.executable, "-W", "ignore", "-c", CHECK, str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment, "LC_ALL": name})
    assert done.returncode == 0, done.stderr


def test_of_a_folder_the_landmarks_are_taken_and_what_measure_wrote_is_passed_over(tmp_path):
    """A subject whose name begins with the word measurements was passed over, too."""
    for name in ("b.csv", "b.mrk.json", "a.fcsv", "measurements_01.csv", "dataset.json", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("measurements.csv", "measurements-wide.csv", "measurements.xlsx", "b.measurements.mrk.json"):
        (tmp_path / name).touch()
    found = landmark_files(tmp_path)
    assert [file.name for file in found.values()] == ["a.fcsv", "b.mrk.json", "measurements_01.csv"]
    assert list(found) == ["a", "b", "measurements_01"]
