"""The 3D view."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from qtpy.QtWidgets import QVBoxLayout, QWidget

from LandmarkDetectorDesktop.views.managed import ManagedView, factory_of

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


def view3d_factory(application: Any) -> Any:
    """The factory of the displayable managers of 3D views."""
    return factory_of(slicer.vtkMRMLThreeDViewDisplayableManagerFactory(), application, MANAGERS)


class View3D(ManagedView):
    """The volume and its landmarks in space.

    Args:
        scene: the scene.
        application: its application logic.
        factory: of :func:`view3d_factory`.
    """

    def __init__(self, scene: Any, application: Any, factory: Any) -> None:
        super().__init__(factory)
        self._scene = scene
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddViewNode("1")
        self.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self.style.SetDisplayableManagers(self.group)
        self.style.SetInteractor(self.canvas.interactor)
        self.canvas.interactor.Initialize()
        self.group.SetMRMLDisplayableNode(self.node)
        self.dress()
        self.widget = QWidget()
        self.widget.setObjectName("3DView")
        layout = QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.canvas.setObjectName("3DCanvas")

    def dress(self) -> None:
        """Dark, without a box; a scene that is read brings its own."""
        self.node.SetBackgroundColor(0.10, 0.10, 0.12)
        self.node.SetBackgroundColor2(0.19, 0.19, 0.22)
        self.node.SetBoxVisible(0)
        self.node.SetAxisLabelsVisible(0)
        self.node.SetOrientationMarkerType(self.node.OrientationMarkerTypeAxes)

    def look_at(self, volume: Any) -> None:
        """Look at a volume from the front, all of it in view."""
        bounds = [0.0] * 6
        volume.GetRASBounds(bounds)
        if vtk.vtkMath.AreBoundsInitialized(bounds):
            camera = self.renderer.GetActiveCamera()
            centre = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
            camera.SetFocalPoint(centre)
            camera.SetPosition(centre[0], centre[1] + 500, centre[2])
            camera.SetViewUp(0, 0, 1)
            self.renderer.ResetCamera(bounds)
            camera.Zoom(1.25)  # a sphere around the corners is larger than what is inside
        self.request()

    def fit(self) -> None:
        """Show everything that is there, from where the camera stands."""
        self.renderer.ResetCamera()
        self.request()

    def see_all_depths(self) -> None:
        """Cut nothing off, near or far; a camera that a scene brought does not know how far away things are."""
        self.renderer.ResetCameraClippingRange()
        self.request()

    def close(self) -> None:
        """Let the scene go."""
        self.style.SetCameraNode(None)
        self.style.SetInteractor(None)
        super().close()
