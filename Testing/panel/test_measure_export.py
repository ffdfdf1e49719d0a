"""Measurements as files: what the panel knows stands in all of them, and what it asks before it writes."""

from __future__ import annotations

import csv
import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from LandmarkDetectorLib.core import Landmark
from LandmarkDetectorLib.measure import measure
from Testing.panel.measuring import HEADS, begin_measuring, choose, compare, confirm_all, export, heads, table

pytestmark = pytest.mark.one_binding


@pytest.fixture(autouse=True)
def matplotlib_may_look(person):
    """Where torch is imported matplotlib asks whether what it draws is a tensor; it imports none."""
    sys.modules["torch"].__dict__["Tensor"] = type("Tensor", (), {})


@pytest.fixture
def measuring(person):
    begin_measuring(person)
    return person


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_form_that_the_library_writes_is_offered(measuring):
    from LandmarkDetectorLib.measure.reports import SUFFIXES

    combo = measuring.widget("measureFormatCombo")
    offered = [combo.itemData(i) for i in range(combo.count())]
    assert set(SUFFIXES) < set(offered) and "wide.csv" in offered


def test_the_table_says_of_each_value_whether_it_was_reviewed(measuring, tmp_path):
    measuring.answer(save_file=[str(tmp_path / "head")], ask=["export"])
    measuring.press("measureExportButton")
    assert "were not reviewed" in measuring.dialogs.asked[0][1]
    rows = {row["measurement"]: row for row in rows_of(tmp_path / "head.csv")}
    (sna,) = (result for result in measure(heads().to_plane(), "steiner") if result.name == "SNA")
    assert float(rows["SNA"]["value"]) == pytest.approx(sna.value, abs=1e-9)
    assert rows["SNA"]["reviewed"] == "no" and rows["SNA"]["unit"] == "degrees"
    assert (rows["SNA"]["model"], rows["SNA"]["model_version"]) == ("heads", "1")
    assert rows["Interincisal"]["value"] == "" and rows["Interincisal"]["not_computed"].startswith("needs Upper")
    assert "head.csv" in measuring.widget("measureExportLabel").text()
    confirm_all(measuring)
    assert "cannot be written" in export(measuring, ".csv", tmp_path / "missing" / "head.csv")
    export(measuring, ".csv", tmp_path / "reviewed.csv")
    assert {row["reviewed"] for row in rows_of(tmp_path / "reviewed.csv")} == {"yes", ""}


def test_a_folder_that_can_only_be_read_is_said_in_one_sentence(measuring, tmp_path, monkeypatch):
    def read_only(path, *_arguments, **_named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))

    confirm_all(measuring)
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", read_only)  # which refuses before it looks whether the file is there
        assert "cannot be written" in export(measuring, ".csv", tmp_path / "missing" / "head.csv")


def test_a_row_a_time_point_has_the_numbers_only(measuring, tmp_path):
    confirm_all(measuring)
    export(measuring, "wide.csv", tmp_path / "head.csv")
    (row,) = rows_of(tmp_path / "head.csv")
    assert row["review"] == "reviewed" and float(row["steiner: SNA (degrees)"]) > 0


def test_the_table_is_copied_for_a_spreadsheet(measuring):
    confirm_all(measuring)
    measuring.answer()
    measuring.press("measureCopyButton")
    header, first, *others = (line.split("\t") for line in QApplication.clipboard().text().splitlines())
    assert len(others) + 1 == len(table(measuring))
    assert dict(zip(header, first, strict=True))["measurement"] == "SNA"
    compare(measuring)
    measuring.answer(ask=["export"])
    measuring.press("measureCopyButton")
    header, *rows = (line.split("\t") for line in QApplication.clipboard().text().splitlines())
    snb = next(found for row in rows if (found := dict(zip(header, row, strict=True)))["measurement"] == "SNB")
    assert float(snb["difference"]) == pytest.approx(float(snb["second_value"]) - float(snb["value"]))


