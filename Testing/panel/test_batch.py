"""A folder of images: what fails does not stop the rest, what was stopped goes on, a double click reviews."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.io import save_landmarks
from Testing.panel.person import HEAD, PICTURE


@pytest.fixture
def folders(person, tmp_path):
    """Three images, one of them broken, below a folder; the panel is told of it."""
    images = tmp_path / "images"
    (images / "clinic").mkdir(parents=True)
    shutil.copy(PICTURE, images / "first.mha")
    shutil.copy(PICTURE, images / "clinic" / "second.mha")
    (images / "broken.nii.gz").write_bytes(b"no image")
    person.panel.input.choose_bundle(HEAD)
    person.widget("batchSection").setProperty("collapsed", False)
    person.answer(open_folder=[str(images), str(tmp_path / "results")])
    person.press("batchInputButton")
    person.press("batchOutputButton")
    return images, tmp_path / "results"


def table(person) -> dict[str, tuple[str, str]]:
    rows = person.widget("batchTable")
    return {rows.item(r, 0).text(): (rows.item(r, 1).text(), rows.item(r, 2).text()) for r in range(rows.rowCount())}


def run(person) -> None:
    person.press("batchButton")
    assert person.widget("batchButton").text() == "Stop the batch" and not person.widget("detectButton").isEnabled()
    person.wait_until(lambda: not person.panel.batch_run.running)
    assert person.widget("batchButton").text() == "Start the batch"


def double_click(person, row: int) -> None:
    rows = person.widget("batchTable")
    place = rows.visualItemRect(rows.item(row, 0)).center()
    for click in (QTest.mouseClick, QTest.mouseDClick):
        click(rows.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    person.rest()


def test_one_bad_file_does_not_stop_the_others(person, folders):
    run(person)
    found = table(person)
    assert found["first"][0] == found["clinic/second"][0] == "4 of 4"
    assert found["broken"][0] == "–" and found["broken"][1].startswith("✗ broken.nii.gz")
    assert "3 of 3 images are through, 1 of them failed" in person.widget("batchMessage").text()
    results = folders[1]
    assert (results / "clinic" / "second.mrk.json").is_file() and (results / "first.csv").is_file()
    with open(results / "summary.csv", encoding="utf-8-sig", newline="") as stream:
        assert {row["image"]: row["status"] for row in csv.DictReader(stream)} == {
            "broken": "failed",
            "clinic/second": "done",
            "first": "done",
        }


def test_what_was_stopped_goes_on(person, folders):
    person.press("batchButton")
    person.wait_until(lambda: person.widget("batchTable").rowCount() >= 2)
    if person.panel.batch_run.running:
        person.press("batchButton")
    before = {path: path.stat().st_mtime_ns for path in folders[1].rglob("*.mrk.json")}
    assert before
    run(person)
    assert len(table(person)) == 3
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert "✓ done before" in [result for _, result in table(person).values()]


@pytest.mark.one_binding
def test_landmarks_of_an_older_version_stay_and_are_marked(person, folders):
    run(person)
    file = folders[1] / "first.mrk.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["landmarkDetector"]["version"] = "0.0.9"
    file.write_text(json.dumps(content), encoding="utf-8")
    run(person)
    found = table(person)
    assert (found["first"][1], found["clinic/second"][1]) == ("✓ done before ⚠", "✓ done before")
    assert "fetal-head-us 0.0.9; move them away" in (folders[1] / "summary.csv").read_text(encoding="utf-8-sig")


@pytest.mark.one_binding
def test_what_was_noticed_of_an_image_is_marked_also_when_it_was_done_before(person):
    from LandmarkDetector.Panel.batch_view import _outcome
    from LandmarkDetectorLib.inference.batch import Row

    seen = Row("head", "done", 0.5, 4, 4, ("head has no physical scale: positions are in pixels.",))
    assert _outcome(seen) == "✓ 0.5 s ⚠"
    assert _outcome(replace(seen, status="skipped")) == "✓ done before ⚠"


def test_a_double_click_brings_an_image_with_its_landmarks_for_review(person, folders):
    run(person)
    rows = person.widget("batchTable")
    row = next(r for r in range(rows.rowCount()) if rows.item(r, 0).text() == "clinic/second")
    double_click(person, row)
    assert person.panel.input.volume.GetName() == "second"
    assert sorted(row[0] for row in person.rows) == ["BPD lower", "BPD upper", "OFD left", "OFD right"]
    assert all(float(row[1]) > 0 for row in person.rows)
    person.choose_row(0)
    person.press("confirmButton")
    assert person.widget("countsLabel").text() == "3 of 4 left: 3 unreviewed"
    dialogs = person.answer(ask=[None])
    person.press("detectButton")
    assert "holds landmarks that were reviewed" in dialogs.asked[0][1]


def test_without_folders_it_says_what_is_missing(person):
    for name in ("batchInputEdit", "batchOutputEdit"):
        person.widget(name).setText("")
    person.press("batchButton")
    assert person.widget("batchMessage").text() == "Choose a folder with images, a folder for the results and a format."


def test_a_folder_without_images_says_so(person, folders, tmp_path):
    (tmp_path / "empty").mkdir()
    person.widget("batchInputEdit").setText(str(tmp_path / "empty"))
    run(person)
    assert person.widget("batchMessage").text() == "No image was found in this folder; choose another one."


def test_dicom_series_of_one_folder_are_detected_apart_and_lie_where_they_were_taken(person, tmp_path):
    from LandmarkDetectorLib import load_image
    from Testing.io.conftest import DicomMaker

    image = load_image(PICTURE)
    turned = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [-0.2, 1.0, 0.3], [0.1, -0.3, 1.0]]))[0]
    for _ in range(2):
        series = DicomMaker()
        folder = tmp_path / "dicom"
        folder.mkdir(exist_ok=True)
        series.save(
            folder / f"{series.series[-6:]}.dcm",
            image.array[0].astype(np.uint8),
            ImagePositionPatient=[-10.0, 20.0, -300.0],
            ImageOrientationPatient=[*turned[:, 0], *turned[:, 1]],
            PixelSpacing=[image.grid.spacing[1], image.grid.spacing[0]],
            SliceThickness=1.0,
        )
    person.panel.input.choose_bundle(HEAD)
    person.widget("batchInputEdit").setText(str(folder))
    person.widget("batchOutputEdit").setText(str(tmp_path / "results"))
    run(person)
    assert [found for found, _ in table(person).values()] == ["4 of 4", "4 of 4"], person.widget("batchMessage").text()
    double_click(person, 1)
    volume, node = person.panel.input.volume, person.panel.review.node
    assert node is not None, person.widget("batchMessage").text()
    assert not any(secret in volume.GetName() + node.GetName() for secret in DicomMaker.secrets)
    to_ijk = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(to_ijk)
    places = [to_ijk.MultiplyPoint((*person.place_of(label), 1.0))[:3] for label in ("OFD left", "BPD lower")]
    assert all(0 <= x < image.grid.size[0] and 0 <= y < image.grid.size[1] and abs(z) < 1e-3 for x, y, z in places)


def test_a_second_double_click_goes_back_to_the_review_that_was_begun(person, folders):
    run(person)
    row = list(table(person)).index("first")
    double_click(person, row)
    node, volumes = person.panel.review.node, person.desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    person.key(Qt.Key.Key_C)
    double_click(person, list(table(person)).index("clinic/second"))
    assert person.panel.review.node is not node
    double_click(person, row)
    assert person.panel.review.node is node and person.panel.review.left == 3
    assert person.desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == volumes + 1


def test_slicer_is_asked_for_one_numbered_picture_and_not_for_a_volume_of_all_of_them(person, monkeypatch, tmp_path):
    import slicer

    from LandmarkDetector.Panel.batch_open import load_for_review
    from LandmarkDetectorLib.core import ImageError
    from LandmarkDetectorLib.inference.image_sources import Source

    asked = []

    def refused(path: str, properties: dict) -> None:
        asked.append((path, properties))
        raise RuntimeError

    monkeypatch.setattr(slicer.util, "loadVolume", refused)
    with pytest.raises(ImageError):
        load_for_review(person.desktop.scene, Source(tmp_path / "002.png", "002"), [])
    assert asked == [(str(tmp_path / "002.png"), {"singleFile": True})]


def test_a_photograph_of_a_batch_is_shown_in_the_pixels_that_its_landmarks_count(person, monkeypatch, tmp_path):
    import slicer

    from LandmarkDetector.Panel.batch_open import load_for_review
    from LandmarkDetectorLib.inference.image_sources import Source

    image = sitk.GetImageFromArray(np.zeros((60, 80), np.uint8))
    image.SetSpacing((25.4 / 72, 25.4 / 72))
    sitk.WriteImage(image, str(tmp_path / "eye.jpg"))
    marks = LandmarkSet((Landmark("fovea", (50.0, 20.0)),), "px", "eye", {"bundle": "fundus"})
    save_landmarks(marks, tmp_path / "eye.csv")
    load = slicer.util.loadVolume

    def as_slicer_does(path: str, properties: dict) -> Any:
        volume = load(path, properties)
        volume.SetAttribute("LandmarkDetector.unit", None)
        volume.SetSpacing(*sitk.ReadImage(path).GetSpacing(), 1.0)
        return volume

    monkeypatch.setattr(slicer.util, "loadVolume", as_slicer_does)
    source = Source(tmp_path / "eye.jpg", "eye")
    volume, node = load_for_review(person.desktop.scene, source, [tmp_path / "eye.csv"])
    assert volume.GetSpacing() == (1.0, 1.0, 1.0)
    assert node.GetNthControlPointPosition(0) == (-50.0, -20.0, 0.0)
