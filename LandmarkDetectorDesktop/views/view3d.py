"""The 3D view."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from LandmarkDetectorDesktop.views.managed import ManagedView

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
)


def view3d_factory(application: Any) -> Any:
    """The factory of the displayable managers of 3D views."""
    factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory()
    factory.SetMRMLApplicationLogic(application)
    for name in MANAGERS:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    return factory


class View3D(ManagedView):
    """The volume and its landmarks in space."""

    def __init__(self, scene: Any, application: Any, factory: Any) -> None:
        super().__init__(factory)
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
        self.widget = QWidget()
        layout = QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.canvas.setObjectName("View3DCanvas")

    def fit(self) -> None:
        """Show everything that is there."""
        self.renderer.ResetCamera()
        self.request()

    def close(self) -> None:
        """Let the scene go."""
        self.style.SetCameraNode(None)
        self.style.SetInteractor(None)
        super().close()
