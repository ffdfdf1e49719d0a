"""Measurements as a DICOM report: filed with the images where these are known, and plainly said where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from Testing.io.conftest import DicomMaker
from Testing.panel.measuring import HEADS, begin_measuring, choose, confirm_all, export

STUDY = {
    "FrameOfReferenceUID": "1.2.3.9",
    "StudyInstanceUID": "1.2.3",
    "PatientSex": "F",
    "AccessionNumber": "A1",
    "StudyID": "S1",
    "StudyDate": "20200101",
    "StudyTime": "120000",
    "ReferringPhysicianName": "Who^Ever",
    "Modality": "CT",
}


@pytest.fixture
def measuring(person):
    begin_measuring(person)
    return person


def solid_heads(origin=(0.0, 0.0, 0.0)) -> LandmarkSet:
    """The made-up head in a volume, seen from the side."""
    marks = [
        Landmark(label, np.array([10.0, 40 - x, 40 - y]) + origin, None, 0.8, np.diag([0.04, 0.03, 0.02]))
        for label, (x, y) in HEADS.items()
    ]
    return LandmarkSet(tuple(marks), "mm", "head")


def open_series(person, folder: Path):
    """A DICOM series with a head in it, measured."""
    from LandmarkDetector.Scene.result import create_result

    values = np.random.default_rng(0).integers(0, 900, (22, 45, 24)).astype(np.int16)
    DicomMaker().series_in(folder, values, spacing=(1.0, 1.0, 2.0), origin=(0.0, 0.0, 0.0), **STUDY)
    volume = person.desktop.open(folder)
    person.rest()
    person.panel.review.choose_node(create_result(person.desktop.scene, solid_heads(), volume))
    person.widget("measureSection").setCollapsed(False)
    person.rest()
    choose(person, "measureSetCombo", "steiner")
    return volume


def test_a_dicom_report_of_a_series_is_filed_with_it_if_the_person_wants(person, tmp_path):
    import pydicom

    open_series(person, tmp_path / "series")
    person.answer()
    confirm_all(person)
    said = export(person, ".dcm", tmp_path / "a.dcm", ask_text=["Ada"], ask=["with"])
    assert "written to a.dcm" in said and "Copy patient and study" in person.dialogs.asked[1][1]
    document = pydicom.dcmread(tmp_path / "a.dcm")
    assert document.StudyInstanceUID == "1.2.3" and str(document.PatientName) == DicomMaker.secrets[0]
    references = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert len(references) == 22
    export(person, ".dcm", tmp_path / "b.dcm", ask=["without"])
    nobody = pydicom.dcmread(tmp_path / "b.dcm")
    assert str(nobody.PatientName) == "" and "CurrentRequestedProcedureEvidenceSequence" not in nobody


def test_a_dicom_report_of_another_file_says_that_it_has_no_patient(measuring, tmp_path):
    import pydicom

    confirm_all(measuring)
    choose(measuring, "measureFormatCombo", ".dcm")
    measuring.answer(ask_text=[""], ask=[None])
    measuring.press("measureExportButton")
    asked = measuring.dialogs.asked[1][1]
    assert "the image was not loaded from DICOM" in asked and "names no patient" in asked
    assert list(tmp_path.iterdir()) == []
    export(measuring, ".dcm", tmp_path / "a.dcm", ask=["without"])
    assert str(pydicom.dcmread(tmp_path / "a.dcm").PatientName) == ""


def test_a_series_that_was_moved_is_no_place_for_the_points_of_a_report(person, tmp_path):
    from Testing.scene.nodes import add_linear

    volume = open_series(person, tmp_path / "series")
    confirm_all(person)
    transform = add_linear(person.desktop.scene)
    matrix = transform.GetMatrixTransformToParent()
    matrix.Identity()
    matrix.SetElement(0, 3, 2.0)
    transform.SetMatrixTransformToParent(matrix)
    for each in (volume, person.panel.review.node):
        each.SetAndObserveTransformNodeID(transform.GetID())
    person.rest()
    choose(person, "measureFormatCombo", ".dcm")
    person.answer(ask_text=[""], ask=[None])
    person.press("measureExportButton")
    assert "moved or resampled" in person.dialogs.asked[1][1]
    volume.HardenTransform()
    person.answer(ask=[None])
    person.press("measureExportButton")
    assert "moved or resampled" in person.dialogs.asked[0][1]


def test_a_saved_scene_keeps_no_path_of_the_dicom_images(person, tmp_path):
    import zipfile

    open_series(person, tmp_path / "Mustermann")
    person.desktop.save_scene(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        texts = [archive.read(name).decode("utf-8", "replace") for name in archive.namelist() if name.endswith("mrml")]
    assert texts and not any(str(tmp_path) in text for text in texts)


def test_dicom_images_are_found_by_slicers_database_where_it_made_the_volume(measuring, tmp_path, monkeypatch):
    import slicer

    from LandmarkDetector.Scene.dicom_source import INSTANCES, dicom_files
    from LandmarkDetectorLib.core import ImageError

    files = DicomMaker().series_in(tmp_path / "series", np.zeros((2, 4, 3), np.int16))
    volume = measuring.panel.input.volume
    assert dicom_files(volume) == [], "an ultrasound picture in a .mha"
    volume.SetAttribute(INSTANCES, "1.1 1.2")

    class Database:
        def __init__(self, *known: Path) -> None:
            self.known = dict(zip(("1.1", "1.2"), map(str, known), strict=False))

        def fileForInstance(self, instance: str) -> str:  # noqa: N802
            return self.known.get(instance, "")

    monkeypatch.setattr(slicer, "dicomDatabase", Database(*files), raising=False)
    assert dicom_files(volume) == files
    monkeypatch.setattr(slicer, "dicomDatabase", Database(files[0]), raising=False)
    with pytest.raises(ImageError, match="1 of its 2 DICOM images are not in Slicer's DICOM database"):
        dicom_files(volume)
