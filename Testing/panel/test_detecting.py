"""Detecting: cancel at any moment, a worker that dies, a scene that closes, images and bundles that do not fit."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import vtk
from PySide6.QtCore import QPoint, QTimer

from Testing.panel.person import HEAD, PICTURE, SAMPLE, SKULL

pytestmark = pytest.mark.one_binding
STAGES = ["writing", "coarse", "patches"]


def begin_and_reach(person, stage: str) -> int:
    """Click Detect and wait for a stage; returns the worker's pid."""
    reached = []
    person.panel.run.progressed.connect(lambda name, fraction: reached.append(name))
    person.click("detectButton")
    person.wait_until(lambda: stage in reached)
    return person.panel.worker.pid


def test_cancel_while_the_voxels_are_written_leaves_nothing(person):
    person.open(SAMPLE)
    before = person.desktop.scene.GetNumberOfNodes()
    person.click("detectButton")
    assert person.widget("detectButton").text() == "Cancel"
    person.click("detectButton")
    assert person.said == "Cancelled; nothing was changed."
    assert person.desktop.scene.GetNumberOfNodes() == before and not voxel_files()


def test_cancel_in_mid_run_leaves_no_process_and_no_node_and_the_next_click_works(person):
    person.open(SAMPLE)
    before = person.desktop.scene.GetNumberOfNodes()
    pid = begin_and_reach(person, "patches")
    person.click("detectButton")
    assert person.widget("detectButton").text() == "Detect landmarks"
    assert person.said == "Cancelled; nothing was changed."
    assert person.wait_until(lambda: not psutil.pid_exists(pid), 2.0) < 2.0
    assert person.desktop.scene.GetNumberOfNodes() == before and not voxel_files()
    person.detect()
    assert len(person.rows) == 45


def voxel_files() -> list:
    """Folders of voxels that belong to this process."""
    from LandmarkDetectorLib.inference.voxel_file import PREFIX

    held = [Path(file.path) for file in psutil.Process().open_files() if PREFIX in file.path]
    return [path for path in held if (path.parent / "voxels").exists()]  # the application has a folder of its own


def test_a_worker_that_is_killed_is_reported_and_the_next_click_works(person):
    person.open(SAMPLE)
    pid = begin_and_reach(person, "coarse")
    os.kill(pid, signal.SIGKILL)
    person.wait_until(lambda: not person.panel.run.running)
    assert "lost during the detection" in person.said and person.said.count(".") == 1
    assert person.panel.review.node is None
    person.detect()
    assert len(person.rows) == 45


def test_a_scene_that_is_closed_ends_the_detection(person):
    person.open(SAMPLE)
    pid = begin_and_reach(person, "coarse")
    person.desktop.scene.Clear(0)
    person.wait_until(lambda: not psutil.pid_exists(pid), 2.0)
    person.rest(100)
    assert person.desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode") is None
    assert person.panel.review.node is None and person.panel.input.volume is None
    assert person.said == "Choose a volume, or load one." and not person.widget("detectButton").isEnabled()


def test_the_event_loop_never_stalls_while_the_detector_works(person):
    person.open(SAMPLE)
    turns, stages = [], []
    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(time.perf_counter()))
    person.panel.run.progressed.connect(lambda stage, fraction: stages.append(stage) or timer_stops(timer, stage))
    person.click("detectButton")
    timer.start(1)
    person.wait_until(lambda: not person.panel.run.running)
    assert {"writing", "coarse", "frame", "patches"} <= set(stages)
    assert len(turns) > 100 and np.diff(turns).max() < 0.25  # 0.1 is promised; other programs may be at work here


def timer_stops(timer, stage: str) -> None:
    """What follows is the making of the result, once."""
    if stage == "done":
        timer.stop()


def test_a_bundle_for_pictures_refuses_a_volume_and_says_so(person):
    person.open(SAMPLE, HEAD)
    assert person.said == "NU_J is 3D and the bundle fetal-head-us is for 2D images; choose another bundle."
    assert not person.widget("detectButton").isEnabled()
    person.panel.input.choose_bundle(SKULL)
    person.rest()
    assert person.widget("detectButton").isEnabled() and person.said == ""


