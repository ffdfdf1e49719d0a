"""Measurements as tables, workbooks and markups."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from LandmarkDetectorLib.core import Cancelled, LandmarkFileError, MeasurementError
from LandmarkDetectorLib.io import load_landmarks
from LandmarkDetectorLib.measure import Result, load_set
from LandmarkDetectorLib.measure.reports import NEEDS, SUFFIXES, check_can_be_written, norm_bar, save_measurements
from LandmarkDetectorLib.measure.reports.bars import cut_offs_of
from LandmarkDetectorLib.measure.reports.tables import compared_rows
from LandmarkDetectorLib.measure.subject import Measured, Reviewed, measure_subject
from Testing.measure.subjects import ceph_marks, fetus, head, solid_head

ROOT = Path(__file__).resolve().parents[2]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_long_table_says_of_each_result_all_that_is_known(tmp_path):
    save_measurements([head(Reviewed("Dr. Ada"))], tmp_path / "a.csv")
    rows = {row["measurement"]: row for row in rows_of(tmp_path / "a.csv")}
    sna = rows["SNA"]
    assert float(sna["value"]) == pytest.approx(82) and sna["unit"] == "degrees" and sna["view"] == "2D"
    assert float(sna["from"]) < 82 < float(sna["to"]) and sna["norm_mean"] == "82.0" and sna["norm_sd"] == ""
    assert sna["norm_source"].startswith("Steiner 1959") and sna["landmarks"] == "Sella, Nasion, Subspinale"
    assert (sna["reviewed"], sna["reviewed_by"], sna["model"], sna["model_version"]) == (
        "yes", "Dr. Ada", "toy-ceph", "1.2.0",
    )  # fmt: skip
    lost = rows["L1-NB angle"]
    assert (lost["value"], lost["not_computed"], lost["reviewed"]) == ("", "needs Lower incisor apex", "")


def test_a_number_in_a_table_is_the_number_to_the_last_digit(tmp_path):
    measured = head()
    save_measurements([measured], tmp_path / "a.csv")
    written = {row["measurement"]: row["value"] for row in rows_of(tmp_path / "a.csv")}
    assert {r.name: r.value for r in measured.computed} == {n: float(v) for n, v in written.items() if v}


def test_the_wide_table_has_a_row_a_subject_and_empty_cells_for_what_was_not_computed(tmp_path):
    few = measure_subject(ceph_marks(), ["wits"], subject="few")
    save_measurements([head(), few], tmp_path / "a.csv", wide=True)
    first, second = rows_of(tmp_path / "a.csv")
    assert float(first["steiner: SNA (degrees)"]) == pytest.approx(82) and first["steiner: L1-NB angle (degrees)"] == ""
    assert second["steiner: SNA (degrees)"] == "" and float(second["wits: Wits (mm)"])
    assert (first["subject"], first["review"]) == ("head", "not reviewed")


def test_views_stand_in_columns_of_their_own(tmp_path):
    save_measurements([solid_head()], tmp_path / "a.csv", wide=True)
    (row,) = rows_of(tmp_path / "a.csv")
    assert float(row["steiner: SNA, 3D (degrees)"]) == pytest.approx(82)
    assert float(row["steiner: SNA, mid-sagittal (degrees)"]) == pytest.approx(82)


def test_two_subjects_of_one_name_have_no_wide_table(tmp_path):
    with pytest.raises(MeasurementError, match="Two subjects are called 'head'"):
        save_measurements([head(), head()], tmp_path / "a.csv", wide=True)
    assert list(tmp_path.iterdir()) == []


def test_a_workbook_has_numbers_as_numbers_in_both_forms_and_says_what_they_are(tmp_path):
    odd = measure_subject(ceph_marks(), ["steiner"], subject="=1+1")
    save_measurements([head(), odd], tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["long", "wide", "about"]
    heads = [cell.value for cell in book["wide"][1]]
    assert book["wide"].cell(2, heads.index("steiner: SNA (degrees)") + 1).value == pytest.approx(82)
    assert book["wide"].cell(2, heads.index("steiner: L1-NB angle (degrees)") + 1).value is None
    assert book["wide"].cell(3, 1).value == "=1+1" and book["wide"].cell(3, 1).data_type == "s"
    save_measurements([odd], tmp_path / "odd.csv")
    assert "\n'=1+1," in (tmp_path / "odd.csv").read_text() and "\n=1+1," not in (tmp_path / "odd.csv").read_text()
    assert any("never 0" in str(row[1].value) for row in book["about"].iter_rows())


def test_markups_begin_with_the_landmarks_which_read_back_as_they_were(tmp_path):
    measured = head()
    save_measurements([measured], tmp_path / "a.mrk.json")
    back = load_landmarks(tmp_path / "a.mrk.json")
    assert back.labels == measured.landmarks.labels
    np.testing.assert_array_equal(back.positions, measured.landmarks.positions)
    np.testing.assert_array_equal(back[0].covariance, measured.landmarks[0].covariance)


def test_markups_carry_every_number_and_each_construction_as_its_kind_of_node(tmp_path):
    measured = head()
    save_measurements([measured], tmp_path / "a.mrk.json")
    markups = json.loads((tmp_path / "a.mrk.json").read_text("utf-8"))["markups"]
    numbers = {m["name"]: m for m in markups[0]["measurements"]}
    assert {r.name for r in measured.computed} <= set(numbers)
    assert numbers["SNA"]["value"] == pytest.approx(82) and numbers["SNA"]["units"] == "deg"
    assert "not reviewed" in numbers["SNA"]["description"] and "L1-NB angle" not in numbers
    nodes = {node["name"]: node for node in markups[1:]}
    assert nodes["SNA"]["type"] == "Angle" and nodes["SNA"]["measurements"][0]["enabled"]
    assert [point["label"] for point in nodes["SNA"]["controlPoints"]] == ["S", "N", "A"]
    assert nodes["S-N"]["type"] == "Line" and not nodes["S-N"]["measurements"][0]["enabled"]
    assert all(node["locked"] for node in nodes.values())


def test_a_second_measurement_replaces_the_numbers_and_nodes_of_the_first(tmp_path):
    first = head()
    save_measurements([first], tmp_path / "a.mrk.json")
    again = measure_subject(load_landmarks(tmp_path / "a.mrk.json"), ["steiner"])
    save_measurements([again], tmp_path / "b.mrk.json")
    one, other = (json.loads((tmp_path / name).read_text("utf-8"))["markups"] for name in ("a.mrk.json", "b.mrk.json"))
    assert [node["name"] for node in one[1:]] == [node["name"] for node in other[1:]]
    assert sorted(m["name"] for m in one[0]["measurements"]) == sorted(m["name"] for m in other[0]["measurements"])


def test_a_landmark_that_was_taken_away_takes_its_numbers_and_nodes_along(tmp_path):
    save_measurements([head()], tmp_path / "a.mrk.json")
    marks = load_landmarks(tmp_path / "a.mrk.json")
    kept = marks.info["markups"]
    own = {"type": "Line", "name": "S-A", "locked": False, "controlPoints": []}
    said = {"name": "mine", "value": 7.0, "description": "measured by hand; reviewed"}
    kept["after"].append(own)
    kept["markup"]["measurements"].append(said)
    fewer = replace(marks, landmarks=tuple(mark for mark in marks if mark.label != "Subspinale"))
    save_measurements([measure_subject(fewer, ["steiner", "wits"])], tmp_path / "b.mrk.json")
    points, *nodes = json.loads((tmp_path / "b.mrk.json").read_text("utf-8"))["markups"]
    assert own in nodes and said in points["measurements"]
    names = [m["name"] for m in points["measurements"]]
    assert "steiner: SNB" in names and not {"SNA", "SNB", "steiner: SNA"} & set(names)
    used = {point["label"] for node in nodes for point in node["controlPoints"]}
    assert "B" in used and "A" not in used and "SNA" not in {node["name"] for node in nodes}


def test_slicer_reads_all_nodes_and_computes_the_same_lengths_and_angles(tmp_path, monkeypatch):
    slicer = pytest.importorskip(
        "slicer", reason="slicer-core is not installed (pip install landmark-detector[desktop])"
    )
    measured = solid_head(sets=("steiner", "mcnamara"))
    save_measurements([measured], tmp_path / "a.mrk.json")
    import vtk

    scene = slicer.vtkMRMLScene()
    vtk.vtkObject.GlobalWarningDisplayOff()  # the logic misses an application's selection of the active list
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    kinds = ("Fiducial", "Line", "Angle", "Plane")
    for kind in kinds:
        scene.RegisterNodeClass(getattr(slicer, f"vtkMRMLMarkups{kind}Node")())
    scene.RegisterNodeClass(slicer.vtkMRMLMarkupsJsonStorageNode())
    scene.RegisterNodeClass(slicer.vtkMRMLMarkupsPlaneJsonStorageNode())
    logic = slicer.vtkSlicerMarkupsLogic()
    logic.SetMRMLScene(scene)
    assert logic.LoadMarkupsFromJson(str(tmp_path / "a.mrk.json"))
    vtk.vtkObject.GlobalWarningDisplayOn()
    values = {f"{r.set_name}: {r.name}, {r.view}": r.value for r in measured.computed}
    compared = 0
    for kind, name in (("Line", "length"), ("Angle", "angle")):
        nodes = scene.GetNodesByClass(f"vtkMRMLMarkups{kind}Node")
        for number in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(number)
            own = node.GetMeasurement(name)
            if node.GetName() in values and own.GetEnabled():
                assert own.GetValue() == pytest.approx(values[node.GetName()], abs=1e-4), node.GetName()
                compared += 1
    assert compared >= 5
    points = scene.GetNodesByClass("vtkMRMLMarkupsFiducialNode").GetItemAsObject(0)
    assert points.GetNumberOfControlPoints() == len(measured.landmarks)
    assert points.GetMeasurement("steiner: SNA, 3D").GetValue() == pytest.approx(82)
    planes = scene.GetNodesByClass("vtkMRMLMarkupsPlaneNode")
    assert planes.GetNumberOfItems() > 0
    normal = np.zeros(3)
    planes.GetItemAsObject(0).GetNormalWorld(normal)
    assert np.linalg.norm(normal) == pytest.approx(1)


def test_a_bar_places_value_interval_norm_and_cut_offs_on_one_axis():
    measured = head()
    found = {result.name: result for result in measured.results}
    anb = next(m for m in measured.sets[0].definition.measurements if m.name == "ANB")
    bar = norm_bar(found["ANB"], cut_offs_of(anb, found["ANB"]))
    assert bar.low < 0 and bar.high > 4 and bar.cut_offs == (0, 4) and bar.mean == 2 and bar.usual is None
    assert 0 < bar.at(0) < bar.at(bar.value) < bar.at(4) < 1 and bar.at(-99) == 0
    assert norm_bar(found["L1-NB angle"]) is None and norm_bar(found["Pog-NB"]) is None
    index = next(result for result in fetus().results if result.name == "CI")
    assert norm_bar(index).usual == (74, 83)


def test_the_ends_of_a_bar_are_told_apart_of_a_ratio_as_of_an_angle():
    """Of an Evans index near its cut-off both said 0.3."""
    evans = load_set("brain").definition.measurements[1]
    ratio = norm_bar(Result("Evans", evans.title, 0.287, "ratio", "2D"), evans.cut_offs)
    assert [f"{end:.{ratio.digits}f}" for end in (ratio.low, ratio.high)] == ["0.286", "0.301"]
    angle = norm_bar(Result("HKA", "", 181.0, "degrees", "2D"), (evans.cut_offs[0].model_copy(update={"value": 179}),))
    assert [f"{end:.{angle.digits}f}" for end in (angle.low, angle.high)] == ["178.9", "181.1"]


def test_a_file_of_one_subject_refuses_several_and_an_unknown_suffix_is_named(tmp_path):
    with pytest.raises(LandmarkFileError, match="holds one subject and 2 were measured"):
        save_measurements([head(), fetus()], tmp_path / "a.mrk.json")
    with pytest.raises(LandmarkFileError, match="measurements are written as .csv, .xlsx"):
        check_can_be_written([tmp_path / "a.doc"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    pytest.importorskip("highdicom" if suffix == ".dcm" else "reportlab" if suffix == ".pdf" else "json")
    file = tmp_path / f"a{suffix}"
    file.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("LandmarkDetectorLib.io.atomic.settle", full)
    with pytest.raises(LandmarkFileError, match="No space left"):
        save_measurements([fetus()], file)
    assert file.read_bytes() == b"before" and list(tmp_path.iterdir()) == [file]


def test_tables_and_markups_need_nothing_that_slicer_has_not(tmp_path):
    script = """
