"""The module that 3D Slicer finds: landmarks in 2D and 3D images, proposed by a network and reviewed by a person.

Kept thin: the views are in :mod:`LandmarkDetector.Panel`, what speaks MRML in :mod:`LandmarkDetector.Scene`, and what
finds landmarks in ``LandmarkDetectorLib``, which is imported when it is first needed and never at file scope.
"""

from __future__ import annotations

import sys
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent
# The file is a module; with a path it is a package too, so that its rooms have a name that nobody else can take.
__path__ = [str(HERE)]
if str(HERE.parent) not in sys.path:
    sys.path.append(str(HERE.parent))  # the library lies beside the module

_ROOMS = ("LandmarkDetector.", "LandmarkDetectorLib")


class LandmarkDetector(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        from LandmarkDetector.Panel.about import ACKNOWLEDGEMENT, HELP
        from LandmarkDetector.Panel.sample_data import offer

        self.parent.title = _("Landmark Detector")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["Markups", "Volumes"]
        self.parent.contributors = ["The Landmark Detector authors"]
        self.parent.helpText = HELP
        self.parent.acknowledgementText = ACKNOWLEDGEMENT
        offer()


class LandmarkDetectorWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; all that it does is in :class:`LandmarkDetector.Panel.panel.Panel`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: LandmarkDetectorLogic | None = None
        self.panel = None

    def setup(self) -> None:
        """Build the panel from the .ui file."""
        ScriptedLoadableModuleWidget.setup(self)
        from LandmarkDetector.Panel.install import Requirements
        from LandmarkDetector.Panel.panel import Panel

        self.logic = LandmarkDetectorLogic()
        root = slicer.util.loadUI(self.resourcePath("UI/LandmarkDetector.ui"))
        self.layout.addWidget(root)
        needed = Requirements(self.resourcePath("requirements.txt"))
        self.panel = Panel(root, slicer.util.childWidgetVariables(root), slicer.mrmlScene, requirements=needed)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_: self.panel.scene_closes())
        self.addObserver(scene, scene.EndCloseEvent, lambda *_: self.panel.scene_closed())
        self.addObserver(scene, scene.EndImportEvent, lambda *_: self.panel.scene_opened())

    def enter(self) -> None:
        """The person comes to the module: make the worker warm."""
        if self.panel:
            self.panel.enter()

    def exit(self) -> None:
        """The person goes to another module: a click in a view is no longer ours."""
        if self.panel:
            self.panel.exit()

    def cleanup(self) -> None:
        """The application ends, or the module is loaded again."""
        self.removeObservers()
        if self.panel:
            self.panel.close()
            self.panel = None

    def onReload(self) -> None:
        """Load the module again from its files, the rooms beside it too."""
        self.cleanup()
        for name in [name for name in sys.modules if name.startswith(_ROOMS)]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class LandmarkDetectorLogic(ScriptedLoadableModuleLogic):
    """The same steps without a panel, for scripts and notebooks."""

    def detect(self, volume: vtk.vtkObject, bundle: str, device: str = "auto") -> vtk.vtkObject:
        """Find the landmarks of a volume and wait for them.

        Args:
            volume: a scalar or vector volume node.
            bundle: the name of a bundle, or its folder.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Returns:
            A new vtkMRMLMarkupsFiducialNode, not reviewed.

        Raises:
            LandmarkDetectorError: the volume, the bundle or the device does not serve; one sentence that says why.
        """
        from LandmarkDetector.Panel.child_process import python_executable
        from LandmarkDetector.Scene.result import create_result
        from LandmarkDetector.Scene.volume_image import image_of_volume
        from LandmarkDetectorLib.inference.client import SubprocessWorker

        with SubprocessWorker(python_executable()) as worker:
            detection = worker.detect(image_of_volume(volume), bundle, device)
        return create_result(slicer.mrmlScene, detection.landmarks, volume)

    def export(self, node: vtk.vtkObject, path: str, system: str = "LPS") -> None:
        """Write the landmarks of a node to a file, in world coordinates.

        Args:
            node: a vtkMRMLMarkupsFiducialNode.
            path: ends in .mrk.json, .fcsv, .csv or .xlsx.
            system: ``LPS`` or ``RAS``.

        Raises:
            LandmarkFileError: the file cannot be written.
        """
        from LandmarkDetector.Scene.export import export

        export(node, Path(path), system)


class LandmarkDetectorTest(ScriptedLoadableModuleTest):
    """What Slicer's own test button runs: the way of a click, on the sample of a shipped bundle."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        """Run all of it."""
        self.setUp()
        self.test_detect_and_export()

    def test_detect_and_export(self) -> None:
        """Landmarks of the shipped sample arrive in order, unlocked, and can be written and read again."""
        import tempfile

        from LandmarkDetectorLib import load_bundle, load_landmarks

        bundle = load_bundle("mouse-skull-ct")
        volume = slicer.util.loadVolume(str(bundle.samples()[0]), {"singleFile": True})
        logic = LandmarkDetectorLogic()
        node = logic.detect(volume, bundle.name, "cpu")
        labels = [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())]
        self.assertEqual(labels, bundle.labels)
        self.assertFalse(node.GetLocked())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "landmarks.mrk.json"
            logic.export(node, str(path))
            self.assertEqual(load_landmarks(path).labels, bundle.labels)
        self.delayDisplay("Test passed")
