"""What a hand does with the mouse, through Slicer's own markups widget, and what one undo takes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LandmarkDetector.Scene.constructions import Constructions, Drawing
from LandmarkDetector.Scene.result import create_result, landmark_set_of
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Grid
from Testing.scene.nodes import add_linear, add_volume, marks_of
from Testing.scene.views import SliceView


@pytest.fixture
def hand(world) -> Any:
    """A view of a volume with a result in it, and its review; landmark a in the middle, b not found."""

    class Hand:
        volume = add_volume(world.scene, Grid((100, 100, 3), (1.0, 1.0, 1.0), (-50.0, -50.0, -1.0), np.eye(3)))
        node = create_result(world.scene, marks_of("ab"), volume)
        view = SliceView(world.scene, world.application)
        review = Review(node)
        calls: list[str] = []

        def key(self, label: str) -> str:
            return next(row.point_id for row in self.review.rows() if row.label == label)

        def row(self, label: str) -> Any:
            return next(row for row in self.review.rows() if row.label == label)

        def place_mode(self) -> None:
            world.markups.SetActiveList(self.node)
            interaction = world.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
            interaction.SetPlaceModePersistence(0)
            interaction.SetCurrentInteractionMode(interaction.Place)
            self.view.render()

    hand = Hand()
    hand.view.show(hand.volume)
    hand.view.node.JumpSlice(0, 0, 0)
    hand.view.render()
    hand.review.observe(lambda: hand.calls.append("told"))
    yield hand
    hand.view.close()


def drag(hand: Any, start=(0, 0, 0), end=(8, -4, 0)) -> None:
    hand.view.drag(hand.view.place_of(start), hand.view.place_of(end))


def test_a_drag_makes_a_landmark_corrected_and_is_one_step_of_undo(hand):
    before = hand.row("a")
    drag(hand)
    after = hand.row("a")
    assert after.status == "corrected" and after.confidence is None
    assert np.allclose(after.position, (-8, 4, 0), atol=0.2)  # LPS; a pixel is 0.25 mm
    assert hand.node.GetNthControlPointDescription(0) == ""
    assert hand.calls
    history = hand.review.history
    assert history.scene.GetNumberOfUndoLevels() == 1
    history.undo()
    assert hand.row("a") == before
    assert "confidence 0.90" in hand.node.GetNthControlPointDescription(0)
    assert not history.can_undo() and history.can_redo()
    history.redo()
    assert hand.row("a") == after
    hand.review.history.undo()
    assert hand.row("a") == before


def test_two_drags_are_two_steps(hand):
    drag(hand)
    drag(hand, (8, -4, 0), (12, 10, 0))
    assert np.allclose(hand.row("a").position, (-12, -10, 0), atol=0.3)
    hand.review.history.undo()
    assert np.allclose(hand.row("a").position, (-8, 4, 0), atol=0.2) and hand.row("a").status == "corrected"
    hand.review.history.undo()
    assert hand.row("a").status == "unreviewed"


def test_clicks_on_a_landmark_move_nothing_and_undo_passes_them_over(hand):
    hand.review.confirm([hand.key("a")])
    for _ in range(2):
        place = hand.view.place_of((0, 0, 0))
        hand.view.mouse("MouseMoveEvent", place)
        hand.view.render()
        hand.view.click(place)
    assert hand.row("a").status == "confirmed"
    hand.review.history.undo()
    assert hand.row("a").status == "unreviewed" and not hand.review.history.can_undo()
    hand.review.history.redo()
    assert hand.row("a").status == "confirmed"


def test_a_landmark_without_a_place_in_this_slice_stays_where_it_is(hand):
    hand.view.node.JumpSlice(0, 0, 40)
    hand.view.render()
    drag(hand)
    assert hand.row("a").status == "unreviewed" and not hand.review.history.can_undo()


def test_a_landmark_that_was_not_found_is_placed_by_a_click_which_is_one_step(hand):
    key = hand.key("b")
    assert hand.review.begin_placing(key)
    hand.place_mode()
    hand.view.mouse("MouseMoveEvent", hand.view.place_of((10, 10, 0)))
    hand.view.click(hand.view.place_of((20, 5, 0)))
    row = hand.row("b")
    assert (row.point_id, row.status) == (key, "corrected")
    assert np.allclose(row.position, (-20, -5, 0), atol=0.3)
    assert hand.node.GetNumberOfControlPoints() == 2
    hand.review.history.undo()
    assert hand.row("b").status == "not found" and hand.row("b").position is None
    assert hand.node.GetNthControlPointPositionStatus(1) == hand.node.PositionMissing
    assert not hand.review.history.can_undo()
    hand.review.history.redo()
    assert hand.row("b") == row


def test_a_click_places_the_landmark_and_not_what_was_drawn_meanwhile(hand):
    drawn = Constructions(hand.node.GetScene())
    hand.review.begin_placing(hand.key("b"))
    hand.place_mode()
    drawn.show([Drawing("AB", "line", np.array([[0.0, 0, 0], [30, 30, 0]]))], "heads")
    hand.view.mouse("MouseMoveEvent", hand.view.place_of((10, 10, 0)))
    hand.view.click(hand.view.place_of((20, 5, 0)))
    assert np.allclose(hand.row("b").position, (-20, -5, 0), atol=0.3)
    assert drawn.nodes[0].GetNumberOfControlPoints() == 2
    drawn.clear()


def test_placing_that_is_given_up_leaves_the_landmark_as_it_was(hand):
    hand.review.begin_placing(hand.key("b"))
    hand.place_mode()
    hand.view.mouse("MouseMoveEvent", hand.view.place_of((10, 10, 0)))
    interaction = hand.node.GetScene().GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    hand.review.end_placing()
    assert hand.row("b").status == "not found"
    assert hand.node.GetNthControlPointPositionStatus(1) == hand.node.PositionMissing
    assert hand.node.GetNumberOfControlPoints() == 2
    assert not hand.review.history.can_undo()


def test_a_landmark_that_a_person_adds_by_a_click_is_one_step_and_leaves_nothing_behind(hand):
    hand.place_mode()
    hand.view.mouse("MouseMoveEvent", hand.view.place_of((10, 10, 0)))
    assert [row.label for row in hand.review.rows()] == ["b", "a"]  # what hangs on the mouse is no landmark yet
    assert len(landmark_set_of(hand.node)) == 2
    hand.view.click(hand.view.place_of((20, 5, 0)))
    added = next(row for row in hand.review.rows() if row.label not in "ab")
    assert added.status == "corrected" and np.allclose(added.position, (-20, -5, 0), atol=0.3)
    hand.review.history.undo()
    assert [row.label for row in hand.review.rows()] == ["b", "a"]
    assert len(landmark_set_of(hand.node)) == hand.node.GetNumberOfControlPoints() == 2
    hand.review.history.redo()
    assert next(row for row in hand.review.rows() if row.label not in "ab") == added


def test_a_drag_that_a_closing_view_breaks_off_does_not_make_the_review_deaf(hand):
    hand.node.InvokeEvent(hand.node.PointStartInteractionEvent)
    hand.node.SetNthControlPointPosition(0, 5, 5, 5)
    assert hand.review.confirm([hand.key("a")]) == 0
    assert hand.row("a").status == "corrected"


def test_a_drag_under_a_transform_moves_the_landmark_in_the_world(hand, world):
    transform = add_linear(world.scene, 2)
    hand.node.SetAndObserveTransformNodeID(transform.GetID())
    ras = np.array(hand.node.GetNthControlPointPositionWorld(0))
    hand.view.node.JumpSliceByCentering(*ras)
    hand.view.render()
    drag(hand, ras, ras + (8, -4, 0))
    assert np.allclose(np.array(hand.row("a").position) * (-1, -1, 1), ras + (8, -4, 0), atol=0.3)
    hand.review.history.undo()
    assert np.allclose(np.array(hand.row("a").position) * (-1, -1, 1), ras)
