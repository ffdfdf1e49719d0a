"""The form: narrow enough for a docked panel, in the order of the work for the Tab key, every control explained."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

FORM = Path(__file__).resolve().parents[2] / "LandmarkDetector" / "Resources" / "UI" / "LandmarkDetector.ui"
CONTROLS = ("QPushButton", "QToolButton", "QComboBox", "QLineEdit", "QCheckBox", "qMRMLNodeComboBox")
SECTIONS = ("inputSection", "detectSection", "reviewSection", "exportSection", "batchSection")


def controls() -> dict[str, ElementTree.Element]:
    return {
        w.get("name", ""): w for w in ElementTree.parse(FORM).getroot().iter("widget") if w.get("class") in CONTROLS
    }


@pytest.mark.parametrize("name", controls())
def test_every_control_says_what_it_does(name):
    tips = [p.findtext("string", "") for p in controls()[name].iterfind("property[@name='toolTip']")]
    assert tips and len(tips[0]) > 10


def test_every_control_has_its_place_in_the_order_of_the_tab_key():
    stops = [stop.text for stop in ElementTree.parse(FORM).getroot().iter("tabstop")]
    assert set(controls()) - {"installButton"} <= set(stops) and len(stops) == len(set(stops))


@pytest.fixture
def unfolded(person):
    for name in SECTIONS:
        person.widget(name).setProperty("collapsed", False)
    person.begin_review()
    person.rest()
    yield person
    for name in SECTIONS[3:]:
        person.widget(name).setProperty("collapsed", True)


def test_the_panel_fits_into_380_pixels(unfolded):
    root = getattr(unfolded.desktop.qt_module, "unwrap", lambda it: it)(unfolded.panel.root)
    assert root.minimumSizeHint().width() <= 380


def test_long_names_do_not_widen_the_panel(unfolded):
    long = "long_" * 40
    unfolded.panel.review.node.SetNthControlPointLabel(0, long)
    for node in (unfolded.panel.input.volume, unfolded.panel.review.node):
        node.SetName(long)
    unfolded.panel.review.begin()
    unfolded.panel.review.deselect(long)
    for note in (unfolded.panel.batch.message, unfolded.panel.detect.message, unfolded.panel.export.message):
        note.show(f"{long}: it cannot be read.", "error")
    unfolded.rest()
    root = getattr(unfolded.desktop.qt_module, "unwrap", lambda it: it)(unfolded.panel.root)
    assert root.minimumSizeHint().width() <= 380


@pytest.mark.one_binding
def test_the_table_of_landmarks_leaves_room_in_a_low_window_and_uses_that_of_a_tall_one(person):
    window, table = person.desktop.window, person.widget("reviewTable")
    size = window.size()
    for name in ("measureSection", "exportSection", "batchSection", "casesSection", "setSection"):
        person.widget(name).setCollapsed(True)  # as they are at the start
    # The window and its layout follow when they have the time.
    for height, fits in ((700, lambda: 0 < table.height() < 250), (1300, lambda: table.height() > 450)):
        window.resize(1024, height)
        person.wait_until(fits, 30)
    window.resize(size)
    assert table.minimumHeight() < 200


def test_what_became_of_a_batch_stands_under_its_button_and_not_below_a_table():
    rows = {
        item.find("widget").get("name"): int(item.get("row", 0))
        for item in ElementTree.parse(FORM).getroot().iter("item")
        if item.find("widget") is not None and item.get("row")
    }
    assert rows["batchButton"] < rows["batchMessage"] < rows["batchTable"]


def test_the_tab_key_goes_through_the_review_in_the_order_of_the_work(unfolded):
    unfolded.widget("searchEdit").setFocus()
    order = []
    for _ in range(6):
        order.append(QApplication.focusWidget().objectName())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        unfolded.rest()
    assert order == ["searchEdit", "filterCombo", "orderCombo", "reviewTable", "previousButton", "nextButton"]
