"""The review: keys, buttons and the mouse do what they say, and every action can be taken back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from PySide6.QtCore import QPoint, Qt

from Testing.panel.person import HEAD, PICTURE

pytestmark = pytest.mark.one_binding


@pytest.fixture
def reviewing(person):
    person.begin_review()
    return person


def test_a_drag_is_one_step_of_undo(reviewing):
    before = reviewing.place_of("31")
    reviewing.choose("31")
    start = reviewing.pixel("Red", before)
    reviewing.drag("Red", start, start + QPoint(30, 10))
    assert reviewing.status("31") == "corrected"
    reviewing.click("undoButton")
    assert np.allclose(reviewing.place_of("31"), before, atol=1e-9) and reviewing.status("31") == "unreviewed"
    reviewing.click("redoButton")
    assert reviewing.status("31") == "corrected"


def test_after_a_drag_all_slices_show_the_landmark_where_it_is_now(reviewing):
    reviewing.choose("31")
    views = reviewing.desktop.slice_views
    dragged = views["Red"].node.GetSliceOffset()
    start = reviewing.pixel("Red", reviewing.place_of("31"))
    reviewing.drag("Red", start, start + QPoint(40, 20))
    x, y, z = reviewing.place_of("31")
    assert abs(views["Red"].node.GetSliceOffset() - dragged) < 1e-6, "the slice that was dragged in stays"
    assert abs(views["Yellow"].node.GetSliceOffset() + x) < 1e-6, "its axis points to the left"
    assert abs(views["Green"].node.GetSliceOffset() - y) < 1e-6


def test_absent_takes_the_place_and_undo_gives_it_back(reviewing):
    before = reviewing.place_of("28")
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_X)
    node = reviewing.panel.review.node
    assert reviewing.status("28") == "absent"
    assert node.GetNthControlPointPositionStatus(reviewing.index("28")) == node.PositionMissing
    reviewing.key(Qt.Key.Key_U)
    assert reviewing.status("28") == "unreviewed" and np.allclose(reviewing.place_of("28"), before)


def test_c_confirms_and_goes_on_to_the_next_one_to_look_at(reviewing):
    first, second, third = (row[0] for row in reviewing.rows[:3])
    reviewing.key(Qt.Key.Key_C)
    assert (reviewing.status(first), reviewing.current) == ("confirmed", second)
    reviewing.key(Qt.Key.Key_C)
    assert reviewing.current == third
    assert [row[0] for row in reviewing.rows[:3]] == [first, second, third], "rows stay where they are while one works"
    assert reviewing.widget("countsLabel").text() == "43 of 45 left: 43 unreviewed"


def test_c_goes_on_from_a_landmark_that_was_dragged(reviewing):
    first, second = (row[0] for row in reviewing.rows[:2])
    start = reviewing.pixel("Red", reviewing.place_of(first))
    reviewing.drag("Red", start, start + QPoint(30, 10))
    assert (reviewing.current, reviewing.status(first)) == (first, "corrected")
    reviewing.key(Qt.Key.Key_C)
    assert (reviewing.current, reviewing.status(first)) == (second, "corrected")


def test_n_and_p_go_down_and_up(reviewing):
    labels = [row[0] for row in reviewing.rows]
    reviewing.key(Qt.Key.Key_N)
    reviewing.key(Qt.Key.Key_N)
    assert reviewing.current == labels[2]
    reviewing.key(Qt.Key.Key_P)
    assert reviewing.current == labels[1]


def test_a_landmark_without_a_place_is_put_where_the_person_clicks(reviewing):
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_X)
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_L)
    assert reviewing.widget("placeButton").isChecked()
    pixel = QPoint(100, 120)
    expected = reviewing.ras("Green", pixel)
    reviewing.click_in("Green", pixel)
    assert np.linalg.norm(reviewing.place_of("28") - expected) < 0.05
    assert (reviewing.status("28"), reviewing.current) == ("corrected", "28")
    assert not reviewing.widget("placeButton").isChecked()
    assert reviewing.panel.review.node.GetNumberOfControlPoints() == 45
    reviewing.click("undoButton")
    assert reviewing.status("28") == "absent"


def test_placing_can_be_called_off(reviewing):
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_X)
    reviewing.choose("28")
    reviewing.click("placeButton")
    reviewing.click("placeButton")
    reviewing.click_in("Green", QPoint(100, 120))
    assert reviewing.status("28") == "absent" and reviewing.panel.review.node.GetNumberOfControlPoints() == 45


def test_search_and_filter_show_what_they_say(reviewing):
    reviewing.widget("searchEdit").setText("4")
    assert all("4" in row[0] for row in reviewing.rows) and 0 < len(reviewing.rows) < 45
    reviewing.widget("searchEdit").setText("")
    reviewing.choose("31")
    reviewing.click("confirmButton")
    reviewing.widget("filterCombo").setCurrentIndex(reviewing.widget("filterCombo").findData("confirmed"))
    assert [row[0] for row in reviewing.rows] == ["31"]
    reviewing.widget("filterCombo").setCurrentIndex(0)
    reviewing.widget("orderCombo").setCurrentIndex(reviewing.widget("orderCombo").findData("label"))
    labels = [row[0] for row in reviewing.rows]
    assert labels == sorted(labels, key=int)


def test_letters_in_the_search_are_letters(reviewing):
    from PySide6.QtTest import QTest

    search = reviewing.widget("searchEdit")
    search.setFocus()
    QTest.keyClicks(search, "cxn")
    assert search.text() == "cxn"
    search.setText("")
    assert {row[2] for row in reviewing.rows} == {"○ unreviewed"}


def test_with_a_filter_the_row_that_is_worked_on_stays_until_the_person_goes_on(reviewing):
    reviewing.widget("filterCombo").setCurrentIndex(reviewing.widget("filterCombo").findData("left"))
    assert reviewing.current == ""
    reviewing.choose("31")
    start = reviewing.pixel("Red", reviewing.place_of("31"))
    reviewing.drag("Red", start, start + QPoint(30, 10))
    assert (reviewing.current, reviewing.status("31")) == ("31", "corrected") and len(reviewing.rows) == 45
    reviewing.key(Qt.Key.Key_P)  # a sure landmark stands last, and below it is nothing to go to
    assert "31" not in [row[0] for row in reviewing.rows] and reviewing.current != ""
    before = reviewing.current
    reviewing.key(Qt.Key.Key_C)
    assert before not in [row[0] for row in reviewing.rows] and len(reviewing.rows) == 43


def test_undo_goes_to_what_it_brought_back(reviewing):
    first = reviewing.current
    reviewing.key(Qt.Key.Key_C)
    assert reviewing.current != first
    reviewing.key(Qt.Key.Key_U)
    assert (reviewing.current, reviewing.status(first)) == (first, "unreviewed")


def test_a_click_on_the_selected_row_brings_the_views_back(reviewing):
    label = reviewing.current
    view = reviewing.desktop.slice_views["Red"]
    offset = view.node.GetSliceOffset()
    view.logic.SetSliceOffset(offset + 5)
    reviewing.choose(label)
    assert abs(view.node.GetSliceOffset() - offset) < 1e-6


def test_uncertainty_is_shown_and_hidden(reviewing):
    def halos() -> int:
        scene = reviewing.desktop.scene
        nodes = [scene.GetNthNodeByClass(i, "vtkMRMLModelNode") for i in range(scene.GetNumberOfNodes())]
        return sum(node is not None and node.GetName().endswith(" regions") for node in nodes)

    assert halos() == 1
    reviewing.widget("halosCheck").click()
    assert halos() == 0
    reviewing.widget("halosCheck").click()
    assert halos() == 1


def test_every_button_names_its_key(reviewing):
    for name, key in {"confirm": "C", "absent": "X", "place": "L", "reset": "R", "undo": "U", "next": "N"}.items():
        assert f"(key {key})" in reviewing.widget(f"{name}Button").toolTip()


def test_rings_say_what_they_hold_as_long_as_they_are_shown(reviewing):
    promise = "90 % of true positions lie within the ring, measured on 20 held-out cases."
    label = reviewing.widget("halosLabel")
    assert label.isVisibleTo(label.parentWidget()) and label.text() == promise
    reviewing.widget("halosCheck").click()
    assert not label.isVisibleTo(label.parentWidget()) and label.text() == ""
    reviewing.widget("halosCheck").click()
    assert label.text() == promise
    reviewing.panel.review.choose_node(None)
    reviewing.rest()
    assert label.text() == ""


def read_for_review(person, folder, calibrated: bool) -> dict:
    """Open landmarks that a bundle's file holds for review; what the file says of regions."""
    from LandmarkDetector.Panel.batch_open import load_for_review
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.bundles.calibration import regions_info
    from LandmarkDetectorLib.core import Landmark, LandmarkSet
    from LandmarkDetectorLib.inference.image_sources import Source
    from LandmarkDetectorLib.io import load_image, save_image, save_landmarks

    bundle = load_bundle(HEAD)
    image = load_image(PICTURE)
    save_image(image, folder / "head.mha")
    middle = image.grid.to_world((np.array(image.grid.size) - 1) / 2)
    marks = [
        Landmark(label, middle + 5.0 * i, None, 0.4, np.eye(len(middle)) * (1 + i))
        for i, label in enumerate(bundle.labels)
    ]
    info = {"bundle": HEAD, "version": bundle.version, "fingerprint": bundle.fingerprint}
    said = regions_info(bundle.calibration() if calibrated else None)
    save_landmarks(LandmarkSet(tuple(marks), image.grid.unit, "head", {**info, **said}), folder / "head.mrk.json")
    source = Source(folder / "head.mha", "head")
    volume, node = load_for_review(person.desktop.scene, source, [folder / "head.mrk.json"])
    person.panel._go_on_with(volume, node)
    person.rest()
    return said


