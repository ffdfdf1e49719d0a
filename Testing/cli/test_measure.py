"""landmark-detector measure: files of landmarks become tables and files of measurements."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset

from LandmarkDetectorLib.cli import measuring
from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.io import save_image, save_landmarks
from Testing.measure.subjects import ceph_image, ceph_marks, one_missing


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """A folder as detect leaves it: two subjects, each as .mrk.json and .csv."""
    folder = tmp_path / "heads"
    folder.mkdir()
    for name in ("ada", "ben"):
        marks = replace(ceph_marks(), name=name, info={})
        save_landmarks(marks, folder / f"{name}.mrk.json")
        save_landmarks(marks, folder / f"{name}.csv")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = ceph_image()
    for name in ("ada", "ben"):
        save_image(Image(image.array, image.grid, name), folder / f"{name}.mha")
    return folder


def test_a_file_becomes_a_table(run, heads: Path) -> None:
    result = run("measure", heads / "ada.csv", "--set", "steiner")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "82.0°" in lines["SNA"] and "82" in lines["SNA"]
    assert "not reviewed" in result.stdout and "not computed: needs Lower incisor apex" in result.stdout
    assert "within its uncertainty" not in lines["SNB"]


def test_sets_are_listed_and_landmarks_say_what_they_allow(run, heads: Path) -> None:
    listed = run("measure", "--list")
    assert listed.exit_code == 0 and "steiner" in listed.stdout and "fetal-head" in listed.stdout
    content = json.loads(run("measure", "--list", "--json").stdout)
    assert {"name", "title", "measurements", "description"} == set(content["sets"][0])
    allowed = json.loads(run("measure", heads / "ada.csv", "--list", "--json").stdout)[0]["sets"]
    by_name = {each["name"]: each for each in allowed}
    assert "SNA" in by_name["steiner"]["computable"]
    assert by_name["steiner"]["missing"]["L1-NB angle"] == ["Lower incisor apex"]
    assert "SNA-SNB" not in by_name["steiner"]["computable"], "it is measured in three dimensions only"


def test_without_a_set_the_landmarks_say_which_would_fit(run, refused, heads: Path) -> None:
    sentence = refused(run("measure", heads))
    assert "Say by --set what to measure" in sentence and "wits" in sentence
    assert "Give files of landmarks" in refused(run("measure"))


def test_a_set_for_another_anatomy_is_said_to_be_the_wrong_one(run, heads: Path) -> None:
    result = run("measure", heads / "ada.csv", "--set", "hip", "--set", "steiner")
    assert result.exit_code == 0 and result.stderr.count("Note:") == 1
    assert "ada.csv has no landmark that hip could use; these landmarks allow" in " ".join(result.stderr.split())


def test_json_goes_to_stdout_and_holds_all_that_is_known(run, heads: Path) -> None:
    content = json.loads(run("measure", heads, "--set", "steiner", "--json").stdout)
    assert [subject["subject"] for subject in content["subjects"]] == ["ada", "ben"]
    sna = content["subjects"][0]["results"][0]
    assert (sna["name"], sna["value"], sna["reviewed"]) == ("SNA", pytest.approx(82), False)
    assert sna["norm"]["mean"] == 82 and sna["interval"]["low"] < 82 < sna["interval"]["high"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".html", ".mrk.json"])
def test_the_suffix_decides_the_format(run, heads: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "new" / f"a{suffix}"
    result = run("measure", heads / "ada.csv", "--set", "steiner", "--output", file)
    assert result.exit_code == 0, result.output
    assert file.stat().st_size > 500 and "Written:" in result.stderr


def test_a_folder_gets_tables_of_all_and_a_page_of_each(run, heads: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("measure", heads, "--set", "steiner", "--set", "jarabak", "--image", pictures, "--output", out)
    result = run(*words)
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert names == {
        "ada.measurements.html", "ben.measurements.html", "measurements.csv", "measurements-wide.csv",
        "measurements.xlsx",
    }  # fmt: skip
    assert (out / "ada.measurements.html").read_text("utf-8").count("data:image/jpeg") > 10
    with (out / "measurements-wide.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["subject"] for row in rows] == ["ada", "ben"]
    assert float(rows[1]["steiner: SNB (degrees)"]) == pytest.approx(80)


def test_what_is_there_is_not_replaced_and_nothing_is_half_done(run, refused, heads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "measurements.csv").write_text("mine")
    words = ("measure", heads, "--set", "steiner", "--output", out)
    assert "measurements.csv would be replaced; add --overwrite" in refused(run(*words))
    assert [path.name for path in out.iterdir()] == ["measurements.csv"]
    assert run(*words, "--overwrite").exit_code == 0
    assert (out / "measurements.csv").read_text().startswith("subject,")
    # What measure wrote is no landmark when the folder is measured again.
    assert run("measure", out, "--set", "steiner").exit_code == 2


def test_one_file_that_cannot_be_read_does_not_stop_the_others(run, heads: Path, tmp_path: Path) -> None:
    (heads / "ada.mrk.json").write_text("{}")
    result = run("measure", heads, "--set", "steiner", "--output", tmp_path / "a.csv")
    assert result.exit_code == 2 and "1 of 2 files failed" in result.stderr and "Error: ada.mrk.json" in result.stderr
    assert "ben" in (tmp_path / "a.csv").read_text() and "ada" not in (tmp_path / "a.csv").read_text()


def test_who_vouches_is_named_and_the_panels_word_counts_more(run, heads: Path, tmp_path: Path) -> None:
    file = heads / "ada.mrk.json"
    document = json.loads(file.read_text("utf-8"))
    markup = document["markups"][0]
    keys = [[point["id"], point["label"]] for point in markup["controlPoints"]]
    codes = [1 if label != "Nasion" else 0 for _, label in keys]
    told = {"statuses": ["unreviewed", "confirmed"], "points": keys}
    entry = {"name": "review", "enabled": False, "description": json.dumps(told), "controlPointValues": codes}
    markup["measurements"].append(entry)
    file.write_text(json.dumps(document), encoding="utf-8")
    content = json.loads(run("measure", heads, "--set", "steiner", "--reviewed-by", "Dr. Ada", "--json").stdout)
    ada, ben = content["subjects"]
    assert (ada["review"], ada["not_reviewed"]) == ("partly reviewed", ["Nasion"])
    assert (ben["review"], ben["reviewed_by"]) == ("reviewed", "Dr. Ada")


def test_choices_sides_labels_and_sets_of_ones_own(run, refused, heads: Path, tmp_path: Path) -> None:
    chosen = run("measure", heads / "ada.csv", "--set", "steiner", "--choice", "mandibular_plane=Go-Me", "--json")
    notes = {r["name"]: r["notes"] for r in json.loads(chosen.stdout)["subjects"][0]["results"]}
    assert "mandibular plane: Go-Me" in notes["SN-MP"]
    assert "write it as NAME=OPTION" in refused(run("measure", heads / "ada.csv", "--set", "steiner", "--choice", "x"))
    own = tmp_path / "own.yaml"
    own.write_text(
        "title: Mine\ndescription: d\ncitation: c\nlandmarks: {P: {title: Sella}, Q: {title: Elsewhere}}\n"
        "measurements: [{name: PQ, title: P to Q, formula: 'distance(P, Q)', unit: mm, no_norm: mine}]\n"
    )
    found = run("measure", heads / "ada.csv", "--set", own, "--label", "Q=Nasion", "--json")
    assert json.loads(found.stdout)["subjects"][0]["results"][0]["value"] == pytest.approx(70)


def test_a_card_is_that_of_the_bundle_and_never_of_another(
    run, refused, heads: Path, toy_bundle: Path, tmp_path
) -> None:
    page = tmp_path / "a.html"
    words = ("measure", heads / "ada.csv", "--set", "steiner", "--bundle", toy_bundle, "--output", page)
    assert run(*words).exit_code == 0 and "Three landmarks of a toy" in page.read_text("utf-8")
    save_landmarks(
        replace(ceph_marks(), info={"bundle": "other", "version": "2.0", "fingerprint": "e" * 64}), heads / "c.mrk.json"
    )
    sentence = refused(run("measure", heads / "c.mrk.json", "--set", "steiner", "--bundle", toy_bundle))
    assert "found by other 2.0 and not by toy-skull 1.2.3" in sentence
    save_landmarks(LandmarkSet.from_positions(["1", "2"], np.eye(2)), heads / "d.csv")
    sentence = refused(run("measure", heads / "d.csv", "--distance", "1,2", "--bundle", toy_bundle))
    assert "d: none of its landmarks is one that toy-skull finds" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--output", "x.html"), "x.html is a file for one subject, and there are 2"),
        (("--output", "x.txt"), "measurements are written as .csv"),
        (("--output", "out", "--formats", "csv,doc"), "--formats csv,doc: name some of"),
        (("--with-patient",), "--with-patient is for .dcm files"),
        (("--level", "2"), "level 2.0 is not between 0 and 1"),
        (("--sides", "both"), "cannot be used by 'both'"),
        (("--view", "3D"), "cannot be measured in the view '3D'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    run, heads: Path, words: tuple[str, ...], sentence: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("measure", heads, "--set", "steiner", *words)
    assert result.exit_code == 2 and sentence in result.stderr and "Traceback" not in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"heads"}


def test_the_image_of_several_subjects_is_a_folder_with_theirs(run, refused, heads: Path, pictures: Path) -> None:
    one = run("measure", heads, "--set", "steiner", "--image", pictures / "ada.mha")
    assert one.exit_code == 2 and "is one image for several subjects" in one.stderr
    (pictures / "ben.mha").unlink()
    result = run("measure", heads, "--set", "steiner", "--image", pictures)
    assert result.exit_code == 2 and "holds no image called ben" in result.stderr and "1 of 2 files" in result.stderr


def dicom_picture(path: Path) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Secret^One", "4711", "", "F"
    header.StudyInstanceUID, header.SeriesInstanceUID, header.StudyID = "1.2.3", "1.2.3.1", "1"
    header.StudyDate, header.StudyTime, header.AccessionNumber, header.Modality = "20200101", "120000", "", "CR"
    header.Rows, header.Columns, header.SamplesPerPixel, header.PhotometricInterpretation = 400, 360, 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation, header.PixelSpacing = 7, 0, [0.5, 0.5]
    header.PixelData = np.zeros((400, 360), np.uint8).tobytes()
    header.save_as(path, enforce_file_format=True)
    return path


def test_a_dicom_report_has_the_patient_only_where_somebody_asks(run, heads: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="the extra report is not installed")
    image = dicom_picture(tmp_path / "image.dcm")
    words = ("measure", heads / "ada.csv", "--set", "steiner", "--image", image)
    assert run(*words, "--output", tmp_path / "without.dcm").exit_code == 0
    assert run(*words, "--output", tmp_path / "with.dcm", "--with-patient").exit_code == 0
    assert "Secret" not in str(pydicom.dcmread(tmp_path / "without.dcm"))
    report = pydicom.dcmread(tmp_path / "with.dcm")
    assert str(report.PatientName) == "Secret^One" and report.StudyInstanceUID == "1.2.3"
    page = tmp_path / "page.html"
    assert run(*words, "--output", page).exit_code == 0 and "Secret" not in page.read_text("utf-8")


def test_a_missing_landmark_is_never_zero_in_any_file(run, heads: Path, tmp_path: Path) -> None:
    save_landmarks(one_missing(ceph_marks(), "Nasion"), heads / "gap.mrk.json")
    assert run("measure", heads / "gap.mrk.json", "--set", "steiner", "--output", tmp_path / "a.csv").exit_code == 0
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["measurement"]: row for row in csv.DictReader(stream)}
    for name in ("SNA", "SNB", "ANB", "SN-MP"):
        assert (
            rows[name]["value"] == ""
            and "needs" in rows[name]["not_computed"]
            and "Nasion" in rows[name]["not_computed"]
        )


def test_landmarks_of_any_name_have_distances_and_a_size(run, refused, heads: Path) -> None:
    result = run("measure", heads / "ada.csv", "--distance", "Sella,Nasion", "--json")
    found = {r["name"]: r["value"] for r in json.loads(result.stdout)["subjects"][0]["results"]}
    assert found["Sella to Nasion"] == pytest.approx(70) and found["Centroid size"] > 100
    assert "'Foo' is none of the labels" in refused(run("measure", heads / "ada.csv", "--distance", "Sella,Foo"))
    assert "write two labels" in refused(run("measure", heads / "ada.csv", "--distance", "Sella"))


def test_ctrl_c_says_what_is_written_and_leaves_no_half(run, heads: Path, tmp_path: Path, monkeypatch) -> None:
    from LandmarkDetectorLib.measure.reports import html

    written = html.render_measurements
    calls = []

    def stop(*args, **how):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written(*args, **how)

    monkeypatch.setattr(html, "render_measurements", stop)
    result = run("measure", heads, "--set", "steiner", "--output", tmp_path / "out", "--formats", "html")
    assert result.exit_code == 130
    page = tmp_path / "out" / "ada.measurements.html"
    assert result.stderr.splitlines()[-1] == f"Cancelled; written before: {page}."
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ada.measurements.html"]


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_does_not_say_that_a_table_of_all_is_written_before_it_is(
    run, heads: Path, tmp_path: Path, monkeypatch, at: int
) -> None:
    tables = [tmp_path / "first.csv", tmp_path / "second.csv"]
    saved, calls = measuring._save, []

    def stop(*args) -> None:
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        saved(*args)

    monkeypatch.setattr(measuring, "_save", stop)
    result = run("measure", heads, "--set", "steiner", "--output", tables[0], "--output", tables[1])
    said = "nothing was written" if at == 1 else f"written before: {tables[0]}"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, f"Cancelled; {said}.")
    assert [table.exists() for table in tables] == [at == 2, False]


def test_what_fails_with_one_file_by_a_defect_of_ours_does_not_stop_the_others(run, heads: Path, monkeypatch) -> None:
    measured = measuring.measure_one

    def fail(file: Path, *args, **how):
        if file.name.startswith("ada"):
            raise IndexError("of ours")
        return measured(file, *args, **how)

    monkeypatch.setattr(measuring, "measure_one", fail)
    result = run("measure", heads, "--set", "steiner", "--json")
    ada, ben = json.loads(result.stdout)["subjects"]
    assert result.exit_code == 2 and "IndexError" in ada["error"] and ben["subject"] == "ben"
    monkeypatch.setattr(measuring, "measure_one", lambda *_, **__: fail(heads / "ada.csv"))
    assert run("measure", heads, "--set", "steiner").stderr.splitlines()[-1] == (
        "2 of 2 files failed, see above; nothing was measured."
    )


def test_landmarks_in_pixels_are_measured_in_mm_once_the_size_of_a_pixel_is_said(run, tmp_path: Path) -> None:
    image = Image(ceph_image().array, Grid.regular((360, 400), 1.0, "px"), "ada")
    save_image(image, tmp_path / "ada.png")
    marks = ceph_marks(unit="px")
    save_landmarks(replace(marks, info={}), tmp_path / "ada.csv")
    words = ("measure", tmp_path / "ada.csv", "--set", "jarabak", "--image", tmp_path / "ada.png", "--json")
    plain, scaled = (json.loads(run(*words, *more).stdout)["subjects"][0] for more in ((), ("--spacing", "0.5,0.25")))
    plain, scaled = ({each["name"]: each for each in said["results"]} for said in (plain, scaled))
    sella, nasion = (m for m in marks if m.label in ("Sella", "Nasion"))
    length = np.linalg.norm((sella.position - nasion.position) * [0.5, 0.25])
    assert plain["S-N"]["unit"] == "px" and scaled["S-N"]["unit"] == "mm"
    assert scaled["S-N"]["value"] == pytest.approx(length, abs=1e-3)
    assert scaled["S-N"]["interval"]["sd"] == pytest.approx(0.8 * 2**0.5 * 0.5, rel=0.02)  # S-N runs along x


def test_a_spacing_without_an_image_and_an_output_that_is_the_input_are_refused(run, refused, heads: Path) -> None:
    file = heads / "ada.mrk.json"
    assert "--spacing is of the image" in refused(run("measure", file, "--set", "steiner", "--spacing", 0.2))
    words = ("measure", file, "--set", "steiner", "--output", file, "--overwrite")
    assert "holds the landmarks that are measured" in refused(run(*words))
