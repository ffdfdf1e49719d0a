"""Any order of actions: undo goes back through every one of them, redo goes forth, and files and scene agree."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import vtk

from LandmarkDetector.Scene.export import export
from LandmarkDetector.Scene.halo import Halo
from LandmarkDetector.Scene.result import create_result, landmark_set_of, update_result
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks
from Testing.scene.nodes import SPREAD

LABELS = "abcdefgh"


def detection(rng: random.Random) -> LandmarkSet:
    marks = []
    for label in LABELS:
        place = [rng.uniform(-50, 50) for _ in range(3)]
        found = rng.random() > 0.3
        marks.append(Landmark(label, place, None, rng.random(), SPREAD) if found else Landmark(label))
    return LandmarkSet(tuple(marks), info={"bundle": "heads", "version": "1.0.0", "fingerprint": "a" * 64})


def act(review: Review, rng: random.Random) -> None:
    """One thing that a person may do."""
    node = review.node
    keys = [row.point_id for row in review.rows()]
    some = rng.sample(keys, rng.randint(1, len(keys)))
    index = rng.randrange(node.GetNumberOfControlPoints())
    choice = rng.choice(["confirm", "mark_absent", "reset", "move", "detect", "rename", "add", "remove"])
    if choice in ("confirm", "mark_absent", "reset"):
        getattr(review, choice)(some)
        return
    if choice == "detect":
        update_result(node, detection(rng))
        return
    review.history.step()
    if choice == "move":
        node.SetNthControlPointPosition(index, *(rng.uniform(-50, 50) for _ in range(3)))
        review.settled()
    elif choice == "rename":
        node.SetNthControlPointLabel(index, f"named {rng.randrange(1000)}")
    elif choice == "add":
        node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), f"mine {rng.randrange(1000)}")
    elif len(keys) > 2:
        node.RemoveNthControlPoint(index)


def seen(review: Review) -> Any:
    node = review.node
    words = [node.GetNthControlPointDescription(i) for i in range(node.GetNumberOfControlPoints())]
    return review.rows(), words


@pytest.mark.parametrize("seed", range(12))
def test_undo_and_redo_go_through_any_sequence_of_actions(scene, ct, tmp_path, seed):
    rng = random.Random(seed)
    review = Review(create_result(scene, detection(rng), ct))
    halo = Halo(review)
    states = [seen(review)]
    for _ in range(25):
        act(review, rng)
        now = seen(review)
        if now != states[-1]:
            states.append(now)
        believed = [entry for entry in review.state.points.values() if entry.status == "unreviewed"]
        assert set(halo._slots) == {
            key for key, entry in review.state.points.items() if entry in believed and entry.proposal.covariance
        }
    for wanted in reversed(states[:-1]):
        review.history.undo()
        assert seen(review) == wanted
    for wanted in states[1:]:
        review.history.redo()
        assert seen(review) == wanted
    export(review.node, tmp_path / "a.mrk.json")
    back, there = load_landmarks(tmp_path / "a.mrk.json"), landmark_set_of(review.node)
    assert back.labels == there.labels and np.allclose(back.positions, there.positions, equal_nan=True)
    assert [mark.confidence for mark in back] == [mark.confidence for mark in there]
    rows = sorted(review.rows(), key=lambda row: row.index)
    assert [row.confidence for row in rows] == [mark.confidence for mark in there]
