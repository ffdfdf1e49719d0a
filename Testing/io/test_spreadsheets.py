"""Excel workbooks of landmarks: read back as they were, opened by others, never a formula, never a guess."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks, save_landmarks, spreadsheets

SPREAD = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.25], [-0.1, 0.25, 0.5]])


def some(dimension: int = 3, unit: str = "mm") -> LandmarkSet:
    d = dimension
    marks = (
        Landmark("1", (1 / 3, -20.25, 1e-7)[:d], confidence=0.93, covariance=SPREAD[:d, :d]),
        Landmark("Größe 頭 ", (4, 5, 6)[:d], "preview", description="two\nlines"),
        Landmark("=1+1", (7, 8, 1e6 / 7)[:d], description="=HYPERLINK(x)"),
        Landmark("absent", status="missing", confidence=0.5),
        Landmark("", status="undefined"),
        Landmark("1", (7, 8, 9)[:d]),
    )
    return LandmarkSet(marks, unit, "skull", {"bundle": "mouse-skull-ct", "version": "1.0.0"})


@pytest.mark.parametrize("system", ["LPS", "RAS"])
@pytest.mark.parametrize("unit", ["mm", "px"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_workbook_keeps_everything_of_a_landmark(tmp_path: Path, system: str, unit: str, dimension: int) -> None:
    path, marks = tmp_path / "Schädel 1.xlsx", some(dimension, unit)
    save_landmarks(marks, path, coordinate_system=system)
    back = load_landmarks(path)
    assert back.labels == marks.labels and back.unit == unit and back.name == "Schädel 1"
    for one, other in zip(back, marks, strict=True):
        assert (one.status, one.confidence, one.description) == (other.status, other.confidence, other.description)
        assert (one.position is None) == (other.position is None)
        if other.position is not None:
            np.testing.assert_allclose(one.position, other.position, rtol=1e-15)
        assert (one.covariance is None) == (other.covariance is None)
        if other.covariance is not None:
            np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-15)


def test_the_header_says_axes_and_unit_and_another_sheet_what_they_mean(tmp_path: Path) -> None:
    save_landmarks(some(), tmp_path / "a.xlsx", coordinate_system="RAS")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["landmarks", "about"]
    header = [cell.value for cell in book["landmarks"][1]]
    assert header[:7] == ["label", "x_ras_mm", "y_ras_mm", "z_ras_mm", "status", "confidence", "description"]
    row = [cell.value for cell in book["landmarks"][2]]
    assert row[0] == "1" and row[1] == pytest.approx(-1 / 3) and row[2] == 20.25 and isinstance(row[1], float)
    about = {row[0].value: row[1].value for row in book["about"].iter_rows()}
    assert about["coordinates"].startswith("RAS, world: x grows to the patient's right")
    assert about["bundle"] == "mouse-skull-ct" and about["unit"] == "millimetres" and about["image"] == "skull"


def test_a_text_that_begins_with_an_equals_sign_is_no_formula(tmp_path: Path) -> None:
    save_landmarks(some(), tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as packed:
        assert not any(b"<f>" in packed.read(name) or b"<f " in packed.read(name) for name in packed.namelist())


def test_a_table_that_a_person_made_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Tabelle1"
    sheet.append([None])
    sheet.append(["Label ", "x_lps_mm", "y_lps_mm", "z_lps_mm", None])
    sheet.append([7, 1, 2.5, "3.25"])
    sheet.append([])
    sheet.append(["b", None, None, None])
    book.save(tmp_path / "a.xlsx")
    marks = load_landmarks(tmp_path / "a.xlsx")
    assert marks.labels == ["7", "b"] and marks[1].position is None
    np.testing.assert_array_equal(marks[0].position, [1, 2.5, 3.25])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no column 'label'"),
        ([["name", "x"]], "no column 'label'"),
        ([["label", "x", "y", "z"], ["a", 1, 2, 3]], "does not say in which axes"),
        ([["label", "x_lps_mm", "y_lps_mm"], ["a", "1,5", 2]], "row 2 has '1,5' where a number should be"),
        ([["label", "x_lps_mm", "y_lps_mm"], ["a", 1, 2, 3]], "row 2 has a cell beyond the last heading"),
        ([["label", "x_lps_mm", "y_lps_mm", "x_lps_mm"], ["a", 1, 2, 3]], "the same name"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(
    tmp_path: Path, refused: Callable[..., str], rows: list[list], words: str
) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert words in refused(LandmarkFileError, load_landmarks, tmp_path / "a.xlsx")


def test_what_is_no_workbook_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    save_landmarks(some(), tmp_path / "whole.xlsx")
    whole = (tmp_path / "whole.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("hello.txt", "hello")
    contents = {
        "empty": b"",
        "text": b"label,x_lps_mm\n",
        "cut": whole[: len(whole) // 2],
        "altered": whole[:400] + bytes(200) + whole[600:],
        "another archive": (tmp_path / "other.zip").read_bytes(),
    }
    for content in contents.values():
        (tmp_path / "a.xlsx").write_bytes(content)
        assert "no Excel workbook" in refused(LandmarkFileError, load_landmarks, tmp_path / "a.xlsx")
    assert "no such file" in refused(LandmarkFileError, load_landmarks, tmp_path / "none.xlsx")


def test_a_workbook_that_unfolds_to_too_much_is_not_unfolded(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheets, "_LARGEST", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", bytes(2 << 20))
    assert "too many for landmarks" in refused(LandmarkFileError, load_landmarks, tmp_path / "bomb.xlsx")


@pytest.mark.parametrize(
    ("size", "more"),
    [("A1", ""), ("A1:XFD1048576", '<row r="1048576"><c r="XFD1048576" s="1"/></row>'), ("A1", '<row r="999999999"/>')],
    ids=["of one cell", "of all cells there are", "with a row that Excel has not"],
)
def test_a_sheet_that_says_a_wrong_size_is_read_as_it_is(tmp_path: Path, size: str, more: str) -> None:
    save_landmarks(some(), tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            if name.endswith("sheet1.xml"):
                text = re.sub('<dimension ref="[^"]*"', f'<dimension ref="{size}"', text)
                text = text.replace("</sheetData>", f"{more}</sheetData>")
            new.writestr(name, text)
    np.testing.assert_allclose(load_landmarks(tmp_path / "b.xlsx").positions, some().positions, rtol=1e-15)


@pytest.mark.parametrize("label", ["a\x00b", "a\x07b", "a\ud800b", "x" * 40_000])
def test_a_label_that_a_workbook_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, refused: Callable[..., str], label: str
) -> None:
    refused(LandmarkFileError, save_landmarks, LandmarkSet((Landmark(label, (1, 2, 3)),)), tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_ten_thousand_landmarks_are_written_and_read(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).normal(size=(10_000, 3))
    marks = LandmarkSet.from_positions(map(str, range(10_000)), positions)
    save_landmarks(marks, tmp_path / "many.xlsx")
    np.testing.assert_allclose(load_landmarks(tmp_path / "many.xlsx").positions, positions, rtol=1e-15)
