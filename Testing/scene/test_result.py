"""Landmarks as a node of the scene, and back."""

from __future__ import annotations

from LandmarkDetector.Scene.result import create_result, landmark_set_of


def test_a_result_holds_every_landmark_in_order_and_open_to_review(scene, ct, marks):
    node = create_result(scene, marks, ct)
    assert landmark_set_of(node).labels == marks.labels
    assert not node.GetLocked() and node.GetDisplayVisibility()
    assert node.GetName() == "CT heads"
