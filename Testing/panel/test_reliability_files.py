"""Places that stay the same through every way of the panel, and files of others that are reviewed in it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from LandmarkDetectorLib.io import load_landmarks
from Testing.panel.person import SAMPLE
from Testing.panel.test_reliability import is_one_sentence

pytestmark = pytest.mark.one_binding

FORMATS = (".mrk.json", ".fcsv", ".csv", ".xlsx")
TO_RAS = np.array([-1.0, -1.0, 1.0])
EXACT = 1e-6
ONE_BINDING = pytest.mark.parametrize("application", ["PySide6"], indirect=True)
"""For what takes long and asks nothing of Qt."""


@pytest.fixture(autouse=True)
def said(person, monkeypatch) -> list[tuple[str, str]]:
    """What message boxes say; they are read at once."""
    boxes: list[tuple[str, str]] = []
    monkeypatch.setattr(person.desktop.dialogs, "answer", lambda kind, text: boxes.append((kind, text)) or True)
    return boxes


def export(person, folder: Path, suffix: str, system: str, name: str = "points") -> Path:
    """Export through the panel."""
    path = folder / f"{name} {system}{suffix}"
    person.widget("formatCombo").setCurrentIndex(person.widget("formatCombo").findData(suffix))
    person.widget("systemCombo").setCurrentIndex(person.widget("systemCombo").findData(system))
    person.answer(save_file=[str(path)], ask=["export"])
    person.press("exportButton")
    return path


def by_slicer(path: Path) -> np.ndarray:
    """World RAS places (N, 3) as Slicer's storage nodes read them."""
    scene = slicer.vtkMRMLScene()
    kind = "vtkMRMLMarkupsFiducialStorageNode" if path.suffix == ".fcsv" else "vtkMRMLMarkupsJsonStorageNode"
    for name in ("vtkMRMLMarkupsFiducialNode", kind):
        scene.RegisterNodeClass(getattr(slicer, name)())
    storage, node = scene.AddNewNodeByClass(kind), scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    return places(node)


def places(node: Any) -> np.ndarray:
    """World RAS places (N, 3) of control points, NaN where there is none."""
    found = np.full((node.GetNumberOfControlPoints(), 3), np.nan)
    for i in range(len(found)):
        if node.GetNthControlPointPositionStatus(i) == node.PositionDefined:
            node.GetNthControlPointPositionWorld(i, found[i])
    return found