def test_calibrated_rings_say_what_they_hold_also_when_the_landmarks_were_read_from_a_file(person, tmp_path):
    from LandmarkDetectorLib.bundles.calibration import INFO

    said = read_for_review(person, tmp_path, calibrated=True)
    promise = f"90 % of true positions lie within the ring, measured on {said[INFO]['cases']} held-out cases."
    assert person.widget("halosLabel").text() == promise
    person.key(Qt.Key.Key_C)
    assert person.widget("halosLabel").text() == promise, "three are left"


def test_rings_that_nobody_calibrated_are_called_so(person, tmp_path):
    read_for_review(person, tmp_path, calibrated=False)
    assert person.widget("halosLabel").text().startswith("Dashed rings are uncalibrated")
    person.panel.review.choose_node(None)
    person.rest()
    assert person.widget("halosLabel").text() == ""


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ([], ""),
        ([("a", (0.9, 2.0, 77))], "90 % of true positions lie within the ring, measured on 77 held-out cases."),
        ([("a", (0.9, 2.0, None))], "90 % of true positions lie within the ring, measured on held-out cases."),
        (
            [("a", (0.9, 2.0, 77)), ("b", (0.95, None, None)), ("c", (0.95, None, None))],
            "90 % of true positions lie within the ring, measured on 77 held-out cases.\n"
            "Dashed rings, of b, c, are uncalibrated: too few cases could promise anything for them.",
        ),
    ],
)
def test_what_rings_promise_in_words(person, drawn, words):
    from LandmarkDetector.Panel.halo_view import coverage
    from LandmarkDetector.Scene.regions import Region

    assert coverage([(label, Region(*given)) for label, given in drawn]) == words