def test_a_bundle_for_volumes_refuses_a_picture_as_the_command_line_does(person):
    person.open(PICTURE, SKULL)
    assert person.said == "050_2HC is 2D and the bundle mouse-skull-ct is for 3D images; choose another bundle."
    assert not person.widget("detectButton").isEnabled()


def test_a_picture_is_detected_by_a_bundle_for_pictures(person):
    person.open(PICTURE, HEAD)
    node = person.detect()
    labels = [node.GetNthControlPointLabel(i) for i in range(4)]
    assert labels == ["OFD left", "OFD right", "BPD upper", "BPD lower"]


def test_without_any_bundle_the_panel_says_what_to_do(person, monkeypatch, tmp_path):
    from LandmarkDetectorLib.bundles import store

    person.open(SAMPLE)
    with monkeypatch.context() as patch:
        patch.setattr(store, "SHIPPED", tmp_path)
        person.panel.input.read_bundles()
        assert "There is no bundle here: import one" in person.said
        assert not person.widget("detectButton").isEnabled() and not person.widget("bundleInfoButton").isEnabled()
    person.panel.input.read_bundles()
    assert person.widget("detectButton").isEnabled()


def test_landmarks_of_a_volume_under_a_transform_lie_on_the_same_anatomy(person):
    person.begin_review()
    volume = person.panel.input.volume
    flat = {label: person.place_of(label) for label in ("12", "31")}
    person.desktop.scene.RemoveNode(person.panel.review.node)
    transform = person.desktop.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = vtk.vtkTransform()
    turn.RotateWXYZ(33, 1, 2, 3)
    turn.Translate(11, -7, 5)
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())
    person.detect()
    for label, place in flat.items():
        assert np.linalg.norm(person.place_of(label) - turn.TransformPoint(place)) < 1e-6


def test_landmarks_of_an_oblique_volume_lie_on_the_same_anatomy(person):
    person.begin_review()
    straight = person.place_of("31")
    volume, matrix = person.panel.input.volume, vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    turn = vtk.vtkTransform()
    turn.RotateWXYZ(21, 3, -1, 2)
    turn.Translate(-4, 9, 30)
    vtk.vtkMatrix4x4.Multiply4x4(turn.GetMatrix(), matrix, matrix)
    volume.SetIJKToRASMatrix(matrix)
    person.detect()
    assert np.linalg.norm(person.place_of("31") - turn.TransformPoint(straight)) < 0.3


def test_a_second_detection_keeps_what_was_reviewed(person):
    person.begin_review()
    person.choose("31")
    person.click("confirmButton")
    node, index = person.panel.review.node, person.index("31")
    kept = person.place_of("31")
    node.SetNthControlPointPosition(person.index("12"), 1.0, 2.0, 3.0)
    person.rest()
    assert person.status("12") == "corrected"
    dialogs = person.answer(ask=["keep"])
    assert person.detect() is node
    assert "reviewed" in dialogs.asked[0][1]
    assert np.allclose(node.GetNthControlPointPosition(person.index("12")), (1, 2, 3))
    assert np.allclose(person.place_of("31"), kept) and person.index("31") == index
    assert (person.status("31"), person.status("12"), person.status("28")) == ("confirmed", "corrected", "unreviewed")


def test_a_click_that_was_to_place_a_landmark_adds_none_to_the_detection_that_came_first(person):
    person.begin_review()
    person.choose("28")
    person.click("absentButton")
    person.answer(ask=["new"])
    person.click("detectButton")
    person.choose("28")
    person.click("placeButton")
    assert person.widget("placeButton").isChecked()
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    person.click_in("Green", QPoint(100, 120))
    assert not person.widget("placeButton").isChecked()
    assert person.panel.review.node.GetNumberOfControlPoints() == 45


def test_a_second_detection_can_go_into_a_new_result_or_be_left(person):
    person.begin_review()
    person.click("confirmButton")
    first = person.panel.review.node
    person.answer(ask=[None, "new"])
    person.click("detectButton")
    assert not person.panel.run.running
    second = person.detect()
    assert second is not first and person.desktop.scene.GetNodeByID(first.GetID()) is first
    assert {row[2] for row in person.rows} == {"○ unreviewed"}
