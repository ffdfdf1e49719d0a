"""The same files through 3D Slicer's own classes: what it reads, and what is left when it has saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks

REASON = "slicer-core is not installed (pip install landmark-detector[desktop])"
slicer = pytest.importorskip("slicer", reason=REASON)

SPREAD = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.25], [-0.1, 0.25, 0.5]]) / 3
TO_RAS = np.array([-1.0, -1.0, 1.0])
MARKS = LandmarkSet(
    (
        Landmark('na, "sion" ü', (1 / 3, -2e-17, 1e5 / 7), confidence=0.1 + 0.2, covariance=SPREAD),
        Landmark("porion", status="missing", confidence=0.03),
        Landmark("gonion", status="undefined"),
        Landmark("menton", (4, 5, 6), confidence=1.0, description="seen by hand"),
        Landmark("点", (7, 8, 9)),
    ),
    name="proposal",
)


@pytest.fixture
def scene():
    scene = slicer.vtkMRMLScene()
    for name in ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsJsonStorageNode", "vtkMRMLMarkupsFiducialStorageNode"):
        scene.RegisterNodeClass(getattr(slicer, name)())
    return scene


def opened(scene, path, storage_class="vtkMRMLMarkupsJsonStorageNode"):
    storage = getattr(slicer, storage_class)()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "list")
    assert storage.ReadData(node) == 1
    return storage, node


def saved(storage, node, path):
    storage.SetFileName(str(path))
    assert storage.WriteData(node) == 1
    return path


def places(node):
    return np.array([node.GetNthControlPointPosition(i) for i in range(node.GetNumberOfControlPoints())])


def same(back, marks):
    """Equal, but for the last bit of a number: Slicer's JSON parser does not round as the standard says."""
    assert back.labels == marks.labels and back.unit == marks.unit and back.dimension == marks.dimension
    for a, b in zip(back, marks, strict=True):
        assert (a.status, a.description) == (b.status, b.description)
        pairs = ((a.confidence, b.confidence), (a.position, b.position), (a.covariance, b.covariance))
        for theirs, ours in pairs:
            assert (theirs is None) == (ours is None)
            assert ours is None or np.allclose(theirs, ours, rtol=4e-16, atol=0)
    return True


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_slicer_opens_our_markups_ready_for_review(tmp_path, scene, system):
    save_landmarks(MARKS, tmp_path / "a.mrk.json", coordinate_system=system)
    _, node = opened(scene, tmp_path / "a.mrk.json")
    assert [node.GetNthControlPointLabel(i) for i in range(5)] == MARKS.labels
    assert node.GetName() == "proposal" and not node.GetLocked()
    assert not any(node.GetNthControlPointLocked(i) for i in range(5))
    assert all(node.GetNthControlPointVisibility(i) for i in range(5))
    # Slicer: 0 undefined, 1 preview, 2 defined, 3 missing
    assert [node.GetNthControlPointPositionStatus(i) for i in range(5)] == [2, 3, 0, 2, 2]
    for i in (0, 3, 4):
        assert np.array_equal(places(node)[i] * TO_RAS, MARKS[i].position)
    assert node.GetNthControlPointDescription(0).startswith("confidence 0.30, standard deviation")


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_everything_survives_that_slicer_saves(tmp_path, scene, system):
    save_landmarks(MARKS, tmp_path / "a.mrk.json", coordinate_system=system)
    storage, node = opened(scene, tmp_path / "a.mrk.json")
    path = saved(storage, node, tmp_path / "proposal.mrk.json")
    back = load_landmarks(path)
    assert same(back, MARKS) and back.name == "proposal"
    save_landmarks(back, tmp_path / "again.mrk.json")
    _, node = opened(scene, tmp_path / "again.mrk.json")
    assert np.array_equal(places(node)[0] * TO_RAS, MARKS[0].position)


@pytest.mark.parametrize("unit", ["mm", "px"])
def test_a_flat_set_in_pixels_survives_that_slicer_saves(tmp_path, scene, unit):
    marks = LandmarkSet(
        (Landmark("a", (1.5, 2.5), confidence=0.5, covariance=SPREAD[:2, :2]), Landmark("b")), unit=unit
    )
    save_landmarks(marks, tmp_path / "a.mrk.json")
    assert same(load_landmarks(saved(*opened(scene, tmp_path / "a.mrk.json"), tmp_path / "b.mrk.json")), marks)
    assert json.loads((tmp_path / "b.mrk.json").read_text())["markups"][0]["coordinateUnits"] == "mm"