def test_who_would_rather_not_export_proposals_writes_nothing(measuring, tmp_path):
    measuring.answer(ask=[None])
    measuring.press("measureExportButton")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [".html", ".pdf"])
def test_a_report_shows_the_image_and_says_in_plain_sight_that_nobody_reviewed(measuring, tmp_path, key):
    said = export(measuring, key, tmp_path / f"head{key}", ask=["export"])
    assert said == f"{len(table(measuring))} measurements written to head{key}."
    written = (tmp_path / f"head{key}").read_bytes()
    if key == ".pdf":
        assert written.startswith(b"%PDF") and written.count(b"/Subtype /Image") > 3
        return
    page = written.decode()
    assert "<strong>Proposal, not reviewed</strong>" in page and "heads 1 placed the landmarks" in page
    assert page.count("data:image/jpeg") > 3, "the picture, and each construction"


def test_a_report_says_who_reviewed_and_asks_once_where_nobody_is_known(measuring, tmp_path):
    confirm_all(measuring)
    export(measuring, ".html", tmp_path / "a.html", ask_text=["Dr. Ada"])
    assert "<strong>Reviewed by Dr. Ada</strong>" in (tmp_path / "a.html").read_text("utf-8")
    export(measuring, ".html", tmp_path / "b.html")
    assert "Reviewed by Dr. Ada" in (tmp_path / "b.html").read_text("utf-8")
    assert not any(kind == "ask_text" for kind, _text in measuring.dialogs.asked)


def test_who_would_rather_not_say_a_name_writes_nothing(measuring, tmp_path):
    confirm_all(measuring)
    choose(measuring, "measureFormatCombo", ".html")
    measuring.answer(ask_text=[None])
    measuring.press("measureExportButton")
    assert list(tmp_path.iterdir()) == []


def test_the_observer_of_the_review_store_is_named_without_being_asked(measuring, tmp_path):
    measuring.answer(open_folder=[str(tmp_path / "reviews")], ask_text=["Anna"], ask=["theirs"])
    from LandmarkDetectorLib.review import ReviewStore

    ReviewStore.create(tmp_path / "reviews")
    measuring.press("casesChooseButton")
    measuring.rest()
    confirm_all(measuring)
    export(measuring, ".html", tmp_path / "a.html")
    assert "<strong>Reviewed by Anna</strong>" in (tmp_path / "a.html").read_text("utf-8")
    measuring.press("casesStopButton")


def test_a_report_without_its_image_says_that_it_has_no_pictures(measuring, tmp_path):
    confirm_all(measuring)
    measuring.desktop.scene.RemoveNode(measuring.panel.input.volume)
    measuring.rest()
    said = export(measuring, ".html", tmp_path / "a.html", ask_text=[""])
    assert "Without pictures: the image of" in said and "is not in the scene" in said
    assert "data:image/jpeg" not in (tmp_path / "a.html").read_text("utf-8")


def test_a_report_of_an_installed_bundle_has_its_card(person, tmp_path):
    from Testing.panel.person import HEAD, PICTURE

    person.open(PICTURE, HEAD)
    person.detect()
    person.widget("measureSection").setCollapsed(False)
    person.rest()
    export(person, ".html", tmp_path / "a.html", ask=["export"])
    page = (tmp_path / "a.html").read_text("utf-8")
    card = person.panel.input.bundles.get(HEAD).card
    assert f"{HEAD} {card.version}" in page and "Known limits" in page and "Error of a landmark" in page


