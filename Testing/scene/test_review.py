"""What a person says about a proposal, and what becomes of it when the node is changed behind the review's back."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import vtk

from LandmarkDetector.Scene.history import History
from LandmarkDetector.Scene.result import create_result, is_result, landmark_set_of, update_result
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet
from Testing.scene.nodes import SPREAD, add_grid, add_linear, counts, marks_of


@pytest.fixture
def review(scene, ct, marks) -> Review:
    return Review(create_result(scene, marks, ct))


def ids(review: Review, labels: str) -> list[str]:
    return [next(row.point_id for row in review.rows() if row.label == label) for label in labels]


def statuses(review: Review) -> dict[str, str]:
    return {row.label: row.status for row in sorted(review.rows(), key=lambda row: row.index)}


def row(review: Review, label: str) -> Any:
    return next(row for row in review.rows() if row.label == label)


def seen(review: Review) -> tuple:
    """Everything that a person or a file sees."""
    node = review.node
    points = [
        (node.GetNthControlPointPositionStatus(i), node.GetNthControlPointDescription(i))
        for i in range(node.GetNumberOfControlPoints())
    ]
    values = [
        (node.GetNthMeasurement(i).GetName(), node.GetNthMeasurement(i).GetDescription())
        for i in range(node.GetNumberOfMeasurements())
    ]
    return review.rows(), points, sorted(values)


def test_a_new_result_is_all_proposals(review, marks):
    assert statuses(review) == {"a": "unreviewed", "b": "not found", "c": "unreviewed", "d": "unreviewed"}
    assert counts(review) == {"unreviewed": 3, "not found": 1}
    assert not review.has_reviewed()
    assert [row.confidence for row in sorted(review.rows(), key=lambda r: r.index)] == [0.9, None, 0.7, 0.6]


def test_rows_come_in_the_order_in_which_they_should_be_looked_at(scene, ct):
    spoken = [("a", 0.9), ("b", None), ("c", 0.2), ("d", 0.5), ("e", 0.2)]
    marks = [Landmark(label, (i, 0, 0), confidence=confidence) for i, (label, confidence) in enumerate(spoken)]
    marks += [Landmark("f", status="missing", confidence=0.99), Landmark("g")]
    review = Review(create_result(scene, LandmarkSet(tuple(marks)), ct))
    # Not found first, then those of whom nobody knows, then from low to high; equal ones in the bundle's order.
    assert "".join(row.label for row in review.rows()) in ("gfbceda",)
    review.confirm(ids(review, "c"))
    review.mark_absent(ids(review, "g"))
    assert "".join(row.label for row in review.rows()) == "fbedacg"


def test_names_and_definitions_come_from_the_card(scene, ct, marks):
    review = Review(create_result(scene, marks, ct), {"a": "nasion"}, {"a": "the deepest point"})
    assert (row(review, "a").name, row(review, "a").definition) == ("nasion", "the deepest point")
    assert (row(review, "c").name, row(review, "c").definition) == ("c", "")


@pytest.mark.parametrize(
    ("action", "labels", "wanted"),
    [
        ("confirm", "a", {"a": "confirmed"}),
        ("confirm", "abcd", {"a": "confirmed", "c": "confirmed", "d": "confirmed"}),
        ("mark_absent", "ac", {"a": "absent", "c": "absent"}),
        ("mark_absent", "b", {"b": "absent"}),
    ],
)
def test_an_action_is_one_step_of_undo_and_redo_brings_it_back(review, action, labels, wanted):
    before = seen(review)
    assert getattr(review, action)(ids(review, labels)) == len(wanted)
    after = seen(review)
    assert {label: status for label, status in statuses(review).items() if label in wanted} == wanted
    assert review.has_reviewed()
    review.history.undo()
    assert seen(review) == before and not review.history.can_undo()
    review.history.redo()
    assert seen(review) == after and not review.history.can_redo()


def test_reset_goes_back_to_the_proposal_from_everything_and_is_one_step(review):
    review.confirm(ids(review, "a"))
    review.mark_absent(ids(review, "c"))
    History(review.scene).step()
    review.node.SetNthControlPointPosition(3, 1, 2, 3)
    assert statuses(review) == {"a": "confirmed", "b": "not found", "c": "absent", "d": "corrected"}
    before = seen(review)
    assert review.reset(ids(review, "abcd")) == 3
    assert statuses(review) == {"a": "unreviewed", "b": "not found", "c": "unreviewed", "d": "unreviewed"}
    assert row(review, "d").position == (30.0, 60.0, 90.0) and row(review, "d").confidence == 0.6
    assert row(review, "c").position == (20.0, 40.0, 60.0)
    review.history.undo()
    assert seen(review) == before


def test_an_action_that_changes_nothing_is_no_step(review):
    review.confirm(ids(review, "a"))
    levels = review.scene.GetNumberOfUndoLevels()
    assert review.confirm(ids(review, "ab")) == 0
    assert review.reset(ids(review, "cd")) == 0
    assert review.mark_absent(["no such id"]) == 0
    assert review.scene.GetNumberOfUndoLevels() == levels


def test_a_step_that_is_asked_for_twice_counts_once(review):
    review.history.step()
    review.confirm(ids(review, "a"))
    assert review.scene.GetNumberOfUndoLevels() == 1


def test_a_corrected_landmark_is_not_confirmed_over(review):
    review.node.SetNthControlPointPosition(0, 1, 2, 3)
    assert review.confirm(ids(review, "a")) == 0
    assert statuses(review)["a"] == "corrected"


def test_confidence_speaks_of_the_position_that_stands_there(review):
    review.confirm(ids(review, "c"))
    review.mark_absent(ids(review, "d"))
    review.node.SetNthControlPointPosition(0, 1, 2, 3)
    marks = landmark_set_of(review.node)
    assert [mark.confidence for mark in marks] == [None, None, 0.7, None]
    assert [mark.covariance is None for mark in marks] == [True, True, False, True]
    assert [mark.status for mark in marks] == ["defined", "missing", "defined", "missing"]


def test_a_change_of_the_scene_is_told_once_an_action(review):
    told = []
    review.observe(lambda: told.append(1))
    review.confirm(ids(review, "acd"))
    assert len(told) == 1
    review.history.undo()
    assert len(told) == 2
    review.node.SetNthControlPointPosition(0, 5, 5, 5)
    assert len(told) == 3
    review.release()
    review.node.SetNthControlPointPosition(0, 6, 6, 6)
    assert len(told) == 3


def test_a_landmark_that_is_removed_in_the_markups_module_is_gone_and_the_rest_keeps_its_values(review):
    review.confirm(ids(review, "c"))
    review.node.RemoveNthControlPoint(0)
    assert statuses(review) == {"b": "not found", "c": "confirmed", "d": "unreviewed"}
    assert row(review, "d").confidence == 0.6
    assert [mark.confidence for mark in landmark_set_of(review.node)] == [None, 0.7, 0.6]


def test_a_landmark_that_is_renamed_keeps_its_status_and_confidence(review, tmp_path):
    from LandmarkDetector.Scene.export import export
    from LandmarkDetectorLib.io import load_landmarks

    review.confirm(ids(review, "c"))
    review.node.SetNthControlPointLabel(2, 'renamed; "so" <é>')
    assert statuses(review)['renamed; "so" <é>'] == "confirmed"
    assert row(review, 'renamed; "so" <é>').confidence == 0.7
    export(review.node, tmp_path / "a.mrk.json")
    assert load_landmarks(tmp_path / "a.mrk.json")[2].confidence == 0.7


def test_a_landmark_that_a_person_adds_is_their_own(review):
    review.node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "mine")
    assert statuses(review)["mine"] == "corrected" and row(review, "mine").confidence is None
    assert review.reset(ids(review, "m") if False else [row(review, "mine").point_id]) == 0
    assert review.has_reviewed()


def test_what_the_markups_module_says_of_a_position_is_understood(review):
    review.node.SetNthControlPointPositionMissing(0)
    review.node.UnsetNthControlPointPosition(2)
    assert statuses(review) == {"a": "absent", "b": "not found", "c": "not found", "d": "unreviewed"}


def test_duplicate_labels_are_told_apart_by_their_control_points(scene, ct):
    marks = LandmarkSet(tuple(Landmark("x", (i, 0, 0), confidence=i / 10) for i in range(3)))
    review = Review(create_result(scene, marks, ct))
    review.confirm(["2"])
    assert [r.status for r in sorted(review.rows(), key=lambda r: r.index)] == ["unreviewed", "confirmed", "unreviewed"]


def test_a_node_that_is_removed_leaves_an_empty_review(review, scene):
    key = ids(review, "a")
    scene.RemoveNode(review.node)
    assert not review.alive and review.rows() == [] and not review.has_reviewed()
    assert review.confirm(key) == review.mark_absent(key) == review.reset(key) == 0
    assert not review.begin_placing(key[0])
    review.release()


def test_a_scene_that_is_closed_leaves_an_empty_review(review, scene):
    told = []
    review.observe(lambda: told.append(review.rows()))
    scene.Clear(0)
    assert not review.alive and review.rows() == []
    review.release()


@pytest.mark.parametrize("make", [add_linear, add_grid])
def test_hardening_a_transform_is_no_correction(scene, ct, marks, make):
    transform = make(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    review = Review(create_result(scene, marks, ct))
    review.confirm(ids(review, "a"))
    review.observe(review.rows)  # as a table does, at every change
    before = landmark_set_of(review.node)
    review.node.HardenTransform()
    assert statuses(review) == {"a": "confirmed", "b": "not found", "c": "unreviewed", "d": "unreviewed"}
    after = landmark_set_of(review.node)
    assert np.allclose(after.positions, before.positions, equal_nan=True)
    assert all(
        np.allclose(x.covariance, y.covariance) for x, y in zip(after, before, strict=True) if x.position is not None
    )
    review.mark_absent(ids(review, "a"))
    review.reset(ids(review, "a"))
    assert np.allclose(row(review, "a").position, before[0].position)


@pytest.mark.parametrize("how", ["put under", "hardened"])
def test_no_step_is_taken_back_across_a_transform_for_the_volume_would_stay_there(scene, ct, marks, how):
    if how == "hardened":
        ct.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    review = Review(create_result(scene, marks, ct))
    review.confirm(ids(review, "a"))
    if how == "hardened":
        review.node.HardenTransform()
    else:
        review.node.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    before = row(review, "a").position
    assert not review.history.can_undo()
    review.history.undo()
    assert row(review, "a").position == before and statuses(review)["a"] == "confirmed"
    review.mark_absent(ids(review, "a"))
    review.history.undo()
    assert row(review, "a").position == before


def test_a_detection_right_after_hardening_carries_reviewed_landmarks_forward(scene, ct, marks):
    ct.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    review = Review(create_result(scene, marks, ct))
    review.confirm(ids(review, "a"))
    review.node.HardenTransform()
    update_result(review.node, second())
    assert statuses(review) == {"a": "confirmed", "b": "unreviewed", "c": "unreviewed", "d": "unreviewed"}


def test_a_detection_passes_over_a_point_that_hangs_on_the_mouse(review):
    review.node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "mine")
    review.node.SetNthControlPointPosition(4, 1, 2, 3, review.node.PositionPreview)
    update_result(review.node, second())
    assert statuses(review) == dict.fromkeys("abcd", "unreviewed")


def test_a_detection_of_which_nothing_is_taken_over_leaves_the_record_as_it_is(review):
    review.mark_absent(ids(review, "abcd"))
    before = seen(review), review.state
    update_result(review.node, second())
    assert (seen(review), review.state) == before
    assert review.node.GetAttribute("LandmarkDetector.version") == "1.2.3"


def test_a_review_under_a_transform_speaks_of_the_world(scene, ct, marks):
    transform = add_linear(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    review = Review(create_result(scene, marks, ct))
    assert np.allclose(row(review, "c").position, landmark_set_of(review.node)["c"].position)
    transform.SetMatrixTransformToParent(vtk.vtkMatrix4x4())
    assert np.allclose(row(review, "c").position, (20, 40, 60)) and statuses(review)["c"] == "unreviewed"


def test_a_damaged_record_is_named_and_not_guessed_at(review):
    review.node.SetAttribute("LandmarkDetector.review", '{"version":1,"points":{"1":{"status":"sure"}}}')
    with pytest.raises(LandmarkError, match="CT heads: its record of the review .* is damaged"):
        Review(review.node)


def test_a_plain_list_begins_a_review_with_all_to_be_looked_at(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "F-1")
    assert not is_result(node)
    review = Review(node)
    assert statuses(review) == {"F-1": "unreviewed"} and is_result(node)


# --- a second detection ----------------------------------------------------------------------------------------------


def second(labels: str = "abcd") -> LandmarkSet:
    """Another detection, 5 mm beside the first, which finds b and is more modest."""
    marks = [
        Landmark(label, (10.0 * i + 5, 20.0 * i, 30.0 * i), confidence=0.5, covariance=SPREAD)
        for i, label in enumerate(labels)
    ]
    return LandmarkSet(tuple(marks), name="CT", info={"bundle": "heads", "version": "2.0.0", "fingerprint": "e" * 64})


def test_a_second_detection_replaces_what_nobody_reviewed_and_carries_the_rest_forward(review):
    review.confirm(ids(review, "a"))
    review.node.SetNthControlPointPosition(2, -1, -2, 3)
    before = {label: row(review, label) for label in "ac"}
    update_result(review.node, second())
    assert statuses(review) == {"a": "confirmed", "b": "unreviewed", "c": "corrected", "d": "unreviewed"}
    assert {label: row(review, label) for label in "ac"} == before
    assert row(review, "b").position == (15.0, 20.0, 30.0) and row(review, "b").confidence == 0.5
    assert row(review, "d").position == (35.0, 60.0, 90.0)
    assert review.node.GetAttribute("LandmarkDetector.version") == "2.0.0"
    assert [source["version"] for source in review.state.sources] == ["1.2.3", "2.0.0"]
    assert review.state.points[ids(review, "a")[0]].proposal.source == 0
    assert review.state.points[ids(review, "d")[0]].proposal.source == 1


def test_a_second_detection_is_one_step_of_undo(review):
    review.confirm(ids(review, "a"))
    before = seen(review)
    update_result(review.node, second("abce"))
    review.history.undo()
    assert seen(review) == before
    review.history.redo()
    assert statuses(review) == {"a": "confirmed", "b": "unreviewed", "c": "unreviewed", "e": "unreviewed"}


@pytest.mark.parametrize("make", [add_linear, add_grid])
def test_a_second_detection_goes_where_the_result_is_when_that_has_left_the_transform_of_the_volume(
    scene, ct, marks, make
):
    ct.SetAndObserveTransformNodeID(make(scene).GetID())
    review = Review(create_result(scene, marks, ct))
    update_result(review.node, second())
    wanted = landmark_set_of(review.node)
    review.node.HardenTransform()
    review.reset(row.point_id for row in review.rows())
    update_result(review.node, second())
    found = landmark_set_of(review.node)
    assert np.allclose(found.positions, wanted.positions)
    assert all(np.allclose(a.covariance, b.covariance) for a, b in zip(found, wanted, strict=True))


def test_a_second_detection_never_loses_what_a_person_added_or_renamed(review):
    review.node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "mine")
    review.node.SetNthControlPointLabel(3, "d left")
    update_result(review.node, second())
    assert [row.label for row in sorted(review.rows(), key=lambda r: r.index)] == ["a", "b", "c", "d", "d left", "mine"]
    assert row(review, "d left").position == (30.0, 60.0, 90.0)
    assert row(review, "mine").position == (-1.0, -2.0, 3.0)
    assert row(review, "d").position == (35.0, 60.0, 90.0)


def test_two_names_that_a_person_swapped_stay_swapped(review):
    review.node.SetNthControlPointLabel(0, "c")
    review.node.SetNthControlPointLabel(2, "a")
    update_result(review.node, second())
    assert row(review, "c").position == (0.0, 0.0, 0.0) and row(review, "a").position == (20.0, 40.0, 60.0)


def test_an_absent_landmark_stays_absent(review):
    review.mark_absent(ids(review, "ab"))
    update_result(review.node, second())
    assert statuses(review) == {"a": "absent", "b": "absent", "c": "unreviewed", "d": "unreviewed"}


def test_a_removed_landmark_is_proposed_anew_in_its_place(review):
    review.node.RemoveNthControlPoint(1)
    update_result(review.node, second())
    assert list(statuses(review)) == ["a", "b", "c", "d"] and statuses(review)["b"] == "unreviewed"


def test_a_landmark_that_is_no_longer_found_loses_its_place_only_where_nobody_reviewed_it(review):
    review.confirm(ids(review, "a"))
    gone = LandmarkSet(tuple(Landmark(label) for label in "abcd"), name="CT")
    update_result(review.node, gone)
    assert statuses(review) == {"a": "confirmed", "b": "not found", "c": "not found", "d": "not found"}
    assert row(review, "a").position == (0.0, 0.0, 0.0)


def test_a_new_result_cannot_be_undone_away_by_steps_of_an_older_one(review, scene, ct):
    review.confirm(ids(review, "a"))
    other = create_result(scene, marks_of(), ct)
    assert other.GetName() == "CT heads_1"
    review.history.undo()
    assert scene.IsNodePresent(other) and statuses(review)["a"] == "confirmed"


# --- size ------------------------------------------------------------------------------------------------------------


def test_ten_thousand_landmarks_stay_usable(scene, ct):
    positions = np.random.default_rng(0).normal(size=(10_000, 3)) * 100
    marks = LandmarkSet(
        tuple(Landmark(f"№ {i}", p, confidence=i / 1e4, covariance=SPREAD) for i, p in enumerate(positions))
    )
    begin = time.perf_counter()
    review = Review(create_result(scene, marks, ct))
    rows = review.rows()
    made = time.perf_counter() - begin
    begin = time.perf_counter()
    assert review.confirm(row.point_id for row in rows) == 10_000
    assert counts(review)["confirmed"] == 10_000
    confirmed = time.perf_counter() - begin
    begin = time.perf_counter()
    review.history.undo()
    assert counts(review)["unreviewed"] == 10_000
    undone = time.perf_counter() - begin
    assert max(made, confirmed, undone) < 10, (made, confirmed, undone)
    print(f"made {made:.2f} s, confirmed {confirmed:.2f} s, undone {undone:.2f} s")
