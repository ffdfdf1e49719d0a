"""Retraining in the panel: what is asked of the worker, what stands there meanwhile, and when a bundle may be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.review import Correction, ReviewStore
from Testing.panel.person import HEAD, PICTURE
from Testing.panel.trainer import Trainer, comparison

pytestmark = pytest.mark.one_binding


@pytest.fixture
def store(tmp_path) -> ReviewStore:
    """A store in which four pictures are reviewed."""
    import numpy as np

    from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet

    made = ReviewStore.create(tmp_path / "reviews")
    for number in range(4):
        voxels = np.full((1, 4, 4), number, np.uint8)
        case = made.add_image(Image(voxels, Grid.regular((4, 4), 1.0), "picture"), copy=True)
        made.add_proposal(case, LandmarkSet((Landmark("BPD 1", (1.0, 2.0)),), info={"fingerprint": "f" * 64}))
        made.record(case, "Ben", Correction("BPD 1", "confirmed"))
    return made


@pytest.fixture
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture
def retraining(person, store, trainer, monkeypatch):
    """A person at a panel with a store, whose training worker does as the test says."""
    import slicer

    from LandmarkDetector.Panel.panel import Panel

    widget = person.desktop.module_widget
    root = slicer.util.loadUI(widget.resourcePath("UI/LandmarkDetector.ui"))
    panel = Panel(root, slicer.util.childWidgetVariables(root), person.desktop.scene, trainer=trainer)
    monkeypatch.setattr(widget, "panel", panel)
    panel.input.choose_bundle(HEAD)
    person.widget("casesSection").setCollapsed(False)
    person.answer(open_folder=[str(store.folder)], ask_text=["Anna"])
    person.press("casesChooseButton")
    person.rest()
    yield person
    panel.close()


def begin(person, **answers) -> None:
    person.answer(**answers)
    if person.widget("retrainFrame").isHidden():
        person.press("casesRetrainButton")
    person.press("retrainStartButton")


def compared(person, trainer, **changes) -> None:
    """Come to the comparison."""
    begin(person)
    trainer.result.emit({"folder": str(Path(trainer.asked[0][2]["output"]) / "heads"), "name": "heads"})
    trainer.result.emit(comparison(**changes))


def lines(person) -> list[list[str]]:
    table = person.widget("comparisonTable")
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount())]


def test_without_a_store_there_is_nothing_to_retrain_by(person):
    assert person.widget("casesRetrainButton").isHidden() and person.widget("retrainFrame").isHidden()


def test_the_worker_is_asked_for_what_was_chosen_and_writes_into_the_store(retraining, trainer, store, tmp_path):
    retraining.press("casesRetrainButton")
    assert "learns from 4 reviewed cases; one in five is kept back" in retraining.widget("retrainLabel").text()
    retraining.answer(open_folder=[str(tmp_path)])
    retraining.press("retrainDataButton")
    retraining.widget("retrainMinutesSpin").setValue(7)
    retraining.press("retrainStartButton")
    ((command, folder, content),) = trainer.asked
    assert command == "retrain" and folder == content["output"] == str(store.folder / "training" / "run-001")
    assert content["bundle"] == str(load_bundle(HEAD).folder) and content["store"] == str(store.folder)
    said = {key: content[key] for key in ("data", "minutes", "by", "resume", "device")}
    assert said == {"data": str(tmp_path), "minutes": 7.0, "by": "Anna", "resume": False, "device": "auto"}


def test_progress_is_said_with_the_time_left_and_the_panel_goes_on(retraining, trainer):
    begin(retraining)
    assert not retraining.widget("retrainRunFrame").isHidden()
    assert "Gathering the images" in retraining.widget("retrainStage").text()
    trainer.progress.emit("patch", 0.41, 640.0)
    assert retraining.widget("retrainStage").text() == "41 % · Learning to look closely · about 11 min left"
    assert retraining.widget("retrainProgress").value() == 410
    assert retraining.widget("casesOpenButton").isHidden() is False
    retraining.open(PICTURE, HEAD)
    assert retraining.widget("detectButton").isEnabled()
    assert not retraining.widget("retrainStartButton").isEnabled()


def test_it_can_be_paused_and_goes_on(retraining, trainer):
    begin(retraining)
    trainer.progress.emit("coarse", 0.2, 60.0)
    retraining.press("retrainPauseButton")
    assert trainer.pauses == [True]
    trainer.paused.emit(True)
    assert retraining.widget("retrainPauseButton").text() == "Go on"
    assert retraining.widget("retrainStage").text().endswith("paused")
    retraining.press("retrainPauseButton")
    trainer.paused.emit(False)
    assert trainer.pauses == [True, False] and retraining.widget("retrainPauseButton").text() == "Pause"


def test_cancel_waits_for_the_checkpoint_and_says_that_nothing_was_put_in_use(retraining, trainer):
    begin(retraining)
    retraining.press("retrainCancelButton")
    assert trainer.cancelled == 1 and not trainer.ended
    assert "Stopping" in retraining.widget("retrainStage").text()
    assert not retraining.widget("retrainCancelButton").isEnabled()
    trainer.failed.emit("Training was cancelled.", True)
    assert retraining.widget("retrainRunFrame").isHidden() and trainer.ended
    assert "nothing was put in use" in retraining.widget("retrainMessage").text()
    assert retraining.widget("retrainStartButton").isEnabled()


def test_a_worker_that_does_not_answer_a_cancel_is_ended(retraining, trainer):
    retraining.panel.training._patience.setInterval(10)
    begin(retraining)
    retraining.press("retrainCancelButton")
    retraining.wait_until(lambda: bool(trainer.ended), 5)
    assert not retraining.panel.training.running and "Cancelled" in retraining.widget("retrainMessage").text()


def test_an_interrupted_run_is_offered_and_gone_on_with(retraining, trainer, store):
    run = store.folder / "training" / "run-004"
    run.mkdir(parents=True)
    (run / "corrections.json").write_text("{}", encoding="utf-8")
    (run / "plan.json").write_text(json.dumps({"parent": load_bundle(HEAD).fingerprint}), encoding="utf-8")
    begin(retraining, ask=["go on"])
    assert trainer.asked[0][2]["output"] == str(run) and trainer.asked[0][2]["resume"] is True
    trainer.failed.emit("No.", False)
    begin(retraining, ask=["anew"])
    assert trainer.asked[1][2]["output"] == str(run.with_name("run-005")) and trainer.asked[1][2]["resume"] is False
    trainer.failed.emit("No.", False)
    begin(retraining, ask=[None])
    assert len(trainer.asked) == 2
    (run / "plan.json").write_text(json.dumps({"parent": "0" * 64}), encoding="utf-8")  # of another bundle
    begin(retraining)
    assert trainer.asked[2][2]["resume"] is False


def test_what_goes_wrong_is_one_sentence(retraining, trainer):
    begin(retraining)
    trainer.failed.emit("Every reviewed case is locked for judging, or cannot be read; review some more.", False)
    assert retraining.widget("retrainMessage").text().startswith("Every reviewed case is locked")
    assert retraining.widget("retrainRunFrame").isHidden() and retraining.widget("retrainStartButton").isEnabled()


def test_a_worker_that_cannot_be_started_is_said(retraining, trainer):
    trainer.refuses = "PythonSlicer was not found beside this application; install the application again."
    begin(retraining)
    assert "PythonSlicer was not found" in retraining.widget("retrainMessage").text()
    assert not retraining.panel.training.running


def test_the_comparison_follows_by_itself_and_shows_every_landmark(retraining, trainer, store):
    begin(retraining)
    trainer.notice.emit("case-1 is left out.")
    trainer.result.emit({"folder": str(store.folder / "candidate"), "name": "heads"})
    command, _folder, content = trainer.asked[1]
    assert command == "promote" and content["install"] is False
    assert content["candidate"] == str(store.folder / "candidate") and "because" not in content
    trainer.progress.emit("comparing on case-1", 0.5, None)
    assert retraining.widget("retrainStage").text() == "50 % · Comparing old and new"
    trainer.result.emit(comparison(worse=("b",)))
    assert lines(retraining) == [
        ["All", "2.00", "1.50", "−0.50 (−0.90 … −0.10)"],
        ["⚠ b", "2.00", "2.70", "+0.70 (+0.20 … +1.20)"],
        ["a", "2.00", "1.40", "−0.60 (−1.10 … +0.10)"],
        ["c", "–", "–", "–"],
    ]
    tip = retraining.widget("comparisonTable").item(3, 0).toolTip()
    assert "nobody vouches" in tip and retraining.widget("retrainMessage").text() == "case-1 is left out."
    combo = retraining.widget("comparisonPartCombo")
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "Kept back, by these it is decided: 3",
        "Newly reviewed, it learnt from them: 2",
    ]
    combo.setCurrentIndex(1)
    assert lines(retraining)[1] == ["a", "3.00", "1.00", "−2.00 (−2.50 … −1.50)"]


def test_a_change_of_nearly_nothing_has_no_sign_of_its_own(retraining, trainer):
    result = comparison()
    result["overall"] = {**result["overall"], "difference": -0.001, "interval": [-0.3, 0.3]}
    begin(retraining)
    trainer.result.emit({"folder": "candidate", "name": "heads"})
    trainer.result.emit(result)
    assert lines(retraining)[0][3] == "+0.00 (−0.30 … +0.30)"


def test_what_is_not_worse_may_be_used_at_once(retraining, trainer):
    compared(retraining, trainer)
    assert retraining.widget("comparisonReasonEdit").isHidden()
    assert retraining.widget("comparisonPromoteButton").text() == "Use 1.2.0 from now on"
    retraining.press("comparisonPromoteButton")
    command, _folder, content = trainer.asked[-1]
    assert command == "promote" and "install" not in content and content["because"] == "" and content["by"] == "Anna"
    assert not retraining.widget("comparisonPromoteButton").isEnabled()
    trainer.result.emit(comparison(promoted=True, outcome="heads 1.2.0 is in use now."))
    assert retraining.widget("comparisonFrame").isHidden() and trainer.ended
    assert retraining.widget("retrainMessage").text() == "heads 1.2.0 is in use now."


@pytest.mark.parametrize(
    "why", [{"worse": ("b",)}, {"verdict": "undecided"}, {"doubts": ["Labels lie crosswise in a tenth of the cases."]}]
)
def test_anything_else_is_used_only_for_a_reason_that_a_person_types(retraining, trainer, why):
    compared(retraining, trainer, **why)
    assert not retraining.widget("comparisonPromoteButton").isEnabled()
    assert not retraining.widget("comparisonReasonEdit").isHidden()
    for doubt in why.get("doubts", ()):
        assert doubt in retraining.widget("comparisonMessage").text()
    retraining.widget("comparisonReasonEdit").setText("   ")
    assert not retraining.widget("comparisonPromoteButton").isEnabled()
    retraining.widget("comparisonReasonEdit").setText(" Another scanner ")
    retraining.press("comparisonPromoteButton")
    assert trainer.asked[-1][2]["because"] == "Another scanner" and trainer.asked[-1][2]["by"] == "Anna"


def test_a_candidate_on_which_nobody_decided_is_offered(retraining, trainer, store, monkeypatch):
    from LandmarkDetectorLib.review import runs

    candidate = store.folder / "training" / "run-001" / "heads"
    monkeypatch.setattr(runs, "undecided_candidate", lambda folder, bundle: candidate)
    begin(retraining, ask=["decide"])
    command, folder, content = trainer.asked[0]
    assert command == "promote" and content["candidate"] == str(candidate) and folder == str(candidate.parent)
    trainer.result.emit(comparison())
    assert not retraining.widget("comparisonFrame").isHidden()


def test_a_comparison_belongs_to_its_store(retraining, trainer):
    compared(retraining, trainer)
    retraining.press("casesStopButton")
    assert retraining.widget("comparisonFrame").isHidden() and retraining.widget("retrainFrame").isHidden()


def test_the_worker_ends_with_the_panel(retraining, trainer):
    begin(retraining)
    retraining.panel.close()
    assert trainer.closed and not retraining.panel.training.running


def test_a_case_says_whether_it_trains_or_judges(retraining, store):
    from LandmarkDetectorLib.review.locked import decide_sides

    cases = [row.case for row in store.cases()]
    sides = decide_sides(store, cases)
    retraining.widget("casesOrderCombo").setCurrentIndex(1)
    table = retraining.widget("casesTable")
    said = {}
    for row in range(table.rowCount()):
        table.setCurrentCell(row, 0)
        said[table.item(row, 0).data(0x0100)] = retraining.widget("casesLabel").text()
    assert sorted(sides.values()) == ["locked", "training", "training", "training"]
    for case, side in sides.items():
        assert ("never trains one" in said[case]) == (side == "locked")
    retraining.press("casesRetrainButton")
    assert "3 train, 1 are locked and judge" in retraining.widget("retrainLabel").text()


def test_everything_fits_into_a_narrow_panel(retraining, trainer):
    compared(retraining, trainer, worse=("b",))
    retraining.widget("setSection").setCollapsed(False)
    retraining.press("setNewButton")
    for name in ("casesSection", "setSection"):
        assert retraining.widget(name).minimumSizeHint().width() <= 360, name
