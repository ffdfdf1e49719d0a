"""What a person does with the mouse in the views."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")

from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402

from Testing.desktop import hands  # noqa: E402

VOXEL = np.array([0.8, 0.8, 1.5])


def test_the_wheel_goes_through_the_slices(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    before = view.logic.GetSliceOffset()
    hands.wheel(view.canvas, 3)
    assert view.logic.GetSliceOffset() == pytest.approx(before + 3 * 1.5)
    hands.wheel(view.canvas, -1)
    assert view.logic.GetSliceOffset() == pytest.approx(before + 2 * 1.5)
    assert view.bar.label.text() == f"S {before + 3:.2f} mm"


def test_the_slider_and_the_wheel_say_the_same(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    view.bar.slider.setValue(view.bar.slider.value() + 4)
    offset = view.logic.GetSliceOffset()
    hands.wheel(view.canvas, -4)
    view.bar.slider.setValue(view.bar.slider.value() + 4)
    assert view.logic.GetSliceOffset() == pytest.approx(offset)


def test_the_right_button_zooms_and_the_middle_one_pans(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Green"]
    wide, origin = view.node.GetFieldOfView()[0], view.node.GetXYZOrigin()
    hands.drag(view.canvas, (100, 100), (100, 160), hands.RIGHT)
    assert abs(view.node.GetFieldOfView()[0] / wide - 1) > 0.05
    hands.drag(view.canvas, (100, 100), (140, 100), hands.MIDDLE)
    assert view.node.GetXYZOrigin() != origin
    desktop.reset_views()
    assert view.node.GetFieldOfView()[0] == pytest.approx(wide)


def test_panning_takes_the_picture_along_with_the_mouse(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    held = hands.ras_at(view, (100, 100))
    hands.drag(view.canvas, (100, 100), (160, 130), hands.LEFT, Qt.KeyboardModifier.ShiftModifier)
    assert hands.ras_at(view, (160, 130)) == pytest.approx(held, abs=1e-6)


def test_control_and_the_wheel_zoom(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    wide, offset = view.node.GetFieldOfView()[0], view.logic.GetSliceOffset()
    hands.wheel(view.canvas, 2, Qt.KeyboardModifier.ControlModifier)
    assert view.node.GetFieldOfView()[0] < wide
    assert view.logic.GetSliceOffset() == offset


def test_a_drag_changes_window_and_level_only_when_it_is_switched_on(desktop):
    volume = hands.show_ball(desktop)
    view, display = desktop.slice_views["Red"], volume.GetDisplayNode()
    before = display.GetWindow(), display.GetLevel()
    hands.drag(view.canvas, (100, 100), (160, 140))
    assert (display.GetWindow(), display.GetLevel()) == before
    desktop.actions.by_name["window_level"].trigger()
    hands.drag(view.canvas, (100, 100), (160, 140))
    assert display.GetWindow() != before[0]
    assert display.GetLevel() != before[1]
    desktop.reset_window_level()
    assert (display.GetWindow(), display.GetLevel()) == pytest.approx(before)
    desktop.actions.by_name["window_level"].trigger()
    assert hands.interaction().GetCurrentInteractionMode() == hands.interaction().ViewTransform


@pytest.mark.parametrize("oblique", [False, True], ids=["straight", "oblique"])
@pytest.mark.parametrize("transformed", [False, True], ids=["alone", "transformed"])
@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_a_landmark_lands_under_the_mouse(desktop, name, oblique, transformed):
    volume = hands.show_ball(desktop, oblique)
    node = hands.points(desktop, (0, 0, 0))
    if transformed:
        transform = hands.turned(desktop)
        for other in (volume, node):
            other.SetAndObserveTransformNodeID(transform.GetID())
        desktop.reset_views()
    view = desktop.slice_views[name]
    start = np.array([view.canvas.width() * 0.4, view.canvas.height() * 0.4]).round() + 0.5
    node.SetNthControlPointPositionWorld(0, *hands.ras_at(view, start))
    hands.settle()
    end = start + (60, 45)
    expected = hands.ras_at(view, end)
    hands.drag(view.canvas, start, end)
    assert np.all(np.abs(hands.world(node, 0) - expected) <= VOXEL.min() / 2)
    if transformed:
        local = np.array(node.GetNthControlPointPosition(0))
        assert not np.allclose(local, hands.world(node, 0), atol=1)


def test_a_locked_landmark_stays(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    node = hands.points(desktop, hands.ras_at(view, (150.5, 120.5)))
    node.SetNthControlPointLocked(0, True)
    before = hands.world(node, 0)
    hands.drag(view.canvas, (150.5, 120.5), (200.5, 150.5))
    assert hands.world(node, 0) == pytest.approx(before)


def test_a_click_places_the_landmark_that_is_missing(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Yellow"]
    node = hands.points(desktop, hands.ras_at(view, (60.5, 60.5)), (0, 0, 0))
    node.UnsetNthControlPointPosition(1)
    desktop.module_widget.ui.pointsSelector.setCurrentNode(node)
    desktop.module_widget.ui.placeButton.click()
    assert view.canvas.cursor().shape() == Qt.CursorShape.CrossCursor
    hands.click(view.canvas, (140.5, 130.5))
    assert node.GetNumberOfControlPoints() == 2
    assert hands.world(node, 1) == pytest.approx(hands.ras_at(view, (140.5, 130.5)), abs=0.4)
    assert view.canvas.cursor().shape() != Qt.CursorShape.CrossCursor


def test_a_jump_moves_all_slice_views(desktop):
    import slicer

    hands.show_ball(desktop)
    place = np.array([2.0, -20.0, -290.0])
    node = hands.points(desktop, place)
    slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(node.GetID(), 0, True)
    hands.settle()
    for view in desktop.slice_views.values():
        middle = hands.place_of(view, place)
        assert middle == pytest.approx([view.canvas.width() / 2, view.canvas.height() / 2], abs=2)
    offsets = {name: view.logic.GetSliceOffset() for name, view in desktop.slice_views.items()}
    assert offsets["Red"] == pytest.approx(-290)
    assert abs(offsets["Yellow"]) == pytest.approx(2)
    assert abs(offsets["Green"]) == pytest.approx(20)


def test_shift_and_a_move_take_all_views_to_the_point(desktop):
    hands.show_ball(desktop)
    desktop.actions.by_name["crosshair"].trigger()
    view = desktop.slice_views["Red"]
    place = (view.canvas.width() * 0.5 + 20, view.canvas.height() * 0.5 + 30)
    target = hands.ras_at(view, place)
    hands.move(view.canvas, place, modifier=Qt.KeyboardModifier.ShiftModifier)
    hands.settle()
    assert abs(desktop.slice_views["Yellow"].logic.GetSliceOffset()) == pytest.approx(abs(target[0]), abs=0.01)
    assert abs(desktop.slice_views["Green"].logic.GetSliceOffset()) == pytest.approx(abs(target[1]), abs=0.01)


def test_a_drag_is_one_step_of_undo(desktop):
    desktop.scene.SetUndoOn()
    hands.show_ball(desktop)
    view = desktop.slice_views["Red"]
    node = hands.points(desktop, hands.ras_at(view, (150.5, 120.5)))
    desktop.scene.ClearUndoStack()
    before = hands.world(node, 0)
    hands.drag(view.canvas, (150.5, 120.5), (200.5, 150.5))
    after = hands.world(node, 0)
    assert not np.allclose(before, after, atol=1)
    assert desktop.scene.GetNumberOfUndoLevels() == 1
    QTest.keyClick(desktop.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert hands.world(node, 0) == pytest.approx(before)
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(desktop.window, Qt.Key.Key_Z, both)
    assert hands.world(node, 0) == pytest.approx(after)


def test_a_double_click_shows_one_view_and_another_all_again(desktop):
    hands.show_ball(desktop)
    view = desktop.slice_views["Green"]
    small = view.canvas.size()
    shown = hands.ras_at(view, (view.canvas.width() / 2, view.canvas.height() / 2))
    QTest.mouseDClick(view.canvas, hands.LEFT)
    hands.settle()
    assert not desktop.slice_views["Red"].widget.isVisible()
    assert view.canvas.width() > 1.5 * small.width()
    assert view.canvas.height() > 1.5 * small.height()
    middle = (view.canvas.width() / 2, view.canvas.height() / 2)
    assert hands.ras_at(view, middle) == pytest.approx(shown, abs=0.2)
    assert view.node.GetDimensions()[:2] == view.canvas.device_size()
    QTest.mouseDClick(view.canvas, hands.LEFT)
    hands.settle()
    assert desktop.slice_views["Red"].widget.isVisible()
    assert view.canvas.size() == small


def test_the_left_button_turns_the_3d_view(desktop):
    hands.show_ball(desktop)
    camera = desktop.view3d.renderer.GetActiveCamera()
    before = camera.GetPosition()
    hands.drag(desktop.view3d.canvas, (150, 150), (220, 170))
    assert not np.allclose(camera.GetPosition(), before, atol=1)


def test_views_draw_when_something_changed_and_never_else(desktop):
    hands.show_ball(desktop)
    hands.settle(800)  # the surface is made, and drawn
    drawn = []
    for view in desktop.views():
        view.canvas.render_window.AddObserver("EndEvent", lambda window, _: drawn.append(window))
    hands.settle(300)
    assert drawn == []
    view = desktop.slice_views["Red"]
    hands.wheel(view.canvas, 3)
    hands.settle(400)
    assert drawn == [view.canvas.render_window]


def test_the_view_in_which_something_is_dragged_is_drawn_before_the_others(desktop):
    hands.show_ball(desktop)
    hands.settle(300)
    here, there = desktop.slice_views["Red"].canvas, desktop.slice_views["Yellow"].canvas
    drawn = []
    tags = [
        (view.render_window, view.render_window.AddObserver("EndEvent", lambda *_, name=name: drawn.append(name)))
        for name, view in (("there", there), ("here", here))
    ]

    def order_of_drawing():
        hands.settle(200)
        drawn.clear()
        for view in (there, here):
            view.request()
        hands.wait_until(lambda: len(set(drawn)) == 2)
        return list(dict.fromkeys(drawn))

    QTest.mousePress(here, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, here.rect().center())
    assert order_of_drawing() == ["here", "there"]
    QTest.mouseRelease(here, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, here.rect().center())
    assert order_of_drawing() == ["there", "here"]
    for window, tag in tags:
        window.RemoveObserver(tag)


def test_slices_show_in_3d_and_follow_the_wheel(desktop):
    hands.show_ball(desktop)
    hands.settle(500)
    desktop.actions.by_name["surface"].trigger()
    desktop.view3d.render()
    without = desktop.view3d.canvas.grab().toImage()
    desktop.actions.by_name["planes"].trigger()
    desktop.view3d.render()
    shown = desktop.view3d.canvas.grab().toImage()
    assert shown != without
    hands.wheel(desktop.slice_views["Red"].canvas, 5)
    desktop.view3d.render()
    assert desktop.view3d.canvas.grab().toImage() != shown
    desktop.actions.by_name["planes"].trigger()
    desktop.view3d.render()
    assert desktop.view3d.canvas.grab().toImage() == without


def test_a_click_in_a_view_leaves_the_keys_with_the_panel(desktop):
    hands.show_ball(desktop)
    button = desktop.module_widget.ui.placeButton
    button.setFocus()
    view = desktop.slice_views["Red"]
    hands.click(view.canvas, (50, 50))
    assert desktop.window.focusWidget() is button


def test_escape_ends_placing(desktop):
    hands.show_ball(desktop)
    node = hands.points(desktop)
    desktop.module_widget.ui.pointsSelector.setCurrentNode(node)
    desktop.module_widget.ui.placeButton.click()
    assert hands.interaction().GetCurrentInteractionMode() == hands.interaction().Place
    QTest.keyClick(desktop.window, Qt.Key.Key_Escape)
    assert hands.interaction().GetCurrentInteractionMode() == hands.interaction().ViewTransform
    hands.click(desktop.slice_views["Red"].canvas, (60, 60))
    assert node.GetNumberOfDefinedControlPoints() == 0
