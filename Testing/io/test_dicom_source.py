"""The DICOM images that a report is filed with: found, and known to lie where the volume does."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.io.dicom_header import patient_of
from LandmarkDetectorLib.io.dicom_source import lie_in, series_files, source_headers
from Testing.io.conftest import DicomMaker

VOLUME = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)
OBLIQUE, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
OBLIQUE = OBLIQUE * np.sign(np.linalg.det(OBLIQUE))


def test_the_files_of_one_series_are_told_from_those_of_another(tmp_path, dicom):
    ours = dicom.series_in(tmp_path, VOLUME)
    other = DicomMaker()
    theirs = other.save(tmp_path / "other.dcm", VOLUME[0])
    (tmp_path / "notes.txt").write_text("none of them", encoding="utf-8")
    assert series_files(tmp_path, dicom.series) == sorted(ours)
    assert series_files(tmp_path, other.series) == [theirs] and len(series_files(tmp_path)) == 6


def test_headers_are_read_of_a_folder_and_of_its_files_alike(tmp_path, dicom):
    files = dicom.series_in(tmp_path, VOLUME)
    of_folder = {header.SOPInstanceUID for header in source_headers(tmp_path)}
    assert of_folder == {header.SOPInstanceUID for header in source_headers(files)} and len(of_folder) == 5
    other = DicomMaker().save(tmp_path / "other.dcm", VOLUME[0])
    with pytest.raises(ImageError, match="several series"):
        source_headers([*files, other])
    shutil.copy(__file__, tmp_path / "a.txt")
    with pytest.raises(ImageError, match="it is no DICOM image"):
        source_headers([tmp_path / "a.txt"])


def test_what_images_do_not_say_of_their_patient_is_empty_and_their_own_number_is_needed(tmp_path, dicom):
    study = {"StudyInstanceUID": "1.2.3", "PatientBirthDate": None, "PatientID": None}
    (header,) = source_headers(dicom.save(tmp_path / "a.dcm", VOLUME[0], **study))
    assert str(header.PatientName) == "Mustermann"
    assert not header.PatientBirthDate and not header.PatientID and not header.AccessionNumber
    with pytest.raises(ImageError, match="^b.dcm: it has no StudyInstanceUID, by which"):
        source_headers(dicom.save(tmp_path / "b.dcm", VOLUME[0], StudyInstanceUID=None))


@pytest.mark.parametrize(
    ("tag", "value"),
    [("PatientBirthDate", "1960-02-03"), ("StudyDate", "20201301"), ("StudyTime", "99:10"), ("PatientSex", "W")],
)
def test_a_tag_that_no_report_may_repeat_is_refused_by_name_and_not_by_value(tmp_path, dicom, refused, tag, value):
    import pydicom

    with pydicom.config.disable_value_validation():
        path = dicom.save(tmp_path / "a.dcm", VOLUME[0], **{tag: value})
    assert refused(ImageError, source_headers, path) == f"a.dcm: its {tag} is none that DICOM allows; mend the header."


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE])
def test_images_lie_in_the_volume_that_was_read_from_them_and_in_no_other(tmp_path, dicom, direction):
    dicom.series_in(tmp_path, VOLUME, direction=direction)
    headers, grid = source_headers(tmp_path), load_image(tmp_path).grid
    assert lie_in(headers, grid)
    step = np.asarray(grid.direction) * grid.spacing
    for away in (step[:, 0] * 0.3, step[:, 0], step[:, 2], -step[:, 1], [0.5, 0, 0]):
        assert not lie_in(headers, replace(grid, origin=tuple(np.asarray(grid.origin) + away)))
    upside_down = np.asarray(grid.direction) @ np.diag([1, -1, -1])
    assert not lie_in(headers, replace(grid, direction=upside_down))
    assert not lie_in(headers, replace(grid, spacing=(1.0, 1.0, 1.0)))


def test_images_that_do_not_say_where_they_lie_are_known_by_their_size(tmp_path, dicom):
    dicom.save(tmp_path / "a.dcm", VOLUME[0], PixelSpacing=[0.5, 0.5])
    headers, grid = source_headers(tmp_path / "a.dcm"), load_image(tmp_path / "a.dcm").grid
    assert grid.dimension == 2 and lie_in(headers, grid)
    assert not lie_in(headers, replace(grid, size=(4, 4)))


def test_a_patients_number_that_is_damaged_is_none_and_is_not_repeated(tmp_path, dicom, recwarn, caplog):
    (path,) = dicom.series_in(tmp_path / "series", np.zeros((1, 4, 5), np.uint16), PatientID="Quillon 1951")
    whole = path.read_bytes()
    assert patient_of([path]) == "/Quillon 1951"
    at = whole.index(b"\x10\x00\x20\x00LO")
    for damaged in (
        whole[: at + 4] + b"L\xd5" + whole[at + 6 :],  # no kind of value
        whole[: at + 8] + b"\xff" * 12 + whole[at + 20 :],  # no text
    ):
        path.write_bytes(damaged)
        assert patient_of([path]) == ""
    assert not recwarn.list and not caplog.records
