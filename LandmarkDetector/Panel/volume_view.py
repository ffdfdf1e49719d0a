"""Which volume is looked at: what the person sees and what the panel works on are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk

CLASSES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")


class VolumeView:
    """Watches volumes come, and shows the chosen one in the slice views.

    Args:
        scene: the MRML scene.
        came: is called with the id of a volume that came, when it has its voxels.
    """

    def __init__(self, scene, came: Callable[[str], None]) -> None:
        self._scene, self._came = scene, came
        self._observation = scene.AddObserver(scene.NodeAddedEvent, self._on_node_added)

    def release(self) -> None:
        """Watch no longer."""
        self._scene.RemoveObserver(self._observation)

    @property
    def shown(self) -> str:
        """Id of the volume in the background of the slice views."""
        shown = self._scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        return (shown.GetBackgroundVolumeID() or "") if shown is not None else ""

    def show(self, volume) -> None:
        """Have the slice views show what the panel looks at, with its own landmarks."""
        if volume is not None and volume.GetScene() is not None:
            from LandmarkDetector.Scene.focus import show_landmarks_of

            show_landmarks_of(volume)
        if volume is not None and volume.GetImageData() is not None and self.shown != volume.GetID():
            slicer.util.setSliceViewerLayers(background=volume, fit=True)

    def any(self, preferred=None) -> Any:
        """The preferred node if it is a volume, else the scene's first volume, or ``None``."""
        found = [preferred, *(self._scene.GetFirstNodeByClass(name) for name in CLASSES)]
        return next((node for node in found if node is not None and node.GetClassName() in CLASSES), None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, scene, _event, node=None) -> None:
        if node is not None and node.GetClassName() in CLASSES and not (scene.IsImporting() or scene.IsRestoring()):
            node_id = node.GetID()
            qt.QTimer.singleShot(0, lambda: self._came(node_id))  # it gets its voxels after this
