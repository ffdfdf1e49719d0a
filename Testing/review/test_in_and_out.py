"""Annotations come in under a person's name; what was reviewed goes out without any."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from LandmarkDetectorLib.core import Image, ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks
from LandmarkDetectorLib.review import Correction, ReviewError, ReviewStore
from LandmarkDetectorLib.review.locked import group_of
from Testing.review.toys import make_image, make_proposal

PLACES = LandmarkSet(
    (Landmark("nasion", (1.5, 2.25, 3.125)), Landmark("basion", None, "missing"), Landmark("inion", None, "undefined"))
)


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv", ".xlsx"])
@pytest.mark.filterwarnings("ignore:.*which .fcsv cannot say")
def test_a_file_of_landmarks_becomes_an_observers_corrections_without_a_proposal(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"marks{suffix}"
    save_landmarks(PLACES, file, coordinate_system="RAS")
    done = store.import_annotations("anna", file, image_file())
    (case,) = done.cases
    history = store.case(case).history("anna")
    said = [(record["label"], record["after"]["status"], record["proposal"]) for record in history]
    absent = [] if suffix == ".fcsv" else [("basion", "absent", None)]  # .fcsv holds no landmark without a place
    assert said == [("nasion", "corrected", None), *absent]
    assert {record["origin"] for record in history} == {"import"}
    np.testing.assert_allclose(history[0]["after"]["position"], [1.5, 2.25, 3.125], atol=1e-9)


def test_importing_again_stores_nothing_and_a_later_file_stands_behind(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "marks.mrk.json"
    save_landmarks(PLACES, file)
    assert store.import_annotations("anna", file, image_file()).stored == 2
    assert store.import_annotations("anna", file, image_file()).stored == 0
    save_landmarks(replace(PLACES, landmarks=(Landmark("nasion", (9, 9, 9)), *PLACES.landmarks[1:])), file)
    (case,) = store.import_annotations("anna", file, image_file()).cases
    assert len(store.case(case).history("anna")) == 3


@pytest.mark.parametrize("suffix", [".mrk.json", ".csv", ".fcsv", ".xlsx"])
def test_a_proposal_is_no_annotation_in_whatever_format(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"marks{suffix}"
    save_landmarks(make_proposal(), file)
    with pytest.raises(ReviewError, match="are a detector's"):
        store.import_annotations("anna", file, image_file())


def test_a_folder_is_imported_and_what_cannot_be_is_named(store: ReviewStore, tmp_path: Path) -> None:
    folder = tmp_path / "annotated"
    folder.mkdir()
    for number in range(3):
        save_image(make_image(number), folder / f"s{number}.nrrd")
        save_landmarks(PLACES if number else make_proposal(), folder / f"s{number}.mrk.json")
    done = store.import_annotations("anna", folder)
    assert len(done.cases) == 2 and done.stored == 4
    (sentence,) = done.left_out
    assert sentence.startswith("s0.nrrd: its landmarks are a detector's")


def test_a_data_set_of_ours_is_imported_and_what_a_file_lacks_is_not_called_absent(
    store: ReviewStore, tmp_path: Path
) -> None:
    save_image(make_image(), tmp_path / "a.nrrd")
    save_landmarks(LandmarkSet((Landmark("nasion", (1, 2, 3)),)), tmp_path / "a.mrk.json")
    entry = {"image": "a.nrrd", "landmarks": "a.mrk.json", "subject": "s1", "family": "litter 1"}
    listing = {"landmark_labels": ["nasion", "basion"], "training": [entry]}
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    (case,) = store.import_annotations("anna", tmp_path).cases
    assert store.state(case, "anna").entries.keys() == {"nasion"}
    assert store.case(case).about["family"] == "litter 1"


def test_a_prediction_does_not_pass_for_what_a_person_said(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    for suffix in (".mrk.json", ".csv"):
        file = tmp_path / f"found{suffix}"
        save_landmarks(make_proposal(), file)
        with pytest.raises(ReviewError, match="nothing says that a person reviewed them"):
            store.import_annotations("anna", file, image_file())
    assert store.cases() == []
    assert store.import_annotations("anna", file, image_file(), reviewed=True).stored == 4


def test_what_the_panel_saved_keeps_its_statuses(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    marks = make_proposal()
    ids = ["1", "2", "3", "4"]
    text = {
        "statuses": ["unreviewed", "confirmed", "corrected", "absent", "not found"],
        "points": [[key, label] for key, label in zip(ids, marks.labels, strict=True)],
        "proposals": {},
        "sources": [],
    }
    kept = {
        "controlPoints": [{"label": label, "id": key} for key, label in zip(ids, marks.labels, strict=True)],
        "markup": {
            "measurements": [
                {
                    "name": "review",
                    "enabled": False,
                    "description": json.dumps(text),
                    "controlPointValues": [1, 0, 2, 3],
                }
            ]
        },
    }
    file = tmp_path / "reviewed.mrk.json"
    save_landmarks(replace(marks, info={"markups": kept}), file)
    (case,) = store.import_annotations("anna", file, image_file()).cases
    state = store.state(case, "anna")
    assert {label: entry.status for label, entry in state.entries.items()} == {
        "nasion": "corrected",  # confirmed there, and here nothing is that could be confirmed
        "inion": "corrected",
        "bregma": "absent",
    }


def test_a_file_without_its_image_is_refused(store: ReviewStore, tmp_path: Path) -> None:
    save_landmarks(PLACES, tmp_path / "a.fcsv")
    with pytest.raises(ReviewError, match="give the image as well"):
        store.import_annotations("anna", tmp_path / "a.fcsv")


@pytest.fixture
def reviewed(store: ReviewStore, case: str, image_file: Callable[..., Path]) -> ReviewStore:
    """A confirmed, a corrected and an absent landmark, one that nobody looked at; two observers; one case waits."""
    store.record(case, "Dr Anna Ray", Correction("nasion", "confirmed"), Correction("bregma", "absent"))
    store.record(case, "Dr Anna Ray", Correction("inion", "corrected", (7.25, 8, 9)))
    store.record(case, "Ben Ode", Correction("nasion", "corrected", (1, 2, 3.5)), Correction("bregma", "absent"))
    store.add_image(image_file(seed=9, name="Roe^Max.nrrd"))
    return store


def test_only_what_was_reviewed_goes_into_a_data_set(reviewed: ReviewStore, case: str, tmp_path: Path) -> None:
    done = reviewed.export_dataset(tmp_path / "out", observer="Dr Anna Ray")
    assert done.cases == (case,) and done.left_out[0][1] == "no reviewed landmark has a place"
    (entry,) = read_dataset(tmp_path / "out").cases
    assert {mark.label: mark.status for mark in entry.landmarks} == {
        "nasion": "defined",
        "basion": "undefined",
        "inion": "defined",
        "bregma": "missing",
    }
    assert entry.landmarks["inion"].position.tolist() == [7.25, 8, 9]
    assert all(mark.confidence is None for mark in entry.landmarks)
    image = entry.image()
    np.testing.assert_array_equal(image.array, make_image().array)
    np.testing.assert_allclose(image.grid.matrix, make_image().grid.matrix, atol=1e-4)


def test_a_sample_of_the_export_is_masked_where_nobody_looked(reviewed: ReviewStore, case: str, tmp_path: Path) -> None:
    from LandmarkDetectorLib.datasets import LandmarkDataset

    reviewed.export_dataset(tmp_path / "out", observer="Dr Anna Ray")
    (sample,) = LandmarkDataset(read_dataset(tmp_path / "out"))
    assert sample["labels"] == ("nasion", "basion", "inion", "bregma")
    assert sample["labelled"].tolist() == [True, False, True, True]
    assert sample["present"].tolist() == [True, False, True, False]


def test_several_observers_go_out_with_their_mean_under_codes(reviewed: ReviewStore, case: str, tmp_path: Path) -> None:
    reviewed.export_dataset(tmp_path / "out")
    (entry,) = read_dataset(tmp_path / "out").cases
    assert entry.landmarks["nasion"].position.tolist() == [1, 2, 3.25]
    assert len(entry.raters) == 2 and all(name.startswith("observer-") for name in entry.raters)
    reviewed.export_dataset(tmp_path / "named", pseudonyms=False)
    assert set(read_dataset(tmp_path / "named").cases[0].raters) == {"Dr Anna Ray", "Ben Ode"}


def test_labels_that_a_case_does_not_know_are_unlabelled_not_absent(
    reviewed: ReviewStore, case: str, tmp_path: Path
) -> None:
    reviewed.export_dataset(tmp_path / "out", labels=["inion", "lambda"], observer="Dr Anna Ray")
    dataset = read_dataset(tmp_path / "out")
    assert dataset.labels == ("inion", "lambda") and dataset.cases[0].landmarks["lambda"].status == "undefined"


def test_a_data_set_may_refer_to_images_where_they_lie(reviewed: ReviewStore, case: str, tmp_path: Path) -> None:
    done = reviewed.export_dataset(tmp_path / "out", copy_images=False)
    assert not (tmp_path / "out" / "images").exists()
    assert read_dataset(tmp_path / "out").cases[0].image_path.resolve() == (tmp_path / "scans/Doe^Jane 1970.nrrd")
    assert any("not to be passed on" in sentence for sentence in done.stays)
    with pytest.raises(ReviewError, match="holds its images"):
        from LandmarkDetectorLib.review.export import export

        export(reviewed, tmp_path / "other", "bids", copy_images=False)


def test_monai_reads_the_datalist(reviewed: ReviewStore, case: str, tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist

    reviewed.export_monai(tmp_path / "out", observer="Dr Anna Ray")
    (item,) = load_decathlon_datalist(str(tmp_path / "out" / "datalist.json"), is_segmentation=False)
    np.testing.assert_array_equal(load_image(item["image"]).array, make_image().array)
    assert item["landmarks"] == [[1, 2, 3], None, [7.25, 8, 9], None]
    assert item["labelled"] == [True, False, True, True] and item["subject"] == case


def test_folders_like_those_of_bids_hold_image_and_landmarks_of_each_subject(
    reviewed: ReviewStore, case: str, tmp_path: Path
) -> None:
    reviewed.export_bids(tmp_path / "out", observer="Dr Anna Ray")
    subject = f"sub-{case.replace('-', '')}"
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    derived = f"derivatives/landmarks/{subject}/anat/{subject}_desc-reviewed_landmarks"
    assert names == {
        "dataset_description.json",
        "derivatives/landmarks/dataset_description.json",
        "participants.tsv",
        "README",
        "DEIDENTIFICATION.txt",
        f"{subject}/anat/{subject}_image.nii.gz",
        f"{derived}.mrk.json",
        f"{derived}.tsv",
    }
    rows = (tmp_path / "out" / f"{derived}.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["label", "x", "y", "z", "unit", "status"]
    assert rows[3] == "inion\t7.25\t8.0\t9.0\tmm\tdefined" and rows[4] == "bregma\tn/a\tn/a\tn/a\tmm\tmissing"
    assert load_landmarks(tmp_path / "out" / f"{derived}.mrk.json")["basion"].status == "undefined"


@pytest.mark.parametrize("form", ["export_dataset", "export_monai", "export_bids"])
def test_nothing_in_an_export_says_who_or_when(
    store: ReviewStore, tmp_path: Path, form: str, dicom_series: Path
) -> None:
    case = store.add_image(dicom_series, subject="MRN-4711", family="Doe family")
    store.record(case, "Dr Anna Ray", Correction("nasion", "corrected", (1, 1, 1), seconds=61.5))
    store.record(case, "Ben Ode", Correction("nasion", "corrected", (1, 2, 1)))
    done = getattr(store, form)(tmp_path / "out")
    names = "Doe", "Jane", "1970", "MRN", "4711", "Ray", "Anna", "Ben", "Ode", "61.5", "2026-", "secret"
    for path in (tmp_path / "out").rglob("*"):
        data = path.relative_to(tmp_path / "out").as_posix().encode()
        if path.is_file():
            data += gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for name in names:
            assert name.encode() not in data, f"{name} stands in {path.name}"
    told = (tmp_path / "out" / "DEIDENTIFICATION.txt").read_text()
    assert "all DICOM tags" in told and "burnt into a picture" in told
    assert all(sentence in told for sentence in (*done.removed, *done.stays))


@pytest.fixture
def dicom_series(tmp_path: Path) -> Path:
    """Two slices of a patient who has a name, a number and a birthday."""
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    for number in range(2):
        header = pydicom.Dataset()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        header.SeriesInstanceUID = "1.2.3"
        header.PatientName, header.PatientID, header.PatientBirthDate = "Doe^Jane", "4711", "19700101"
        header.ImageComments = "secret"
        header.Modality, header.Rows, header.Columns = "CT", 4, 5
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 1, 1
        header.PhotometricInterpretation = "MONOCHROME2"
        header.PixelSpacing, header.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient = [0, 0, number]
        header.PixelData = np.arange(20, dtype=np.int16).tobytes()
        header.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def test_a_picture_without_a_scale_goes_out_and_comes_back_in_pixels(store: ReviewStore, tmp_path: Path) -> None:
    picture = Image.from_array(np.arange(120, dtype=np.uint8).reshape(10, 12), unit="px")
    save_image(picture, tmp_path / "p.png")
    case = store.add_image(tmp_path / "p.png")
    store.record(case, "anna", Correction("tip", "corrected", (3.5, 4.5)))
    store.export_dataset(tmp_path / "out")
    (entry,) = read_dataset(tmp_path / "out").cases
    assert entry.landmarks.unit == "px" and entry.landmarks["tip"].position.tolist() == [3.5, 4.5]
    np.testing.assert_array_equal(entry.image().array, picture.array)


def test_an_image_that_was_changed_stays_behind_and_that_is_said(
    reviewed: ReviewStore, case: str, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    image_file(seed=5)
    with pytest.raises(ReviewError, match="None of 2 cases can go out"):
        reviewed.export_dataset(tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def test_an_export_does_not_write_into_a_folder_that_holds_something(reviewed: ReviewStore, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(ReviewError, match="there already"):
        reviewed.export_dataset(tmp_path / "out")


def test_verify_compares_images_when_asked(reviewed: ReviewStore, image_file: Callable[..., Path]) -> None:
    assert reviewed.verify(images=True) == []
    image_file(seed=5)
    assert [finding.kind for finding in reviewed.verify(images=True)] == ["damage"]
    assert reviewed.verify() == []


def test_importing_again_takes_nothing_back_that_was_said_since(
    store: ReviewStore, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "a.mrk.json"
    save_landmarks(PLACES, file)
    (case,) = store.import_annotations("anna", file, image_file()).cases
    first, second = PLACES.labels[:2]
    store.record(case, "anna", Correction(first, "corrected", (1, 2, 3.25)), Correction(second, "absent"))
    assert store.import_annotations("anna", file, image_file()).stored == 0
    entries = store.state(case, "anna").entries
    assert tuple(entries[first].position) == (1, 2, 3.25) and entries[second].status == "absent"
    assert store.import_annotations("ben", file, image_file()).stored == 2, "another observer says it first"


def test_what_a_data_set_calls_absent_is_absent(store: ReviewStore, tmp_path: Path) -> None:
    save_image(make_image(), tmp_path / "a.nrrd")
    save_landmarks(LandmarkSet((Landmark("nasion", (1, 2, 3)),)), tmp_path / "a.mrk.json")
    entry = {"image": "a.nrrd", "landmarks": "a.mrk.json", "subject": "s1", "absent": ["basion"]}
    listing = {"landmark_labels": ["nasion", "basion"], "training": [entry]}
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    (case,) = store.import_annotations("anna", tmp_path).cases
    assert store.state(case, "anna").entries["basion"].status == "absent"


def test_an_image_whose_adding_broke_off_is_no_case_and_stops_no_export(
    reviewed: ReviewStore, case: str, tmp_path: Path
) -> None:
    (reviewed.folder / "cases" / "case-00ff").mkdir()
    (reviewed.folder / "cases" / "case-00ff" / "places.jsonl").touch()
    assert [row.case for row in reviewed.cases() if row.case == "case-00ff"] == []
    assert reviewed.export_dataset(tmp_path / "out").cases == (case,)
    assert any("was not finished" in finding.message for finding in reviewed.verify())


def test_a_damaged_case_stays_behind_and_the_others_go_out(
    reviewed: ReviewStore, case: str, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    other = reviewed.add_image(image_file(seed=5, name="other.nrrd"))
    reviewed.record(other, "Ben Ode", Correction("nasion", "corrected", (1, 2, 3)))
    document = reviewed.folder / "cases" / other / "case.json"
    document.chmod(0o600)
    document.write_text(document.read_text().replace('"subject": ""', '"subject": "x"'))
    done = ReviewStore.open(reviewed.folder).export_dataset(tmp_path / "out")
    assert done.cases == (case,) and other in dict(done.left_out)


def test_a_log_that_the_disk_refuses_is_reported_and_keeps_no_other_case_in(
    reviewed: ReviewStore, case: str, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    broken = reviewed.add_image(image_file(7, "7.nrrd"))
    reviewed.record(broken, "anna", Correction("nasion", "corrected", (1.0, 2.0, 3.0)))
    (log,) = (reviewed.folder / "cases" / broken).glob("corrections-*.jsonl")
    log.unlink()
    log.mkdir()  # whoever runs the tests, nobody can read it as a file
    done = reviewed.export_dataset(tmp_path / "out")
    assert done.cases == (case,) and "cannot be read" in dict(done.left_out)[broken]
    damaged = [finding for finding in reviewed.verify() if finding.kind == "damage"]
    assert {finding.case for finding in damaged} == {broken}
    assert "a log of corrections cannot be read" in damaged[0].message


def test_no_message_about_an_image_repeats_its_files_name(
    reviewed: ReviewStore, case: str, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = image_file()
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ImageError, match=f"{case}: its image cannot be read any more") as raised:
        reviewed.image(case)
    assert "Doe" not in str(raised.value)


def test_images_of_one_patient_are_one_subject_whose_number_stands_nowhere(
    store: ReviewStore, dicom_series: Path, tmp_path: Path
) -> None:
    first = store.add_image(dicom_series)
    later = tmp_path / "later"
    later.mkdir()
    for file in dicom_series.iterdir():
        header = pydicom.dcmread(file)
        header.SeriesInstanceUID, header.PixelData = "1.2.4", np.arange(20, 40, dtype=np.int16).tobytes()
        header.save_as(later / file.name, enforce_file_format=True)
    second = store.add_image(later)
    assert first != second and group_of(store, first) == group_of(store, second) != (first,)
    assert store.case(first).about["subject"].startswith("patient-")
    assert group_of(store, store.add_image(make_image(), patient="/4711")) == group_of(store, first)
    for path in store.folder.rglob("*"):
        assert not path.is_file() or b"4711" not in path.read_bytes(), path.name
    assert store.case(store.add_image(make_image(3), subject="s1", patient="/4711")).about["subject"] == "s1"
    for file in later.iterdir():
        header = pydicom.dcmread(file)
        header.PatientID, header.PixelData = "ANONYMOUS", np.arange(40, 60, dtype=np.int16).tobytes()
        header.save_as(file, enforce_file_format=True)
    assert store.case(store.add_image(later)).about["subject"] == "", "not all who are called so are one patient"
