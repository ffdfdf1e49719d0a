"""What slice views and 3D views have in common: a renderer, a group of displayable managers, a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk
from qtpy.QtWidgets import QWidget

from LandmarkDetector.Scene.observations import Observations
from LandmarkDetectorDesktop.views.canvas import Canvas


def factory_of(factory: Any, application: Any, managers: Sequence[str]) -> Any:
    """A factory of displayable managers that makes those of these classes, in this order."""
    factory.SetMRMLApplicationLogic(application)
    for name in managers:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    return factory


class ManagedView:
    """A canvas whose content is drawn by displayable managers.

    Args:
        factory: makes the displayable managers of this kind of view.

    Attributes:
        widget: what stands in the window.
        canvas: where it is drawn.
        node: the view's node in the scene.
        logic: the view's logic.
    """

    def __init__(self, factory: Any) -> None:
        self.widget: QWidget
        self.node: Any = None
        self.logic: Any = None
        self.canvas = Canvas()
        self.renderer = vtk.vtkRenderer()
        self.canvas.render_window.AddRenderer(self.renderer)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.observations = Observations()
        self.observations.add(self.group, vtk.vtkCommand.UpdateEvent, self.canvas.request)
        self.group.Initialize(factory, self.renderer)

    def render(self) -> None:
        """Draw now."""
        self.canvas.draw()

    def request(self, *_: Any) -> None:
        """Draw soon."""
        self.canvas.request()

    def pause(self) -> None:
        """Draw nothing until :meth:`resume`."""
        self.canvas.pause()

    def resume(self) -> None:
        """Draw again."""
        self.canvas.resume()

    def close(self) -> None:
        """Let the scene go; in this order nothing is left behind."""
        self.observations.release()
        self.group.SetMRMLDisplayableNode(None)
        self.logic.SetMRMLScene(None)
        self.canvas.close_window()
