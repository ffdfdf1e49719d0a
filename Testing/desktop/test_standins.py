from __future__ import annotations

import sys

import pytest


def test_a_module_file_finds_its_widgets_by_the_names_in_the_ui_file(desktop):
    ui = desktop.module_widget.ui
    assert ui.volumeSelector.property("nodeTypes") == ["vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"]
    assert ui.foldedSection.property("collapsed") is True
    assert ui.slider.property("value") == 2
    assert not ui.slider.isVisible()


def test_a_scene_connection_of_the_ui_file_is_made(desktop):
    assert desktop.module_widget.ui.volumeSelector.mrmlScene() is desktop.scene


def test_a_selector_without_none_takes_the_first_node_and_the_next_when_it_goes(desktop):
    selector, scene = desktop.module_widget.ui.volumeSelector, desktop.scene
    first = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    second = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "second")
    assert selector.currentNode() is first
    scene.RemoveNode(first)
    assert selector.currentNode() is second
    scene.RemoveNode(second)
    assert selector.currentNode() is None
    assert desktop.module_widget.chosen == [first, second, None]


def test_a_selector_with_none_chooses_nothing_by_itself_and_makes_nodes(desktop):
    selector, scene = desktop.module_widget.ui.pointsSelector, desktop.scene
    scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "one")
    assert selector.currentNode() is None
    made = selector.addNode()
    assert selector.currentNode() is made
    assert made.GetName() == "P"
    made.SetName("renamed")
    assert "renamed" in [selector._box.itemText(row) for row in range(selector._box.count())]
    selector.setCurrentNode(None)
    assert selector.property("currentNodeID") == ""


def test_a_closed_scene_empties_the_selectors_and_tells_the_module(desktop):
    desktop.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    desktop.scene.Clear(0)
    assert desktop.module_widget.ui.volumeSelector.currentNode() is None
    assert "closed" in desktop.module_widget.chosen


def test_a_section_folds_and_unfolds(desktop):
    ui = desktop.module_widget.ui
    ui.inputSection.setCollapsed(True)
    assert not ui.volumeSelector.isVisible()
    ui.inputSection.setCollapsed(False)
    assert ui.volumeSelector.isVisible()


def test_an_unknown_widget_in_a_ui_file_is_refused_by_name(desktop, tmp_path):
    import slicer

    file = tmp_path / "x.ui"
    file.write_text(
        '<ui version="4.0"><widget class="qMRMLFooWidget" name="f"/><customwidgets><customwidget>'
        "<class>qMRMLFooWidget</class><extends>QWidget</extends></customwidget></customwidgets></ui>"
    )
    with pytest.raises(RuntimeError, match="no stand-in for the widget qMRMLFooWidget"):
        slicer.util.loadUI(str(file))
    with pytest.raises(RuntimeError, match="there is no such .ui file"):
        slicer.util.loadUI(str(tmp_path / "y.ui"))


def test_a_test_answers_in_the_place_of_a_person(desktop):
    import slicer

    slicer.util.errorDisplay("It went wrong.")
    assert slicer.util.confirmYesNoDisplay("Shall I?") is True
    desktop.dialogs.answer = lambda kind, text: False
    assert slicer.util.confirmOkCancelDisplay("And now?") is False
    assert desktop.dialogs.said == [("error", "It went wrong."), ("question", "Shall I?"), ("question", "And now?")]


def test_the_parameter_node_of_a_logic_is_one(desktop):
    logic = desktop.module_widget.logic
    node = logic.getParameterNode()
    assert node is logic.getParameterNode()
    assert node.GetAttribute("ModuleName") == "HostProbe"


def test_closing_leaves_slicer_and_the_modules_as_they_were(desktop):
    import slicer

    widget = desktop.module_widget
    assert "ctk" in sys.modules
    assert slicer.modules.hostprobe.widgetRepresentation().self() is widget
    desktop.close()
    assert widget.cleaned
    assert "ctk" not in sys.modules
    assert not hasattr(slicer, "qMRMLNodeComboBox")
    assert "HostProbe" not in sys.modules
