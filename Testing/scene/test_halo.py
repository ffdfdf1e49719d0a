"""The regions around the landmarks: where they are, how large, in which colours, and when they go."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from scipy.stats import chi2
from vtk.util.numpy_support import vtk_to_numpy

from LandmarkDetector.Scene.focus import jump_to
from LandmarkDetector.Scene.halo import LEVEL, Halo, colour_of
from LandmarkDetector.Scene.result import create_result, landmark_set_of, update_result
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Grid, Landmark, LandmarkSet
from LandmarkDetectorLib.io import save_landmarks
from Testing.scene.nodes import SPREAD, TO_RAS, add_linear, add_volume, marks_of
from Testing.scene.views import SliceView, ThreeDView


@pytest.fixture
def halo(scene, ct, marks) -> Halo:
    return Halo(Review(create_result(scene, marks, ct)))


def regions(halo: Halo) -> dict[str, np.ndarray]:
    """Points of each region in LPS, by label."""
    data = halo.model.GetPolyData()
    if not data.GetNumberOfPoints():
        return {}
    points = vtk_to_numpy(data.GetPoints().GetData()) * TO_RAS
    labels = {row.point_id: row.label for row in halo.review.rows()}
    parts = points.reshape(-1, len(halo._template), 3)
    return {labels[key]: parts[slot] for key, slot in halo._slots.items()}


def middle(points: np.ndarray) -> np.ndarray:
    return (points.min(0) + points.max(0)) / 2


def key_of(halo: Halo, label: str) -> str:
    return next(row.point_id for row in halo.review.rows() if row.label == label)


def test_each_unreviewed_landmark_has_the_region_in_which_it_lies_with_95_percent(halo, marks):
    found = regions(halo)
    assert set(found) == {"a", "c", "d"}
    assert pytest.approx(chi2.ppf(0.95, 3) ** 0.5, abs=1e-4) == LEVEL[3]
    assert pytest.approx(chi2.ppf(0.95, 2) ** 0.5, abs=1e-4) == LEVEL[2]
    for label, points in found.items():
        offset = points - marks[label].position
        distance = np.einsum("pi,ij,pj->p", offset, np.linalg.inv(marks[label].covariance), offset)
        assert np.allclose(distance, chi2.ppf(0.95, 3), rtol=1e-3)


def test_normals_point_outwards(halo):
    data = halo.model.GetPolyData()
    points, normals = vtk_to_numpy(data.GetPoints().GetData()), vtk_to_numpy(data.GetPointData().GetNormals())
    parts = len(halo._slots)
    outwards = points.reshape(parts, -1, 3) - halo._centres[:, None]
    assert (np.einsum("kpi,kpi->kp", outwards, normals.reshape(parts, -1, 3)) > 0).all()


def test_reviewed_landmarks_lose_their_region_and_get_it_back_by_undo(halo):
    review = halo.review
    review.confirm([key_of(halo, "a")])
    review.mark_absent([key_of(halo, "d")])
    assert set(regions(halo)) == {"c"}
    review.history.undo()
    assert set(regions(halo)) == {"c", "d"}
    review.reset([key_of(halo, "a")])
    assert set(regions(halo)) == {"a", "c", "d"}
    review.confirm(row.point_id for row in review.rows())
    assert regions(halo) == {}


def test_a_region_goes_with_the_first_movement_and_comes_back_with_the_proposal(halo):
    node = halo.review.node
    before = middle(regions(halo)["c"])
    place = node.GetNthControlPointPosition(2)
    node.InvokeEvent(node.PointStartInteractionEvent)
    node.SetNthControlPointPosition(2, -25, -40, 60)
    assert set(regions(halo)) == {"a", "d"}, "of a person's hand the detector knows nothing"
    node.SetNthControlPointPosition(2, *place)
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert np.allclose(middle(regions(halo)["c"]), before), "it was put back where it had been"
    node.SetNthControlPointPosition(2, -25, -40, 60)
    assert set(regions(halo)) == {"a", "d"}
    halo.review.reset([key_of(halo, "c")])
    assert np.allclose(middle(regions(halo)["c"]), before)


def test_the_views_cut_the_regions_anew_once_a_drag_and_not_at_each_movement(halo):
    node, changes = halo.review.node, []
    halo.model.AddObserver(halo.model.PolyDataModifiedEvent, lambda *_: changes.append(1))
    node.InvokeEvent(node.PointStartInteractionEvent)
    for step in range(5):
        node.SetNthControlPointPosition(2, -25 - step, -40, 60)
    assert 1 <= len(changes) <= 3, "points, their array and the shape are told of once each at the most"
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert set(regions(halo)) == {"a", "d"}


def test_a_second_detection_moves_the_regions(halo):
    update_result(halo.review.node, LandmarkSet((Landmark("a", (1, 2, 3), None, 0.1, SPREAD), Landmark("b"))))
    assert set(regions(halo)) == {"a"} and np.allclose(middle(regions(halo)["a"]), (1, 2, 3))


def test_regions_observe_the_transform_of_the_result(scene, halo):
    transform = add_linear(scene)
    halo.review.node.SetAndObserveTransformNodeID(transform.GetID())
    assert halo.model.GetParentTransformNode() is transform
    halo.review.node.SetAndObserveTransformNodeID(None)
    assert halo.model.GetParentTransformNode() is None


def test_regions_leave_with_the_result_and_with_the_scene(scene, halo):
    halo.review.node.GetScene().RemoveNode(halo.review.node)
    halo.update()
    assert not scene.IsNodePresent(halo.model)
    halo.release()
    other = Halo(Review(create_result(scene, marks_of())))
    scene.Clear(0)
    other.release()
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0


def test_regions_are_neither_saved_nor_undone_nor_picked(halo):
    model = halo.model
    assert not model.GetSaveWithScene() and not model.GetDisplayNode().GetSaveWithScene()
    assert not model.GetUndoEnabled() and not model.GetSelectable() and model.GetHideFromEditors()


def test_landmarks_without_covariance_have_no_region(scene):
    halo = Halo(Review(create_result(scene, LandmarkSet((Landmark("a", (1, 2, 3), None, 0.5),)))))
    assert regions(halo) == {}


def test_confidence_shows_in_the_colour_without_red_against_green():
    assert colour_of(None) == (204, 204, 204)
    assert colour_of(0.0) == (213, 94, 0) and colour_of(0.5) == (240, 228, 66) and colour_of(1.0) == (86, 180, 233)
    # For those who see no red or no green blue against yellow remains: it must grow with confidence above a half.
    blueness = [colour_of(c)[2] - (colour_of(c)[0] + colour_of(c)[1]) / 2 for c in (0.5, 0.7, 0.9, 1.0)]
    assert blueness == sorted(blueness) and len(set(blueness)) == 4


def test_dragging_a_landmark_among_a_hundred_regions_takes_under_5_ms(scene):
    rng = np.random.default_rng(0)
    marks = LandmarkSet(tuple(Landmark(str(i), rng.normal(size=3) * 50, None, 0.5, SPREAD) for i in range(100)))
    halo = Halo(Review(create_result(scene, marks)))
    node = halo.review.node
    node.InvokeEvent(node.PointStartInteractionEvent)
    times = []
    for i in range(50):
        begin = time.perf_counter()
        node.SetNthControlPointPosition(17, i, 2 * i, 3 * i)
        times.append(time.perf_counter() - begin)
    assert np.median(times) < 0.005, f"{1e3 * np.median(times):.1f} ms"
    assert set(regions(halo)) == {str(i) for i in range(100)} - {"17"}


def test_confirming_one_of_a_hundred_redraws_them_at_once(scene):
    rng = np.random.default_rng(0)
    marks = LandmarkSet(tuple(Landmark(str(i), rng.normal(size=3) * 50, None, 0.5, SPREAD) for i in range(100)))
    review = Review(create_result(scene, marks))
    halo = Halo(review)
    times = []
    for row in review.rows()[:20]:
        begin = time.perf_counter()
        review.confirm([row.point_id])
        times.append(time.perf_counter() - begin)
    assert len(halo._slots) == 80
    assert np.median(times) < 0.1, f"{1e3 * np.median(times):.1f} ms"
    print(f"confirm with halo: {1e3 * np.median(times):.1f} ms")


# --- as it is drawn --------------------------------------------------------------------------------------------------


def coloured(view: Any, path: Path, colour: tuple[int, int, int], tolerance: int = 12) -> np.ndarray:
    """Where a colour is seen, (N, 2) in display pixels."""
    view.save(path)
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(path))
    reader.Update()
    data = reader.GetOutput()
    width, height, _ = data.GetDimensions()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(height, width, -1)[..., :3].astype(int)
    return np.argwhere(np.abs(pixels - colour).max(-1) <= tolerance)[:, ::-1]


@pytest.fixture
def flat(world) -> Any:
    """A black volume seen from the front, and a view of it."""
    grid = Grid((100, 100, 3), (1.0, 1.0, 1.0), (-50.0, -50.0, -1.0), np.eye(3))
    volume = add_volume(world.scene, grid, np.zeros((3, 100, 100), np.uint8))
    view = SliceView(world.scene, world.application)
    view.show(volume)
    view.node.JumpSlice(0, 0, 0)
    yield world, volume, view
    view.close()


@pytest.mark.parametrize("variance", [SPREAD * 20, np.diag([16.0, 4.0, 0.0])], ids=["solid", "in the plane"])
def test_a_slice_shows_an_outline_in_the_colour_of_the_confidence(flat, tmp_path, variance):
    world, volume, view = flat
    marks = LandmarkSet((Landmark("a", (10, 5, 0), None, 1.0, variance),))
    halo = Halo(Review(create_result(world.scene, marks, volume)))
    seen = coloured(view, tmp_path / "a.png", colour_of(1.0))
    assert len(seen) > 30
    place = np.array(view.place_of((-10, -5, 0)))
    assert np.abs((seen.min(0) + seen.max(0)) / 2 - place).max() < 2
    solid = variance[2, 2] > 0
    half = LEVEL[3 if solid else 2] * np.sqrt(np.diag(variance)[:2]) * view.size[0] / view.node.GetFieldOfView()[0]
    assert np.abs((seen.max(0) - seen.min(0)) / 2 - half).max() < 4
    halo.model.SetDisplayVisibility(False)
    assert len(coloured(view, tmp_path / "b.png", colour_of(1.0))) == 0


def test_a_landmark_is_dragged_in_3d_as_if_its_region_were_not_there(world):
    view = ThreeDView(world.scene, world.application)
    ends = []
    for visible in (False, True):
        marks = LandmarkSet((Landmark("a", (0, 0, 0), None, 0.5, np.eye(3) * 400),))
        review = Review(create_result(world.scene, marks))
        halo = Halo(review)
        halo.model.SetDisplayVisibility(visible)
        camera = view.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 300, 0)
        camera.SetViewUp(0, 0, 1)
        view.renderer.ResetCameraClippingRange()
        view.render()
        view.drag((200, 200), (230, 215))
        assert review.rows()[0].status == "corrected", "the drag did not take hold of the landmark"
        ends.append(review.rows()[0].position)
        halo.release()
        review.release()
        world.scene.RemoveNode(review.node)
    view.close()
    assert np.abs(np.array(ends[0])).max() > 1 and np.allclose(*ends, atol=1e-6)


def test_all_views_go_to_a_landmark_and_stay_where_there_is_none(flat):
    world, volume, view = flat
    node = create_result(world.scene, marks_of(), volume)
    node.SetAndObserveTransformNodeID(add_linear(world.scene).GetID())
    volume_view = ThreeDView(world.scene, world.application)
    assert jump_to(node, 2, world.markups)
    ras = node.GetNthControlPointPositionWorld(2)
    middle_of_view = view.node.GetSliceToRAS()
    assert np.allclose([middle_of_view.GetElement(i, 3) for i in range(3)], ras)
    assert np.allclose(volume_view.renderer.GetActiveCamera().GetFocalPoint(), ras)
    assert not jump_to(node, 1, world.markups) and not jump_to(node, 99, world.markups)
    assert np.allclose([middle_of_view.GetElement(i, 3) for i in range(3)], ras)
    world.scene.RemoveNode(node)
    assert not jump_to(node, 2, world.markups)
    volume_view.close()


def test_a_view_that_shows_the_landmark_well_is_not_moved_sideways(flat):
    world, volume, view = flat
    node = create_result(world.scene, marks_of(), volume)
    place, step = node.GetNthControlPointPositionWorld(2), view.node.GetFieldOfView()[0] / 10
    to_world = view.node.GetSliceToRAS()
    across = np.array([to_world.GetElement(i, 0) for i in range(3)])
    for shift, stays in ((step, True), (4.6 * step, False)):
        view.node.JumpSliceByCentering(*(np.array(place) + shift * across))
        assert jump_to(node, 2, world.markups)
        middle = np.array([to_world.GetElement(i, 3) for i in range(3)])
        assert np.allclose(middle, place + shift * across if stays else place, atol=1e-6)


def test_without_a_logic_the_module_is_asked_for_it(flat, monkeypatch):
    from types import SimpleNamespace

    world, volume, _ = flat
    modules = SimpleNamespace(markups=SimpleNamespace(logic=lambda: world.markups))
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    assert jump_to(create_result(world.scene, marks_of(), volume), 0)


# --- regions whose coverage was measured -----------------------------------------------------------------------------

STATED = {"level": 0.9, "method": "ellipsoidal", "radii": {"a": 4.0, "c": 5.0, "d": None}, "cases": 77, "subjects": 64}


def calibrated_marks() -> LandmarkSet:
    marks = marks_of()
    return LandmarkSet(marks.landmarks, marks.unit, marks.name, {**marks.info, "regions": STATED})


def reach(points: np.ndarray, mark: Landmark) -> np.ndarray:
    """How far points are from a landmark in standard deviations of its covariance."""
    offset = points - mark.position
    return np.sqrt(np.einsum("pi,ij,pj->p", offset, np.linalg.inv(mark.covariance), offset))


def test_a_calibrated_region_has_the_radius_that_was_measured_and_others_the_believed_one(scene, ct):
    halo = Halo(Review(create_result(scene, calibrated_marks(), ct)))
    found, marks = regions(halo), calibrated_marks()
    assert np.allclose(reach(found["a"], marks["a"]), 4.0, rtol=1e-3)
    assert np.allclose(reach(found["c"], marks["c"]), 5.0, rtol=1e-3)
    assert np.allclose(reach(found["d"], marks["d"]), LEVEL[3], rtol=1e-3)
    drawn = dict(halo.drawn)
    assert drawn["a"].calibrated and (drawn["a"].level, drawn["a"].cases) == (0.9, 77)
    assert not drawn["d"].calibrated and drawn["d"].level == 0.95


def test_the_regions_are_there_again_when_a_scene_or_a_file_is_read_back(scene, ct, tmp_path):
    node = create_result(scene, calibrated_marks(), ct)
    storage = scene.AddNewNodeByClass("vtkMRMLMarkupsJsonStorageNode")
    storage.SetFileName(str(tmp_path / "a.mrk.json"))
    assert storage.WriteData(node) == 1
    save_landmarks(calibrated_marks(), tmp_path / "library.mrk.json")
    for name in ("a.mrk.json", "library.mrk.json"):
        storage.SetFileName(str(tmp_path / name))
        again = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "again")
        assert storage.ReadData(again) == 1
        halo = Halo(Review(again))
        assert np.allclose(reach(regions(halo)["c"], calibrated_marks()["c"]), 5.0, rtol=1e-3), name
        assert dict(halo.drawn)["a"].cases == 77 and not dict(halo.drawn)["d"].calibrated
        assert landmark_set_of(again).info["regions"]["radii"] == {"a": 4.0, "c": 5.0, "d": None}


def test_a_second_detection_by_a_bundle_that_is_not_calibrated_leaves_the_regions_of_what_it_did_not_touch(scene, ct):
    node = create_result(scene, calibrated_marks(), ct)
    review = Review(node)
    review.confirm([next(row.point_id for row in review.rows() if row.label == "a")])
    update_result(node, LandmarkSet(marks_of().landmarks, info={"bundle": "heads", "version": "2.0.0"}))
    halo = Halo(review)
    assert not any(region.calibrated for _, region in halo.drawn)
    assert "regions" not in landmark_set_of(node).info
    review.reset([next(row.point_id for row in review.rows() if row.label == "a")])
    halo.update()
    assert dict(halo.drawn)["a"].calibrated and not dict(halo.drawn)["c"].calibrated


def test_what_a_file_says_of_regions_does_not_speak_of_landmarks_of_an_earlier_detection_or_that_were_moved(scene, ct):
    node = create_result(scene, marks_of(), ct)
    review = Review(node)
    review.confirm([next(row.point_id for row in review.rows() if row.label == "a")])
    update_result(node, calibrated_marks())
    assert landmark_set_of(node).info["regions"]["radii"] == {"c": 5.0, "d": None}
    node.SetNthControlPointPosition(2, 1, 2, 3)
    assert review.settled() and landmark_set_of(node).info["regions"]["radii"] == {"d": None}


@pytest.mark.parametrize("variance", [np.diag([25.0, 25.0, 25.0]), np.diag([36.0, 25.0, 0.0])], ids=["solid", "flat"])
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_the_outline_of_a_region_that_nobody_calibrated_is_dashed(flat, tmp_path, variance, turn):
    world, volume, view = flat
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    mark = Landmark("a", (10, 5, 0), None, 1.0, rotation @ variance @ rotation.T)
    seen = []
    radius = LEVEL[3 if variance[2, 2] else 2]  # the same region, measured and not
    for info in ({}, {"regions": {**STATED, "radii": {"a": radius}}}):
        node = create_result(world.scene, LandmarkSet((mark,), info=info), volume)
        node.GetDisplayNode().SetVisibility(False)
        halo = Halo(Review(node))
        seen.append(coloured(view, tmp_path / "a.png", colour_of(1.0)))
        halo.release()
    dashed, whole = seen
    assert 0.3 * len(whole) < len(dashed) < 0.7 * len(whole)
    middle_of = (whole.min(0) + whole.max(0)) / 2
    angles = [np.unique(np.degrees(np.arctan2(*(part - middle_of).T)) // 6) for part in seen]
    assert len(angles[1]) == 60, "a whole ring is seen in every direction"
    around = np.isin(np.arange(-30, 30), angles[0])
    assert (around != np.roll(around, 1)).sum() >= 12, "dashes and gaps all around"
