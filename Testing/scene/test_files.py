"""Results through files and saved scenes: what a person said is there when they are opened again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from LandmarkDetector.Scene.export import export
from LandmarkDetector.Scene.result import (
    create_result,
    is_result,
    landmark_set_of,
    update_result,
    volume_of,
)
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks, save_landmarks
from Testing.scene.nodes import SPREAD, add_linear, counts

WANTED = {"a": "confirmed", "b": "not found", "c": "corrected", "d": "absent", "e": "unreviewed", "mine": "corrected"}


@pytest.fixture
def reviewed(scene, ct) -> Review:
    """A review with every status, and a landmark that a person added."""
    marks = [
        Landmark(label, (10.0 * i, -20.0 * i, 1 / (3 + i)), confidence=0.9 - 0.1 * i, covariance=SPREAD * (i + 1))
        for i, label in enumerate("abcde")
    ]
    marks[1] = Landmark("b", status="missing")
    source = {"bundle": "heads", "version": "1.2.3", "fingerprint": "f" * 64}
    review = Review(create_result(scene, LandmarkSet(tuple(marks), info=source), ct))
    keys = {row.label: row.point_id for row in review.rows()}
    review.confirm([keys["a"]])
    review.node.SetNthControlPointPosition(2, 7, 8, 9)
    review.mark_absent([keys["d"]])
    review.node.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "mine")
    assert statuses(review) == WANTED
    return review


def statuses(review: Review) -> dict[str, str]:
    return {row.label: row.status for row in sorted(review.rows(), key=lambda row: row.index)}


def opened(scene: Any, path: Path, storage_class: str = "vtkMRMLMarkupsJsonStorageNode") -> Any:
    storage = scene.AddNewNodeByClass(storage_class)
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "opened")
    assert storage.ReadData(node) == 1
    return node


def saved(scene: Any, node: Any, path: Path, storage_class: str = "vtkMRMLMarkupsJsonStorageNode") -> Path:
    storage = scene.AddNewNodeByClass(storage_class)
    storage.SetFileName(str(path))
    assert storage.WriteData(node) == 1
    return path


def same(a: LandmarkSet, b: LandmarkSet) -> bool:
    assert a.labels == b.labels and a.unit == b.unit
    for one, other in zip(a, b, strict=True):
        assert one.status == other.status
        for left, right in ((one.position, other.position), (one.covariance, other.covariance)):
            assert (left is None) == (right is None)
            assert left is None or np.allclose(left, right, rtol=1e-14, atol=1e-12)
        assert one.confidence == other.confidence
    return True


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_an_exported_file_is_read_by_the_library_with_confidence_and_covariance(reviewed, tmp_path, system):
    export(reviewed.node, tmp_path / "a.mrk.json", system)
    back = load_landmarks(tmp_path / "a.mrk.json")
    assert same(back, landmark_set_of(reviewed.node))
    assert back["a"].confidence == 0.9 and np.allclose(back["a"].covariance, SPREAD)
    assert back["c"].confidence is None and back["d"].status == "missing"
    assert back.info["bundle"] == "heads" and back.info["fingerprint"] == "f" * 64


@pytest.mark.parametrize("rewritten", [False, True], ids=["as it is", "rewritten by the library"])
def test_an_exported_file_that_slicer_opens_shows_the_same_review(reviewed, scene, tmp_path, rewritten):
    path = tmp_path / "a.mrk.json"
    export(reviewed.node, path)
    if rewritten:
        save_landmarks(load_landmarks(path), path)
    node = opened(scene, path)
    assert is_result(node)
    again = Review(node)
    assert statuses(again) == WANTED
    assert {row.label: row.confidence for row in again.rows()} == {row.label: row.confidence for row in reviewed.rows()}
    assert [source["version"] for source in again.state.sources] == ["1.2.3"]
    again.reset(row.point_id for row in again.rows())
    proposals = {row.label: (row.position, row.confidence) for row in again.rows()}
    assert np.allclose(proposals["c"][0], (20, -40, 0.2)) and proposals["c"][1] == pytest.approx(0.7)
    assert np.allclose(proposals["d"][0], (30, -60, 1 / 6)) and proposals["b"] == (None, None)
    assert np.allclose(again.state.points[again.rows()[-1].point_id].at or 0, (-1, -2, 3))


def test_a_file_that_slicer_saves_carries_the_review_as_well(reviewed, scene, tmp_path):
    path = saved(scene, reviewed.node, tmp_path / "b.mrk.json")
    assert statuses(Review(opened(scene, path))) == WANTED
    assert same(load_landmarks(path), landmark_set_of(reviewed.node))


def test_proposals_of_an_exported_file_stand_in_the_world(scene, ct, marks, tmp_path):
    ct.SetAndObserveTransformNodeID(add_linear(scene).GetID())
    review = Review(create_result(scene, marks, ct))
    proposed = landmark_set_of(review.node)
    review.mark_absent(row.point_id for row in review.rows())
    export(review.node, tmp_path / "a.mrk.json")
    again = Review(opened(scene, tmp_path / "a.mrk.json"))
    assert counts(again)["absent"] == 4
    again.reset(row.point_id for row in again.rows())
    assert same(landmark_set_of(again.node), proposed)


@pytest.mark.parametrize("ending", ["mrml", "mrb"])
def test_a_saved_scene_that_is_opened_again_has_the_review(world, reviewed, ct, tmp_path, ending):
    scene = world.scene
    transform = add_linear(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    reviewed.node.SetAndObserveTransformNodeID(transform.GetID())
    reviewed.node.SetNthControlPointDescription(0, 'said; "so" & <é>: 100 %')
    before, state = reviewed.rows(), reviewed.state
    if ending == "mrb":
        path = tmp_path / "scene.mrb"
        assert scene.WriteToMRB(str(path))
    else:
        path = tmp_path / "scene.mrml"
        for node in (reviewed.node, ct, transform):
            node.AddDefaultStorageNode()
            name = {"MarkupsFiducial": "points.mrk.json", "LinearTransform": "moved.h5"}.get(
                node.GetNodeTagName(), "ct.nrrd"
            )
            node.GetStorageNode().SetFileName(str(tmp_path / name))
            assert node.GetStorageNode().WriteData(node) == 1
        scene.SetURL(str(path))
        assert scene.Commit(str(path))
    scene.Clear(0)
    if ending == "mrb":
        data = slicer.vtkDataIOManager()
        data.SetCacheManager(slicer.vtkCacheManager())
        scene.SetDataIOManager(data)
        assert scene.ReadFromMRB(str(path))
    else:
        scene.SetURL(str(path))
        assert scene.Connect()
    node = scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert is_result(node) and node.GetName() == "CT heads"
    again = Review(node)
    assert again.state == state
    for old, new in zip(before, again.rows(), strict=True):
        assert (old.label, old.status, old.confidence) == (new.label, new.status, new.confidence)
        assert old.position == new.position or np.allclose(old.position, new.position)
    assert volume_of(node) is scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert node.GetAttribute("LandmarkDetector.bundle") == "heads"
    assert node.GetNthControlPointDescription(0) == 'said; "so" & <é>: 100 %'
    assert again.confirm(row.point_id for row in again.rows()) == 1
    again.history.undo()
    assert again.state == state


def test_a_scene_that_is_read_into_another_keeps_each_result_with_its_volume(scene, reviewed, ct, tmp_path):
    for node, name in ((reviewed.node, "points.mrk.json"), (ct, "ct.nrrd")):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(tmp_path / name))
        assert node.GetStorageNode().WriteData(node) == 1
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit(str(tmp_path / "scene.mrml")) and scene.Import()
    nodes = [scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode") for i in range(2)]
    volumes = [scene.GetNthNodeByClass(i, "vtkMRMLScalarVolumeNode") for i in range(2)]
    assert [volume_of(node) for node in nodes] == volumes and nodes[0] is reviewed.node
    assert Review(nodes[1]).state == reviewed.state


def test_all_four_statuses_empty_positions_and_unknown_keys_become_a_review(scene, tmp_path):
    points = [
        {"id": "1", "label": "x", "position": [1, 2, 3], "positionStatus": "defined", "confidence": 0.7},
        {"id": "2", "label": "x", "position": "", "positionStatus": "undefined"},
        {"id": "3", "label": "y", "position": "", "positionStatus": "missing", "foo": {"bar": []}},
        {"id": "4", "label": "z", "position": [4, 5, 6], "positionStatus": "preview"},
    ]
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points, "unknown": 1}
    document = {"@schema": f"{schema}markups-schema-v1.0.3.json#", "markups": [markup]}
    (tmp_path / "a.mrk.json").write_text(json.dumps(document))
    review = Review(opened(scene, tmp_path / "a.mrk.json"))
    assert [(row.point_id, row.status) for row in sorted(review.rows(), key=lambda row: row.index)] == [
        ("1", "unreviewed"),
        ("2", "not found"),
        ("3", "not found"),
        ("4", "not found"),
    ]
    assert [mark.status for mark in landmark_set_of(review.node)] == ["defined", "undefined", "missing", "missing"]


def test_what_the_command_line_wrote_can_be_reviewed(scene, marks, tmp_path):
    save_landmarks(marks, tmp_path / "a.mrk.json")
    review = Review(opened(scene, tmp_path / "a.mrk.json"))
    assert statuses(review) == {"a": "unreviewed", "b": "not found", "c": "unreviewed", "d": "unreviewed"}
    assert [row.confidence for row in sorted(review.rows(), key=lambda row: row.index)] == [0.9, None, 0.7, 0.6]
    assert same(landmark_set_of(review.node), marks)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv"])
def test_ten_thousand_landmarks_go_through_slicers_storage(scene, ct, tmp_path, suffix):
    positions = np.random.default_rng(0).normal(size=(10_000, 3)) * 1e3
    rows = enumerate(positions)
    marks = LandmarkSet(tuple(Landmark(f"№ {i}", at, confidence=i / 1e4, covariance=SPREAD) for i, at in rows))
    node = create_result(scene, marks, ct)
    Review(node).confirm(str(i) for i in range(1, 5001))
    kind = "vtkMRMLMarkupsJsonStorageNode" if suffix == ".mrk.json" else "vtkMRMLMarkupsFiducialStorageNode"
    path = saved(scene, node, tmp_path / f"a{suffix}", kind)
    again = opened(scene, path, kind)
    assert np.allclose(landmark_set_of(again).positions, positions, rtol=1e-14, atol=1e-9)
    if suffix == ".mrk.json":
        assert counts(Review(again))["confirmed"] == 5000
        assert same(landmark_set_of(again), marks)
    else:
        assert counts(Review(again))["unreviewed"] == 10_000  # the old format has no room for a review


@pytest.mark.filterwarnings("ignore:.*were left out, which .fcsv cannot say")
@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv", ".xlsx"])
def test_every_format_is_written_whole_or_refused(reviewed, tmp_path, suffix):
    path = tmp_path / f"Grüße 1{suffix}"
    export(reviewed.node, path, "RAS")
    assert path.stat().st_size > 100 and list(tmp_path.iterdir()) == [path]


def test_a_format_that_nobody_knows_is_refused_and_leaves_nothing(reviewed, tmp_path):
    with pytest.raises(LandmarkFileError, match="choose one of these"):
        export(reviewed.node, tmp_path / "a.docx")
    assert list(tmp_path.iterdir()) == []


def test_the_exported_description_speaks_of_the_exported_position(reviewed, tmp_path):
    export(reviewed.node, tmp_path / "a.mrk.json")
    points = json.loads((tmp_path / "a.mrk.json").read_text())["markups"][0]["controlPoints"]
    said = {point["label"]: point["description"] for point in points}
    assert said["a"].startswith("confidence 0.90, standard deviation") and said["c"] == said["d"] == ""


# --- flat images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("unit", ["mm", "px"])
def test_landmarks_of_a_flat_image_keep_unit_dimension_and_review(scene, tmp_path, dimension, unit):
    spread = np.zeros((3, 3))
    spread[:2, :2] = SPREAD[:2, :2]
    rows = [("a", (4.0, 5.0, 0.0), 0.8), ("b", (6.0, 7.0, 0.0), 0.4)]
    marks = LandmarkSet(
        tuple(Landmark(n, p[:dimension], None, c, spread[:dimension, :dimension]) for n, p, c in rows), unit=unit
    )
    review = Review(create_result(scene, marks))
    review.confirm(["1"])
    export(review.node, tmp_path / "a.mrk.json")
    back = load_landmarks(tmp_path / "a.mrk.json")
    assert same(back, marks) and back.dimension == dimension
    assert statuses(Review(opened(scene, tmp_path / "a.mrk.json"))) == {"a": "confirmed", "b": "unreviewed"}
    saved(scene, review.node, tmp_path / "b.mrk.json")
    assert load_landmarks(tmp_path / "b.mrk.json").unit == unit


def test_a_flat_landmark_that_is_dragged_off_its_plane_is_kept_in_three_dimensions(scene, tmp_path):
    marks = LandmarkSet((Landmark("a", (4, 5), None, 0.5, SPREAD[:2, :2]), Landmark("b", (6, 7))))
    review = Review(create_result(scene, marks))
    review.node.SetNthControlPointPosition(1, -6, -7, 3)
    review.rows()
    export(review.node, tmp_path / "a.mrk.json")
    assert load_landmarks(tmp_path / "a.mrk.json").positions.tolist() == [[4, 5, 0], [6, 7, 3]]
    update_result(review.node, marks)
    assert statuses(review) == {"a": "unreviewed", "b": "corrected"}
