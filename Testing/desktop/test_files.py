"""What a person opens."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")

import SimpleITK as sitk  # noqa: E402
import slicer  # noqa: E402
import vtk  # noqa: E402
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl  # noqa: E402
from PySide6.QtGui import QDragEnterEvent, QDropEvent  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from LandmarkDetector.Scene.history import History  # noqa: E402
from LandmarkDetector.Scene.result import create_result  # noqa: E402
from LandmarkDetector.Scene.volume_image import image_of_volume  # noqa: E402
from LandmarkDetectorLib.core import Landmark, LandmarkDetectorError, LandmarkSet  # noqa: E402
from LandmarkDetectorLib.io import save_image  # noqa: E402
from Testing.desktop import hands  # noqa: E402
from Testing.desktop.conftest import SAMPLES  # noqa: E402

SKULL = SAMPLES / "mouse-skull-ct" / "samples" / "NU_J.nii.gz"
HEAD = SAMPLES / "fetal-head-us" / "samples" / "050_HC.mha"


def to_ras(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def drop(desktop, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place, action = QPoint(500, 300), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(place, action, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(desktop.window, enter)
    assert enter.isAccepted()
    event = QDropEvent(QPointF(place), action, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(desktop.window, event)
    hands.settle(50)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_volume_lies_where_slicer_itself_would_put_it(desktop, tmp_path, suffix):
    file = tmp_path / f"ball ü{suffix}"
    save_image(hands.ball(oblique=True), file)
    ours = desktop.open(file)
    theirs = desktop.logics.volumes.AddArchetypeVolume(str(file), "theirs", 0)
    assert to_ras(ours) == pytest.approx(to_ras(theirs), abs=1e-4 if suffix.startswith(".nii") else 1e-9)
    assert np.array_equal(slicer.util.arrayFromVolume(ours), slicer.util.arrayFromVolume(theirs))
    assert ours.GetName() == "ball ü"
    assert desktop.volume is ours
    assert desktop.window.windowTitle() == "ball ü – Landmark Detector"
    assert ours.GetStorageNode().GetFileName() == str(file)


def test_the_shipped_volume_and_its_landmarks_open(desktop):
    volume = desktop.open(SKULL)
    node = desktop.open(SKULL.with_name("NU_J.mrk.json"))
    assert volume.GetImageData().GetDimensions() == (170, 170, 143)
    assert node.GetNumberOfControlPoints() == 45
    assert node.GetUndoEnabled()
    hands.settle(800)
    assert desktop.surface.node.GetPolyData().GetNumberOfCells() > 10_000


def test_undo_does_not_take_away_a_file_of_landmarks_that_was_opened_since(desktop):
    first = desktop.open(SKULL.with_name("NU_J.mrk.json"))
    History(desktop.scene).step()
    first.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
    second = desktop.open(SKULL.with_name("NU_J.mrk.json"))
    desktop.undo()
    assert desktop.scene.IsNodePresent(second)
    History(desktop.scene).step()
    second.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
    desktop.undo()
    assert second.GetNthControlPointPosition(0) != (1.0, 2.0, 3.0)


def test_a_picture_fills_the_window_and_a_volume_brings_four_views_back(desktop):
    desktop.open(HEAD)
    hands.settle()
    shown = [name for name, view in desktop.slice_views.items() if view.widget.isVisible()]
    assert shown == ["Red"]
    assert not desktop.view3d.widget.isVisible()
    assert desktop.slice_views["Red"].bar.label.text() == ""
    desktop.open(SKULL)
    hands.settle()
    assert all(view.widget.isVisible() for view in desktop.slice_views.values())


def test_a_person_says_how_large_a_pixel_is_before_anything_is_detected(desktop, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "photo.png"))
    ask = desktop.actions.by_name["pixel_size"].trigger
    ask()
    assert "open one first" in desktop.dialogs.said[-1][1]
    node = desktop.open(tmp_path / "photo.png")
    for answer, unit, spacing in ((0, "px", 1.0), (0.25, "mm", 0.25), (1, "mm", 1.0)):  # 0: thought better of it
        desktop.dialogs.answer = lambda kind, text, answer=answer: answer
        ask()
        grid = image_of_volume(node).grid
        assert grid.unit == unit and grid.spacing[:2] == (spacing, spacing)
    desktop.save_scene(tmp_path / "photo.mrb")
    desktop.open(tmp_path / "photo.mrb")
    node = desktop.volume
    assert image_of_volume(node).grid.unit == "mm"

    create_result(desktop.scene, LandmarkSet((Landmark("a", (1.0, 2.0)),)), node)
    desktop.dialogs.answer = lambda kind, text: 0.5
    ask()
    assert "before you detect" in desktop.dialogs.said[-1][1] and node.GetSpacing()[0] == 1.0
    desktop.open(SKULL)
    ask()
    assert "says its own scale" in desktop.dialogs.said[-1][1]
    assert [kind for kind, _ in desktop.dialogs.said].count("number") == 3


@pytest.mark.parametrize("colour", [False, True], ids=["gray", "colour"])
def test_a_photograph_becomes_a_volume_of_one_slice_in_pixels(desktop, tmp_path, colour):
    blocks = np.random.default_rng(0).integers(0, 255, (6, 8, 3) if colour else (6, 8)).astype(np.uint8)
    pixels = blocks.repeat(10, axis=0).repeat(10, axis=1)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=colour), str(tmp_path / "photo.png"))
    node = desktop.open(tmp_path / "photo.png")
    assert node.GetClassName() == ("vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode")
    assert node.GetImageData().GetDimensions() == (80, 60, 1)
    assert node.GetAttribute("LandmarkDetector.unit") == "px"
    assert np.array_equal(slicer.util.arrayFromVolume(node)[0], pixels)
    hands.settle()
    view = desktop.slice_views["Red"]
    view.render()
    image = view.canvas.grab().toImage()
    corners = [hands.place_of(view, (-float(x), -float(y), 0)) for x, y in ((4, 5), (74, 54))]
    for (x, y), place in zip(((4, 5), (74, 54)), corners, strict=True):
        seen = image.pixelColor(*(int(part) for part in place * image.devicePixelRatio()))
        expected = pixels[y, x].tolist() if colour else [int(pixels[y, x])] * 3
        assert [seen.red(), seen.green(), seen.blue()] == pytest.approx(expected, abs=12)


def test_arrays_of_numpy_open(desktop, tmp_path):
    np.save(tmp_path / "plane.npy", np.arange(600, dtype=np.int64).reshape(20, 30))
    node = desktop.open(tmp_path / "plane.npy")
    assert node.GetImageData().GetDimensions() == (30, 20, 1)
    assert node.GetAttribute("LandmarkDetector.unit") == "px"


def test_a_cephalogram_in_another_plane_is_shown_in_its_own(desktop, tmp_path):
    plane = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (1, 40, 50)).astype(np.uint8))
    plane.SetDirection((0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))  # sagittal
    sitk.WriteImage(plane, str(tmp_path / "ceph.nrrd"))
    desktop.open(tmp_path / "ceph.nrrd")
    hands.settle()
    assert [name for name, view in desktop.slice_views.items() if view.widget.isVisible()] == ["Yellow"]


def test_landmarks_open_from_fcsv_and_json(desktop, tmp_path):
    node = hands.points(desktop, (1, 2, 3), (4, 5, 6))
    for name in ("points.fcsv", "points.mrk.json"):
        assert slicer.util.saveNode(node, str(tmp_path / name))
        again = slicer.util.loadMarkups(str(tmp_path / name))
        assert again is not node
        assert hands.world(again, 1) == pytest.approx([4, 5, 6])
        assert again.GetNthControlPointLabel(1) == "P2"


def test_a_file_of_landmarks_keeps_the_dots_of_its_name(desktop, tmp_path):
    node = hands.points(desktop, (1, 2, 3))
    for name in ("case.01.mrk.json", "case.02.fcsv"):
        assert slicer.util.saveNode(node, str(tmp_path / name))
    names = [desktop.open(tmp_path / name).GetName() for name in ("case.01.mrk.json", "case.02.fcsv")]
    assert names == ["case.01", "case.02"]


def bundle_with(change) -> bytes:
    """A scene bundle whose bytes somebody changed behind the archive's back."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("scene/scene.mrml", "<MRML>" + "some words " * 300 + "</MRML>")
    content = bytearray(written.getvalue())
    change(content)
    return bytes(content)


