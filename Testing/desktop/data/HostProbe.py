"""A small module that tries what a host gives; used by the tests of the desktop only."""

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *  # noqa: F403
from slicer.util import VTKObservationMixin


class HostProbe(ScriptedLoadableModule):  # noqa: F405
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        self.parent.title = _("Host probe")


class HostProbeWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.chosen = []
        self.cleaned = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        widget = slicer.util.loadUI(self.resourcePath("UI/HostProbe.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = HostProbeLogic()
        self.ui.volumeSelector.currentNodeChanged.connect(self.on_volume)
        self.ui.placeButton.clicked.connect(self.on_place)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndCloseEvent, self.on_closed)
        self.timer = qt.QTimer()
        self.timer.setInterval(60000)
        self.timer.start()

    def on_volume(self, *_arguments):
        self.chosen.append(self.ui.volumeSelector.currentNode())

    def on_place(self, *_arguments):
        node = self.ui.pointsSelector.currentNode()
        slicer.modules.markups.logic().SetActiveList(node)
        slicer.modules.markups.logic().StartPlaceMode(False)

    def on_closed(self, _caller, _event):
        self.chosen.append("closed")

    def cleanup(self):
        self.removeObservers()
        self.timer.stop()
        self.cleaned = True


class HostProbeLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    def centre(self, node):
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        return vtk.vtkVector3d(*(sum(bounds[2 * axis : 2 * axis + 2]) / 2 for axis in range(3)))