def test_a_landmark_that_is_added_after_undo_has_an_id_and_a_row_of_its_own(reviewing):
    first = reviewing.current
    reviewing.key(Qt.Key.Key_C)
    reviewing.key(Qt.Key.Key_U)
    node = reviewing.panel.review.node
    node.AddControlPoint(1.0, 2.0, 3.0, "mine")
    reviewing.rest()
    ids = [node.GetNthControlPointID(i) for i in range(46)]
    assert len(set(ids)) == 46 and len(reviewing.rows) == 46 and reviewing.status(first) == "unreviewed"


def test_undo_from_the_menu_calls_placing_off(reviewing):
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_X)
    reviewing.choose("9")
    reviewing.key(Qt.Key.Key_C)
    reviewing.choose("28")
    reviewing.key(Qt.Key.Key_L)
    reviewing.desktop.actions.by_name["undo"].trigger()
    reviewing.rest()
    assert reviewing.status("9") == "unreviewed" and not reviewing.widget("placeButton").isChecked()
    reviewing.click_in("Green", QPoint(100, 120))
    assert reviewing.status("28") == "absent" and reviewing.panel.review.node.GetNumberOfControlPoints() == 45


def test_undo_from_the_menu_passes_over_mere_clicks_as_the_button_does(reviewing):
    reviewing.choose("9")
    reviewing.key(Qt.Key.Key_C)
    reviewing.choose("31")
    place = reviewing.pixel("Red", reviewing.place_of("31"))
    for _ in range(2):
        reviewing.click_in("Red", place)
    assert reviewing.status("31") == "unreviewed"
    reviewing.desktop.actions.by_name["undo"].trigger()
    reviewing.rest()
    assert reviewing.status("9") == "unreviewed"