def test_the_image_lies_under_the_landmarks_also_below_a_transform(measuring):
    from LandmarkDetector.Scene.measured_image import measured_image
    from Testing.scene.nodes import add_linear

    volume, node = measuring.panel.input.volume, measuring.panel.review.node
    before = measured_image(volume, 2).grid.to_index(HEADS["N"])
    transform = add_linear(measuring.desktop.scene)
    matrix = transform.GetMatrixTransformToParent()
    linear = np.array([[matrix.GetElement(r, c) for c in range(3)] for r in range(3)])
    turned, _ = np.linalg.qr(linear)  # without the stretching, which no image has
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, turned[row, column])
    transform.SetMatrixTransformToParent(matrix)
    for each in (volume, node):
        each.SetAndObserveTransformNodeID(transform.GetID())
    measuring.rest()
    marks = {mark.label: mark.position for mark in measuring.panel.measure._now().first.landmarks}
    assert np.allclose(measured_image(volume, 2).grid.to_index(marks["N"]), before, atol=1e-3)


def test_markups_of_a_picture_that_stands_upright_lie_where_it_stands(measuring, tmp_path):
    from LandmarkDetectorLib.io import load_landmarks
    from Testing.scene.nodes import add_linear

    confirm_all(measuring)
    transform = add_linear(measuring.desktop.scene)
    for each in (measuring.panel.input.volume, measuring.panel.review.node):
        each.SetAndObserveTransformNodeID(transform.GetID())
    measuring.rest()
    export(measuring, ".mrk.json", tmp_path / "a.mrk.json")
    back = load_landmarks(tmp_path / "a.mrk.json")
    for label in ("S", "N", "Me"):
        assert np.allclose(back[label].position * [-1, -1, 1], measuring.place_of(label), atol=1e-6)
    nodes = {each["name"]: each for each in json.loads((tmp_path / "a.mrk.json").read_text("utf-8"))["markups"][1:]}
    corner = next(point for point in nodes["SNA"]["controlPoints"] if point["label"] == "N")
    assert np.allclose(corner["position"], back["N"].position)


