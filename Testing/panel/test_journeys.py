"""What a person does from the first detection to the next model, and from names of landmarks to a bundle of one's own.

Everything by the panel's own buttons, the mouse in the views, and the real workers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PySide6.QtCore import QPoint

from LandmarkDetectorLib.bundles import import_bundle, load_bundle
from LandmarkDetectorLib.io import load_landmarks
from LandmarkDetectorLib.review import ReviewStore
from LandmarkDetectorLib.review.set_folder import annotated, read_set
from Testing.phantoms import LABELS

ROOT = Path(__file__).resolve().parents[2]
WAIT = 240.0


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Phantoms, a small bundle that finds them, and a store of some that were corrected."""
    folder = tmp_path_factory.mktemp("phantoms")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "Testing.panel.phantom_bundle", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def short_training(monkeypatch):
    """Trainings take some steps, whatever time they may take."""
    from LandmarkDetectorLib.review import training_conversation

    command = [sys.executable, "-m", "Testing.panel.short_trainer"]
    monkeypatch.setattr(training_conversation, "training_command", lambda python: command)


@pytest.fixture
def traveller(person, tmp_path, monkeypatch):
    """A person whose workers see the bundles of this test alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    end_workers(person)
    person.panel.input.read_bundles()
    yield person
    end_workers(person)
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(tmp_path / "none"))
    person.panel.input.read_bundles()


def end_workers(person) -> None:
    person.panel.worker.end()
    person.panel.training.close()
    if person.panel.recording.store is not None:
        person.press("casesStopButton")
    person.panel.recording.observer = ""


def truth_of(made: Path, number: int) -> dict[str, np.ndarray]:
    """World RAS positions of the landmarks of an image, by label."""
    marks = load_landmarks(made / "more" / f"scan{number}.mrk.json")
    return {mark.label: np.array([-mark.position[0], -mark.position[1], 0.0]) for mark in marks}


def put(person, label: str, place: np.ndarray) -> None:
    """Drag a landmark in the slice where it belongs."""
    person.drag("Red", person.pixel("Red", person.place_of(label)), person.pixel("Red", place))


def table(person, name: str) -> list[list[str]]:
    widget = person.widget(name)
    return [[widget.item(r, c).text() for c in range(widget.columnCount())] for r in range(widget.rowCount())]


@pytest.mark.one_binding
def test_what_a_person_corrects_makes_the_next_model(traveller, made, short_training, tmp_path):
    person = traveller
    shutil.copytree(made / "reviews", tmp_path / "reviews")
    person.answer(open_folder=[str(made / "run" / "phantom"), str(tmp_path / "reviews")], ask_text=["Anna"])
    person.panel.input.import_folder.trigger()
    person.widget("casesSection").setCollapsed(False)
    person.press("casesChooseButton")
    store = ReviewStore.open(tmp_path / "reviews")
    before = {row.case for row in store.cases()}

    # Detect, correct three, say that one is not there; it is saved as it happens.
    person.open(made / "more" / "scan0.mha", "phantom")
    node, truth = person.detect(), truth_of(made, 0)
    assert node.GetAttribute("LandmarkDetector.version") == "0.1.0"
    for label in ("nose", "left", "tail"):
        person.choose(label)
        put(person, label, truth[label] + [1.0, 1.0, 0.0])
        put(person, label, truth[label])
    person.choose("fin")
    person.press("absentButton")
    person.rest()
    (case,) = {row.case for row in store.cases()} - before
    said = store.state(case, "Anna").entries
    status = {label: entry.status for label, entry in said.items() if entry.reviewed}
    assert status == {"nose": "corrected", "left": "corrected", "tail": "corrected", "fin": "absent"}
    assert np.allclose(said["nose"].position, [-truth["nose"][0], -truth["nose"][1]], atol=0.6)

    # Retrain: only minutes are asked; the panel goes on meanwhile.
    person.press("casesRetrainButton")
    assert "phantom 0.1.0 learns from 11 reviewed cases" in person.widget("retrainLabel").text()
    person.widget("retrainMinutesSpin").setValue(1)
    person.press("retrainStartButton")
    assert not person.widget("retrainRunFrame").isHidden() and not person.widget("retrainStartButton").isEnabled()
    person.choose("right")
    person.press("confirmButton")
    assert person.status("right") == "confirmed"
    person.wait_until(lambda: not person.widget("comparisonFrame").isHidden(), WAIT)

    # Compare: a few locked cases show nothing, so that a person has to say why.
    rows = table(person, "comparisonTable")
    assert {row[0].removeprefix("⚠ ") for row in rows} == {"All", *LABELS}
    assert all(row[1] != "–" and "…" in row[3] for row in rows if row[0] == "All")
    combo = person.widget("comparisonPartCombo")
    assert [combo.itemText(i).rsplit(": ")[1] for i in range(combo.count())] == ["2", "9"]
    combo.setCurrentIndex(1)
    assert len(table(person, "comparisonTable")) == 1 + len(LABELS)
    report = Path(person.panel.retrain.comparison.comparison["html"])
    assert report.is_file() and report.is_relative_to(tmp_path / "reviews" / "training" / "run-001")
    person.press("comparisonReportButton")
    assert person.dialogs.asked[-1] == ("open_document", str(report))
    assert "too few to show anything" in person.widget("comparisonMessage").text()
    assert not person.widget("comparisonPromoteButton").isEnabled()
    person.widget("comparisonReasonEdit").setText("A test of the whole way")

    # Promote, and detect with it.
    person.press("comparisonPromoteButton")
    person.wait_until(lambda: not person.panel.training.running, WAIT)
    assert "phantom 0.2.0 is in use" in person.widget("retrainMessage").text()
    assert person.panel.input.bundle.version == "0.2.0" and person.panel.input.bundle.name == "phantom"
    person.answer(ask=["new"])
    again = person.detect()
    assert again is not node and again.GetAttribute("LandmarkDetector.version") == "0.2.0"
    assert "0.2.0" in person.widget("versionsCombo").currentText()
    told = person.widget("versionsLabel").text()
    assert "From phantom 0.1.0" in told and "by Anna" in told and "Because: A test of the whole way" in told

    # And back with one click.
    person.widget("versionsCombo").setCurrentIndex(1)
    person.press("versionsReturnButton")
    assert load_bundle("phantom").version == person.panel.input.bundle.version == "0.1.0"
    assert person.widget("versionsMessage").text() == "phantom 0.1.0 is in use again."
    person.answer(ask=["new"])
    assert person.detect().GetAttribute("LandmarkDetector.version") == "0.1.0"


@pytest.mark.one_binding
@pytest.mark.slow
def test_what_is_cancelled_goes_on_later_and_what_is_closed_leaves_nothing_half_written(traveller, made, tmp_path):
    import slicer

    from LandmarkDetector.Panel.panel import Panel

    person = traveller
    import_bundle(made / "run" / "phantom")
    shutil.copytree(made / "reviews", tmp_path / "reviews")
    run = tmp_path / "reviews" / "training" / "run-001"
    widget, before = person.desktop.module_widget, person.panel
    root = slicer.util.loadUI(widget.resourcePath("UI/LandmarkDetector.ui"))
    widget.panel = Panel(root, slicer.util.childWidgetVariables(root), person.desktop.scene)
    try:
        person.panel.input.choose_bundle("phantom")
        person.answer(open_folder=[str(tmp_path / "reviews")], ask_text=["Anna"])
        person.press("casesChooseButton")
        person.press("casesRetrainButton")
        person.press("retrainStartButton")
        wait_for_learning(person)
        person.press("retrainCancelButton")
        person.wait_until(lambda: not person.panel.training.running, 30)
        assert "nothing was put in use" in person.widget("retrainMessage").text()
        assert list(run.glob("*.checkpoint.pt")) and half_written(run) == []

        person.answer(ask=["go on"])
        person.press("retrainStartButton")
        wait_for_learning(person)
        pid = person.panel.training._worker.pid
    finally:
        person.panel.close()
        widget.panel = before
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert half_written(run) == [] and not list(run.glob("*/manifest.json"))
    assert load_bundle("phantom").version == "0.1.0"


def wait_for_learning(person) -> None:
    """Until some steps were learnt."""
    person.wait_until(lambda: person.widget("retrainProgress").value() > 0, WAIT)
    assert "Learning" in person.widget("retrainStage").text()


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name.startswith((".writing-", ".partial-"))]


@pytest.mark.one_binding
def test_landmarks_of_ones_own_from_their_names_to_a_proposal(traveller, made, short_training, tmp_path):
    person, folder = traveller, tmp_path / "blobs"
    person.widget("setSection").setCollapsed(False)
    person.press("setNewButton")
    person.widget("setNameEdit").setText("blobs")
    person.widget("setLabelsEdit").setPlainText("nose: The largest blob.\nleft\nright\ntail\nfin\n")
    person.widget("setMirrorEdit").setText("left, right")
    person.answer(open_folder=[str(folder)])
    person.press("setCreateButton")
    assert read_set(folder).mirror == (("left", "right"),) and read_set(folder).labels == tuple(LABELS)
    assert "placed on 0 images. 5 more are needed" in person.widget("setLabel").text()

    # Five images: every click in a slice places the next landmark of the list.
    for number in range(5):
        truth = truth_of(made, number)
        person.open(made / "more" / f"scan{number}.mha")
        person.press("setPlaceButton")
        person.rest()
        assert person.widget("setMessage").text().startswith("Click in a view where nose is")
        assert person.widget("setMessage").text().endswith("\nThe largest blob.")
        assert person.widget("countsLabel").text() == "5 of 5 left: 5 not placed"
        if number == 0:  # a step back: the landmark before is the next one again, in words and for the click
            person.click_in("Red", person.pixel("Red", truth["nose"]) + QPoint(20, 20))
            assert "where left is" in person.widget("setMessage").text()
            person.desktop.actions.by_name["undo"].trigger()
            person.rest()
            assert "where nose is" in person.widget("setMessage").text()
        for label in LABELS[:4] if number == 0 else LABELS:
            person.click_in("Red", person.pixel("Red", truth[label]))
        if number == 0:
            assert person.widget("setPlaceButton").isChecked() and "where fin is" in person.widget("setMessage").text()
            person.choose("fin")
            person.press("absentButton")
            person.rest()
        assert {person.status(label) for label in LABELS[:4]} == {"placed"}
        assert not person.widget("setPlaceButton").isChecked()
        assert "add the image to the set" in person.widget("setMessage").text()
        assert not person.widget("setTrainButton").isEnabled()
        person.press("setAddButton")
        assert f"scan{number} is in the set" in person.widget("setMessage").text()
        person.desktop.close_scene()
    assert annotated(folder) == [f"scan{number}" for number in range(5)]
    kept = load_landmarks(folder / "images" / "scan0.mrk.json")
    assert {mark.label: mark.status for mark in kept}["fin"] == "missing"
    true = load_landmarks(made / "more" / "scan0.mrk.json")
    assert np.linalg.norm(kept["nose"].position - true["nose"].position) < 0.6

    # Train; the bundle is offered and proposes on the next image.
    person.widget("setMinutesSpin").setValue(1)
    person.press("setTrainButton")
    person.wait_until(lambda: not person.panel.training.running, WAIT)
    assert "blobs 0.1.0 learnt from 5 images" in person.widget("setMessage").text()
    person.open(made / "more" / "scan6.mha", "blobs")
    person.detect()
    truth = truth_of(made, 6)
    found = [row[0].split("  ")[0] for row in person.rows if "not found" not in row[2]]
    assert len(found) >= 4
    assert np.median([np.linalg.norm(person.place_of(label) - truth[label]) for label in found]) < 4.0

    # What is corrected and confirmed of that goes into the set; what nobody looked at teaches nothing.
    put(person, found[0], truth[found[0]])
    person.press("setAddButton")
    assert "Nobody has placed or confirmed" in person.widget("setMessage").text()
    assert len(annotated(folder)) == 6