def test_letters_judge_in_the_table_only(reviewing):
    from PySide6.QtTest import QTest

    combo = reviewing.widget("orderCombo")
    combo.setFocus()
    QTest.keyClick(combo, Qt.Key.Key_C)
    reviewing.rest()
    assert {row[2] for row in reviewing.rows} == {"○ unreviewed"}
    first = reviewing.current
    reviewing.click("confirmButton")
    assert reviewing.desktop.window.focusWidget() is reviewing.widget("reviewTable") and reviewing.current != first


def test_while_a_landmark_is_dragged_no_other_one_is_lit(reviewing):
    from PySide6.QtTest import QTest

    reviewing.choose("31")
    before = {row[0]: reviewing.place_of(row[0]) for row in reviewing.rows}
    start = reviewing.pixel("Red", before["31"])
    canvas = reviewing.grasp("Red", start)
    QTest.mouseMove(canvas, start + QPoint(4, 4))
    reviewing.rest()
    reviewing.panel.review.begin()  # as when a detection has come
    for step in (8, 12, 16):
        QTest.mouseMove(canvas, start + QPoint(step, step))
        reviewing.rest()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start + QPoint(16, 16))
    reviewing.rest()
    moved = [label for label, place in before.items() if not np.allclose(reviewing.place_of(label), place, atol=1e-6)]
    assert moved == ["31"]


def test_another_image_in_the_views_takes_the_selection_away_and_a_row_brings_its_own_image_back(reviewing, tmp_path):
    import shutil

    from Testing.panel.person import SAMPLE

    first, label = reviewing.panel.input.volume, reviewing.rows[0][0]
    other = reviewing.desktop.open(shutil.copy(SAMPLE, tmp_path / "other.nii.gz"))
    reviewing.rest()
    assert reviewing.panel.input.volume is other and reviewing.current == ""
    assert reviewing.widget("landmarkLabel").text().startswith("These landmarks lie in NU_J.")
    reviewing.key(Qt.Key.Key_C)
    assert reviewing.status(label) == "unreviewed", "nobody sees what would be confirmed"
    reviewing.choose(label)
    assert reviewing.panel.input.volume is first and reviewing.desktop.volume is first


def test_landmarks_of_one_image_are_not_drawn_on_another(reviewing, tmp_path):
    import shutil

    from Testing.panel.person import SAMPLE

    node, label = reviewing.panel.review.node, reviewing.rows[0][0]
    free = reviewing.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "of no image")
    free.CreateDefaultDisplayNodes()

    def drawn() -> list[bool]:
        rings = [each for each in slicer.util.getNodesByClass("vtkMRMLModelNode") if "regions" in each.GetName()]
        return [bool(each.GetDisplayVisibility()) for each in (node, free, *rings)]

    assert drawn() == [True, True, True]
    reviewing.desktop.open(shutil.copy(SAMPLE, tmp_path / "other.nii.gz"))
    reviewing.rest()
    assert drawn() == [False, True]
    reviewing.choose(label)
    assert drawn() == [True, True, True]


def test_a_new_detection_brings_the_views_to_its_first_landmark_whatever_was_searched(reviewing):
    label = reviewing.current
    view = reviewing.desktop.slice_views["Red"]
    offset = view.node.GetSliceOffset()
    view.logic.SetSliceOffset(offset + 5)
    reviewing.widget("searchEdit").setText("nothing is called so")
    reviewing.panel.review.begin()
    assert reviewing.current == label and len(reviewing.rows) == 45
    assert abs(view.node.GetSliceOffset() - offset) < 1e-6


def test_the_landmark_of_the_current_row_stays_lit_when_one_before_it_goes(reviewing):
    node = reviewing.panel.review.node
    reviewing.choose("31")
    node.RemoveNthControlPoint(0)
    reviewing.rest()
    assert reviewing.current == "31"
    assert node.GetDisplayNode().GetActiveComponentIndex() == reviewing.index("31")
