"""From an image to reviewed landmarks in a file, as a clinician does it the first time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PySide6.QtCore import QPoint

from Testing.panel.person import SAMPLE, SKULL


@pytest.fixture
def detected(person):
    person.begin_review()
    return person


def test_detect_on_the_sample_gives_every_landmark_in_order_ready_for_review(person):
    from LandmarkDetectorLib import load_bundle, load_landmarks

    person.open(SAMPLE)
    person.detect()
    node, bundle = person.panel.review.node, load_bundle(SKULL)
    assert [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())] == bundle.labels
    assert node.GetName() == "NU_J mouse-skull-ct" and not node.GetLocked() and node.GetDisplayVisibility()
    annotated = load_landmarks(SAMPLE.parent / "NU_J.mrk.json")
    places = np.array([person.place_of(label) * (-1, -1, 1) for label in annotated.labels])
    assert np.linalg.norm(places - annotated.positions, axis=1).mean() < 0.3
    assert person.widget("countsLabel").text() == "45 of 45 left: 45 unreviewed"
    assert len(person.rows) == 45
    assert [float(row[1]) for row in person.rows] == sorted(float(row[1]) for row in person.rows)


def test_after_detection_the_views_stand_at_the_landmark_to_look_at_first(detected):
    label = detected.rows[0][0]
    assert detected.current == label
    for view in ("Red", "Yellow", "Green"):
        canvas = detected.desktop.slice_views[view].canvas
        place, pixel = detected.place_of(label), detected.pixel(view, detected.place_of(label))
        assert 0 <= pixel.x() < canvas.width() and 0 <= pixel.y() < canvas.height()
        assert np.linalg.norm(detected.ras(view, pixel) - place) < 0.15  # within its slice, and under that pixel
    assert detected.panel.review.node.GetDisplayNode().GetActiveControlPoint("") == detected.index(label)


def test_a_point_that_is_dragged_is_corrected_and_the_file_has_its_new_place(detected, tmp_path):
    detected.choose("31")
    start = detected.pixel("Red", detected.place_of("31"))
    end = start + QPoint(24, -16)
    expected = detected.ras("Red", end)
    detected.choose("12")
    detected.choose("31")
    detected.drag("Red", start, end)
    assert np.linalg.norm(detected.place_of("31") - expected) < 0.05
    assert (detected.status("31"), detected.current) == ("corrected", "31")
    path = tmp_path / "corrected.mrk.json"
    dialogs = detected.answer(ask=["export"], save_file=[str(path)])
    detected.widget("exportButton").click()
    assert dialogs.asked[0] == ("ask", "44 of 45 landmarks are not reviewed; export all the same?")
    point = next(p for p in json.loads(path.read_text())["markups"][0]["controlPoints"] if p["label"] == "31")
    assert np.allclose(np.array(point["position"]) * (-1, -1, 1), detected.place_of("31"), atol=1e-6)
