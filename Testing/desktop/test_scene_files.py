"""Scenes are saved, opened again and damaged: nothing is lost, and nothing is written where it does not belong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")

import slicer  # noqa: E402
import vtk  # noqa: E402
from PySide6.QtGui import QImage  # noqa: E402
from PySide6.QtWidgets import QFileDialog  # noqa: E402

from LandmarkDetector.Scene.volume_image import image_of_volume  # noqa: E402
from LandmarkDetectorLib.core import LandmarkDetectorError  # noqa: E402
from Testing.desktop import hands  # noqa: E402
from Testing.desktop.conftest import SAMPLES  # noqa: E402

HEAD = SAMPLES / "fetal-head-us" / "samples" / "050_HC.mha"


def test_a_scene_is_saved_and_opened_again_and_saved_again(desktop, tmp_path):
    volume = hands.show_ball(desktop, oblique=True)
    transform = hands.turned(desktop)
    node = hands.points(desktop, (1, 2, 3), (4, 5, 6))
    node.SetAttribute("LandmarkDetector.review", json.dumps({"1": "confirmed"}))
    for other in (volume, node):
        other.SetAndObserveTransformNodeID(transform.GetID())
    where, voxels = hands.world(node, 1), slicer.util.arrayFromVolume(volume).copy()
    for name in ("first scene ü", "second.mrb"):
        desktop.save_scene(tmp_path / name)
        assert not desktop._changes.any()
        desktop.close_scene()
        assert desktop.volume is None
        assert desktop.window.windowTitle() == "Landmark Detector"
        shown = desktop.open(desktop_file(tmp_path, name))
        hands.settle()
        assert shown is desktop.volume
        assert np.array_equal(slicer.util.arrayFromVolume(shown), voxels)
        again = desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
        assert hands.world(again, 1) == pytest.approx(where)
        assert json.loads(again.GetAttribute("LandmarkDetector.review")) == {"1": "confirmed"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first scene ü.mrb", "second.mrb"]
    view = desktop.slice_views["Red"]
    assert view.node.GetDimensions()[:2] == view.canvas.device_size()
    hands.wheel(view.canvas, 1)


def test_a_scene_opened_again_is_seen_in_3d_and_its_slices_are_as_thick_as_before(desktop, tmp_path):
    def look() -> tuple[float, list[float]]:
        for _ in range(60):  # until the surface is made and drawn
            hands.settle(100)
            picture = desktop.view3d.canvas.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
            gray = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), -1)
            if (gray > 120).mean() > 0.01:
                break
        return float((gray > 120).mean()), [view.node.GetFieldOfView()[2] for view in desktop.slice_views.values()]

    hands.show_ball(desktop)
    bright, thick = look()
    desktop.save_scene(tmp_path / "scene.mrb")
    desktop.open(HEAD)
    desktop.open(tmp_path / "scene.mrb")
    again, thick_again = look()
    assert again == pytest.approx(bright, rel=0.2) and again > 0.01
    assert thick_again == pytest.approx(thick)


def test_a_model_is_cut_by_the_slices_of_a_scene_opened_again(desktop, tmp_path):
    def outline() -> int:
        hands.settle(100)
        picture = desktop.slice_views["Red"].canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        pixels = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), -1)
        red, green, blue = (pixels[:, part : 3 * picture.width() : 3] for part in range(3))
        return int(((red > 200) & (green < 50) & (blue < 50)).sum())

    hands.show_ball(desktop)
    desktop.slice_views["Red"].logic.SetSliceOffset(desktop.slice_views["Red"].logic.GetSliceOffset() + 3)
    desktop.save_scene(tmp_path / "scene.mrb")
    desktop.close_scene()
    desktop.open(tmp_path / "scene.mrb")
    ball = vtk.vtkSphereSource()
    ball.SetRadius(8)
    ball.SetCenter(desktop.slice_views["Red"].node.GetSliceToRAS().MultiplyPoint((0, 0, 0, 1))[:3])
    ball.Update()
    model = desktop.scene.AddNewNodeByClass("vtkMRMLModelNode")
    model.SetAndObservePolyData(ball.GetOutput())
    model.CreateDefaultDisplayNodes()
    model.GetDisplayNode().SetVisibility2D(True)
    model.GetDisplayNode().SetColor(1, 0, 0)
    assert outline() > 20


def desktop_file(folder: Path, name: str) -> Path:
    return folder / (name if name.endswith(".mrb") else name + ".mrb")


def test_the_surface_is_in_no_list_and_in_no_saved_scene(desktop, tmp_path):
    hands.show_ball(desktop)
    hands.settle(500)
    assert desktop.surface.node is not None
    assert desktop.surface.node.GetHideFromEditors()
    desktop.save_scene(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        text = next(bundle.read(name).decode() for name in bundle.namelist() if name.endswith(".mrml"))
        assert not [name for name in bundle.namelist() if "Surface" in name]
    assert "Surface of the volume" not in text


def test_a_scene_that_cannot_be_written_leaves_the_old_file(desktop, tmp_path):
    hands.show_ball(desktop)
    with pytest.raises(LandmarkDetectorError, match=r"scene\.mrb: it cannot be written"):
        desktop.save_scene(tmp_path / "no such folder" / "scene.mrb")
    assert not desktop.try_save(tmp_path / "no such folder" / "scene.mrb")
    assert desktop.dialogs.said[-1][0] == "error"


def test_a_name_without_its_suffix_replaces_no_scene_that_nobody_was_asked_about(desktop, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "study"), "Scene (*.mrb)"))
    hands.points(desktop, (1, 2, 3))
    (tmp_path / "study.mrb").write_bytes(b"the review of last week")
    desktop.dialogs.answer = lambda kind, text: False
    assert not desktop.actions.ask_save()
    assert desktop.dialogs.said[-1] == ("question", "study.mrb is there already. Replace it?")
    assert (tmp_path / "study.mrb").read_bytes() == b"the review of last week"
    desktop.dialogs.answer = lambda kind, text: True
    assert desktop.actions.ask_save() and zipfile.is_zipfile(tmp_path / "study.mrb")


def test_a_bundle_with_a_path_out_of_its_folder_writes_nothing_there(desktop, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.mrb", "w") as bundle:
        bundle.writestr("../../escaped.txt", "x")
        bundle.writestr("scene/scene.mrml", "<MRML></MRML>")
    desktop.open(tmp_path / "evil.mrb")
    assert not list(tmp_path.parent.rglob("escaped.txt"))


def test_a_picture_is_still_in_pixels_when_its_scene_is_opened_again(desktop, tmp_path):

    np.save(tmp_path / "plane.npy", np.arange(600, dtype=np.uint16).reshape(20, 30))
    assert image_of_volume(desktop.open(tmp_path / "plane.npy")).grid.unit == "px"
    desktop.save_scene(tmp_path / "scene.mrb")
    node = desktop.open(tmp_path / "scene.mrb")
    hands.settle()
    assert image_of_volume(node).grid.unit == "px"
    assert [name for name, view in desktop.slice_views.items() if view.widget.isVisible()] == ["Red"]


def test_a_scene_whose_voxels_are_missing_opens_without_them_and_says_so(desktop, tmp_path):
    hands.show_ball(desktop)
    hands.points(desktop, (1, 2, 3))
    desktop.save_scene(tmp_path / "whole.mrb")
    with zipfile.ZipFile(tmp_path / "whole.mrb") as whole, zipfile.ZipFile(tmp_path / "part.mrb", "w") as part:
        for name in whole.namelist():
            if not name.endswith(".nrrd"):
                part.writestr(name, whole.read(name))
    desktop.open(tmp_path / "whole.mrb")
    desktop.open_all([tmp_path / "part.mrb"])
    assert desktop.scene_path is None, "Save must not write half a scene over the whole one"
    assert desktop.dialogs.said[-1][0] == "error"
    assert "the voxels of ball are missing" in desktop.dialogs.said[-1][1]
    assert desktop.volume is None
    assert desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode") is not None