def drop(desktop: Any, *paths: Path) -> None:
    """Drop files on the window, as from a file manager."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place, action = QPoint(500, 300), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(place, action, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(desktop.window, enter)
    event = QDropEvent(QPointF(place), action, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(desktop.window, event)


def turn() -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.Translate(-310, 42, 1e4)
    transform.RotateWXYZ(57, 1, -2, 3)
    transform.Scale(1.3, -0.7, 2.1)
    return transform


def bend() -> vtk.vtkThinPlateSplineTransform:
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(3, 3, 3):
        at = np.array(corner) * 15.0 - (30, 30, 0)
        source.InsertNextPoint(at)
        target.InsertNextPoint(at + 2 * np.sin(at[[1, 2, 0]]))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    return spline


def put_under(person, volume: Any, kind: str) -> Any:
    """Put a volume under a transform; the function that takes its own RAS places to the world."""
    if kind == "none":
        return lambda at: at
    node = person.desktop.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    outer = person.desktop.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    outer.SetMatrixTransformToParent(turn().GetMatrix())
    if kind == "bent in turned":
        node.SetAndObserveTransformToParent(bend())
        node.SetAndObserveTransformNodeID(outer.GetID())
        volume.SetAndObserveTransformNodeID(node.GetID())
        inner = bend()
        return lambda at: turn().TransformPoint(inner.TransformPoint(at))
    volume.SetAndObserveTransformNodeID(outer.GetID())
    return lambda at: turn().TransformPoint(at)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["none", pytest.param("turned", marks=pytest.mark.slow), "bent in turned"])
def test_every_file_says_the_same_place_as_the_scene(person, tmp_path, kind, when):
    node = person.begin_review()
    local = np.array([node.GetNthControlPointPosition(i) for i in range(45)])
    volume = person.panel.input.volume
    if when == "before":
        person.desktop.scene.RemoveNode(node)
        to_world = put_under(person, volume, kind)
        node = person.detect()
    else:
        to_world = put_under(person, volume, kind)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    person.rest()
    world = np.array([to_world(at) for at in local])
    assert np.abs(places(node) - world).max() < EXACT
    for suffix in FORMATS:
        for system in ("LPS", "RAS"):
            path = export(person, tmp_path, suffix, system)
            assert f"in {system} world coordinates" in person.widget("exportLabel").text()
            assert np.abs(load_landmarks(path).positions * TO_RAS - world).max() < EXACT, path.name
            if suffix in (".mrk.json", ".fcsv"):
                assert np.abs(by_slicer(path) - world).max() < EXACT, path.name


def test_a_hardened_result_stays_where_it_is_and_is_exported_there(person, tmp_path):
    node = person.begin_review()
    volume = person.panel.input.volume
    put_under(person, volume, "bent in turned")
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    person.choose("31")
    person.press("confirmButton")
    person.rest()
    world = places(node)
    node.HardenTransform()
    person.rest()
    assert np.abs(places(node) - world).max() < EXACT and person.status("31") == "confirmed"
    assert [row[2].split()[1] for row in person.rows].count("corrected") == 0
    path = export(person, tmp_path, ".mrk.json", "RAS")
    assert np.abs(by_slicer(path) - world).max() < EXACT


def reoriented(folder: Path, code: str, suffix: str) -> Path:
    image = sitk.DICOMOrient(sitk.ReadImage(str(SAMPLE)), code)
    path = folder / f"{code}{suffix}"
    sitk.WriteImage(image, str(path))
    return path


@ONE_BINDING
@pytest.mark.parametrize(("code", "suffix"), [("PSL", ".nrrd"), pytest.param("ASR", ".nii.gz", marks=pytest.mark.slow)])
def test_a_copy_with_other_axes_has_its_landmarks_at_the_same_places(person, tmp_path, code, suffix):
    node = person.begin_review()
    before = places(node)
    person.desktop.scene.Clear(0)
    person.open(reoriented(tmp_path, code, suffix))
    again = places(person.detect())
    distance = np.linalg.norm(again - before, axis=1)
    assert np.nanmean(distance) <= 0.1, distance


@ONE_BINDING
@pytest.mark.slow
def test_any_order_and_direction_of_axes_has_its_landmarks_at_the_same_places(person, tmp_path):
    from itertools import permutations, product

    node = person.begin_review()
    before = places(node)
    worst = {}
    for axes in permutations(("RL", "AP", "IS")):
        for signs in product((0, 1), repeat=3):
            code = "".join(axis[sign] for axis, sign in zip(axes, signs, strict=True))
            person.desktop.scene.Clear(0)
            person.open(reoriented(tmp_path, code, ".nrrd"))
            worst[code] = float(np.nanmean(np.linalg.norm(places(person.detect()) - before, axis=1)))
    assert len(worst) == 48 and max(worst.values()) <= 0.1, worst


@ONE_BINDING
@pytest.mark.slow
def test_a_resampled_oblique_anisotropic_copy_has_its_landmarks_at_the_same_places(person, tmp_path):
    node = person.begin_review()
    before = places(node)
    person.desktop.scene.Clear(0)
    image = sitk.ReadImage(str(SAMPLE))
    turned = sitk.Euler3DTransform(image.TransformContinuousIndexToPhysicalPoint([85, 85, 71]), 0.3, -0.2, 0.25)
    direction = np.array(turned.GetMatrix()).reshape(3, 3)
    spacing, size = np.array([0.12, 0.15, 0.2]), np.array([250, 210, 150])
    center = np.array(image.TransformContinuousIndexToPhysicalPoint([85, 85, 71]))
    origin = center - direction @ (spacing * (size - 1) / 2)
    copy = sitk.Resample(
        image,
        [int(n) for n in size],
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        spacing.tolist(),
        direction.ravel().tolist(),
        0.0,
        image.GetPixelID(),
    )
    sitk.WriteImage(copy, str(tmp_path / "copy.mha"))
    person.open(tmp_path / "copy.mha")
    distance = np.linalg.norm(places(person.detect()) - before, axis=1)
    assert np.nanmean(distance) <= 0.1, distance


# --- files of landmarks that others wrote


def point(label: Any, position: Any, **more: Any) -> dict[str, Any]:
    return {"label": label, "position": position, **more}


def document(points: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points, **more}
    return {"@schema": f"{schema}markups-schema-v1.0.3.json#", "markups": [markup]}


STRANGE = [
    point("defined", [1, 2, 3], positionStatus="defined", id="a", mood="good"),
    point("missing", [0, 0, 0], positionStatus="missing", id="b"),
    point("undefined", "", positionStatus="undefined", id="c"),
    point("preview", [4, 5, 6], positionStatus="preview", id="d"),
    point("empty", "", id="e"),
    point("twice", [7, 8, 9], id="f"),
    point("twice", [10, 11, 12], id="g"),
    point("", [13, 14, 15]),
    point("locked ü 点", [16, 17, 18], locked=True, visibility=False, selected=False, description='a "b", c'),
]


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_a_strange_list_is_dropped_reviewed_exported_and_opened_again(person, tmp_path, said, system):
    path = tmp_path / "strange.mrk.json"
    path.write_text(json.dumps(document(STRANGE, coordinateSystem=system, extra={"a": [1]})), encoding="utf-8")
    drop(person.desktop, path)
    person.rest(100)
    assert said == []
    node = person.desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert node is not None
    person.panel.review.choose_node(node)
    person.rest()
    assert sorted(row[0] for row in person.rows)[:1] == [""] and len(person.rows) == len(STRANGE)
    person.choose("defined")
    person.click("confirmButton")
    person.choose("missing")
    person.click("absentButton")
    statuses = sorted((row[0], row[2].split(maxsplit=1)[1]) for row in person.rows)
    assert ("defined", "confirmed") in statuses and ("missing", "absent") in statuses
    assert ("undefined", "not found") in statuses and ("empty", "not found") in statuses
    sign = TO_RAS if system == "LPS" else np.ones(3)
    assert np.allclose(person.place_of("defined"), sign * (1, 2, 3))
    for target in ("LPS", "RAS"):
        written = export(person, tmp_path, ".mrk.json", target)
        assert "written to" in person.widget("exportLabel").text(), person.widget("exportLabel").text()
        world = places(node)
        assert np.allclose(by_slicer(written), world, equal_nan=True, atol=EXACT)
        person.desktop.scene.Clear(0)
        drop(person.desktop, written)
        person.rest(100)
        node = person.desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
        person.panel.review.choose_node(node)
        person.rest()
        assert sorted((row[0], row[2].split(maxsplit=1)[1]) for row in person.rows) == statuses
        assert np.allclose(places(node), world, equal_nan=True, atol=EXACT)


@pytest.mark.parametrize("suffix", [".fcsv", ".csv", ".xlsx"])
def test_a_strange_list_is_written_in_every_format_or_refused_in_a_sentence(person, tmp_path, suffix):
    path = tmp_path / "strange.mrk.json"
    path.write_text(json.dumps(document(STRANGE)), encoding="utf-8")
    person.panel.review.choose_node(person.desktop.open(path))
    person.rest()
    written = export(person, tmp_path, suffix, "LPS")
    told = person.widget("exportLabel").text()
    assert all(is_one_sentence(line) for line in told.splitlines())
    assert written.is_file() == ("ritten to" in told), told
    if written.is_file():
        lost = len(STRANGE) - len(load_landmarks(written))
        assert (lost == 0) or f"{lost} landmarks without a position were left out" in told, told


WRONG = {
    "no json.mrk.json": b"{",
    "empty.mrk.json": b"",
    "list.mrk.json": b"[]",
    "no markups.mrk.json": b'{"markups": []}',
    "text.mrk.json": json.dumps(document([point("a", ["x", "y", "z"])])).encode(),
    "three words.mrk.json": json.dumps(document([point("a", ["", "", ""])])).encode(),
    "two numbers.mrk.json": json.dumps(document([point("a", [1, 2])])).encode(),
    "nan.mrk.json": b'{"markups": [{"type": "Fiducial", "controlPoints": [{"position": [NaN, 1, 2]}]}]}',
    "utf16.mrk.json": json.dumps(document([])).encode("utf-16"),
    "wrong.fcsv": b"\x00\x01\x02",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_no_list_is_refused_in_a_sentence(person, tmp_path, said, name):
    (tmp_path / name).write_bytes(WRONG[name])
    before = person.desktop.scene.GetNumberOfNodes()
    drop(person.desktop, tmp_path / name)
    person.rest(100)
    assert len(said) == 1 and said[0][0] == "error" and name in said[0][1] and is_one_sentence(said[0][1]), said
    assert person.desktop.scene.GetNumberOfNodes() == before and str(tmp_path) not in said[0][1]


@ONE_BINDING
@pytest.mark.slow
def test_ten_thousand_points_are_opened_reviewed_and_saved(person, tmp_path):
    values = np.random.default_rng(0).normal(size=(10_000, 3)) * 50
    points = [point(f"L{i}", list(at), id=str(i)) for i, at in enumerate(values.tolist())]
    (tmp_path / "many.mrk.json").write_text(json.dumps(document(points)), encoding="utf-8")
    node = person.desktop.open(tmp_path / "many.mrk.json")
    person.panel.review.choose_node(node)
    person.press("nextButton")
    person.press("confirmButton")
    path = export(person, tmp_path, ".mrk.json", "LPS")
    assert np.abs(load_landmarks(path).positions - values).max() < EXACT
    person.desktop.scene.Clear(0)
    person.panel.review.choose_node(person.desktop.open(path))
    person.rest()
    assert person.widget("countsLabel").text() == "9999 of 10000 left: 9999 unreviewed"


# --- folders and disks that do not take a file


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("trouble", ["full", "no folder", "a folder of that name"])
def test_what_cannot_be_exported_leaves_the_old_file_and_a_sentence(person, tmp_path, monkeypatch, suffix, trouble):
    person.begin_review()
    path = export(person, tmp_path, suffix, "LPS")
    old = path.read_bytes()
    folder = tmp_path
    if trouble == "no folder":
        folder = tmp_path / "not there"
    elif trouble == "a folder of that name":
        folder = tmp_path / "other"
        (folder / path.name).mkdir(parents=True)
    with monkeypatch.context() as patch:
        if trouble == "full":

            def full(descriptor: int) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, "fsync", full)
        export(person, folder, suffix, "LPS")
    said = person.widget("exportLabel").text()
    assert path.name in said and is_one_sentence(said) and str(tmp_path) not in said, said
    assert path.read_bytes() == old
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [path.name]


def test_a_file_that_is_write_protected_stays_as_it_is(person, tmp_path):
    person.begin_review()
    path = export(person, tmp_path, ".csv", "LPS")
    old = path.read_bytes()
    path.chmod(stat.S_IREAD)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everything")
    export(person, tmp_path, ".csv", "RAS", "points")
    person.panel.review.node.SetNthControlPointPosition(0, 9, 9, 9)
    export(person, tmp_path, ".csv", "LPS")
    said = person.widget("exportLabel").text()
    assert path.read_bytes() == old and is_one_sentence(said)
