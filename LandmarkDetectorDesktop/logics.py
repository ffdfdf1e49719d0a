"""The scene and the logics of Slicer's modules that serve it."""

from __future__ import annotations

from typing import Any

import slicer
import vtk


class Logics:
    """A new scene with its application logic and the modules' logics.

    Attributes:
        scene: the ``vtkMRMLScene``.
        application: the ``vtkMRMLApplicationLogic``.
        colors, volumes, markups, models, transforms, volume_rendering, subject_hierarchy: the modules' logics.
    """

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene  # parts of slicer-core look for it there
        self.application = slicer.vtkMRMLApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.application.SetSliceLogics(vtk.vtkCollection())
        self.application.SetViewLogics(vtk.vtkCollection())
        self.colors = self._module("Colors", slicer.vtkMRMLColorLogic())
        self.application.SetColorLogic(self.colors)
        self.volumes = self._module("Volumes", slicer.vtkSlicerVolumesLogic())
        self.markups = self._module("Markups", slicer.vtkSlicerMarkupsLogic())
        self.models = self._module("Models", slicer.vtkSlicerModelsLogic())
        self.transforms = self._module("Transforms", slicer.vtkSlicerTransformLogic())
        self.volume_rendering = self._module("VolumeRendering", slicer.vtkSlicerVolumeRenderingLogic())
        self.subject_hierarchy = self._module("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic())
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        crosshair.SetSingletonTag("default")
        crosshair.SetCrosshairBehavior(crosshair.OffsetJumpSlice)  # Shift and a move of the mouse
        self.crosshair = self.scene.AddNode(crosshair)

    def _module(self, name: str, logic: Any) -> Any:
        if hasattr(logic, "SetMRMLApplicationLogic"):
            logic.SetMRMLApplicationLogic(self.application)
        logic.SetMRMLScene(self.scene)
        if hasattr(self.application, "SetModuleLogic"):
            self.application.SetModuleLogic(name, logic)
        return logic

    def by_module(self) -> dict[str, Any]:
        """The logics by the name that ``slicer.modules`` gives their modules."""
        return {
            "colors": self.colors,
            "volumes": self.volumes,
            "markups": self.markups,
            "models": self.models,
            "transforms": self.transforms,
            "volumerendering": self.volume_rendering,
            "subjecthierarchy": self.subject_hierarchy,
        }

    def close(self) -> None:
        """Empty the scene and let it go; after the views have let it go."""
        self.scene.Clear(1)
        for logic in (*self.by_module().values(), self.application):
            logic.SetMRMLScene(None)
        self.application.SetColorLogic(None)
        if getattr(slicer, "mrmlScene", None) is self.scene:
            del slicer.mrmlScene
