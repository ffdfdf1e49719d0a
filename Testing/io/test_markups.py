"""Slicer's markups: what is read, what is kept, what is written, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks, save_landmarks

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
SPREAD = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.25], [-0.1, 0.25, 0.5]])


def document(points, schema=SCHEMA, **markup):
    entry = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points, **markup}
    return {"@schema": schema, "markups": [entry]}


def put(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def point(label="a", position=(1.0, 2.0, 3.0), **more):
    return {"label": label, "position": list(position) if position is not None else "", **more}


def same(left, right, tolerance=0.0):
    assert left.labels == right.labels and left.unit == right.unit and left.dimension == right.dimension
    for a, b in zip(left, right, strict=True):
        assert (a.status, a.confidence, a.description) == (b.status, b.confidence, b.description)
        for mine, theirs in ((a.position, b.position), (a.covariance, b.covariance)):
            assert (mine is None) == (theirs is None)
            assert mine is None or np.abs(mine - theirs).max() <= tolerance
    return True


def test_all_four_statuses_are_read(tmp_path):
    points = [
        point("a", positionStatus="defined"),
        point("b", (4, 5, 6), positionStatus="preview"),
        point("c", None, positionStatus="missing"),
        point("d", None, positionStatus="undefined"),
        {"label": "e"},
        point("f"),
        point("g", (9, 9, 9), positionStatus="missing"),
        point("h", None, positionStatus="preview"),
    ]
    marks = load_landmarks(put(tmp_path / "a.mrk.json", document(points)))
    statuses = ["defined", "preview", "missing", "undefined", "undefined", "defined", "missing", "undefined"]
    assert [mark.status for mark in marks] == statuses
    assert [mark.position is None for mark in marks] == [False, False, True, True, True, False, True, True]
    assert marks.name == "a" and marks.unit == "mm"


def test_a_defined_landmark_without_a_position_is_undefined_aloud(tmp_path, told):
    points = [point(), point("b", None, positionStatus="defined")]
    with told() as messages:
        marks = load_landmarks(put(tmp_path / "a.mrk.json", document(points)))
    assert marks[1].status == "undefined"
    assert messages == ["a.mrk.json: control point 2 is defined but has no position; it was read as undefined."]


def test_ras_is_turned_to_lps_and_back(tmp_path):
    orientation = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    points = [point("a", (1.5, -2.5, 3.5), orientation=orientation)]
    marks = load_landmarks(put(tmp_path / "a.mrk.json", document(points, coordinateSystem="RAS")))
    assert marks["a"].position.tolist() == [-1.5, 2.5, 3.5]
    for system, sign in (("LPS", -1), ("RAS", 1)):
        save_landmarks(marks, tmp_path / "b.mrk.json", coordinate_system=system)
        written = json.loads((tmp_path / "b.mrk.json").read_text())["markups"][0]
        assert written["coordinateSystem"] == system
        assert written["controlPoints"][0]["position"] == [sign * 1.5, sign * -2.5, 3.5]
        assert written["controlPoints"][0]["orientation"] == [sign * v for v in orientation[:6]] + orientation[6:]
        assert same(load_landmarks(tmp_path / "b.mrk.json"), marks)


def test_a_file_without_a_coordinate_system_is_lps_as_in_slicer(tmp_path):
    content = document([point()])
    del content["markups"][0]["coordinateSystem"], content["markups"][0]["coordinateUnits"]
    assert load_landmarks(put(tmp_path / "a.mrk.json", content))["a"].position.tolist() == [1.0, 2.0, 3.0]


def test_reading_and_writing_changes_nothing(tmp_path):
    extras = {
        "id": "x7",
        "associatedNodeID": "vtkMRMLModelNode1",
        "selected": False,
        "locked": True,
        "visibility": False,
    }
    points = [
        {
            **point("a"),
            "description": "of hand",
            **extras,
            "orientation": [0.0] * 9,
            "positionStatus": "defined",
            "own": [1],
        },
        {**point("a", (4.0, 5.0, 6.0)), "description": "", **extras, "id": "x8", "orientation": [1.0] * 9}
        | {"positionStatus": "defined", "selected": True},
    ]
    line = {"type": "Line", "controlPoints": [], "secret": None}
    content = document(
        points,
        schema=SCHEMA.replace("1.0.3", "1.0.0"),
        name="my points",
        locked=True,
        fixedNumberOfControlPoints=True,
        labelFormat="%d",
        lastUsedControlPointNumber=9,
        measurements=[{"name": "length", "enabled": True, "value": 3.5}, "odd"],
        display={"color": [0.1, 0.2, 0.3], "unknown": {"deep": True}},
        planned="2031",
    )
    content = {**content, "generator": "somebody", "markups": [line, *content["markups"], line]}
    path = put(tmp_path / "a.mrk.json", content)
    with pytest.warns(match="3 markups; the first point list was read"):
        marks = load_landmarks(path)
    save_landmarks(marks, path)
    assert json.loads(path.read_text()) == content


def test_what_was_kept_follows_the_label_and_not_the_order(tmp_path):
    points = [point("a", id="1", selected=False), point("b", id="2", locked=True), point("a", id="3", note="second")]
    marks = load_landmarks(put(tmp_path / "a.mrk.json", document(points)))
    turned = replace(marks, landmarks=(marks[1], Landmark("new", (0, 0, 0)), marks[0], marks[2]))
    save_landmarks(turned, tmp_path / "b.mrk.json")
    written = json.loads((tmp_path / "b.mrk.json").read_text())["markups"][0]["controlPoints"]
    assert [entry["label"] for entry in written] == ["b", "new", "a", "a"]
    assert [entry["locked"] for entry in written] == [True, False, False, False]
    assert [entry["selected"] for entry in written] == [True, True, False, True]
    assert written[3]["note"] == "second"
    assert [entry["id"] for entry in written] == ["2", "4", "1", "3"]


def test_a_new_set_is_ready_for_review(tmp_path):
    marks = LandmarkSet.from_positions(["a", "b"], [[1, 2, 3], [np.nan] * 3], name="proposal")
    save_landmarks(marks, tmp_path / "a.mrk.json")
    markup = json.loads((tmp_path / "a.mrk.json").read_text())["markups"][0]
    assert markup["locked"] is False and markup["type"] == "Fiducial" and markup["name"] == "proposal"
    assert [entry["label"] for entry in markup["controlPoints"]] == ["a", "b"]
    assert all(not entry["locked"] and entry["visibility"] for entry in markup["controlPoints"])
    assert markup["controlPoints"][1]["position"] == "" and markup["controlPoints"][1]["positionStatus"] == "missing"
    assert len({entry["id"] for entry in markup["controlPoints"]}) == 2
    assert markup["measurements"] == []


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_confidence_and_covariance_come_back(tmp_path, system):
    marks = LandmarkSet(
        (
            Landmark("a", (1, 2, 3), confidence=1 / 3, covariance=SPREAD),
            Landmark("b", (4, 5, 6), confidence=0.0),
            Landmark("c", (4, 5, 6), covariance=np.zeros((3, 3)), description="seen by hand"),
            Landmark("d", status="missing", confidence=0.03),
            Landmark("e", (7, 8, 9)),
        ),
        info={"bundle": "skull 1.0"},
    )
    save_landmarks(marks, tmp_path / "a.mrk.json", coordinate_system=system)
    back = load_landmarks(tmp_path / "a.mrk.json")
    assert same(back, marks) and back.info["bundle"] == "skull 1.0"
    written = json.loads((tmp_path / "a.mrk.json").read_text())["markups"][0]["controlPoints"]
    assert [entry["description"] for entry in written] == [
        "confidence 0.33, standard deviation 1.4 mm",
        "confidence 0.00",
        "seen by hand",
        "confidence 0.03",
        "",
    ]
    save_landmarks(back, tmp_path / "b.mrk.json", coordinate_system=system)
    assert (tmp_path / "a.mrk.json").read_bytes() == (tmp_path / "b.mrk.json").read_bytes()


@pytest.mark.parametrize("unit", ["mm", "px"])
def test_a_flat_set_comes_back_flat(tmp_path, unit):
    marks = LandmarkSet(
        (Landmark("a", (1.5, 2.5), confidence=0.5, covariance=SPREAD[:2, :2]), Landmark("b")), unit=unit
    )
    save_landmarks(marks, tmp_path / "a.mrk.json")
    markup = json.loads((tmp_path / "a.mrk.json").read_text())["markups"][0]
    assert markup["coordinateUnits"] == unit and markup["controlPoints"][0]["position"] == [1.5, 2.5, 0.0]
    assert same(load_landmarks(tmp_path / "a.mrk.json"), marks)
    markup["coordinateUnits"] = "mm"  # as Slicer does when it saves
    assert load_landmarks(put(tmp_path / "a.mrk.json", {"@schema": SCHEMA, "markups": [markup]})).unit == unit


def test_a_flat_set_whose_landmark_was_pulled_off_the_plane_is_read_in_three_dimensions(tmp_path, told):
    save_landmarks(LandmarkSet.from_positions(["a"], [[1.5, 2.5]], unit="px"), tmp_path / "a.mrk.json")
    content = json.loads((tmp_path / "a.mrk.json").read_text())
    content["markups"][0]["controlPoints"][0]["position"][2] = 4.0
    with told() as messages:
        marks = load_landmarks(put(tmp_path / "a.mrk.json", content))
    assert marks.dimension == 3 and marks.unit == "px" and "left its plane" in messages[0]


def test_confidence_follows_its_landmark_when_a_person_edits_the_list(tmp_path, told):
    rows = ((name, (i, 0, 0)) for i, name in enumerate("abcd"))
    marks = LandmarkSet(tuple(Landmark(name, at, confidence=(i + 1) / 10) for i, (name, at) in enumerate(rows)))
    save_landmarks(marks, tmp_path / "a.mrk.json")
    content = json.loads((tmp_path / "a.mrk.json").read_text())
    points = content["markups"][0]["controlPoints"]
    del points[1]  # Slicer keeps the measurements' values as they were
    points.insert(0, {**points[0], "id": "99", "label": "placed anew", "description": ""})
    points[2]["label"] = "renamed"
    with told() as messages:
        back = load_landmarks(put(tmp_path / "a.mrk.json", content))
    assert {mark.label: mark.confidence for mark in back} == {"placed anew": None, "a": 0.1, "renamed": None, "d": 0.4}
    assert messages == ["a.mrk.json: control points that were added or renamed have no confidence or covariance."]


def test_measurements_of_others_are_not_taken_for_ours(tmp_path, told):
    measurements = [
        {"name": "confidence", "controlPointValues": [93.0, 12.0]},
        {"name": "covariance xx", "controlPointValues": "none"},
        {"name": "landmark detector", "value": 2, "units": "mm", "description": "not JSON"},
        {"enabled": True},
    ]
    path = put(tmp_path / "a.mrk.json", document([point("a"), point("b")], measurements=measurements))
    with told() as messages:
        marks = load_landmarks(path)
    assert messages == [] and [mark.confidence for mark in marks] == [None, None] and marks.dimension == 3
    save_landmarks(marks, path)
    assert json.loads(path.read_text())["markups"][0]["measurements"] == measurements


def test_values_that_do_not_fit_the_points_are_left_out_aloud(tmp_path, told):
    measurements = [{"name": "confidence", "controlPointValues": [0.5, 0.5, 0.5]}]
    with told() as messages:
        marks = load_landmarks(put(tmp_path / "a.mrk.json", document([point("a")], measurements=measurements)))
    assert marks["a"].confidence is None and "do not fit its control points" in messages[0]


def test_confidence_written_by_somebody_else_is_read_in_order(tmp_path):
    measurements = [{"name": "confidence", "controlPointValues": [0.5, -1, 1]}]
    points = [point("a"), point("a"), point("b")]
    marks = load_landmarks(put(tmp_path / "a.mrk.json", document(points, measurements=measurements)))
    assert [mark.confidence for mark in marks] == [0.5, None, 1.0]


def test_labels_may_stand_twice_in_a_file(tmp_path):
    marks = LandmarkSet(tuple(Landmark("a", (i, 0, 0), confidence=i / 10) for i in range(3)))
    save_landmarks(marks, tmp_path / "a.mrk.json")
    assert same(load_landmarks(tmp_path / "a.mrk.json"), marks)


def test_ten_thousand_landmarks_come_back(tmp_path):
    rng = np.random.default_rng(0)
    places = rng.normal(size=(10_000, 3)) * 1e3
    marks = LandmarkSet(
        tuple(Landmark(f"№ {i}", place, confidence=rng.random(), covariance=SPREAD) for i, place in enumerate(places))
    )
    save_landmarks(marks, tmp_path / "a.mrk.json", coordinate_system="RAS")
    assert same(load_landmarks(tmp_path / "a.mrk.json"), marks)


numbers = st.floats(-1e6, 1e6, allow_subnormal=True)
words = st.text(max_size=12)


@st.composite
def landmarks(draw, dimension):
    status = draw(st.sampled_from(["defined", "preview", "missing", "undefined"]))
    placed = status in ("defined", "preview")
    position = draw(st.tuples(*[numbers] * dimension)) if placed else None
    covariance = None
    if placed and draw(st.booleans()):
        root = np.array(draw(st.lists(st.floats(-10, 10), min_size=dimension**2, max_size=dimension**2)))
        covariance = root.reshape(dimension, dimension) @ root.reshape(dimension, dimension).T
        covariance = (covariance + covariance.T) / 2
    confidence = draw(st.none() | st.floats(0, 1))
    return Landmark(draw(words), position, status, confidence, covariance, draw(words))


@st.composite
def landmark_sets(draw):
    dimension, unit = draw(st.sampled_from([2, 3])), draw(st.sampled_from(["mm", "px"]))
    marks = draw(st.lists(landmarks(dimension), max_size=6))
    return LandmarkSet(tuple(marks), unit, draw(st.text(min_size=1, max_size=9)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(marks=landmark_sets(), system=st.sampled_from(["LPS", "RAS"]))
def test_any_set_comes_back_exactly(tmp_path, marks, system):
    save_landmarks(marks, tmp_path / "any.mrk.json", coordinate_system=system)
    back = load_landmarks(tmp_path / "any.mrk.json")
    assert same(back, marks) and back.name == marks.name
    again = tmp_path / "again.mrk.json"
    save_landmarks(back, again, coordinate_system=system)
    assert again.read_bytes() == (tmp_path / "any.mrk.json").read_bytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
point_keys = ["id", "label", "position", "orientation", "positionStatus", "description", "selected"]
markup_keys = ["type", "coordinateSystem", "coordinateUnits", "controlPoints", "measurements", "name"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(key=st.sampled_from(point_keys), other=st.sampled_from(markup_keys), value=json_values, deep=st.booleans())
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_a_sentence(tmp_path, key, other, value, deep):
    content = document(
        [point("a"), {**point("b"), **({key: value} if deep else {})}], **({} if deep else {other: value})
    )
    path = put(tmp_path / "a.mrk.json", content)
    try:
        marks = load_landmarks(path)
    except LandmarkFileError as error:
        assert str(error).startswith("a.mrk.json: ") and str(error).endswith(".")
    else:
        save_landmarks(marks, tmp_path / "b.mrk.json")
        assert same(load_landmarks(tmp_path / "b.mrk.json"), marks)


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (document([point(), point("b", (1, np.nan, 3))]), ["control point 2", "position that is not finite"]),
        (document([point("b", (np.inf, 1, 3))]), ["control point 1", "position that is not finite"]),
        (json.dumps(document([point()])).replace("2.0", "1e999"), ["control point 1", "not finite"]),
        (json.dumps(document([point()])).replace("2.0", "1" * 400), ["control point 1", "not finite"]),
        (json.dumps(document([point()])).replace("2.0", "1" * 5000), ["too many digits"]),
        (document([point("b", (1, 2))]), ["control point 1", "position that is not 3 numbers"]),
        (document([point("b", (1, "2", 3))]), ["control point 1", "position that is not 3 numbers"]),
        (document([point("b", (1, True, 3))]), ["control point 1", "position that is not 3 numbers"]),
        (document([{"label": "b", "position": {"x": 1}}]), ["control point 1", "position"]),
        (document([point(), 7]), ["control point 2", "no object"]),
        (document([point(7)]), ["control point 1", "label that is not text"]),
        (document([point(positionStatus="lost")]), ["control point 1", "'lost'", "defined"]),
        (document([point(locked="yes")]), ["control point 1", "'yes' for locked"]),
        (document([point(orientation=[1, 2])]), ["control point 1", "orientation that is not 9 numbers"]),
        (document([point()], coordinateSystem="IJK"), ["'IJK'", "neither LPS nor RAS"]),
        (document([point()], coordinateUnits="inch"), ["'inch'", "mm, um, px"]),
        (document({"a": 1}), ["controlPoints are no list"]),
        (document([], measurements=3), ["measurements are no list"]),
        (document([point()], name=["x"]), ["name"]),
        (document([point()], own=[1, np.nan]), ["NaN"]),
        (document([point()], type="Curve"), ["Curve", "no point list"]),
        ({"@schema": SCHEMA, "markups": []}, ["nothing", "no point list"]),
        ({"@schema": SCHEMA, "markups": {}}, ["no list of markups"]),
        ({"@schema": SCHEMA}, ["no list of markups"]),
        (document([point()], schema="https://example.org/markups-schema-v2.0.0.json#"), ["schema markups 1.x"]),
        ({"markups": []}, ["schema markups 1.x"]),
        ([1, 2], ["schema markups 1.x"]),
        (json.dumps(document([point()]))[:-9], ["no valid JSON", "line 1"]),
        ("", ["no valid JSON"]),
        ("[" * 100_000, ["nested too deeply"]),
        ('{"@schema": "a", "@schema": "b"}', ["'@schema' stands twice"]),
        (
            json.dumps(document([point()])).replace('"label": "a"', '"label": "a", "label": "b"'),
            ["'label' stands twice"],
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path, refused, content, fragments):
    message = refused(LandmarkFileError, load_landmarks, put(tmp_path / "my points.mrk.json", content))
    assert message.startswith("my points.mrk.json: ") and all(fragment in message for fragment in fragments), message


def test_covariance_that_cannot_be_is_refused(tmp_path, refused):
    save_landmarks(LandmarkSet((Landmark("a", (1, 2, 3), covariance=SPREAD),)), tmp_path / "a.mrk.json")
    content = json.loads((tmp_path / "a.mrk.json").read_text())
    content["markups"][0]["measurements"][1]["controlPointValues"] = [-7.0]
    assert "'a'" in refused(LandmarkFileError, load_landmarks, put(tmp_path / "a.mrk.json", content))


def test_micrometres_become_millimetres(tmp_path):
    for unit in ("um", ["um", "UCUM", "micrometer"]):
        content = document([point("a", (1500.0, 0.0, -2.0))], coordinateUnits=unit)
        marks = load_landmarks(put(tmp_path / "a.mrk.json", content))
        assert marks.unit == "mm" and marks["a"].position == pytest.approx([1.5, 0.0, -0.002])


def test_files_that_are_not_there_or_not_text_are_refused(tmp_path, refused):
    assert "no such file" in refused(LandmarkFileError, load_landmarks, tmp_path / "a.mrk.json")
    (tmp_path / "b.mrk.json").mkdir()
    assert "cannot be opened" in refused(LandmarkFileError, load_landmarks, tmp_path / "b.mrk.json")
    (tmp_path / "c.mrk.json").write_bytes(b"\xff\xfe\x00{")
    assert "not UTF-8" in refused(LandmarkFileError, load_landmarks, tmp_path / "c.mrk.json")
    assert ".mrk.json, .json, .fcsv, .csv" in refused(LandmarkFileError, load_landmarks, tmp_path / "d.vtk")
    marks = LandmarkSet.from_positions(["a"], [[1, 2, 3]])
    assert ".mrk.json, .json, .fcsv, .csv" in refused(LandmarkFileError, save_landmarks, marks, tmp_path / "d.txt")


def test_a_file_too_large_for_landmarks_is_refused_unread(tmp_path, refused):
    with open(tmp_path / "scan.json", "wb") as stream:
        stream.truncate(600 * 2**20)
    assert "too many for landmarks" in refused(LandmarkFileError, load_landmarks, tmp_path / "scan.json")


def test_what_cannot_be_written_leaves_the_old_file(tmp_path, refused):
    path = tmp_path / "a.mrk.json"
    good = LandmarkSet.from_positions(["a"], [[1, 2, 3]])
    save_landmarks(good, path)
    before = path.read_bytes()
    assert "no coordinate system" in refused(LandmarkFileError, save_landmarks, good, path, coordinate_system="IJK")
    for info in ({"model": object()}, {"loss": float("nan")}):
        assert "JSON" in refused(LandmarkFileError, save_landmarks, replace(good, info=info), path)
    broken = LandmarkSet.from_positions(["\ud800"], [[1, 2, 3]])
    assert "UTF-8" in refused(LandmarkFileError, save_landmarks, broken, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.mrk.json"]


def test_plain_json_is_read_only_if_it_is_markups(tmp_path, refused):
    put(tmp_path / "a.json", document([point()]))
    assert load_landmarks(tmp_path / "a.json").labels == ["a"]
    put(tmp_path / "b.json", {"landmarks": []})
    assert "schema" in refused(LandmarkFileError, load_landmarks, tmp_path / "b.json")
