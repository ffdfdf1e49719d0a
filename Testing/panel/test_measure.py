"""Measurements in the panel: the values of the library, live, with norms, drawn, compared and exported."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.measure import measure
from Testing.panel.measuring import HEADS, begin_measuring, choose, confirm_all, drawn, heads, table
from Testing.panel.person import HEAD, PICTURE

pytestmark = pytest.mark.one_binding

NARROW = 362
"""Pixels that the table has in a panel of 380, its own scroll bar among them."""

OWN = """
title: Nose
description: A set of our own.
citation: our clinic, 2026
landmarks:
  N: {title: Nasion}
  A: {title: Subspinale}
  Tip: {title: Tip}
measurements:
  - {name: N-A, title: Nasion to A, formula: "distance(N, A)", unit: mm, no_norm: nobody measured it}
  - {name: N-Tip, title: Nasion to tip, formula: "distance(N, Tip)", unit: mm, no_norm: nobody measured it}
"""


@pytest.fixture
def measuring(person):
    begin_measuring(person)
    return person


def select(person, name: str) -> None:
    widget = person.widget("measureTable")
    row = list(table(person)).index(name)
    widget.scrollToItem(widget.item(row, 0))
    place = widget.visualItemRect(widget.item(row, 0)).center()
    QTest.mouseClick(widget.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    person.rest()


def test_sets_are_suggested_by_the_labels_the_most_complete_first(person):
    begin_measuring(person)
    combo = person.widget("measureSetCombo")
    offered = [combo.itemText(i) for i in range(combo.count())]
    assert any(text.startswith("Steiner analysis (7 of 11)") for text in offered), offered  # of a picture; 3D has more
    assert not any("Fetal" in text for text in offered)
    shares = [eval(text.split("(")[-1].rstrip(")").replace(" of ", "/")) for text in offered]  # noqa: S307
    assert shares == sorted(shares, reverse=True)


def test_the_table_says_what_the_library_measures_in_the_plane_of_the_picture(measuring):
    flat = heads().to_plane()
    found = {result.name: result for result in measure(flat, "steiner")}
    shown = table(measuring)
    assert list(shown) == list(found)
    for name, result in found.items():
        if result.value is not None:
            assert shown[name][0].replace("−", "-").startswith(result.text.split(" (")[0]), name
            low, high = (f"{end:.1f}" for end in (result.interval.low, result.interval.high))
            assert shown[name][1].replace("−", "-") == f"{low} to {high}"
    assert found["SNA"].view == "2D" and found["SNA"].norm is not None


def test_a_value_that_cannot_be_told_from_a_cut_off_is_marked(measuring):
    near = {r.name for r in measure(heads().to_plane(), "steiner") if any("cut-off" in note for note in r.notes)}
    marked = {name for name, row in table(measuring).items() if row[3].startswith("⚠")}
    assert marked == near == {"ANB"}
    select(measuring, "ANB")
    assert "Within its uncertainty of the cut-off" in measuring.widget("measureLabel").text()


def test_what_cannot_be_computed_says_what_it_needs_and_shows_no_number(measuring):
    assert table(measuring)["Interincisal"] == (
        "not computed: needs Upper incisor apex, Lower incisor apex",
        *[""] * 2,
        "–",
    )
    choose(measuring, "measureSetCombo", "jarabak")
    shown = table(measuring)["Ar-Go"]
    assert shown[0] == "not computed: needs Articulare", "it was not found in this picture"


def test_values_follow_the_mouse_before_it_is_released(measuring):
    before = table(measuring)["SNA"][0]
    start = measuring.pixel("Red", measuring.place_of("A"))
    canvas = measuring.grasp("Red", start)
    QTest.mouseMove(canvas, start + QPoint(20, 0))
    measuring.rest()
    QTest.mouseMove(canvas, start + QPoint(40, 0))
    measuring.rest()
    during, statuses = table(measuring)["SNA"], measuring.status("A")
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start + QPoint(40, 0))
    measuring.rest()
    assert during[0] != before and statuses == "unreviewed"
    assert during[1] == "", "where a landmark is dragged to, nobody knows its uncertainty"
    assert measuring.status("A") == "corrected" and table(measuring)["SNA"][0] == during[0]
    measuring.panel.history.undo()
    measuring.rest()
    assert table(measuring)["SNA"][0] == before


def test_a_drag_computes_what_rests_on_the_landmark_and_nothing_else(measuring):
    node, index = measuring.panel.review.node, measuring.index("A")
    node.InvokeEvent(node.PointStartInteractionEvent)
    node.SetNthControlPointPosition(index, -27.5, -17, 0)  # of which from now on nobody knows the uncertainty
    before = {result.name: result for result in measuring.panel.measure._now().first.results}
    node.SetNthControlPointPosition(index, -28, -17.5, 0)
    shown = measuring.panel.measure._now().first
    after = {result.name: result for result in shown.results}
    kept = {name for name, result in after.items() if result is before[name]}
    assert kept == {name for name, result in after.items() if "A" not in result.labels} and "SNA" not in kept
    fresh = measure(shown.landmarks, "steiner")
    assert [(r.name, r.text, r.notes) for r in fresh] == [(r.name, r.text, r.notes) for r in shown.results]
    node.InvokeEvent(node.PointEndInteractionEvent)


def test_a_drag_with_everything_drawn_updates_table_and_drawing_at_once(measuring):
    choose(measuring, "measureDrawCombo", "all")
    node = measuring.panel.review.node
    index, costs = measuring.index("N"), []
    node.InvokeEvent(node.PointStartInteractionEvent)
    for _ in range(12):
        x, y, z = node.GetNthControlPointPosition(index)
        began = time.thread_time()  # of this thread alone: others may use the computer
        node.SetNthControlPointPosition(index, x + 0.1, y, z)
        QApplication.processEvents()
        costs.append(time.thread_time() - began)
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert np.median(costs) < 0.25, f"{1000 * np.median(costs):.0f} ms; benchmarks/panel_measure.py looks closer"


def test_values_of_proposals_say_so_until_every_landmark_of_theirs_is_reviewed(measuring):
    assert "○" in table(measuring)["SNA"][0] and "not reviewed" in measuring.widget("measureNote").text()
    review = measuring.panel.review.review
    keys = {row.label: row.point_id for row in review.rows()}
    review.confirm([keys["S"], keys["N"]])
    measuring.rest()
    assert "○" in table(measuring)["SNA"][0]
    review.confirm([keys["A"]])
    measuring.rest()
    assert "○" not in table(measuring)["SNA"][0] and "○" in table(measuring)["SNB"][0]
    confirm_all(measuring)
    assert measuring.widget("measureNote").isHidden()
    assert not any("○" in row[0] for row in table(measuring).values())


def test_a_choice_is_said_and_decides_on_the_norm(measuring):
    assert table(measuring)["SN-MP"][3].startswith("32 (")
    label, combo = measuring.panel.measure.choices._lists[0]
    unwrap = getattr(measuring.desktop.qt_module, "unwrap", lambda it: it)
    assert unwrap(label).text() == "Mandibular plane:"
    unwrap(combo).setCurrentIndex(unwrap(combo).findData("Go-Me"))
    measuring.rest()
    assert table(measuring)["SN-MP"][3] == "–"
    select(measuring, "SN-MP")
    assert "mandibular plane: Go-Me" in measuring.widget("measureLabel").text().replace("Mandib", "mandib")


def test_a_row_says_its_norm_with_source_and_draws_its_construction(measuring):
    select(measuring, "SNA")
    assert "Steiner 1959" in measuring.widget("measureLabel").text()
    (angle,) = drawn(measuring)
    assert angle.GetClassName() == "vtkMRMLMarkupsAngleNode" and angle.GetName() == "SNA"
    corners = [np.array(angle.GetNthControlPointPositionWorld(i)) for i in range(3)]
    for corner, label in zip(corners, ("S", "N", "A"), strict=True):
        assert np.allclose(corner, measuring.place_of(label), atol=1e-6)
    assert abs(angle.GetAngleDegrees() - float(table(measuring)["SNA"][0].split("°")[0])) < 0.06
    select(measuring, "SN-MP")
    assert {node.GetClassName() for node in drawn(measuring)} == {"vtkMRMLMarkupsLineNode"}


def test_a_row_brings_the_views_to_its_construction(measuring):
    view = measuring.desktop.slice_views["Red"]
    field = view.node.GetFieldOfView()
    view.node.SetFieldOfView(field[0] / 6, field[1] / 6, field[2])
    view.node.JumpSliceByCentering(*measuring.place_of("Me"))
    select(measuring, "SNA")
    pixel = measuring.pixel("Red", measuring.place_of("N"))
    assert 0 < pixel.x() < view.canvas.width() and 0 < pixel.y() < view.canvas.height()
    display = measuring.panel.review.node.GetDisplayNode()
    assert display.GetActiveControlPoint("") == measuring.index("N")


def test_the_landmark_that_a_row_lights_up_is_the_one_that_c_confirms(measuring):
    measuring.choose("S")
    select(measuring, "SNA")
    assert measuring.current == "N"
    measuring.key(Qt.Key.Key_C)
    measuring.rest()
    assert measuring.status("N") == "confirmed" and measuring.status("S") == "unreviewed"


def test_drawings_follow_a_drag_undo_and_redo_and_can_be_switched_off(measuring):
    select(measuring, "SNA")
    start = measuring.pixel("Red", measuring.place_of("N"))
    before = measuring.place_of("N")
    measuring.drag("Red", start, start + QPoint(25, -10))
    moved = measuring.place_of("N")
    assert np.linalg.norm(moved - before) > 0.5, "a drawing must not catch the mouse in the place of the landmark"
    assert np.allclose(drawn(measuring)[0].GetNthControlPointPositionWorld(1), moved, atol=1e-6)
    measuring.panel.history.undo()
    measuring.rest()
    assert np.allclose(drawn(measuring)[0].GetNthControlPointPositionWorld(1), before, atol=1e-6)
    measuring.panel.history.redo()
    measuring.rest()
    assert np.allclose(drawn(measuring)[0].GetNthControlPointPositionWorld(1), moved, atol=1e-6)
    choose(measuring, "measureDrawCombo", "nothing")
    assert drawn(measuring) == []


@pytest.mark.parametrize("what", ["all", "selected"])
def test_what_is_seen_of_a_drawing_that_moved_is_all_that_slicer_would_draw(measuring, what):
    choose(measuring, "measureDrawCombo", what)
    select(measuring, "SNA")
    node, view = measuring.panel.review.node, measuring.desktop.slice_views["Red"]
    before = picture_of(measuring, view)
    node.SetNthControlPointPosition(measuring.index("A"), -20, -21, 0)
    measuring.rest(100)
    moved = picture_of(measuring, view)
    for each in drawn(measuring):  # everything that can be told of a node, as after any other change of it
        folded = each.StartModify()
        each.Modified()
        each.InvokeCustomModifiedEvent(each.PointModifiedEvent)
        each.EndModify(folded)
        each.GetDisplayNode().Modified()
    assert picture_of(measuring, view) == moved != before


def picture_of(person, view):
    person.rest(50)
    view.canvas.draw()
    return view.canvas.grab().toImage()


def test_drawings_are_no_landmarks_neither_offered_nor_saved(measuring, tmp_path):
    from LandmarkDetectorLib.io import load_landmarks

    choose(measuring, "measureDrawCombo", "all")
    assert len(drawn(measuring)) > 5 and all(node.GetLocked() for node in drawn(measuring))
    selector = measuring.panel.ui.resultSelector
    assert measuring.widget("resultSelector").nodeCount() == 1 and selector.currentNode() is not None
    measuring.answer(save_file=[str(tmp_path / "points.mrk.json")], ask=["export"])
    measuring.press("exportButton")
    assert load_landmarks(tmp_path / "points.mrk.json").labels == list(HEADS)
    measuring.desktop.save_scene(tmp_path / "scene.mrb")
    measuring.desktop.close_scene()
    measuring.rest()
    assert drawn(measuring) == []
    measuring.desktop.open(tmp_path / "scene.mrb")
    measuring.rest(100)
    assert measuring.widget("measureSetCombo").currentData() == "steiner"
    assert len(drawn(measuring)) > 5, "what was drawn is drawn anew, from the landmarks"
    assert "Interincisal" in table(measuring)


def test_a_second_time_stands_beside_the_first_with_the_difference(measuring):
    from LandmarkDetector.Scene.result import create_result

    later = create_result(measuring.desktop.scene, heads(2.0), measuring.panel.input.volume)
    measuring.panel.ui.compareSelector.setCurrentNode(later)
    measuring.rest()
    first, second = ({r.name: r for r in measure(heads(s).to_plane(), "steiner")} for s in (0.0, 2.0))
    gain = second["SNB"].value - first["SNB"].value
    reach = np.hypot(*(r["SNB"].interval.high - r["SNB"].value for r in (first, second)))
    shown = table(measuring)["SNB"]
    assert shown[0] == f"{first['SNB'].value:.1f}° ○\n{second['SNB'].value:.1f}° ○"
    assert shown[2] == f"{gain:+.1f}°\n± {reach:.1f}"
    assert table(measuring)["SNA"][2].startswith("0.0°")
    assert table(measuring)["Interincisal"][0].startswith("not computed: needs")
    widget = measuring.widget("measureTable")
    assert widget.isColumnHidden(2) and not widget.isColumnHidden(3)
    measuring.desktop.scene.RemoveNode(later)
    measuring.rest()
    assert not widget.isColumnHidden(2) and widget.isColumnHidden(3) and table(measuring)["SNB"][2] == ""


def test_each_of_two_times_says_for_itself_what_nobody_reviewed(measuring):
    from LandmarkDetector.Scene.result import create_result

    confirm_all(measuring)
    later = create_result(measuring.desktop.scene, heads(2.0), measuring.panel.input.volume)
    measuring.panel.ui.compareSelector.setCurrentNode(later)
    measuring.rest()
    first, second = table(measuring)["SNB"][0].splitlines()
    assert "○" not in first and second.endswith("○")
    select(measuring, "SNB")
    assert "Second: " in measuring.widget("measureLabel").text()


def test_a_value_that_one_time_lacks_stands_beside_the_other_with_its_reason(measuring):
    from LandmarkDetector.Scene.result import create_result

    marks = heads(2.0)
    fewer = replace(marks, landmarks=tuple(mark for mark in marks if mark.label != "B"))
    later = create_result(measuring.desktop.scene, fewer, measuring.panel.input.volume)
    measuring.panel.ui.compareSelector.setCurrentNode(later)
    measuring.rest()
    first, second = table(measuring)["SNB"][0].splitlines()
    assert "°" in first and second == "not computed: needs Supramentale" and table(measuring)["SNB"][2] == "–"


def test_two_times_and_the_norm_are_read_without_scrolling_in_a_narrow_panel(measuring):
    from LandmarkDetector.Scene.result import create_result

    later = create_result(measuring.desktop.scene, heads(2.0), measuring.panel.input.volume)
    measuring.panel.ui.compareSelector.setCurrentNode(later)
    widget = measuring.widget("measureTable")
    before = widget.minimumWidth(), widget.maximumWidth()
    widget.setFixedWidth(NARROW)
    try:
        for name in ("steiner", "jarabak", "downs"):
            choose(measuring, "measureSetCombo", name)
            assert widget.horizontalScrollBar().maximum() == 0
            for row in range(widget.rowCount()):
                spans = widget.columnSpan(row, 1) > 1  # a reason
                for column in () if spans else (1, 3, 4):
                    assert fits(widget, row, column), (name, widget.item(row, column).text())
    finally:
        widget.setMinimumWidth(before[0])
        widget.setMaximumWidth(before[1])


def test_where_no_value_has_an_interval_the_norm_has_its_room(measuring):
    from LandmarkDetector.Scene.result import create_result

    widget = measuring.widget("measureTable")
    assert not widget.isColumnHidden(2)
    placed = replace(heads(), landmarks=tuple(replace(mark, covariance=None) for mark in heads()))
    measuring.panel.review.choose_node(create_result(measuring.desktop.scene, placed, measuring.panel.input.volume))
    measuring.rest()
    choose(measuring, "measureSetCombo", "jarabak")
    assert widget.isColumnHidden(2) and len(table(measuring)) == 13
    assert all(fits(widget, row, 4) for row in range(widget.rowCount()) if widget.columnSpan(row, 1) == 1)


def fits(widget, row: int, column: int) -> bool:
    """Whether a cell shows all of its words beside its bar, in the lines that the row has."""
    item, letters = widget.item(row, column), widget.fontMetrics()
    bar = 0 if item.icon().isNull() else widget.iconSize().width() + 4
    room = widget.columnWidth(column) - bar - 8
    lines = 0
    for text in item.text().split("\n"):
        lines, there = lines + 1, 0
        for word in text.split():
            wide = letters.horizontalAdvance(word + " ")
            if there and there + wide > room:
                lines, there = lines + 1, 0
            there += wide
            if there > room + letters.horizontalAdvance(" "):
                return False
    return lines * letters.height() <= widget.rowHeight(row)


def test_a_set_of_ones_own_is_measured_and_kept_with_the_scene(measuring, tmp_path):
    (tmp_path / "nose.yaml").write_text(OWN, encoding="utf-8")
    measuring.answer(open_file=[str(tmp_path / "nose.yaml")])
    measuring.press("measureFileButton")
    measuring.rest()
    shown = table(measuring)
    assert shown["N-A"][0].startswith(f"{np.hypot(1, 10):.1f} mm") and "needs Tip" in shown["N-Tip"][0]
    assert measuring.widget("measureSetCombo").currentText() == "Nose (1 of 2)"
    (tmp_path / "nose.yaml").unlink()
    measuring.desktop.save_scene(tmp_path / "scene.mrb")
    measuring.desktop.close_scene()
    measuring.desktop.open(tmp_path / "scene.mrb")
    measuring.rest(100)
    assert table(measuring)["N-A"] == shown["N-A"]


def test_a_file_that_is_no_set_is_refused_with_a_sentence(measuring, tmp_path):
    (tmp_path / "broken.yaml").write_text(OWN.replace("distance(N, A)", "distance(N, B)"), encoding="utf-8")
    before = table(measuring)
    measuring.answer(open_file=[str(tmp_path / "broken.yaml")])
    measuring.press("measureFileButton")
    said = measuring.widget("measureNote").text()
    assert said.startswith("broken.yaml: measurements.N-A.formula") and table(measuring) == before


def test_landmarks_that_no_set_knows_say_so(person):
    from LandmarkDetector.Scene.result import create_result

    unknown = LandmarkSet.from_positions(["1", "2"], [[1, 2, 0], [3, 4, 0]])
    person.panel.review.choose_node(create_result(person.desktop.scene, unknown, person.open(PICTURE, HEAD)))
    person.widget("measureSection").setCollapsed(False)
    person.rest()
    assert "No set of measurements knows these landmarks" in person.widget("measureNote").text()
    assert person.widget("measureTable").rowCount() == 0 and not person.widget("measureExportButton").isEnabled()


def test_nothing_is_measured_while_the_section_is_folded(measuring):
    measuring.widget("measureSection").setCollapsed(True)
    measuring.rest()
    before = table(measuring)["SNA"][0]
    node = measuring.panel.review.node
    node.SetNthControlPointPosition(measuring.index("A"), -20, -17, 0)
    measuring.rest()
    assert table(measuring)["SNA"][0] == before
    measuring.widget("measureSection").setCollapsed(False)
    measuring.rest()
    assert table(measuring)["SNA"][0] != before


def test_marks_of_norms_differ_in_form_and_not_in_colour_alone(measuring):
    from LandmarkDetector.Panel.measure_rows import NormMark
    from LandmarkDetector.Panel.norm_bars import BAR, NormBars

    unwrap = getattr(measuring.desktop.qt_module, "unwrap", lambda it: it)
    bars = NormBars()
    forms = []
    for far in range(3):
        image = unwrap(bars.icon(NormMark(0.5, far))).pixmap(*BAR).toImage()
        edge = [(x, y) for x in range(BAR[0]) for y in range(BAR[1]) if image.pixelColor(x, y).lightness() < 90]
        forms.append(frozenset(edge))
    assert len(set(forms)) == 3
    wide = [unwrap(bars.icon(NormMark(place, 0))).pixmap(*BAR).toImage() for place in (-9.0, -3.0, 0.0, 3.0)]
    assert wide[0] == wide[1] and wide[1] != wide[2] != wide[3], "beyond its ends the bar shows its end"


def test_the_fetal_head_is_measured_from_a_detection(person):
    person.open(PICTURE, HEAD)
    person.detect()
    person.widget("measureSection").setCollapsed(False)
    person.rest()
    assert list(table(person)) == ["BPD", "OFD", "HC", "CI"]
    select(person, "HC")
    assert [node.GetClassName() for node in drawn(person)] == ["vtkMRMLMarkupsClosedCurveNode"]
    label, combo = person.panel.measure.choices._lists[0]
    unwrap = getattr(person.desktop.qt_module, "unwrap", lambda it: it)
    unwrap(combo).setCurrentIndex(1)
    person.rest()
    assert len(table(person)) == 5, unwrap(label).text()
