"""What is drawn of measurements: where it lies, what it is made of, and that it leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from LandmarkDetector.Scene.constructions import FOLDER, Constructions, Drawing, drawings_of
from LandmarkDetector.Scene.history import History
from LandmarkDetector.Scene.result import create_result
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.measure import build_set, measure
from Testing.scene.nodes import TO_RAS, marks_of
from Testing.scene.views import SliceView

LINE = np.array([[0.0, 0, 0], [10, 20, 30]])
ANGLE = np.array([[10.0, 0, 0], [0, 0, 0], [0, 10, 0]])
PLANE = np.array([[1.0, 2, 3], [1, 2, 4]])
ELLIPSE = np.array([[5.0, 5, 5], [9, 5, 5], [5, 7, 5]])


@pytest.fixture
def drawn(scene) -> Constructions:
    return Constructions(scene)


def places(node) -> np.ndarray:
    """World LPS positions of a node's control points."""
    count = node.GetNumberOfControlPoints()
    return np.array([node.GetNthControlPointPositionWorld(i) for i in range(count)]) * TO_RAS


def folders(scene) -> list[str]:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    found = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, True)
    items = [found.GetId(i) for i in range(found.GetNumberOfIds())]
    return [hierarchy.GetItemName(item) for item in items if hierarchy.GetItemAttribute(item, FOLDER)]


def test_lines_and_angles_are_slicers_own_and_lie_where_they_were_measured(drawn):
    drawn.show([Drawing("a", "line", LINE), Drawing("b", "angle", ANGLE)], "heads")
    line, angle = drawn.nodes
    assert (line.GetClassName(), angle.GetClassName()) == ("vtkMRMLMarkupsLineNode", "vtkMRMLMarkupsAngleNode")
    assert np.allclose(places(line), LINE) and np.allclose(places(angle), ANGLE)
    assert line.GetLineLengthWorld() == pytest.approx(np.linalg.norm(LINE[1])) and line.GetName() == "a"
    assert angle.GetAngleDegrees() == pytest.approx(90)


def test_what_is_drawn_is_not_what_the_next_click_in_place_mode_fills(drawn, scene):
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    for active in ((points.GetClassName(), points.GetID()), (None, None)):
        selection.SetReferenceActivePlaceNodeClassName(active[0])
        selection.SetActivePlaceNodeID(active[1])
        drawn.show([Drawing("a", "line", LINE), Drawing("e", "ellipse", ELLIPSE)], "heads")
        assert (selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()) == active
        drawn.clear()


def test_a_plane_has_its_point_its_normal_and_the_size_of_what_is_drawn(drawn):
    drawn.show([Drawing("p", "plane", PLANE), Drawing("a", "line", LINE)], "heads")
    plane = next(node for node in drawn.nodes if node.IsA("vtkMRMLMarkupsPlaneNode"))
    assert np.allclose(np.array(plane.GetOriginWorld()) * TO_RAS, PLANE[0])
    assert np.allclose(np.array(plane.GetNormalWorld()) * TO_RAS, [0, 0, 1])
    assert np.allclose(plane.GetSizeWorld(), 30)


def test_an_ellipse_goes_through_the_ends_of_its_axes(drawn):
    drawn.show([Drawing("e", "ellipse", ELLIPSE)], "heads")
    points = places(drawn.nodes[0])
    for end in (ELLIPSE[1], 2 * ELLIPSE[0] - ELLIPSE[1], ELLIPSE[2]):
        assert np.linalg.norm(points - end, axis=1).min() < 1e-6
    around = (points - ELLIPSE[0]) / [4, 2, 1]
    assert np.allclose((around**2).sum(1), 1)


def test_a_line_of_several_measurements_is_drawn_once_in_the_colour_of_the_chosen_one(drawn):
    drawn.show([Drawing("a", "line", LINE), Drawing("b", "line", LINE[::-1], chosen=True)], "heads")
    (line,) = drawn.nodes
    assert line.GetName() == "b"
    colour = line.GetDisplayNode().GetSelectedColor()
    drawn.show([Drawing("a", "line", LINE)], "heads")
    assert drawn.nodes == [line] and line.GetDisplayNode().GetSelectedColor() != colour


def test_a_movement_touches_only_what_moved_and_makes_no_new_node(drawn, scene):
    drawn.show([Drawing("a", "line", LINE), Drawing("b", "angle", ANGLE)], "heads")
    line, angle = drawn.nodes
    heard = []
    for node in (line, angle):
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda node, _event: heard.append(node.GetName()))
        node.AddObserver(node.PointModifiedEvent, lambda node, _event: heard.append(node.GetName()))
    drawn.show([Drawing("a", "line", LINE + 1), Drawing("b", "angle", ANGLE)], "heads")
    assert drawn.nodes == [line, angle] and set(heard) == {"a"} and np.allclose(places(line), LINE + 1)


