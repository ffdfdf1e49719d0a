"""A slice view: bar with a slider, picture, markups, corner text."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QFont, QPainter
from qtpy.QtWidgets import QVBoxLayout, QWidget

from LandmarkDetectorDesktop.views.managed import ManagedView, factory_of
from LandmarkDetectorDesktop.views.slice_bar import SliceBar
from LandmarkDetectorDesktop.volume_node import is_picture

MANAGERS = (
    "vtkMRMLScalarBarDisplayableManager",  # owns the mouse's window and level
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)
ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
COLOURS = {"Red": "#f34a33", "Yellow": "#edd54c", "Green": "#6eb04b"}  # those of Slicer, which people know


def slice_factory(application: Any) -> Any:
    """The factory of the displayable managers of slice views."""
    return factory_of(slicer.vtkMRMLSliceViewDisplayableManagerFactory(), application, MANAGERS)


class SliceView(ManagedView):
    """One plane through the volume.

    Args:
        name: Red, Yellow or Green.
        scene: the scene.
        application: its application logic.
        factory: of :func:`slice_factory`.
    """

    def __init__(self, name: str, scene: Any, application: Any, factory: Any) -> None:
        super().__init__(factory)
        self.name = name
        self.renderer.SetBackground(0, 0, 0)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(ORIENTATIONS[name])
        colour = QColor(COLOURS[name])
        self.node.SetLayoutColor(colour.redF(), colour.greenF(), colour.blueF())
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._actor)
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(self.logic)
        self.style.SetDisplayableManagers(self.group)
        self.style.SetInteractor(self.canvas.interactor)
        self.canvas.interactor.Initialize()
        self.group.SetMRMLDisplayableNode(self.node)
        self.observations.add(self.logic, vtk.vtkCommand.ModifiedEvent, self._on_modified)
        self.observations.add(self.node, vtk.vtkCommand.ModifiedEvent, self._on_modified)
        self.bar = SliceBar(name, ORIENTATIONS[name], COLOURS[name])
        self.bar.moved = self._on_bar
        self.widget = QWidget()
        layout = QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar.widget)
        layout.addWidget(self.canvas, 1)
        self.widget.setObjectName(f"{name}View")
        self.canvas.setObjectName(f"{name}Canvas")
        self.canvas.resized = self._on_resized
        self.canvas.overlay = self._paint_corner
        self._fitted: tuple[float, ...] = ()
        self.show_in_3d(False)

    def fit(self) -> None:
        """Show the whole volume, its middle slice."""
        self.logic.ResizeSliceNode(*self.canvas.device_size())
        self.logic.FitSliceToBackground()
        self.logic.SnapSliceOffsetToIJK()
        self._fitted = self._extent()

    def refresh(self) -> None:
        """Show what the nodes say; after a scene was read, whose views had other sizes."""
        self.logic.UpdatePipeline()  # or the slice is as thick as those of the volume that was shown before
        self.logic.ResizeSliceNode(*self.canvas.device_size())
        self.show_in_3d(self._in_3d)
        self._on_modified()

    def show_in_3d(self, shown: bool) -> None:
        """Show the slice as a plane in the 3D view, or not.

        The plane is a model, and each model that moves is drawn anew by every view. While nobody sees it, it moves in
        silence, so that scrolling one view draws one view.
        """
        self._in_3d = shown
        if not shown:
            self.node.SetSliceVisible(0)  # while it can still be heard
        for node in (self.logic.GetSliceModelTransformNode(), self.logic.GetSliceModelNode()):
            if node is not None:
                node.SetDisableModifiedEvent(int(not shown))
                if shown:
                    node.InvokePendingModifiedEvent()
        if shown:
            self.node.SetSliceVisible(1)

    def _extent(self) -> tuple[float, ...]:
        """What part of the plane is shown: width, height and shift."""
        return (*self.node.GetFieldOfView()[:2], *self.node.GetXYZOrigin()[:2])

    def _on_resized(self, width: int, height: int) -> None:
        """A view that shows the whole volume goes on doing so; one that was zoomed keeps its scale."""
        fitted = self._fitted and self.volume is not None and self._extent() == self._fitted
        self.logic.ResizeSliceNode(width, height)
        if fitted:
            offset = self.logic.GetSliceOffset()
            self.logic.FitSliceToBackground()
            self.logic.SetSliceOffset(offset)
            self._fitted = self._extent()

    def close(self) -> None:
        """Let the scene go."""
        self.canvas.overlay = None
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(None)
        self.observations.release()
        self._mapper.RemoveAllInputConnections(0)
        self.renderer.RemoveViewProp(self._actor)
        self.style.SetDisplayableManagers(None)
        self.style.SetSliceLogic(None)
        self.style.SetInteractor(None)
        super().close()

    @property
    def volume(self) -> Any:
        """The volume that is shown, or None."""
        return self.logic.GetNthLayerVolumeNode(0)

    def _on_modified(self, *_: Any) -> None:
        port = self.logic.GetImageDataConnection()
        if port is None or self.volume is None:
            self._actor.VisibilityOff()
        else:
            self._mapper.SetInputConnection(port)
            self._actor.VisibilityOn()
        self._show_offset()
        self.request()

    def _show_offset(self) -> None:
        bounds, resolution = [0.0, -1.0], vtk.reference(1.0)
        volume = self.volume
        if volume is None or is_picture(volume) or not self.logic.GetSliceOffsetRangeResolution(bounds, resolution):
            self.bar.clear()
            return
        self.bar.show(self.logic.GetSliceOffset(), bounds[0], bounds[1], float(resolution), self._axis())

    def _axis(self) -> str:
        """The anatomical direction that a higher offset goes to, as a letter; empty for an oblique plane."""
        matrix = self.node.GetSliceToRAS()
        normal = [matrix.GetElement(row, 2) for row in range(3)]
        row = max(range(3), key=lambda index: abs(normal[index]))
        if abs(normal[row]) < 0.999:
            return ""
        return ("RAS" if normal[row] > 0 else "LPI")[row]

    def _on_bar(self, offset: float) -> None:
        self.logic.StartSliceOffsetInteraction()
        self.logic.SetSliceOffset(offset)
        self.logic.EndSliceOffsetInteraction()

    def _paint_corner(self, painter: QPainter, area: QRectF) -> None:
        volume = self.volume
        display = None if volume is None else volume.GetDisplayNode()
        if display is None:
            painter.setPen(QColor("#8a8d93"))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "Open an image (Ctrl+O)\nor drop one here")
            return
        lines = [volume.GetName() or ""]
        if display.IsA("vtkMRMLScalarVolumeDisplayNode"):
            lines.append(f"W {display.GetWindow():.4g}  L {display.GetLevel():.4g}")
        font = QFont(painter.font())
        font.setPixelSize(12)
        painter.setFont(font)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        for shift, colour in ((1, QColor(0, 0, 0, 200)), (0, QColor("#f0f0f0"))):
            painter.setPen(colour)
            painter.drawText(area.adjusted(8, 0, -8, -6).translated(shift, shift), flags, "\n".join(lines))
