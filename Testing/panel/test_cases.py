"""Cases in the panel: what is said is recorded as it happens, and a case opens again where its observer left it."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PySide6.QtCore import QPoint

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.review import Correction, ReviewStore
from Testing.panel.measuring import choose, heads
from Testing.panel.person import HEAD, PICTURE, SAMPLE

pytestmark = pytest.mark.one_binding


@pytest.fixture
def store(tmp_path) -> ReviewStore:
    return ReviewStore.create(tmp_path / "reviews")


@pytest.fixture
def recording(person, store):
    """A person with a store, in front of a picture with landmarks of a detection."""
    use(person, store)
    begin(person)
    yield person
    stop(person)


def use(person, store, observer: str = "Anna", **answers):
    if person.panel.recording.store is not None:
        stop(person)
    person.widget("casesSection").setCollapsed(False)
    dialogs = person.answer(open_folder=[str(store.folder)], ask_text=[observer], **answers)
    person.panel.recording.observer = ""
    person.press("casesChooseButton")
    person.rest()
    return dialogs


def stop(person) -> None:
    person.press("casesStopButton")
    person.panel.recording.observer = ""
    person.rest()


def begin(person, picture=PICTURE):
    from LandmarkDetector.Scene.result import create_result

    volume = person.open(picture, HEAD)
    node = create_result(person.desktop.scene, heads(), volume)
    person.panel.review.choose_node(node)
    person.panel.review.begin()
    person.rest()
    return node


def entries(store, observer: str = "Anna"):
    """What the store says, read anew from its files."""
    (row,) = ReviewStore.open(store.folder).cases()
    return ReviewStore.open(store.folder).state(row.case, observer).entries


def judge(person, label: str, action: str) -> None:
    review = person.panel.review.review
    getattr(review, action)([row.point_id for row in review.rows() if row.label == label])
    person.rest()


def listed(person) -> list[tuple[str, ...]]:
    person.panel.cases.refresh()
    table = person.widget("casesTable")
    return [tuple(table.item(row, column).text() for column in range(3)) for row in range(table.rowCount())]


def test_nothing_is_recorded_until_a_person_chooses_a_store(person, tmp_path):
    assert person.panel.recording.store is None
    begin(person)
    judge(person, "S", "confirm")
    assert person.widget("casesTable").isHidden() and person.widget("recordLabel").isHidden()
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_is_made_in_an_empty_folder_and_nowhere_else(person, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    person.answer(open_folder=[str(tmp_path / "full"), str(tmp_path / "empty")], ask_text=["Anna"])
    person.press("casesNewButton")
    assert "not empty" in person.widget("casesMessage").text() and person.panel.recording.store is None
    person.press("casesNewButton")
    assert ReviewStore.open(tmp_path / "empty").cases() == []
    assert "empty as Anna" in person.widget("casesStoreLabel").text()
    assert oct(os.stat(tmp_path / "empty").st_mode & 0o777) == "0o700"
    stop(person)


def test_a_detection_is_in_the_store_before_anything_is_said_of_it(recording, store):
    (row,) = store.cases()
    assert (row.landmarks, row.waiting, row.proposals) == (13, 13, 1)
    (proposal,) = store.case(row.case).proposals()
    assert (proposal.bundle, proposal.fingerprint) == ("heads", "f" * 64)
    told, flat = proposal.by_label, heads().to_plane()
    assert np.allclose(told["S"].position, flat["S"].position) and told["Ar"].position is None
    assert np.allclose(told["S"].covariance, flat["S"].covariance) and told["S"].confidence == 0.8


def test_every_judgement_is_recorded_as_it_happens_and_undo_as_well(recording, store):
    judge(recording, "S", "confirm")
    assert entries(store)["S"].status == "confirmed"
    judge(recording, "Or", "mark_absent")
    assert entries(store)["Or"].status == "absent"
    start = recording.pixel("Red", recording.place_of("A"))
    recording.drag("Red", start, start + QPoint(30, 10))
    corrected = entries(store)["A"]
    assert corrected.status == "corrected"
    assert np.allclose(corrected.position, recording.place_of("A")[:2] * [-1, -1], atol=1e-6)
    recording.panel.history.undo()
    recording.rest()
    assert entries(store)["A"].status == "unreviewed"
    recording.panel.history.redo()
    recording.rest()
    assert entries(store)["A"].status == "corrected"
    (row,) = store.cases()
    said = [(line["label"], line["after"]["status"]) for line in store.case(row.case).history("Anna")]
    corrections = ["corrected", "unreviewed", "corrected"]
    assert said == [("S", "confirmed"), ("Or", "absent"), *(("A", status) for status in corrections)]
    assert store.verify() == []


def test_the_seconds_that_a_person_looked_are_recorded(recording, store, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(recording.panel.recording, "_clock", lambda: now[0])
    recording.choose("N")
    now[0] += 7.5
    judge(recording, "N", "confirm")
    assert entries(store)["N"].seconds == pytest.approx(7.5)
    recording.choose("B")
    now[0] += 5000
    judge(recording, "B", "confirm")
    assert entries(store)["B"].seconds == pytest.approx(300), "nobody looks at one landmark for an hour"


def test_a_landmark_that_is_placed_is_recorded_and_one_that_a_person_added_too(recording, store):
    recording.choose("Ar")
    recording.click("placeButton")
    recording.click_in("Red", recording.pixel("Red", np.array([-9.0, -16.0, 0.0])))
    placed = entries(store)["Ar"]
    assert placed.status == "corrected" and np.allclose(placed.position, (9, 16), atol=0.2)
    recording.panel.review.node.AddControlPoint(-5, -6, 0, "extra")
    recording.rest()
    assert entries(store)["extra"].status == "corrected" and entries(store)["extra"].proposal is None


def test_a_full_disk_costs_nothing_but_a_sentence(recording, store, monkeypatch):
    import errno

    from LandmarkDetectorLib.review import journal

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    judge(recording, "S", "confirm")
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        judge(recording, "N", "confirm")
        judge(recording, "B", "mark_absent")
    said = recording.widget("recordLabel").text()
    assert said.startswith("Not recorded: ") and "free some space" in said and said.count("\n") == 0
    assert (recording.status("N"), recording.status("B")) == ("confirmed", "absent"), "the scene keeps its state"
    assert entries(store)["N"].status == "unreviewed"
    judge(recording, "A", "confirm")
    found = entries(store)
    assert [found[label].status for label in "SNBA"] == ["confirmed", "confirmed", "absent", "confirmed"]
    assert recording.widget("recordLabel").text() == "Recorded into reviews as Anna."


def test_a_store_whose_disk_is_away_costs_nothing_but_a_sentence(recording, store):
    judge(recording, "S", "confirm")
    away = store.folder.rename(store.folder.with_name("unplugged"))
    judge(recording, "N", "confirm")
    recording.panel.cases.refresh()
    assert recording.widget("recordLabel").text().startswith("Not recorded: ")
    assert "cannot be read" in recording.widget("casesMessage").text() and recording.status("N") == "confirmed"
    away.rename(store.folder)
    judge(recording, "A", "confirm")
    recording.panel.cases.refresh()
    assert [entries(store)[label].status for label in "SNA"] == ["confirmed"] * 3
    assert recording.widget("recordLabel").text() == "Recorded into reviews as Anna."
    assert "cannot be read" not in recording.widget("casesMessage").text()


def test_a_case_opens_again_where_it_was_left(recording, store):
    judge(recording, "S", "confirm")
    judge(recording, "Or", "mark_absent")
    recording.panel.history.step()
    recording.panel.review.node.SetNthControlPointPosition(recording.index("A"), -20.5, -17.25, 0)
    recording.rest()
    recording.desktop.close_scene()
    recording.rest()
    assert recording.panel.review.node is None
    (line,) = listed(recording)
    assert line[0] == PICTURE.name and line[1] == "3/13" and line[2]
    recording.widget("casesTable").setCurrentCell(0, 0)
    before = store.verify()
    recording.press("casesOpenButton")
    recording.rest(100)
    statuses = {row[0]: row[2].split(maxsplit=1)[1] for row in recording.rows}
    assert {label: statuses[label] for label in ("S", "Or", "A", "N", "Ar")} == {
        "S": "confirmed",
        "Or": "absent",
        "A": "corrected",
        "N": "unreviewed",
        "Ar": "not found",
    }
    assert np.allclose(recording.place_of("A"), (-20.5, -17.25, 0)) and recording.panel.input.volume is not None
    (row,) = store.cases()
    assert len(store.case(row.case).history("Anna")) == 3, "opening a case says nothing"
    judge(recording, "A", "reset")
    assert entries(store)["A"].status == "unreviewed"
    assert np.allclose(recording.place_of("A"), (-27, -17, 0)), "back to what was proposed"
    judge(recording, "N", "confirm")
    assert len(store.cases()) == 1 and len(store.case(row.case).proposals()) == 1 and before == store.verify()


def test_another_observer_begins_with_the_proposal_and_both_are_compared(recording, store):
    judge(recording, "S", "confirm")
    judge(recording, "Or", "mark_absent")
    judge(recording, "N", "confirm")
    recording.answer(ask_text=["Ben"], ask=["not"])
    recording.press("casesObserverButton")
    recording.rest()
    assert set(store.states(store.cases()[0].case)) == {"Anna"}, "what Anna said does not become Ben's"
    recording.panel.cases.refresh()
    recording.widget("casesTable").setCurrentCell(0, 0)
    recording.press("casesOpenButton")
    recording.rest()
    assert recording.status("S") == "unreviewed"
    recording.panel.history.step()
    recording.panel.review.node.SetNthControlPointPosition(recording.index("S"), -11.0, -12.0, 0)
    recording.rest()
    judge(recording, "Or", "confirm")
    recording.panel.cases.refresh()
    table = recording.widget("casesCompareTable")
    assert not table.isHidden()
    rows = [tuple(table.item(r, c).text() for c in range(table.columnCount())) for r in range(table.rowCount())]
    assert rows[0] == ("Or", "not agreed", "✗ absent", "✓ confirmed")
    assert rows[1] == ("S", "5.00 mm", "✓ confirmed", "✎ corrected") and len(rows) == 2
    assert [table.horizontalHeaderItem(c).text() for c in range(4)] == ["Landmark", "Apart", "Anna", "Ben"]
    judge(recording, "N", "confirm")
    recording.panel.cases.refresh()
    said = "Observers of the open case: 3 landmarks in common, 2.50 mm apart (median)."
    assert recording.widget("casesCompareLabel").text() == said


def test_a_case_that_is_open_is_not_opened_twice(recording, store):
    judge(recording, "S", "confirm")
    node = recording.panel.review.node
    listed(recording)
    recording.widget("casesTable").setCurrentCell(0, 0)
    recording.press("casesOpenButton")
    assert recording.widget("casesMessage").text() == "This case is open already."
    assert recording.panel.review.node is node
    begin(recording)  # a fresh detection of the same image, of which the store knows more
    recording.widget("casesTable").setCurrentCell(0, 0)
    recording.press("casesOpenButton")
    recording.rest()
    assert recording.status("S") == "confirmed" and recording.panel.review.node is not node


def test_a_review_from_before_is_recorded_only_if_it_is_the_persons_own(person, store):
    begin(person)
    judge(person, "S", "confirm")
    asked = [question for _kind, question in use(person, store, ask=["mine"]).asked]
    assert any("A landmark of this result was reviewed before" in question for question in asked)
    assert entries(store)["S"].status == "confirmed"
    use(person, store, "Ben", ask=["not"])
    judge(person, "N", "confirm")
    assert entries(store, "Ben")["S"].status == "unreviewed" and entries(store, "Ben")["N"].status == "confirmed"
    stop(person)


def test_what_somebody_else_reviewed_can_be_looked_at_without_a_word_in_the_store(person, store):
    begin(person)
    judge(person, "S", "confirm")
    use(person, store, "Ben", ask=["not"])
    assert "Ben" not in store.states(store.cases()[0].case)
    stop(person)


def test_a_fresh_detection_takes_nothing_back_that_was_said_before(recording, store):
    judge(recording, "S", "confirm")
    begin(recording)
    judge(recording, "N", "confirm")
    (row,) = store.cases()
    assert entries(store)["S"].status == "confirmed" and entries(store)["N"].status == "confirmed"
    assert row.proposals == 1, "the same proposal is stored once"


def test_a_second_detection_is_another_proposal_and_keeps_what_was_said(recording, store):
    from LandmarkDetector.Scene.result import update_result

    judge(recording, "S", "confirm")
    shifted = tuple(m if m.position is None else Landmark(m.label, m.position + [1, 0, 0], None, 0.9) for m in heads())
    info = {"bundle": "heads", "version": "2", "fingerprint": "e" * 64}
    update_result(recording.panel.review.node, LandmarkSet(shifted, "mm", "head", info))
    recording.rest()
    judge(recording, "N", "confirm")
    (row,) = store.cases()
    first, second = store.case(row.case).proposals()
    found = entries(store)
    assert second.fingerprint == "e" * 64 and "S" not in second.by_label, "of S the scene keeps what the person saw"
    assert np.allclose(found["N"].position, (29, 7)) and found["N"].proposal == second.id
    assert np.allclose(found["S"].position, (8, 8)) and found["S"].proposal == first.id


def test_the_list_says_what_waits_first_and_why(recording, store):
    sample = store.add_image(SAMPLE)
    unsure = tuple(Landmark(label, (1.0, 2.0, 3.0), None, 0.1) for label in "ab")
    store.add_proposal(sample, LandmarkSet(unsure, info={"bundle": "skulls", "fingerprint": "d" * 64}))
    lines = listed(recording)
    assert [line[0] for line in lines] == [SAMPLE.name, f"▸ {PICTURE.name}"]
    assert lines[0][2].startswith("2 of 2 landmarks are uncertain")
    store.record(sample, "Anna", Correction("a", "confirmed"), Correction("b", "absent"))
    assert [line[0] for line in listed(recording)] == [f"▸ {PICTURE.name}"]
    choose(recording, "casesOrderCombo", "all")
    assert {line[1] for line in listed(recording)} == {"0/13", "✓ 2/2"}


def test_an_image_that_was_changed_or_is_gone_is_refused_with_a_sentence(person, store, tmp_path):
    picture = tmp_path / f"moved{PICTURE.suffix}"
    shutil.copy(PICTURE, picture)
    use(person, store)
    begin(person, picture)
    judge(person, "S", "confirm")
    person.desktop.close_scene()
    picture.unlink()
    listed(person)
    person.widget("casesTable").setCurrentCell(0, 0)
    person.press("casesOpenButton")
    said = person.widget("casesMessage").text()
    assert "its image is not where it was" in said and picture.name not in said
    assert person.panel.input.volume is None and person.panel.review.node is None
    stop(person)


def test_an_image_without_a_file_is_copied_and_can_be_opened_again(person, store):
    import slicer

    use(person, store)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "made here")
    slicer.util.updateVolumeFromArray(volume, np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7))
    from LandmarkDetector.Scene.result import create_result

    marks = LandmarkSet((Landmark("a", (1.0, 2.0, 3.0), None, 0.5), Landmark("b")))
    person.panel.review.choose_node(create_result(person.desktop.scene, marks, volume))
    person.rest()
    judge(person, "a", "confirm")
    (row,) = store.cases()
    assert store.image_path(row.case)[0].name.startswith("image.")
    person.desktop.close_scene()
    assert listed(person)[0][0] == row.case
    person.widget("casesTable").setCurrentCell(0, 0)
    person.press("casesOpenButton")
    person.rest()
    assert person.status("a") == "confirmed"
    stop(person)


def test_the_scene_holds_neither_the_store_nor_the_observer(recording, tmp_path, store):
    judge(recording, "S", "confirm")
    scene = recording.desktop.scene
    for i in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(i)
        told = str([(name, node.GetAttribute(name)) for name in node.GetAttributeNames()])
        if node.IsA("vtkMRMLScriptedModuleNode"):
            told += str([node.GetParameter(name) for name in node.GetParameterNames()])
        assert "Anna" not in told and store.folder.name not in told


def test_store_and_name_are_remembered_only_when_asked_for(recording, store):
    from LandmarkDetector.Panel.cases_memory import remembered

    assert remembered() == ("", "")
    recording.widget("casesRememberCheck").setChecked(True)
    assert remembered() == (str(store.folder), "Anna")
    recording.widget("casesRememberCheck").setChecked(False)
    assert remembered() == ("", "")
    recording.widget("casesRememberCheck").setChecked(True)
    stop(recording)
    assert remembered() == ("", "")
    use(recording, store)