import sys
REFUSED = {"matplotlib", "jinja2", "reportlab", "highdicom", "torch", "monai", "typer", "rich"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Refuse())
from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.measure.reports import save_measurements
from Testing.measure.subjects import head
measured = head()
for suffix in (".csv", ".xlsx", ".mrk.json"):
    save_measurements([measured], sys.argv[1] + "/a" + suffix)
from LandmarkDetectorLib.measure.reports.html import render_measurements
try:
    render_measurements(measured)
except LandmarkDetectorError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.xlsx", "a.mrk.json"}
    assert "landmark-detector[report]" in done.stdout and len(done.stdout.splitlines()) == 1


def later(shift: float = 1.5) -> Measured:
    """The same head at another time, its Supramentale ahead."""
    first = head()
    marks = [
        replace(mark, position=mark.position + [shift, 0]) if mark.label == "Supramentale" else mark
        for mark in first.landmarks
    ]
    moved = replace(first.landmarks, landmarks=tuple(marks))
    return measure_subject(moved, ["steiner"], subject="later", image=first.image, card=first.card)


def test_two_times_stand_beside_each_other_with_their_difference_and_its_uncertainty(tmp_path):
    first, second = head(), later()
    save_measurements([first, second], tmp_path / "a.csv", compared=True)
    rows = {row["measurement"]: row for row in rows_of(tmp_path / "a.csv")}
    one, other = (next(r for r in each.results if r.name == "SNB") for each in (first, second))
    snb = rows["SNB"]
    assert float(snb["difference"]) == pytest.approx(other.value - one.value) and float(snb["difference"]) > 0.5
    reach = np.hypot(one.interval.high - one.value, other.interval.high - other.value)
    assert float(snb["difference_reach"]) == pytest.approx(reach)
    assert (snb["second_subject"], snb["second_reviewed"]) == ("later", "no")
    assert float(rows["SNA"]["difference"]) == pytest.approx(0)
    lost = rows["L1-NB angle"]
    assert lost["difference"] == "" and lost["second_not_computed"] == "needs Lower incisor apex"


