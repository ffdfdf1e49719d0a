"""Landmarks as a node of the scene: what it is called, how it looks, what it knows of where it came from."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetector.Scene.result import create_result, is_result, landmark_set_of, volume_of
from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.io.markups_regions import REGIONS
from Testing.house.test_floors import run_python
from Testing.scene.nodes import add_linear, marks_of


def test_a_result_holds_every_landmark_in_order_and_open_to_review(scene, ct, marks):
    node = create_result(scene, marks, ct)
    count = range(len(marks))
    assert [node.GetNthControlPointLabel(i) for i in count] == marks.labels
    assert not node.GetLocked() and node.GetDisplayVisibility() and not node.GetFixedNumberOfControlPoints()
    assert not any(node.GetNthControlPointLocked(i) for i in count)
    assert all(node.GetNthControlPointVisibility(i) and node.GetNthControlPointSelected(i) for i in count)
    assert [node.GetNthControlPointPositionStatus(i) == node.PositionMissing for i in count] == [
        False,
        True,
        False,
        False,
    ]
    assert node.GetNthControlPointDescription(0).startswith("confidence 0.90, standard deviation")
    assert is_result(node) and not is_result(ct) and not is_result(None)


def test_a_result_is_called_after_volume_and_bundle_and_knows_both(scene, ct, marks):
    node = create_result(scene, marks, ct)
    assert node.GetName() == "CT heads" and volume_of(node) is ct
    known = {name: node.GetAttribute(f"LandmarkDetector.{name}") for name in ("bundle", "version", "fingerprint")}
    assert known == {"bundle": "heads", "version": "1.2.3", "fingerprint": "f" * 64}
    assert create_result(scene, marks, ct).GetName() != "CT heads"
    assert volume_of(create_result(scene, LandmarkSet((Landmark("a", (1, 2, 3)),), name="mine"))) is None
    assert scene.GetFirstNodeByName("mine") is not None


def test_a_result_enters_the_scene_when_it_is_whole(scene, ct, marks):
    seen = []

    def look(*_):
        for i in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")):
            node = scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode")
            seen.append((node.GetNumberOfControlPoints(), is_result(node)))

    scene.AddObserver(scene.NodeAddedEvent, look)
    create_result(scene, marks, ct)
    assert seen and set(seen) == {(4, True)}


def test_landmarks_go_in_and_come_out_the_same(scene, ct, marks):
    ct.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    node = create_result(scene, marks, ct)
    back = landmark_set_of(node, world=False)
    assert back.labels == marks.labels and back.unit == marks.unit
    for there, here in zip(back, marks, strict=True):
        assert (there.status, there.confidence, there.description) == (here.status, here.confidence, here.description)
        assert here.position is None or np.array_equal(there.position, here.position)
        assert here.covariance is None or np.allclose(there.covariance, here.covariance, rtol=1e-15)
    assert {key: back.info[key] for key in ("bundle", "version", "fingerprint")} == dict(marks.info)


def test_what_the_detector_describes_is_shown_and_kept(scene):
    marks = LandmarkSet((Landmark("a", (1, 2, 3), None, 0.5, description="seen twice"),))
    node = create_result(scene, marks)
    assert node.GetNthControlPointDescription(0) == "seen twice"
    assert landmark_set_of(node)[0].description == "seen twice"


def test_a_point_says_how_far_its_measured_region_reaches_and_what_it_said_before_is_no_person_s(scene, ct, marks):
    radii = {"a": 2.0, "c": None}
    said = {"level": 0.9, "method": "ellipsoidal", "radii": radii, "cases": 7, "subjects": 7}
    node = create_result(scene, LandmarkSet(tuple(marks), name="CT", info={**marks.info, REGIONS: said}), ct)
    reach = 2.0 * np.linalg.eigvalsh(marks[0].covariance)[-1] ** 0.5
    assert node.GetNthControlPointDescription(0) == f"confidence 0.90, 90 % lie within {reach:.2g} mm"
    assert node.GetNthControlPointDescription(2).startswith("confidence 0.70, standard deviation")
    assert {mark.description for mark in landmark_set_of(node)} == {""}
    node.SetNthControlPointDescription(0, f"confidence 0.90, standard deviation {reach / 2:.2g} mm")  # an older scene
    assert landmark_set_of(node)[0].description == ""
    node.SetNthControlPointDescription(0, "seen twice")
    assert landmark_set_of(node)[0].description == "seen twice"


def test_a_result_without_landmarks_is_no_error(scene, ct):
    node = create_result(scene, LandmarkSet(()), ct)
    assert len(landmark_set_of(node)) == 0


def test_an_undefined_landmark_is_no_less_missing_than_one_that_was_not_found(scene):
    node = create_result(scene, LandmarkSet((Landmark("a", None, "undefined"), Landmark("b", None, "missing"))))
    assert [mark.status for mark in landmark_set_of(node)] == ["missing", "missing"]


@pytest.mark.parametrize("name", ["torch", "pydantic", "SimpleITK", "PySide6", "LandmarkDetectorLib"])
def test_importing_the_scene_imports_nothing_that_slicer_has_not(name, tmp_path):
    rooms = ("export", "focus", "halo", "history", "result", "review", "volume_image")
    code = (
        f"import sys, {', '.join(f'LandmarkDetector.Scene.{room}' for room in rooms)}\nprint({name!r} in sys.modules)"
    )
    assert run_python(code, tmp_path) == "False"


def test_a_second_result_of_another_bundle_stands_beside_the_first(scene, ct):
    first, second = create_result(scene, marks_of(), ct), create_result(scene, marks_of(bundle="jaws"), ct)
    assert (first.GetName(), second.GetName()) == ("CT heads", "CT jaws")