def test_drawings_are_locked_not_saved_not_picked_and_lie_in_a_folder(drawn, scene):
    drawn.show([Drawing("a", "line", LINE), Drawing("p", "plane", PLANE)], "heads: measurements")
    assert folders(scene) == ["heads: measurements"]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in drawn.nodes:
        assert node.GetLocked() and not node.GetSaveWithScene() and not node.GetSelectable()
        assert not node.GetDisplayNode().GetSaveWithScene() and not node.GetUndoEnabled()
        parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        assert hierarchy.GetItemName(parent) == "heads: measurements"


def test_nothing_is_left_when_drawings_go(drawn, scene):
    folders(scene)  # makes the hierarchy, which stays
    before = scene.GetNumberOfNodes()
    drawn.show([Drawing("a", "line", LINE), Drawing("b", "angle", ANGLE), Drawing("e", "ellipse", ELLIPSE)], "heads")
    assert scene.GetNumberOfNodes() > before
    drawn.show([Drawing("b", "angle", ANGLE)], "heads")
    assert [node.GetName() for node in drawn.nodes] == ["b"]
    drawn.clear()
    assert scene.GetNumberOfNodes() == before and folders(scene) == []


def test_a_node_or_a_folder_that_a_person_deleted_is_drawn_again(drawn, scene):
    drawn.show([Drawing("a", "line", LINE)], "heads")
    scene.RemoveNode(drawn.nodes[0])
    drawn.show([Drawing("a", "line", LINE)], "heads")
    assert np.allclose(places(drawn.nodes[0]), LINE) and scene.IsNodePresent(drawn.nodes[0])
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    hierarchy.RemoveItem(drawn._folder)
    drawn.show([Drawing("a", "line", LINE)], "heads")
    assert len(drawn.nodes) == 1 and folders(scene) == ["heads"]


def test_what_an_earlier_session_left_is_swept_away(drawn, scene):
    drawn.show([Drawing("a", "line", LINE)], "left behind")
    other = Constructions(scene)
    other.sweep()
    assert folders(scene) == [] and other.nodes == []


def test_undo_and_redo_leave_drawings_alone(drawn, scene, ct):
    node = create_result(scene, marks_of(), ct)
    drawn.show([Drawing("a", "line", LINE)], "heads")
    history = History(scene)
    history.step()
    node.SetNthControlPointPosition(0, 1, 2, 3)
    drawn.show([Drawing("a", "line", LINE + 1), Drawing("b", "angle", ANGLE)], "heads")
    history.undo()
    assert all(scene.IsNodePresent(one) for one in drawn.nodes) and len(drawn.nodes) == 2
    assert np.allclose(places(drawn.nodes[0]), LINE + 1), "they are drawn anew by whoever measures, not by undo"
    history.redo()
    assert len(drawn.nodes) == 2 and node.GetNthControlPointPosition(0) == (1, 2, 3)


def test_an_angle_that_slicer_measures_as_well_says_its_value_and_others_do_not(drawn):
    own = Drawing("a", "angle", ANGLE, chosen=True, says_value=True)
    drawn.show([own, Drawing("b", "line", LINE)], "heads")
    said = {node.GetName(): bool(node.GetDisplayNode().GetPropertiesLabelVisibility()) for node in drawn.nodes}
    assert said == {"a": True, "b": False}


SET = {
    "title": "t",
    "description": "d",
    "citation": "c",
    "landmarks": {name: {"title": name} for name in "abcd"},
    "constructions": {"line_ac": "line(a, c)"},
    "measurements": [
        {"name": "far", "title": "far", "formula": "distance(d, perpendicular(line_ac, a))", "unit": "mm"},
        {"name": "long", "title": "long", "formula": "distance(a, c)", "unit": "mm"},
    ],
}


def test_a_plane_of_a_picture_is_drawn_as_the_line_across_its_normal():
    for each in SET["measurements"]:
        each["no_norm"] = "made up"
    marks = LandmarkSet.from_positions("acd", [[0, 0], [10, 0], [3, 4]])
    results = measure(marks, build_set(SET, "t"))
    pieces = drawings_of(results[0], lambda flat: np.pad(flat, ((0, 0), (0, 1))), 20.0, True)
    lines = sorted((tuple(np.abs(piece.positions[1] - piece.positions[0])), piece.kind) for piece in pieces)
    assert [kind for _, kind in lines] == ["line", "line"]
    assert np.allclose([span for span, _ in lines], [[0, 20, 0], [3, 0, 0]])
    (own,) = drawings_of(results[1], lambda flat: np.pad(flat, ((0, 0), (0, 1))), 20.0, True)
    assert own.says_value and not any(piece.says_value for piece in pieces)


def test_drawings_are_seen_in_a_slice_beside_which_they_lie_and_go_without_a_trace(world, drawn, tmp_path):
    view = SliceView(world.scene, world.application)

    def picture() -> bytes:
        view.save(tmp_path / "view.png")
        return (tmp_path / "view.png").read_bytes()

    empty = picture()
    beside = np.array([[-40.0, -30, 3], [40, 20, -3]])
    drawn.show([Drawing("a", "line", beside)], "heads")
    assert picture() != empty
    drawn.clear()
    assert picture() == empty
    view.close()