def test_what_a_person_does_in_slicer_does_not_mix_up_confidence(tmp_path, scene):
    rows = ((name, (i, 0, 0)) for i, name in enumerate("abcd"))
    marks = LandmarkSet(tuple(Landmark(name, at, confidence=(i + 1) / 10) for i, (name, at) in enumerate(rows)))
    save_landmarks(marks, tmp_path / "a.mrk.json")
    storage, node = opened(scene, tmp_path / "a.mrk.json")
    node.RemoveNthControlPoint(1)
    node.AddControlPoint(5, 6, 7)  # as many points as values, and no longer the same
    node.SetNthControlPointLabel(3, "b")
    node.SetNthControlPointPosition(0, -10, -20, 30)
    with pytest.warns(match="added or renamed"):
        back = load_landmarks(saved(storage, node, tmp_path / "b.mrk.json"))
    assert {mark.label: mark.confidence for mark in back} == {"a": 0.1, "c": 0.3, "d": 0.4, "b": None}
    assert back["a"].position.tolist() == [10.0, 20.0, 30.0]


def test_ten_thousand_landmarks_survive_that_slicer_saves(tmp_path, scene):
    positions = np.random.default_rng(0).normal(size=(10_000, 3)) * 1e3
    marks = LandmarkSet(tuple(Landmark(f"№ {i}", at, confidence=i / 1e4) for i, at in enumerate(positions)))
    save_landmarks(marks, tmp_path / "a.mrk.json")
    assert same(load_landmarks(saved(*opened(scene, tmp_path / "a.mrk.json"), tmp_path / "b.mrk.json")), marks)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_fcsv_goes_through_slicer_both_ways(tmp_path, scene, system):
    marks = LandmarkSet.from_positions(['na, "sion" ü', "b"], [[1 / 3, -2e-17, 3], [4, 5, 6]])
    save_landmarks(marks, tmp_path / "a.fcsv", coordinate_system=system)
    storage, node = opened(scene, tmp_path / "a.fcsv", "vtkMRMLMarkupsFiducialStorageNode")
    assert np.array_equal(places(node) * TO_RAS, marks.positions)
    assert [node.GetNthControlPointLabel(i) for i in range(2)] == marks.labels
    node.UnsetNthControlPointPosition(1)
    back = load_landmarks(saved(storage, node, tmp_path / "b.fcsv"))
    assert back.labels == marks.labels and [mark.status for mark in back] == ["defined", "undefined"]
    assert np.array_equal(back[0].position, marks[0].position)


@pytest.mark.parametrize("lps", [True, False])
def test_slicers_own_table_is_read(tmp_path, scene, lps):
    save_landmarks(LandmarkSet.from_positions(["a, b", "c"], [[1.5, -2.5, 3], [np.nan] * 3]), tmp_path / "a.mrk.json")
    _, node = opened(scene, tmp_path / "a.mrk.json")
    logic = slicer.vtkSlicerMarkupsLogic()
    logic.SetMRMLScene(scene)
    assert logic.ExportControlPointsToCSV(node, str(tmp_path / "a.csv"), lps)
    marks = load_landmarks(tmp_path / "a.csv")
    assert marks.labels == ["a, b", "c"] and marks[1].position is None
    assert marks[0].position.tolist() == [1.5, -2.5, 3.0]


def test_slicer_puts_our_volumes_at_the_same_place(tmp_path, scene):
    vtk = pytest.importorskip("vtk", reason=REASON)
    from vtk.util.numpy_support import vtk_to_numpy

    oblique = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for direction in (np.eye(3), np.eye(3)[[2, 0, 1]] * [1, -1, 1], oblique):
        grid = Grid((4, 3, 2), (0.31, 1.7, 4.9), (-1234.5678901234, 20000.1, -3e4 / 7), direction)
        path = tmp_path / "volume.nrrd"
        save_image(Image(np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4), grid), path)
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(path))
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "volume")
        assert storage.ReadData(node) == 1
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        # Slicer turns the slices of left-handed volumes round, so a voxel is known by its value, not by its index.
        values = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        assert sorted(values) == list(range(24))
        image = load_image(path)
        for at, value in enumerate(values):
            ijk = np.unravel_index(at, (2, 3, 4))[::-1]
            place = np.array(matrix.MultiplyPoint([*map(float, ijk), 1.0])[:3]) * TO_RAS
            index = np.argwhere(image.array[0] == value)[0][::-1]
            assert np.abs(image.grid.to_world(index) - place).max() <= 1e-6
