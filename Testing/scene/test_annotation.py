"""Lists to place: a fixed number of landmarks without a place, and what a person said of each, on its image."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetector.Scene.annotation import annotation_of, is_list_to_place, list_to_place, written_definitions
from LandmarkDetector.Scene.history import History
from LandmarkDetector.Scene.result import create_result, volume_of
from LandmarkDetector.Scene.review import Review
from Testing.scene.nodes import add_linear, counts, marks_of

LABELS = ("nose", "left", "right")


@pytest.fixture
def to_place(scene, ct):
    return list_to_place(scene, ct, "blobs", LABELS, {"nose": "The largest blob."}, "mm", 3)


def ids(node) -> list[str]:
    return [node.GetNthControlPointID(i) for i in range(node.GetNumberOfControlPoints())]


def test_every_landmark_is_there_in_order_and_none_is_placed(to_place, ct):
    assert is_list_to_place(to_place) and volume_of(to_place) is ct and to_place.GetName() == "CT blobs"
    assert list(written_definitions(to_place)) == list(LABELS)
    assert written_definitions(to_place)["nose"] == "The largest blob."
    assert to_place.GetNumberOfUndefinedControlPoints() == 3
    assert {row.status for row in Review(to_place).rows()} == {"not found"}
    assert not is_list_to_place(create_result(to_place.GetScene(), marks_of(), ct))


def test_what_is_placed_absent_or_left_is_said(to_place):
    review = Review(to_place)
    to_place.SetNthControlPointPosition(0, -1.0, -2.0, 3.0)
    review.mark_absent([ids(to_place)[1]])
    marks = annotation_of(to_place, review.settled())
    assert [(mark.label, mark.status) for mark in marks] == list(
        zip(LABELS, ("defined", "missing", "undefined"), strict=True)
    )
    assert np.allclose(marks["nose"].position, (1.0, 2.0, 3.0))


def test_a_landmark_that_slicer_was_told_is_missing_is_absent(to_place):
    to_place.SetNthControlPointPositionMissing(2)
    assert [row.status for row in Review(to_place).rows() if row.label == "right"] == ["absent"]


def test_leaving_place_mode_lets_the_others_wait(to_place):
    review = Review(to_place)
    assert review.begin_placing(ids(to_place)[1])
    review.end_placing()
    assert to_place.GetNumberOfUndefinedControlPoints() == 3
    assert counts(review)["not found"] == 3


def test_undo_takes_a_judgement_back(scene, to_place):
    review = Review(to_place)
    review.mark_absent([ids(to_place)[0]])
    History(scene).undo()
    assert counts(review)["not found"] == 3
    assert annotation_of(to_place, review.settled())["nose"].status == "undefined"


def test_what_a_detector_proposed_counts_once_a_person_looked(scene, ct):
    node = create_result(scene, marks_of(), ct)
    review = Review(node)
    review.confirm([ids(node)[0]])
    marks = annotation_of(node, review.settled())
    assert [mark.status for mark in marks] == ["defined", "undefined", "undefined", "undefined"]


def test_positions_are_those_of_the_image_wherever_the_list_lies(scene, ct):
    ct.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    node = list_to_place(scene, ct, "blobs", LABELS, {}, "mm", 3)
    node.SetNthControlPointPosition(0, -1.0, -2.0, 3.0)
    assert np.allclose(annotation_of(node, Review(node).settled())["nose"].position, (1.0, 2.0, 3.0))
    node.HardenTransform()
    node.SetAndObserveTransformNodeID(None)
    assert np.allclose(annotation_of(node, Review(node).settled())["nose"].position, (1.0, 2.0, 3.0), atol=1e-6)
