"""Volumes and bundles that nobody would choose on purpose: one sentence and no traceback, or a result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from PySide6.QtWidgets import QApplication

from LandmarkDetectorLib.bundles.store import SHIPPED
from Testing.panel.person import HEAD, PICTURE, SAMPLE, SKULL
from Testing.panel.test_reliability import is_one_sentence

pytestmark = pytest.mark.one_binding


def volume_of(person, array: np.ndarray | None, kind: str = "vtkMRMLScalarVolumeNode", spacing: float = 0.1) -> Any:
    """A volume of the scene with these voxels (Z, Y, X[, C]), chosen."""
    node = person.desktop.scene.AddNewNodeByClass(kind, "odd")
    if array is not None:
        slicer.util.updateVolumeFromArray(node, array)
        node.SetSpacing(spacing, spacing, spacing)
    person.rest()
    person.panel.input.choose_volume(node)
    person.rest()
    return node


def refused(person) -> str:
    """What is said where nothing can be detected."""
    assert not person.widget("detectButton").isEnabled(), person.said
    assert is_one_sentence(person.said), person.said
    return person.said


def outcome(person) -> str:
    """What is said after a click on Detect, whether landmarks were found or not."""
    person.click("detectButton")
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    said = person.said
    assert all(is_one_sentence(line) for line in said.replace(" | ", "\n").splitlines()), said
    assert said or person.panel.review.node is not None
    return said


def begin_picture(person) -> Any:
    """The sample picture with its landmarks."""
    person.open(PICTURE, HEAD)
    return person.detect()


def begin_run(person) -> None:
    """Click Detect; the worker has been asked, and its answer comes in a later turn of the event loop."""
    run = person.panel.run
    person.click("detectButton")
    while run.running and not run._asked:
        QApplication.processEvents()  # a single turn, however slow the machine is
    assert run.running, person.said


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, shape, dtype=np.int16)


def test_a_volume_without_voxels_is_refused(person):
    volume_of(person, None)
    assert "holds no image yet" in refused(person)
    empty = volume_of(person, None)
    empty.SetAndObserveImageData(vtk.vtkImageData())
    person.rest()
    person.panel.input.look()
    assert "holds no voxels" in person.said and is_one_sentence(person.said)


def test_a_volume_that_gets_its_voxels_later_can_be_detected(person):
    node = volume_of(person, None)
    slicer.util.updateVolumeFromArray(node, noise(20, 20, 20))
    person.rest(50)
    person.panel.input.look()
    person.panel._show_ready()
    assert person.widget("detectButton").isEnabled(), person.said


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf], ids=["zeros", "not a number", "infinite"])
def test_a_constant_volume_gives_a_sentence(person, value):
    volume_of(person, np.full((24, 24, 24), value, np.float32))
    if person.widget("detectButton").isEnabled():
        outcome(person)
        assert person.said, "that nothing can be found in it should be said"
    else:
        refused(person)


def test_a_volume_with_some_values_that_are_no_numbers_is_mended_and_said(person):
    array = slicer.util.arrayFromVolume(person.open(PICTURE, HEAD)).astype(np.float32)
    array[:, ::5, ::3] = np.nan
    volume_of(person, array, spacing=person.panel.input.volume.GetSpacing()[0])
    assert "not finite" in person.said or "not numbers" in person.said or "NaN" in person.said, person.said
    outcome(person)


@pytest.mark.parametrize("shape", [(1, 40, 40), (40, 1, 40), (1, 1, 1), (2, 2, 2), (1, 1, 400)])
def test_a_volume_of_a_few_voxels_gives_a_sentence(person, shape):
    volume_of(person, noise(*shape))
    for bundle in (SKULL, HEAD):
        person.panel.input.choose_bundle(bundle)
        person.rest()
        if person.widget("detectButton").isEnabled():
            outcome(person)
        else:
            refused(person)


@pytest.mark.parametrize("channels", [2, 3, 4, 7])
def test_a_volume_of_several_channels_is_refused(person, channels):
    volume_of(person, noise(8, 9, 10, channels), "vtkMRMLVectorVolumeNode")
    assert f"{channels} channels" in refused(person)


@pytest.mark.parametrize("kind", ["vtkMRMLLabelMapVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLSequenceNode"])
def test_what_is_no_image_is_not_offered(person, kind):
    if not hasattr(slicer, kind):
        pytest.skip(f"this slicer-core has no {kind}")
    node = person.desktop.scene.AddNewNodeByClass(kind, "no image")
    person.rest(50)
    assert person.panel.input.volume is None
    person.widget("volumeSelector").setCurrentNode(node)
    person.rest()
    assert person.panel.input.volume is None and refused(person) == "Choose a volume, or load one."


def test_a_volume_of_a_strange_type_gives_a_sentence(person):
    for dtype in (np.int8, np.uint32, np.float64):
        volume_of(person, noise(16, 16, 16).astype(dtype))
        outcome(person)


def test_axes_that_are_flat_or_skewed_are_refused(person):
    node = volume_of(person, noise(16, 16, 16))
    flat, skewed = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    flat.SetElement(2, 2, 0.0)
    skewed.SetElement(0, 1, 0.7)
    for matrix in (flat, skewed):
        node.SetIJKToRASMatrix(matrix)
        person.rest()
        person.panel.input.look()
        person.panel._show_ready()
        assert "odd" in refused(person)


def test_voxels_that_change_in_mid_run_are_said(person):
    node = person.open(PICTURE, HEAD)
    begin_run(person)
    array = slicer.util.arrayFromVolume(node)
    array[:] = 0
    slicer.util.arrayFromVolumeModified(node)
    person.wait_until(lambda: not person.panel.run.running)
    assert "changed" in person.said and is_one_sentence(person.said), person.said


def test_a_volume_that_is_moved_by_its_header_in_mid_run_is_said(person):
    node = person.open(PICTURE, HEAD)
    begin_run(person)
    node.SetOrigin(50, 60, 70)
    person.wait_until(lambda: not person.panel.run.running)
    assert "changed" in person.said and is_one_sentence(person.said), person.said


def test_a_volume_that_gets_another_image_while_it_is_written_does_no_harm(person):
    node = volume_of(person, np.zeros((160, 256, 256), np.float32))
    person.click("detectButton")
    for size in (10, 300, 20):
        data = node.GetImageData()
        data.SetDimensions(size, 5, 5)
        data.AllocateScalars(vtk.VTK_FLOAT, 1)
        person.rest(5)
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()


def test_a_transform_that_comes_in_mid_run_is_followed(person):
    node = begin_picture(person)
    flat = person.place_of("OFD left")
    volume = person.panel.input.volume
    person.desktop.scene.RemoveNode(node)
    begin_run(person)
    transform = person.desktop.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = vtk.vtkTransform()
    turn.RotateZ(40)
    turn.Translate(1, 2, 3)
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    assert np.allclose(person.place_of("OFD left"), turn.TransformPoint(flat), atol=1e-6), person.said


# --- the result in the hands of the person


def test_a_result_that_is_renamed_and_locked_is_reviewed_all_the_same(person):
    node = person.begin_review()
    node.SetName("Ünnamed <b>")
    node.SetLocked(True)
    for i in range(node.GetNumberOfControlPoints()):
        node.SetNthControlPointLocked(i, True)
    person.rest()
    person.choose("31")
    person.click("confirmButton")
    assert person.status("31") == "confirmed"
    person.choose("12")
    person.click("absentButton")
    assert person.status("12") == "absent"
    person.click("undoButton")
    assert person.status("12") == "unreviewed"


def test_a_result_that_is_removed_in_mid_run_is_made_anew(person):
    node = begin_picture(person)
    begin_run(person)
    person.desktop.scene.RemoveNode(node)
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    assert person.panel.review.node not in (None, node) and len(person.rows) == 4


def test_a_record_that_is_damaged_in_mid_run_leaves_a_sentence_and_no_half_of_anything(person):
    node = begin_picture(person)
    begin_run(person)
    node.SetAttribute("LandmarkDetector.review", "nonsense")
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    assert "damaged" in person.said and is_one_sentence(person.said), person.said
    assert node.GetAttribute("LandmarkDetector.review") == "nonsense"
    assert person.detect() is not node, "the next click makes a new result"
    assert len(person.rows) == 4


def test_points_that_a_person_removes_and_adds_while_it_runs_are_taken_as_they_are(person):
    node = begin_picture(person)
    begin_run(person)
    node.RemoveNthControlPoint(3)
    node.AddControlPoint(1, 2, 3, "mine")
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    assert "mine" in [row[0] for row in person.rows] and person.status("mine") == "placed"


def test_a_result_without_any_points_says_so(person):
    node = person.begin_review()
    node.RemoveAllControlPoints()
    person.rest()
    assert person.rows == [] and person.widget("countsLabel").text() == "This point list is empty."
    assert not person.widget("exportButton").isEnabled()


# --- bundles


@pytest.fixture
def own_bundle(person, tmp_path):
    """A copy of a bundle, imported; its folder."""
    from Testing.panel.test_input import another_bundle

    person.answer(open_folder=[str(another_bundle(tmp_path))])
    person.panel.input.import_folder.trigger()
    person.rest()
    assert person.panel.input.bundle.name == "another-head"
    folder = Path(person.panel.input.bundle.folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    person.panel.input.read_bundles()


def test_a_bundle_that_is_removed_between_choice_and_click_is_said(person, own_bundle):
    person.desktop.open(PICTURE)
    person.rest()
    shutil.rmtree(own_bundle)
    said = outcome(person)
    assert "another-head" in said and person.panel.review.node is None
    person.panel.input.choose_bundle(HEAD)
    person.rest()
    person.detect()
    assert len(person.rows) == 4


def test_a_bundle_that_is_damaged_between_choice_and_click_is_said(person, own_bundle):
    person.desktop.open(PICTURE)
    person.rest()
    person.panel.worker.end()
    weights = next(file for file in own_bundle.rglob("*") if file.suffix in (".safetensors", ".pt"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 255
    weights.write_bytes(bytes(data))
    assert "another-head" in outcome(person) and person.panel.review.node is None


def test_a_damaged_bundle_on_the_shelf_is_named_and_the_others_stay(person, own_bundle):
    (own_bundle / "configs" / "card.json").write_text("{", encoding="utf-8")
    person.panel.input.read_bundles()
    combo = person.widget("bundleCombo")
    assert {combo.itemData(i) for i in range(combo.count())} == {folder.name for folder in SHIPPED.iterdir()}
    assert any("another-head" in complaint for complaint in person.panel.input.bundles.complaints)
    assert "another-head" in person.said, "a person looks for it and does not find it"


def test_only_damaged_bundles_is_as_good_as_none(person, monkeypatch, tmp_path):
    from LandmarkDetectorLib.bundles import store

    person.open(SAMPLE)
    shutil.copytree(SHIPPED / HEAD, tmp_path / HEAD)
    (tmp_path / HEAD / "manifest.json").write_text("[]", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(store, "SHIPPED", tmp_path)
        person.panel.input.read_bundles()
        assert "There is no bundle here" in person.said and HEAD in person.said
        assert not person.widget("detectButton").isEnabled()
    person.panel.input.read_bundles()
