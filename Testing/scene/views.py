"""A slice view and a 3D view without a window or Qt: the displayable managers of Slicer, drawn off screen, and a mouse.

A test that says "drag" sends the events that a mouse sends, so that Slicer's own markups widget does the rest.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk


class _View:
    """A render window off screen, with an interactor that is driven by hand."""

    size = (400, 400)

    def __init__(self, managers: tuple[str, ...], factory, node, background: tuple[float, float, float]) -> None:
        self.node = node
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetBackground(*background)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*self.size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetSize(*self.size)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())  # the view style asks it for its observers
        self.interactor.EnableRenderOff()
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def render(self) -> None:
        self.window.Render()

    def save(self, path: Path) -> None:
        """Write what is seen as PNG."""
        self.render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetInputConnection(grab.GetOutputPort())
        writer.SetFileName(str(path))
        writer.Write()

    def mouse(self, event: str, place: tuple[float, float]) -> None:
        """Send one event at a place in display pixels from the lower left."""
        self.interactor.SetEventInformation(round(place[0]), round(place[1]), 0, 0, chr(0), 0, None)
        self.interactor.InvokeEvent(event)

    def click(self, place: tuple[float, float]) -> None:
        self.mouse("MouseMoveEvent", place)
        self.mouse("LeftButtonPressEvent", place)
        self.mouse("LeftButtonReleaseEvent", place)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 4) -> None:
        """Take what is at ``start`` to ``end``, with the moves between, as a hand does."""
        self.mouse("MouseMoveEvent", start)
        self.render()
        self.mouse("MouseMoveEvent", start)
        self.mouse("LeftButtonPressEvent", start)
        for i in range(1, steps + 1):
            self.mouse("MouseMoveEvent", tuple(a + (b - a) * i / steps for a, b in zip(start, end, strict=True)))
        self.mouse("LeftButtonReleaseEvent", end)


class SliceView(_View):
    """One slice view; ``orientation`` is Axial, Sagittal or Coronal."""

    managers = ("vtkMRMLMarkupsDisplayableManager", "vtkMRMLModelSliceDisplayableManager")

    def __init__(self, scene, application, orientation: str = "Axial", name: str = "Red") -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        node = self.logic.AddSliceNode(name)
        node.SetOrientation(orientation)
        super().__init__(self.managers, factory, node, (0, 0, 0))
        self.mapper = mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self.image = vtk.vtkActor2D()
        self.image.SetMapper(mapper)
        self.image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.image)
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(self.logic)
        style.SetDisplayableManagers(self.group)
        style.SetInteractor(self.interactor)
        self.style = style
        self.interactor.Initialize()
        self.group.SetMRMLDisplayableNode(node)
        self.logic.ResizeSliceNode(*self.size)

    def show(self, volume) -> None:
        """Show the whole slice of a volume through its middle."""
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToAll()
        self.mapper.SetInputConnection(self.logic.GetImageDataConnection())  # there is none before
        self.render()

    def place_of(self, ras) -> tuple[float, float]:
        """Where a world position is seen, in display pixels."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), matrix)
        x, y, *_ = matrix.MultiplyPoint((*ras, 1.0))
        return x, y

    def close(self) -> None:
        composite = self.logic.GetSliceCompositeNode()
        if composite is not None:
            composite.SetBackgroundVolumeID(None)
        self.group.SetMRMLDisplayableNode(None)
        self.logic.SetMRMLScene(None)
        self.window.Finalize()


class ThreeDView(_View):
    """A 3D view with the managers of cameras, markups and models."""

    managers = ("vtkMRMLCameraDisplayableManager", "vtkMRMLMarkupsDisplayableManager", "vtkMRMLModelDisplayableManager")

    def __init__(self, scene, application) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application)
        node = scene.CreateNodeByClass("vtkMRMLViewNode")
        node.UnRegister(None)
        node.SetName("View1")
        node.SetLayoutName("1")
        scene.AddNode(node)
        super().__init__(self.managers, factory, node, (0.75, 0.76, 0.91))
        self.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self.style.SetDisplayableManagers(self.group)
        self.style.SetInteractor(self.interactor)
        self.interactor.Initialize()
        self.group.SetMRMLDisplayableNode(node)

    def close(self) -> None:
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()
