"""Tables of landmarks: our CSV, Slicer's CSV, and Slicer's older .fcsv."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks, save_landmarks

SPREAD = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.25], [-0.1, 0.25, 0.5]])
HEAD = "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"


def put(path, text, **how):
    path.write_bytes(text.encode(**how))
    return path


def same(left, right):
    assert left.labels == right.labels and left.unit == right.unit
    for a, b in zip(left, right, strict=True):
        assert (a.status, a.confidence, a.description) == (b.status, b.confidence, b.description)
        assert (a.position is None) == (b.position is None) and (a.covariance is None) == (b.covariance is None)
        assert a.position is None or np.array_equal(a.position, b.position)
        assert a.covariance is None or np.array_equal(a.covariance, b.covariance)
    return True


def test_our_table_says_its_axes_and_unit(tmp_path):
    marks = LandmarkSet(
        (Landmark("nasion", (1.5, -20.25, 3), confidence=0.93), Landmark('a "b", c', status="undefined"))
    )
    save_landmarks(marks, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().decode().split("\r\n") == [
        "label,x_lps_mm,y_lps_mm,z_lps_mm,status,confidence,description",
        "nasion,1.5,-20.25,3.0,defined,0.93,",
        '"a ""b"", c",,,,undefined,,',
        "",
    ]
    save_landmarks(marks, tmp_path / "b.csv", coordinate_system="RAS")
    assert "nasion,-1.5,20.25,3.0" in (tmp_path / "b.csv").read_text()
    assert same(load_landmarks(tmp_path / "b.csv"), marks)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
@pytest.mark.parametrize("unit", ["mm", "px"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_our_table_keeps_everything_of_a_landmark(tmp_path, system, unit, dimension):
    marks = LandmarkSet(
        (
            Landmark("a", (1 / 3, 2, 3)[:dimension], confidence=0.1, covariance=SPREAD[:dimension, :dimension]),
            Landmark("b", (4, 5, 6)[:dimension], "preview", description="two\r\nlines; und Größe"),
            Landmark("c", status="missing", confidence=0.5),
            Landmark("", status="undefined"),
            Landmark("a", (7, 8, 9)[:dimension]),
        ),
        unit=unit,
        name="table",
    )
    save_landmarks(marks, tmp_path / "table.csv", coordinate_system=system)
    back = load_landmarks(tmp_path / "table.csv")
    assert same(back, marks) and back.name == "table" and back.dimension == dimension


def test_a_table_of_a_detectors_landmarks_says_that_nobody_has_looked_at_them(tmp_path):
    found = Landmark("a", (1.0, -2.0, 3.0), confidence=0.5, covariance=SPREAD)
    marks = LandmarkSet((found, Landmark("b", status="missing")), info={"bundle": "toy", "fingerprint": "f" * 64})
    save_landmarks(marks, tmp_path / "a.csv")
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as stream:
        assert [row["review"] for row in csv.DictReader(stream)] == ["unreviewed", "not found"]
    assert same(load_landmarks(tmp_path / "a.csv"), LandmarkSet(marks.landmarks))


def test_no_text_of_our_table_is_a_formula_and_each_comes_back(tmp_path):
    texts = ["=HYPERLINK(1)", "+1", "-2+3", "@SUM(1)", "'", "'=1", "''=1", "'plain", "-"]
    marks = LandmarkSet(tuple(Landmark(text, (1.0, -2.0, 3.0), description=text) for text in texts))
    save_landmarks(marks, tmp_path / "a.csv")
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.reader(stream)][1:]
    assert not any(cell[:1] in set("=+-@") for row in rows for cell in (row[0], row[6])) and rows[0][2] == "-2.0"
    assert same(load_landmarks(tmp_path / "a.csv"), marks)


def test_ten_thousand_landmarks_come_back(tmp_path):
    places = np.random.default_rng(0).normal(size=(10_000, 3)) * 1e3
    marks = LandmarkSet.from_positions([f"№ {i}" for i in range(10_000)], places)
    for suffix in (".csv", ".fcsv"):
        save_landmarks(marks, tmp_path / f"a{suffix}", coordinate_system="RAS")
        assert np.array_equal(load_landmarks(tmp_path / f"a{suffix}").positions, places)


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
places = st.none() | st.tuples(*[st.floats(-1e300, 1e300)] * 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(rows=st.lists(st.tuples(words, places, st.none() | st.floats(0, 1), words), max_size=6))
def test_any_set_comes_back_exactly_from_our_table(tmp_path, rows):
    marks = LandmarkSet(tuple(Landmark(label, at, None, sure, None, text) for label, at, sure, text in rows))
    save_landmarks(marks, tmp_path / "any.csv", coordinate_system="RAS")
    assert same(load_landmarks(tmp_path / "any.csv"), marks)


one_line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(rows=st.lists(st.tuples(one_line, st.tuples(*[st.floats(-1e300, 1e300)] * 3), one_line), max_size=6))
def test_any_placed_set_comes_back_exactly_from_fcsv(tmp_path, rows):
    marks = LandmarkSet(tuple(Landmark(label, at, description=text) for label, at, text in rows))
    save_landmarks(marks, tmp_path / "any.fcsv", coordinate_system="RAS")
    assert same(load_landmarks(tmp_path / "any.fcsv"), marks)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(text=st.text(max_size=60), suffix=st.sampled_from([".csv", ".fcsv"]), headed=st.booleans())
def test_whatever_stands_in_a_table_it_is_read_or_refused_in_a_sentence(tmp_path, text, suffix, headed):
    head = ("label,x_lps_mm,y_lps_mm,z_lps_mm\n" if suffix == ".csv" else HEAD) if headed else ""
    path = put(tmp_path / f"a{suffix}", head + text)
    try:
        assert len(load_landmarks(path)) >= 0
    except LandmarkFileError as error:
        assert str(error).startswith(f"a{suffix}: ") and str(error).endswith(".")


def test_slicers_table_is_read(tmp_path):
    rows = '"a, b",1.5,-2.5,3,1,1,1,0,"seen"\n"c",-0,-0,0,0,1,1,0,""\n'
    path = put(tmp_path / "a.csv", '"label","l","p","s","defined","selected","visible","locked","description"\n' + rows)
    marks = load_landmarks(path)
    assert marks.labels == ["a, b", "c"] and marks[0].position.tolist() == [1.5, -2.5, 3.0]
    assert marks[0].description == "seen" and marks[1].status == "undefined" and marks[1].position is None
    path = put(tmp_path / "b.csv", "label,r,a,s,defined,selected,visible,locked,description\n" + rows)
    assert load_landmarks(path)[0].position.tolist() == [-1.5, 2.5, 3.0]


def test_byte_order_marks_and_other_line_ends_do_not_matter(tmp_path):
    text = "\ufefflabel,x_lps_mm,y_lps_mm,z_lps_mm\r\na,1,2,3\r\n\r\n"
    assert load_landmarks(put(tmp_path / "a.csv", text))["a"].position.tolist() == [1.0, 2.0, 3.0]
    text = "\ufeff" + (HEAD + "0,1,2,3,0,0,0,1,1,1,0,a,,\n\n").replace("\n", "\r\n")
    assert load_landmarks(put(tmp_path / "a.fcsv", text))["a"].position.tolist() == [1.0, 2.0, 3.0]


def test_rows_and_columns_that_somebody_emptied_in_a_spreadsheet_are_no_landmarks(tmp_path):
    text = "label,x_lps_mm,y_lps_mm,z_lps_mm,,\r\na,1,2,3,,\r\n,,,,,\r\nb,4,5,6,,\r\n,,,,,\r\n"
    marks = load_landmarks(put(tmp_path / "a.csv", text))
    assert marks.labels == ["a", "b"] and marks.positions.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ["no column 'label'", "header"]),
        ("a,1,2,3\n", ["no column 'label'"]),
        ("label;x_lps_mm;y_lps_mm;z_lps_mm\na;1,5;2;3\n", ["separate the columns by commas"]),
        ("label,x,y,z\na,1,2,3\n", ["axes and unit", "x_lps_mm"]),
        ("label,x_lps_mm,y_ras_mm,z_lps_mm\n", ["axes and unit"]),
        ("label,x_lps_mm,y_lps_px,z_lps_mm\n", ["axes and unit"]),
        ("label,x_lps_mm,z_lps_mm\n", ["axes and unit"]),
        ("label,x_lps_mm,x_lps_mm,y_lps_mm\n", ["same name"]),
        ("label,x_lps_mm,y_lps_mm,covariance_xx_lps_mm2\n", ["not complete"]),
        ('label,x_lps_mm,y_lps_mm,z_lps_mm\na,"1,5",2,3\n', ["row 2", "'1,5'", "decimals with a point"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm\na,1,2,3\nb,1,,3\n", ["row 3", "number"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm\na,1,2,nan\n", ["row 2", "'nan'"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm\na,1,2\n", ["row 2", "3 columns and the header 4"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm,status\na,1,2,3,lost\n", ["row 2", "'lost'"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm,status\na,1,2,3,missing\n", ["row 2", "'missing' with a position"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm,status\na,,,,defined\n", ["row 2", "'defined' without a position"]),
        ("label,x_lps_mm,y_lps_mm,z_lps_mm,confidence\na,1,2,3,93\n", ["row 2", "between 0 and 1"]),
        ('label,x_lps_mm,y_lps_mm,z_lps_mm\n"na,"sion",1,2,3\n', ["row 2", "stray quotation mark"]),
        ('label,x_lps_mm,y_lps_mm,z_lps_mm\n"a,1,2,3\n', ["row 2"]),
        ("label,l,p,s,defined\na,1,2,3,yes\n", ["row 2", "'defined'"]),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_row(tmp_path, refused, text, fragments):
    message = refused(LandmarkFileError, load_landmarks, put(tmp_path / "a.csv", text))
    assert all(fragment in message for fragment in fragments), message


@pytest.mark.parametrize(("code", "sign"), [("LPS", 1), ("RAS", -1), ("0", -1), ("1", 1)])
def test_fcsv_says_its_axes_in_words_or_codes(tmp_path, code, sign):
    text = f"# Markups fiducial file version = 4.6\n# CoordinateSystem = {code}\n{COLUMNS}"
    text += "vtkMRMLMarkupsFiducialNode_0,1.5,-2.5,3.5,0,0,0,1,0,1,1,nasion,of hand,vtkMRMLScalarVolumeNode1\n"
    marks = load_landmarks(put(tmp_path / "a.fcsv", text))
    assert marks["nasion"].position.tolist() == [sign * 1.5, sign * -2.5, 3.5]
    assert marks["nasion"].description == "of hand" and marks["nasion"].status == "defined" and marks.unit == "mm"
    save_landmarks(marks, tmp_path / "b.fcsv", coordinate_system="LPS" if sign > 0 else "RAS")
    row = (tmp_path / "b.fcsv").read_text().splitlines()[-1]
    assert row == (
        "vtkMRMLMarkupsFiducialNode_0,1.5,-2.5,3.5,0,0,0,1,0,1,1,nasion,of hand,vtkMRMLScalarVolumeNode1,2,0"
    )


def test_the_status_that_slicer_5_adds_is_read(tmp_path):
    rows = "".join(f"{i},1,2,3,0,0,0,1,1,1,0,p{i},,,{i},0\n" for i in range(4))
    marks = load_landmarks(put(tmp_path / "a.fcsv", HEAD + COLUMNS + rows))
    assert [mark.status for mark in marks] == ["undefined", "preview", "defined", "missing"]
    assert [mark.position is None for mark in marks] == [True, False, False, True]


def test_landmarks_without_a_position_are_left_out_of_fcsv_aloud(tmp_path, told):
    marks = LandmarkSet((Landmark("a", (1, 2, 3), confidence=0.5), Landmark("b"), Landmark("c", status="undefined")))
    with told() as messages:
        save_landmarks(marks, tmp_path / "a.fcsv")
    assert len(messages) == 1 and "2 landmarks without a position were left out" in messages[0]
    back = load_landmarks(tmp_path / "a.fcsv")
    assert back.labels == ["a"] and back["a"].description == "confidence 0.50"


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (HEAD.replace("LPS", "IJK") + "0,1,2,3\n", ["'IJK'", "# CoordinateSystem = LPS"]),
        ("# Markups fiducial file version = 4.6\n0,1,2,3\n", ["does not say its coordinate system"]),
        ("", ["does not say its coordinate system"]),
        (HEAD + "0,1,2\n", ["line 3", "3 columns"]),
        (HEAD + "0,1,2,3\n1,1,2,x\n", ["line 4", "'x'"]),
        (HEAD + "0,1,2,inf\n", ["line 3", "'inf'"]),
        (HEAD + COLUMNS + "0,1,2,3,0,0,0,1,1,1,0,a,,,7,0\n", ["line 4", "'7'"]),
        (HEAD + '0,"1,5",2,3\n', ["line 3", "decimals with a point"]),
    ],
)
def test_an_fcsv_that_is_wrong_is_refused_with_the_line(tmp_path, refused, text, fragments):
    message = refused(LandmarkFileError, load_landmarks, put(tmp_path / "a.fcsv", text))
    assert all(fragment in message for fragment in fragments), message


def test_what_a_table_cannot_hold_is_refused(tmp_path, refused):
    pixels = LandmarkSet.from_positions(["a"], [[1, 2]], unit="px")
    assert "in px" in refused(LandmarkFileError, save_landmarks, pixels, tmp_path / "a.fcsv")
    lines = LandmarkSet.from_positions(["a\nb"], [[1, 2, 3]])
    assert "two lines" in refused(LandmarkFileError, save_landmarks, lines, tmp_path / "a.fcsv")
    null = LandmarkSet.from_positions(["a\0b"], [[1, 2, 3]])
    for suffix in (".csv", ".fcsv"):
        assert "null character" in refused(LandmarkFileError, save_landmarks, null, tmp_path / f"a{suffix}")
        wrong = {"coordinate_system": "IJK"}
        assert "'IJK'" in refused(LandmarkFileError, save_landmarks, lines, tmp_path / f"a{suffix}", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_another_encoding_is_refused(tmp_path, refused):
    path = put(tmp_path / "a.csv", "label,x_lps_mm,y_lps_mm,z_lps_mm\nGröße,1,2,3\n", encoding="latin-1")
    assert "not UTF-8" in refused(LandmarkFileError, load_landmarks, path)
