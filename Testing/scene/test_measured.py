"""The landmarks that are measured: as they stand in the world, in the plane of a picture, also in mid-drag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LandmarkDetector.Scene.measured import Measured
from LandmarkDetector.Scene.result import create_result, landmark_set_of
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Grid, Landmark, LandmarkSet
from Testing.scene.nodes import add_grid, add_linear, add_volume, marks_of


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def measured(scene, ct, marks, told) -> Measured:
    return Measured(create_result(scene, marks, ct), lambda: told.append(1))


def same(a: LandmarkSet, b: LandmarkSet) -> bool:
    """Whether two sets say the same of position and uncertainty."""
    pairs = list(zip(a, b, strict=True))
    return all(
        (m.label, m.status) == (n.label, n.status)
        and (m.position is None or np.allclose(m.position, n.position))
        and ((m.covariance is None) == (n.covariance is None))
        and (m.covariance is None or np.allclose(m.covariance, n.covariance))
        for m, n in pairs
    )


def test_landmarks_are_those_that_an_export_has(measured, parent):
    measured.node.SetAndObserveTransformNodeID(None if parent is None else parent.GetID())
    assert same(measured.landmarks(), landmark_set_of(measured.node)) and measured.landmarks().unit == "mm"


def test_the_measured_regions_of_a_detection_come_along_until_a_landmark_moves(scene, ct, marks):
    labels = [mark.label for mark in marks if mark.covariance is not None]
    said = {"level": 0.9, "method": "ellipsoidal", "radii": dict.fromkeys(labels, 3.0)}
    measured = Measured(create_result(scene, replace(marks, info={**marks.info, "regions": said}), ct), lambda: None)
    assert measured.landmarks().info["regions"] == landmark_set_of(measured.node).info["regions"]
    assert set(measured.landmarks().info["regions"]["radii"]) == set(labels) != set()
    measured.node.SetNthControlPointPosition(marks.labels.index(labels[0]), -21, -40, 60)
    assert set(measured.landmarks().info["regions"]["radii"]) == set(labels[1:])


def test_landmarks_follow_a_transform_that_comes_and_moves(measured, scene, told):
    measured.landmarks()
    transform = add_linear(scene)
    measured.node.SetAndObserveTransformNodeID(transform.GetID())
    assert told and same(measured.landmarks(), landmark_set_of(measured.node))
    told.clear()
    transform.SetMatrixTransformToParent(add_linear(scene, 1).GetMatrixTransformToParent())
    assert told and same(measured.landmarks(), landmark_set_of(measured.node))
    measured.node.SetAndObserveTransformNodeID(add_grid(scene).GetID())
    assert same(measured.landmarks(), landmark_set_of(measured.node))


def test_a_landmark_that_moves_is_told_at_once_and_loses_its_uncertainty(measured, told):
    Review(measured.node)
    before = measured.landmarks()
    measured.node.InvokeEvent(measured.node.PointStartInteractionEvent)
    told.clear()
    measured.node.SetNthControlPointPosition(2, -21, -40, 60)
    assert told
    during = measured.landmarks()
    assert np.allclose(during["c"].position, (21, 40, 60)) and during["c"].covariance is None
    assert during["a"] is before["a"], "what did not move is not made again"
    measured.node.InvokeEvent(measured.node.PointEndInteractionEvent)
    assert same(measured.landmarks(), during)


def test_nothing_is_written_to_what_is_measured(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "somebody else's")
    node.AddControlPoint(-1, -2, 3, "a")
    before = list(node.GetAttributeNames())
    measured = Measured(node, lambda: None)
    node.SetNthControlPointPosition(0, -2, -2, 3)
    assert np.allclose(measured.landmarks()["a"].position, (2, 2, 3))
    assert list(node.GetAttributeNames()) == before and node.GetNumberOfMeasurements() == 0


def test_reviewed_landmarks_are_known_by_label(measured):
    review = Review(measured.node)
    keys = {row.label: row.point_id for row in review.rows()}
    review.confirm([keys["a"]])
    review.mark_absent([keys["d"]])
    assert measured.reviewed() == {"a": True, "b": False, "c": False, "d": True}
    assert measured.landmarks()["d"].position is None
    review.history.undo()
    assert measured.reviewed()["d"] is False and measured.landmarks()["d"].position is not None


def test_a_point_that_hangs_on_the_mouse_is_no_landmark_yet(measured):
    measured.node.AddControlPoint(-1, -2, 3, "new")
    measured.node.SetNthControlPointPosition(4, -1, -2, 3, measured.node.PositionPreview)
    assert measured.landmarks().labels == ["a", "b", "c", "d"]


def test_landmarks_of_a_picture_have_two_dimensions_wherever_its_plane_lies(scene):
    direction = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    direction *= np.sign(np.linalg.det(direction))
    grid = Grid((40, 30, 1), (0.5, 0.7, 2.0), (11.0, -7.0, 30.0), direction)
    volume = add_volume(scene, grid, name="slice")
    flat = {"a": (3.0, 4.0), "b": (17.0, 2.0), "c": (9.0, 18.0)}
    marks = []
    for label, (x, y) in flat.items():
        place = np.array(grid.origin) + x * direction[:, 0] + y * direction[:, 1]
        marks.append(Landmark(label, place, None, 0.5, direction @ np.diag([0.5, 0.2, 0.0]) @ direction.T))
    node = create_result(scene, LandmarkSet(tuple(marks)), volume)
    measured = Measured(node, lambda: None)
    found = measured.landmarks()
    assert found.dimension == 2 and np.allclose(found["a"].covariance, np.diag([0.5, 0.2]))
    for one, other in (("a", "b"), ("b", "c")):
        apart = np.subtract(flat[one], flat[other])
        assert np.allclose(found[one].position - found[other].position, apart), "x along rows, y down the columns"
    assert np.allclose(measured.in_space(found.positions), [mark.position for mark in marks])
    transform = add_linear(scene)
    for each in (node, volume):
        each.SetAndObserveTransformNodeID(transform.GetID())
    turned = measured.landmarks()
    assert turned.dimension == 2
    assert np.allclose(measured.in_space(turned.positions), landmark_set_of(node).positions)


def test_landmarks_that_leave_the_plane_of_a_picture_have_three_dimensions(scene):
    volume = add_volume(scene, Grid((40, 30, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)), name="slice")
    marks = LandmarkSet((Landmark("a", (3, 4, 0)), Landmark("b", (9, 9, 0)), Landmark("c")))
    measured = Measured(create_result(scene, marks, volume), lambda: None)
    assert measured.landmarks().dimension == 2
    measured.node.SetNthControlPointPosition(1, -9, -9, 2)
    assert measured.landmarks().dimension == 3
    measured.node.SetNthControlPointPosition(1, -9, -9, 0)
    assert measured.landmarks().dimension == 2


def test_flat_landmarks_without_their_picture_have_two_dimensions_and_others_three(scene):
    flat = LandmarkSet((Landmark("a", (3, 4)), Landmark("b", (9, 9))))
    assert Measured(create_result(scene, flat), lambda: None).landmarks().dimension == 2
    assert Measured(create_result(scene, marks_of()), lambda: None).landmarks().dimension == 3


def test_a_damaged_record_is_a_sentence(measured):
    from LandmarkDetectorLib.core import LandmarkError

    measured.node.SetAttribute("LandmarkDetector.review", "{")
    with pytest.raises(LandmarkError, match="is damaged"):
        measured.landmarks()


def test_who_was_released_hears_nothing_more(measured, told, scene):
    measured.release()
    told.clear()
    measured.node.SetNthControlPointPosition(0, 1, 2, 3)
    assert not told and measured.alive
    scene.RemoveNode(measured.node)
    assert not measured.alive