def test_two_times_stand_in_one_table_with_their_difference(measuring, tmp_path):
    import openpyxl

    compare(measuring)
    export(measuring, ".csv", tmp_path / "a.csv", ask=["export"])
    rows = {row["measurement"]: row for row in rows_of(tmp_path / "a.csv")}
    first, second = ({r.name: r for r in measure(heads(s).to_plane(), "steiner")} for s in (0.0, 2.0))
    snb = rows["SNB"]
    assert float(snb["difference"]) == pytest.approx(second["SNB"].value - first["SNB"].value)
    assert snb["second_subject"] == "head later" and rows["Interincisal"]["difference"] == ""
    export(measuring, ".xlsx", tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["difference", "long", "wide", "about"] and book["wide"].max_row == 3


def test_two_times_are_two_reports_each_with_its_own_review(measuring, tmp_path):
    confirm_all(measuring)
    compare(measuring)
    said = export(measuring, ".html", tmp_path / "a.html", ask=["export"], ask_text=["Dr. Ada"])
    assert said.endswith("written to a.html and a, second.html.")
    assert "Reviewed by Dr. Ada" in (tmp_path / "a.html").read_text("utf-8")
    later = (tmp_path / "a, second.html").read_text("utf-8")
    assert "Proposal, not reviewed" in later and "Measurements of head later" in later


def test_a_second_report_that_fails_leaves_no_first_one(measuring, tmp_path, monkeypatch):
    from LandmarkDetectorLib.core import LandmarkFileError
    from LandmarkDetectorLib.measure.reports import save

    compare(measuring)
    write, calls = save._html, []

    def full(*args) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise LandmarkFileError("a, second.html: it cannot be written (No space left on device); free some.")
        write(*args)

    monkeypatch.setattr(save, "_html", full)
    assert "No space left" in export(measuring, ".html", tmp_path / "a.html", ask=["export"])
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_takes_long_can_be_stopped_and_leaves_nothing(measuring, tmp_path, monkeypatch):
    from LandmarkDetectorLib.core import Cancelled

    told = []

    class Impatient:
        def tell(self, what: str, fraction: float) -> None:
            told.append((what, fraction))
            if len(told) == 3:
                raise Cancelled("Cancelled; nothing was written.")

        def close(self) -> None:
            told.append(("closed", 1.0))

    monkeypatch.setattr(measuring.panel.dialogs, "working", lambda title: Impatient(), raising=False)
    said = export(measuring, ".html", tmp_path / "a.html", ask=["export"])
    assert said == "Cancelled; nothing was written." and list(tmp_path.iterdir()) == []
    assert told[0][0] == "drawing the whole image" and told[-1][0] == "closed"


@pytest.mark.parametrize("name", ["openpyxl", "matplotlib", "jinja2", "reportlab", "highdicom"])
def test_what_lacks_a_package_is_said_in_one_sentence_with_the_way_to_it(measuring, tmp_path, monkeypatch, name):
    from LandmarkDetectorLib.measure.reports import save

    found = save.find_spec
    monkeypatch.setattr(save, "find_spec", lambda asked: None if asked == name else found(asked))
    key = next(suffix for suffix, lines in save.NEEDS.items() if any(line.startswith(name) for line in lines))
    choose(measuring, "measureFormatCombo", ".csv")
    choose(measuring, "measureFormatCombo", key)
    said = measuring.widget("measureExportLabel").text()
    assert f'needs {name}, not installed here; run: python -m pip install "{name}>=' in said
    measuring.answer(ask=["export"])
    measuring.press("measureExportButton")
    assert measuring.widget("measureExportLabel").text() == said and list(tmp_path.iterdir()) == []
    choose(measuring, "measureFormatCombo", ".csv")
    assert measuring.widget("measureExportLabel").isHidden()


def test_in_slicer_the_missing_package_is_installed_with_consent(measuring, tmp_path, monkeypatch):
    from LandmarkDetectorLib.measure.reports import save

    found, installed, answers = save.find_spec, [], [RuntimeError("declined"), None]
    monkeypatch.setattr(save, "find_spec", lambda asked: None if asked == "jinja2" and not installed else found(asked))

    class Packaging:
        def pip_ensure(self, lines, constraints: str, requester: str) -> None:
            if error := answers.pop(0):
                raise error
            installed.extend(lines)

    monkeypatch.setattr(measuring.panel.measure.export.extras, "_packaging", Packaging())
    choose(measuring, "measureFormatCombo", ".html")
    assert "Export asks whether to install it" in measuring.widget("measureExportLabel").text()
    measuring.answer(ask=["export"])
    measuring.press("measureExportButton")
    assert measuring.widget("measureExportLabel").text().startswith("Nothing was written: Report with pictures (.html)")
    assert "written to a.html" in export(measuring, ".html", tmp_path / "a.html")
    assert installed == ["jinja2>=3.1"]


def test_two_lists_of_one_name_are_told_apart_in_files(measuring, tmp_path):
    later = compare(measuring)
    later.SetName(measuring.panel.review.node.GetName())
    export(measuring, "wide.csv", tmp_path / "a.csv", ask=["export"])
    names = [row["subject"] for row in rows_of(tmp_path / "a.csv")]
    assert names[1] == f"{names[0]}, second"


def test_what_was_moved_after_the_table_was_shown_is_in_the_file(measuring, tmp_path):
    confirm_all(measuring)
    node = measuring.panel.review.node
    choose(measuring, "measureFormatCombo", ".csv")
    measuring.answer(save_file=[str(tmp_path / "a.csv")])
    node.SetNthControlPointPosition(measuring.index("A"), -20, -17, 0)  # and no event was answered yet
    measuring.press("measureExportButton")
    rows = {row["measurement"]: row for row in rows_of(tmp_path / "a.csv")}
    marks = replace(heads(), landmarks=tuple(
        Landmark(m.label, (20, 17, 0)) if m.label == "A" else m for m in heads()
    ))  # fmt: skip
    (sna,) = (result for result in measure(marks.to_plane(), "steiner") if result.name == "SNA")
    assert float(rows["SNA"]["value"]) == pytest.approx(sna.value, abs=1e-9)