def test_pixels_and_millimetres_have_no_difference():
    one, other = (measure_subject(ceph_marks(unit=unit), ["jarabak"]) for unit in ("mm", "px"))
    header, *rows = compared_rows(one, other)
    by_name = {row[header.index("measurement")]: row for row in rows}
    change = header.index("difference")
    assert by_name["S-N"][change] is None and by_name["Saddle angle"][change] == pytest.approx(0)


def test_a_workbook_of_two_times_begins_with_the_difference(tmp_path):
    save_measurements([head(), later()], tmp_path / "a.xlsx", compared=True)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["difference", "long", "wide", "about"]
    with pytest.raises(MeasurementError, match="Two times are compared, and 1 were given"):
        save_measurements([head()], tmp_path / "b.xlsx", compared=True)


def test_a_report_tells_how_far_it_is_and_can_be_stopped(tmp_path):
    told: list[tuple[str, float]] = []
    for suffix in (".html", ".pdf"):
        told.clear()
        save_measurements([head()], tmp_path / f"a{suffix}", progress=lambda *said: told.append(said))
        assert told[0] == ("drawing the whole image", 0.0) and "drawing SNB" in {what for what, _ in told}
        assert all(0 <= done < 1 for _, done in told)

        def stop(what: str, done: float) -> None:
            if what == "drawing SNB":
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            save_measurements([head()], tmp_path / f"b{suffix}", progress=stop)
        assert not (tmp_path / f"b{suffix}").exists()


def test_the_packages_of_reports_are_those_of_the_extra():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    lines = {line for lines in NEEDS.values() for line in lines}
    assert all(f'"{line}"' in text for line in lines), lines
