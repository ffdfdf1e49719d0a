"""The life of the panel: scenes saved and opened, the module loaded again, packages that are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import Qt

from Testing.panel.person import PICTURE, SAMPLE, SKULL

pytestmark = pytest.mark.one_binding


def test_a_saved_scene_opens_as_it_was_left(person, tmp_path):
    person.begin_review()
    person.choose("31")
    person.press("confirmButton")
    person.widget("orderCombo").setCurrentIndex(person.widget("orderCombo").findData("label"))
    person.widget("systemCombo").setCurrentIndex(1)
    person.desktop.save_scene(tmp_path / "kept.mrb")
    person.desktop.scene.Clear(0)
    person.rest()
    assert person.rows == [] and person.panel.input.volume is None
    person.desktop.open(tmp_path / "kept.mrb")
    person.rest(100)
    assert person.panel.input.volume.GetName() == "NU_J" and person.panel.input.bundle.name == SKULL
    assert len(person.rows) == 45 and person.status("31") == "confirmed"
    assert [row[0] for row in person.rows][:3] == ["1", "2", "3"]
    assert person.panel.export.system == "RAS"


def test_an_empty_scene_forgets_the_review(person):
    person.begin_review()
    person.desktop.scene.Clear(0)
    person.rest()
    assert person.rows == [] and not person.widget("exportButton").isEnabled()
    assert person.widget("countsLabel").text().startswith("Nothing to review yet")


def test_a_result_that_is_deleted_leaves_an_empty_table(person):
    node = person.begin_review()
    person.desktop.scene.RemoveNode(node)
    person.rest()
    assert person.rows == [] and person.panel.review.node is None


def test_a_list_that_is_deleted_while_it_is_placed_ends_the_placing(person, tmp_path):
    from LandmarkDetectorLib.review.set_folder import LandmarkList, create_set

    create_set(tmp_path / "jaw", LandmarkList("jaw", ("condyle", "chin")))
    person.answer(open_folder=[str(tmp_path / "jaw")])
    person.press("setOpenButton")
    person.open(PICTURE)
    person.press("setPlaceButton")
    assert person.widget("setPlaceButton").isChecked()
    person.desktop.scene.RemoveNode(person.panel.review.node)
    person.rest()
    assert not person.widget("setPlaceButton").isChecked() and person.widget("setMessage").text() == ""
    mode = person.desktop.interaction
    assert mode.GetCurrentInteractionMode() != mode.Place


def test_any_point_list_can_be_reviewed(person):
    node = person.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    for number in range(3):
        node.AddControlPoint(number, 2 * number, 3 * number, f"point {number}")
    person.panel.review.choose_node(node)
    person.rest()
    assert sorted(row[0] for row in person.rows) == ["point 0", "point 1", "point 2"]
    assert {row[1] for row in person.rows} == {"–"}


def test_ten_thousand_landmarks_stay_usable(person):
    import time

    import numpy as np

    from LandmarkDetector.Scene.result import create_result
    from LandmarkDetectorLib.core import LandmarkSet

    places = np.random.default_rng(0).normal(size=(10_000, 3)) * 50
    node = create_result(person.desktop.scene, LandmarkSet.from_positions(map(str, range(10_000)), places))
    start = time.thread_time()  # of this thread: what else the machine does is not the panel's
    person.panel.review.choose_node(node)
    person.press("nextButton")
    person.press("confirmButton")
    assert person.widget("countsLabel").text() == "9999 of 10000 left: 9999 unreviewed"
    assert time.thread_time() - start < 6  # two or so


def test_forty_five_rows_are_brought_up_to_date_at_once(person):
    import time

    person.begin_review()
    table, rows = person.panel.review.table, list(person.panel.review.table.rows)
    seconds = []
    for _ in range(9):
        start = time.thread_time()  # of this thread: what else the machine does is not the table's
        table.show(rows[::-1])
        table.show(rows)
        seconds.append((time.thread_time() - start) / 2)
    assert min(seconds) < 0.015


def test_a_panel_that_was_closed_chooses_nothing_any_more(person):
    """Slicer keeps the old panel, hidden, when a module is loaded again."""
    import slicer

    from LandmarkDetector.Panel.panel import Panel

    first, second = (person.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name) for name in "AB")
    root = slicer.util.loadUI(person.desktop.module_widget.resourcePath("UI/LandmarkDetector.ui"))
    old = Panel(root, slicer.util.childWidgetVariables(root), person.desktop.scene)
    old.review.choose_node(first)
    old.close()
    person.panel.review.choose_node(second)
    person.desktop.scene.RemoveNode(first)
    person.rest()
    assert person.panel.parameters.node("result") is second and old.review.node is None


RELOAD = """
import sys
from Testing.panel.person import *
desktop = open_desktop(sys.argv[1])
person = Person(desktop)
person.open(SAMPLE)
old, pid = desktop.module_widget, person.panel.worker.pid
base = sys.modules["slicer.ScriptedLoadableModule"].ScriptedLoadableModuleWidget
reloaded = []
base.onReload = lambda self: reloaded.append(True)  # Slicer's loads the file again
old.onReload()
assert reloaded and old.panel is None
import psutil
assert not psutil.pid_exists(pid)
left = [name for name in sys.modules if name.startswith(("LandmarkDetector.", "LandmarkDetectorLib"))]
assert not left, left
from LandmarkDetectorDesktop.application import MODULE
desktop.module_widget = desktop.installation.load(MODULE).widget
desktop.scene.Clear(0)
person.open(SAMPLE)
assert person.widget("detectButton").isEnabled(), person.said
desktop.close()
"""


def test_a_reload_ends_the_worker_and_forgets_the_rooms(application, request):
    """In a process of its own, since it forgets modules that other tests hold on to."""
    binding = request.node.callspec.params["application"]
    done = subprocess.run([sys.executable, "-c", RELOAD, binding], check=False, timeout=120, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert b"Traceback" not in done.stderr, done.stderr.decode()[-2000:]


class Shelf:
    """Packages that are missing until the person agrees."""

    def __init__(self, refused: bool) -> None:
        self.names, self.refused = ["torch>=2.8", "monai>=1.6.1"], refused

    def missing(self) -> list[str]:
        return self.names

    def ensure(self) -> None:
        from LandmarkDetector.Panel.install import InstallRefused

        if self.refused:
            raise InstallRefused("Nothing was installed.")
        self.names = []


@pytest.fixture
def bare(person):
    """A second panel in the same application, in which packages are missing."""
    import slicer

    from LandmarkDetector.Panel.panel import Panel

    made = []

    def make(refused: bool):
        root = slicer.util.loadUI(person.desktop.module_widget.resourcePath("UI/LandmarkDetector.ui"))
        ui = slicer.util.childWidgetVariables(root)
        panel = Panel(root, ui, person.desktop.scene, requirements=Shelf(refused))
        made.append(panel)
        return panel

    yield make
    for panel in made:
        panel.close()


def test_missing_packages_are_named_and_installed_at_the_click(person, bare):
    panel = bare(refused=False)
    assert "torch>=2.8, monai>=1.6.1" in panel.ui.packagesLabel.property("text")
    assert not panel.ui.packagesFrame.isHidden() and not panel.ui.detectSection.isEnabled()
    panel.enter()
    assert not panel.worker.running
    panel.ui.installButton.click()
    assert panel.ui.packagesFrame.isHidden() and panel.ui.detectSection.isEnabled()
    assert panel.input.bundle is not None


def test_refusing_the_packages_leaves_a_sentence(person, bare):
    panel = bare(refused=True)
    panel.ui.installButton.click()
    assert panel.ui.packagesLabel.property("text") == "Nothing was installed."
    assert not panel.ui.detectSection.isEnabled()


def test_a_record_that_was_damaged_is_said(person):
    node = person.begin_review()
    person.panel.review.choose_node(None)
    node.SetAttribute("LandmarkDetector.review", "nonsense")
    person.panel.review.choose_node(node)
    person.rest()
    assert person.rows == [] and "is damaged; remove the attribute" in person.widget("countsLabel").text()


def test_a_volume_that_is_removed_while_it_is_looked_at_leaves_no_landmarks(person):
    volume = person.open(SAMPLE)
    person.click("detectButton")
    person.rest(100)
    person.desktop.scene.RemoveNode(volume)
    person.wait_until(lambda: not person.panel.run.running)
    person.rest()
    assert "The volume was removed meanwhile" in person.said
    assert person.desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode") is None


def test_no_key_judges_landmarks_whose_volume_was_removed(person):
    person.begin_review()
    person.choose("31")
    person.desktop.scene.RemoveNode(person.panel.input.volume)
    person.rest()
    assert person.current == "" and not person.widget("confirmButton").isEnabled()
    person.key(Qt.Key.Key_C)
    assert person.status("31") == "unreviewed"


def test_choosing_another_result_brings_its_volume_into_the_views(person):
    first = person.begin_review()
    volume = person.panel.input.volume
    person.desktop.open(PICTURE)
    person.rest()
    other = person.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    person.panel.review.choose_node(other)
    person.widget("resultSelector").setCurrentNode(first)
    person.rest()
    composite = person.desktop.slice_views["Red"].logic.GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == volume.GetID()


def test_slicers_own_test_of_the_module_passes(person):
    from LandmarkDetector import LandmarkDetectorTest

    LandmarkDetectorTest().runTest()
