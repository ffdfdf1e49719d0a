"""DICOM reports: that they are what the standard says, and give back the same points and numbers."""

from __future__ import annotations

import logging
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from LandmarkDetectorLib.core import Grid, Image, MeasurementError
from LandmarkDetectorLib.io.dicom_source import source_headers
from LandmarkDetectorLib.measure import load_set
from LandmarkDetectorLib.measure.reports import save_measurements
from LandmarkDetectorLib.measure.subject import Measured, Reviewed, measure_subject
from Testing.measure.made import bilateral, frontal_hips, picture
from Testing.measure.subjects import ceph_marks, fetus, head, solid_head

sr = pytest.importorskip("highdicom.sr", reason="the extra report is not installed")

SECRET = "Müller^Änne"


def written(measured: Measured, folder: Path, source: list[Dataset] | tuple = ()) -> Path:
    save_measurements([measured], folder / "a.dcm", source=source)
    return folder / "a.dcm"


def content_of(file: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sr.srread(str(file)).content


def points_of(file: Path) -> dict[str, np.ndarray]:
    groups = content_of(file).get_planar_roi_measurement_groups()
    return {group.tracking_identifier: group.roi.value[0] for group in groups}


def numbers_of(file: Path) -> dict[str, tuple[float, str]]:
    groups = content_of(file).get_image_measurement_groups()
    return {
        f"{group.tracking_identifier}: {item.name.meaning}": (item.value, item.unit.value)
        for group in groups
        for item in group.get_measurements()
    }


def hips() -> Measured:
    return measure_subject(picture(load_set("hip"), bilateral(frontal_hips())), ["hip"], subject="hips")


SUBJECTS = {
    "head": head,
    "reviewed": lambda: head(Reviewed("Dr. Ada Ünal")),
    "volume": lambda: solid_head(sets=("steiner", "jarabak")),
    "fetus": fetus,
    "hips": hips,
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_points_and_numbers_read_back_as_they_were(tmp_path, name):
    measured = SUBJECTS[name]()
    file = written(measured, tmp_path)
    places = {mark.label: mark.position for mark in measured.landmarks}
    points = points_of(file)
    assert set(points) == set(measured.used)
    for label, point in points.items():
        place = np.append(places[label], 0.0)[:3]
        # DICOM's FL is single precision: half a step of it, 4e-6 mm at 60 mm, is all that may be lost.
        assert np.all(np.abs(point - place) <= np.spacing(np.abs(place).astype(np.float32)) / 2 + 1e-12), label
    values = sorted(value for value, _ in numbers_of(file).values())
    assert values == pytest.approx(sorted(result.value for result in measured.computed), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_validator_finds_no_error(tmp_path, name):
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is not installed here (apt-get install dicom3tools)")
    done = subprocess.run([tool, str(written(SUBJECTS[name](), tmp_path))], capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    assert "Comprehensive3DSR" in lines
    assert [line for line in lines if line.startswith("Error")] == []
    ours = ("99LMDET", "DICOMDIR")  # a private scheme, which the file declares; and no patient, on purpose
    assert [line for line in lines if line.startswith("Warning") and not any(word in line for word in ours)] == []


def test_the_document_is_a_report_of_tid_1500_that_is_neither_verified_nor_final(tmp_path):
    file = written(head(), tmp_path)
    document = pydicom.dcmread(file)
    assert document.SOPClassUID == pydicom.uid.Comprehensive3DSRStorage
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert document.CompletionFlag == "PARTIAL", "a measurement could not be computed"
    assert document.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99LMDET"
    config = pydicom.config.settings.reading_validation_mode
    try:
        pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
        pydicom.dcmread(file).walk(lambda dataset, element: element.value)
    finally:
        pydicom.config.settings.reading_validation_mode = config


def test_codes_of_terminologies_are_used_where_there_are_some(tmp_path):
    groups = content_of(written(fetus(), tmp_path)).get_image_measurement_groups()
    codes = {item.name.value: item.name.scheme_designator for group in groups for item in group.get_measurements()}
    assert codes == dict.fromkeys(("11820-8", "11851-3", "11984-2", "11823-2"), "LN")
    text = str(pydicom.dcmread(written(head(), tmp_path)))
    assert "42575006" in text and "Sella turcica" in text and "steiner.SNA" in text


def test_norm_uncertainty_and_the_points_of_a_number_stand_with_it(tmp_path):
    measured = fetus()
    (group,) = content_of(written(measured, tmp_path)).get_image_measurement_groups()
    index = next(item for item in group.get_measurements() if item.name.value == "11823-2")
    told = {child.name.meaning: child for child in index[0].ContentSequence if child.ValueType == "NUM"}
    found = {name: float(child.MeasuredValueSequence[0].NumericValue) for name, child in told.items()}
    result = next(each for each in measured.results if each.name == "CI")
    assert found["Mean Value of population"] == 78.3 and found["Normal Range Lower Limit"] == 74
    assert found["+, range of upper measurement uncertainty"] == pytest.approx(result.interval.high - result.value)
    coordinates = [child for child in index[0].ContentSequence if child.ValueType == "SCOORD3D"]
    assert len(coordinates) == 4


def test_what_was_reviewed_and_by_whom_is_said(tmp_path):
    text = str(pydicom.dcmread(written(head(Reviewed("Dr. Ada")), tmp_path)))
    assert "Dr. Ada^" in text and "Reviewed by a person" in text and "Proposal, not reviewed" not in text
    text = str(pydicom.dcmread(written(head(), tmp_path)))
    assert "Proposal, not reviewed" in text and "Person Observer Name" not in text
    statuses = {label: "confirmed" for label in head().landmarks.labels} | {"Nasion": "unreviewed"}
    assert "Partly reviewed" in str(pydicom.dcmread(written(head(Reviewed("", statuses)), tmp_path)))


def test_without_a_source_there_is_no_patient_no_reference_and_a_frame_of_its_own(tmp_path):
    files = [written(head(), tmp_path / name) for name in ("a", "b") if not (tmp_path / name).mkdir()]
    documents = [pydicom.dcmread(file) for file in files]
    for document in documents:
        assert not any(str(document.get(name, "")) for name in ("PatientName", "PatientID", "PatientBirthDate"))
        assert not document.get("StudyDate") and not document.get("AccessionNumber")
        assert "CurrentRequestedProcedureEvidenceSequence" not in document
        assert "PertinentOtherEvidenceSequence" not in document
    frames = {content_of(f).get_planar_roi_measurement_groups()[0].roi.frame_of_reference_uid for f in files}
    assert len(frames) == 2 and documents[0].StudyInstanceUID != documents[1].StudyInstanceUID


def source_image(kind: str = "1.2.840.10008.5.1.4.1.1.2", **tags: object) -> Dataset:
    header = Dataset()
    header.PatientName, header.PatientID, header.PatientBirthDate = SECRET, "4711", "19700101"
    header.PatientSex, header.AccessionNumber, header.StudyID = "F", "A1", "S1"
    header.StudyDate, header.StudyTime, header.ReferringPhysicianName = "20200101", "120000", "Who^Ever"
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID, header.SOPInstanceUID = kind, "1.2.3.4"
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    header.Modality, header.Rows, header.Columns = "CT", 400, 360
    for name, value in tags.items():
        setattr(header, name, value)
    return header


def test_a_series_that_is_given_lends_patient_study_and_frame_of_reference(tmp_path, caplog):
    slices = [source_image(SOPInstanceUID=f"1.2.3.4.{n}", FrameOfReferenceUID="1.2.3.9") for n in range(3)]
    with caplog.at_level(logging.DEBUG):
        file = written(solid_head(), tmp_path, slices)
    document = pydicom.dcmread(file)
    assert str(document.PatientName) == SECRET and document.StudyInstanceUID == "1.2.3"
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert {item.ReferencedSOPInstanceUID for item in evidence} == {f"1.2.3.4.{n}" for n in range(3)}
    group = content_of(file).get_planar_roi_measurement_groups()[0]
    assert group.roi.frame_of_reference_uid == "1.2.3.9"
    assert not any("ller" in record.getMessage() for record in caplog.records), "no name in a log"
    others = [source_image(FrameOfReferenceUID=f"1.2.3.{n}") for n in range(2)]
    with pytest.raises(MeasurementError, match="several frames of reference"):
        written(solid_head(), tmp_path, others)


def test_a_name_in_several_character_sets_is_copied_as_it_reads(tmp_path):
    header = source_image("1.2.840.10008.5.1.4.1.1.1", SpecificCharacterSet=["", "ISO 2022 IR 87"])
    header.PatientName = "Yamada^Tarou=山田^太郎"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    document = pydicom.dcmread(written(head(), tmp_path, source_headers(tmp_path / "image.dcm")))
    assert document.SpecificCharacterSet == "ISO_IR 192" and str(document.PatientName) == "Yamada^Tarou=山田^太郎"


def test_points_of_a_single_dicom_picture_are_its_pixels(tmp_path):
    measured = head()
    file = written(measured, tmp_path, [source_image("1.2.840.10008.5.1.4.1.1.1")])
    group = content_of(file).get_planar_roi_measurement_groups()[0]
    place = measured.landmarks[group.tracking_identifier].position
    # Half a millimetre a pixel; the centre of the first pixel is 0.5, 0.5 in DICOM and the world's origin here.
    np.testing.assert_allclose(group.roi.value[0], place / 0.5 + 0.5, rtol=1e-6)
    assert group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_a_picture_without_a_scale_needs_its_dicom_image(tmp_path):
    marks = ceph_marks(unit="px")
    bare = measure_subject(marks, ["steiner"], subject="bare")
    with pytest.raises(MeasurementError, match="bare: a DICOM report needs positions in mm"):
        written(bare, tmp_path)
    assert list(tmp_path.iterdir()) == []
    grid = Grid.regular((360, 400), 1.0, "px")
    image = Image(np.zeros((1, 400, 360), np.uint8), grid, "bare")
    of_image = measure_subject(marks, ["steiner"], subject="bare", image=image)
    numbers = numbers_of(written(of_image, tmp_path, [source_image("1.2.840.10008.5.1.4.1.1.1")]))
    assert {unit for _, unit in numbers.values()} == {"deg", "{pixels}"}


def test_nothing_measured_is_no_report(tmp_path):
    nothing = measure_subject(type(ceph_marks())(()), ["steiner"], subject="nobody")
    with pytest.raises(MeasurementError, match="nobody: nothing could be measured"):
        written(nothing, tmp_path)