def spoil(content: bytearray) -> None:
    for place in range(46, 60):  # behind the header and the name: where the compressed bytes begin
        content[place] ^= 0xFF


def ask_for_a_password(content: bytearray) -> None:
    for place in (6, content.index(b"PK\x01\x02") + 8):  # the flags of the entry, and those in the directory
        content[place] |= 1


WRONG = {
    "missing.nii": None,
    "empty.nrrd": b"",
    "broken.nii.gz": b"\x1f\x8b\x08\x00garbage",
    "text.mha": b"hello",
    "four.png": b"\x89PNG\r\n\x1a\nno more",
    "points.mrk.json": b'{"markups": 3}',
    "points.fcsv": b"# what is this\n1,2\n",
    "scene.mrb": b"not a zip",
    "damaged.mrb": bundle_with(spoil),
    "locked.mrb": bundle_with(ask_for_a_password),
    "scene.mrml": b"<html></html>",
    "notes.docx": b"PK\x03\x04",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_opened_is_said_in_one_sentence(desktop, tmp_path, name, capfd):
    if WRONG[name] is not None:
        (tmp_path / name).write_bytes(WRONG[name])
    before = desktop.scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")
    capfd.readouterr()
    with pytest.raises(LandmarkDetectorError, match=name) as error:
        desktop.open(tmp_path / name)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert desktop.scene.GetNumberOfNodesByClass("vtkMRMLStorableNode") == before
    assert "ERR|" not in capfd.readouterr().err


def test_an_empty_folder_is_refused(desktop, tmp_path):
    with pytest.raises(LandmarkDetectorError, match=r"DICOM|series"):
        desktop.open(tmp_path)


def test_files_are_dropped_and_the_bad_one_does_not_stop_the_others(desktop, tmp_path):
    (tmp_path / "bad.nrrd").write_bytes(b"nothing")
    save_image(hands.ball(), tmp_path / "ball.nrrd")
    drop(desktop, tmp_path / "bad.nrrd", tmp_path / "ball.nrrd")
    assert desktop.volume.GetName() == "ball"
    assert [kind for kind, _ in desktop.dialogs.said] == ["error"]
    assert "bad.nrrd" in desktop.dialogs.said[0][1]


def test_a_dropped_dicom_folder_opens(desktop, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(4):
        plane = sitk.GetImageFromArray(np.full((1, 12, 16), 100 + z, np.int16))
        plane.SetOrigin((0.0, 0.0, 2.5 * z))
        for tag, value in {
            "0008|0060": "CT",
            "0020|000e": "1.2.3.4",
            "0020|000d": "1.2.3",
            "0008|0018": f"1.2.3.4.{z}",
            "0020|0013": str(z + 1),
            "0020|0032": f"0\\0\\{2.5 * z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{z}.dcm"))
        writer.Execute(plane)
    drop(desktop, folder)
    assert desktop.dialogs.said == []
    assert desktop.volume.GetImageData().GetDimensions() == (16, 12, 4)
    assert desktop.volume.GetSpacing() == pytest.approx((1, 1, 2.5))


def test_unsaved_landmarks_are_asked_about_before_the_window_closes(desktop):
    hands.show_ball(desktop)
    node = hands.points(desktop, (1, 2, 3))
    desktop.dialogs.answer = lambda kind, text: False
    assert not desktop.window.close()
    assert desktop.window.isVisible()
    desktop.scene.RemoveNode(node)
    assert desktop.may_lose_changes()


def test_what_is_drawn_of_measurements_is_nothing_that_could_be_lost(desktop):
    from LandmarkDetector.Scene.constructions import Constructions, Drawing

    drawn = Constructions(desktop.scene)
    drawn.show([Drawing("a", "line", np.array([[0.0, 0, 0], [1, 2, 3]]))], "heads")
    desktop.dialogs.answer = lambda kind, text: False
    assert len(drawn.nodes) == 1 and desktop.may_lose_changes()
    drawn.clear()


def test_a_picture_that_the_module_shows_fills_the_window(desktop):
    volume, picture = hands.show_ball(desktop), desktop.open(HEAD)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    hands.settle()
    assert desktop.view3d.widget.isVisible()
    desktop.slice_views["Red"].logic.GetSliceCompositeNode().SetBackgroundVolumeID(picture.GetID())
    hands.settle()
    assert not desktop.view3d.widget.isVisible()


def test_the_samples_are_in_the_menu(desktop):
    desktop.actions.by_name["sample NU_J.nii.gz"].trigger()
    assert desktop.volume.GetName() == "NU_J"


def test_the_one_slice_volume_that_slicer_reads_itself_lies_where_ours_does(desktop):
    ours = desktop.open(HEAD)
    theirs = desktop.logics.volumes.AddArchetypeVolume(str(HEAD), "theirs", 0)
    assert to_ras(ours)[:3, [0, 1, 3]] == pytest.approx(to_ras(theirs)[:3, [0, 1, 3]], abs=1e-9)
