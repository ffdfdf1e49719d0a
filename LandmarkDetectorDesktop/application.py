"""The desktop: a window with views and the module's panel."""

from __future__ import annotations

import locale
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
import vtk
from qtpy.QtCore import QCoreApplication, Qt, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from LandmarkDetector.Scene.history import History
from LandmarkDetector.Scene.observations import Observations
from LandmarkDetectorDesktop import opening, saving
from LandmarkDetectorDesktop.actions import Actions
from LandmarkDetectorDesktop.changes import Changes
from LandmarkDetectorDesktop.dialogs import Dialogs
from LandmarkDetectorDesktop.logics import Logics
from LandmarkDetectorDesktop.privacy import forget_folders, keep_no_folders
from LandmarkDetectorDesktop.standins.install import Installation
from LandmarkDetectorDesktop.standins.qt_names import QtNames
from LandmarkDetectorDesktop.surface import Surface
from LandmarkDetectorDesktop.views.slice_view import ORIENTATIONS, SliceView, slice_factory
from LandmarkDetectorDesktop.views.view3d import View3D, view3d_factory
from LandmarkDetectorDesktop.views.view_grid import ViewGrid
from LandmarkDetectorDesktop.volume_node import is_picture, plane_of
from LandmarkDetectorDesktop.window import TITLE, MainWindow
from LandmarkDetectorLib.core import LandmarkDetectorError

MODULE = Path(__file__).resolve().parents[1] / "LandmarkDetector" / "LandmarkDetector.py"


@contextmanager
def _cursor(shape: Qt.CursorShape) -> Iterator[None]:
    """Meanwhile the mouse has this shape over all of the application."""
    QApplication.setOverrideCursor(shape)
    try:
        yield
    finally:
        QApplication.restoreOverrideCursor()


class Desktop:
    """The application without Slicer.

    Args:
        qt_module: what the module file sees as ``qt``; PySide6's classes if None. If it has ``wrap`` (and ``unwrap``),
            widgets go through them on their way to the module (and back).
        module: the module file.
        answer: answers message boxes in the place of a person, for tests; see :class:`.dialogs.Dialogs`.

    Attributes:
        window: the main window; not shown yet.
        scene: the scene.
        logics: the scene's logics.
        slice_views: Red, Yellow and Green.
        view3d: the 3D view.
        module_widget: the module's widget object.
        dialogs: what was said to the person.
        scene_path: where the scene was saved, or None.
    """

    def __init__(
        self,
        qt_module: Any = None,
        *,
        module: str | os.PathLike[str] = MODULE,
        answer: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.application = QCoreApplication.instance() or QApplication([TITLE])
        # Qt takes the person's locale; Slicer's readers and writers are meant for that of C, as Slicer sets it.
        locale.setlocale(locale.LC_NUMERIC, "C")
        keep_no_folders()
        self.qt_module = QtNames() if qt_module is None else qt_module
        self.module_name = Path(module).stem
        self.module_widget: Any = None
        self.scene_path: Path | None = None
        self.dialogs = Dialogs(lambda: self.window, TITLE, answer)
        self.logics = Logics()
        self.scene: Any = self.logics.scene
        self.interaction = self.logics.application.GetInteractionNode()
        self.window = MainWindow()
        self.surface = Surface(self.scene)
        self._changes = Changes(self.scene)
        self._observations = Observations()
        self._make_views()
        self.actions = Actions(self)
        self.window.dropped = lambda paths: QTimer.singleShot(0, self.window, lambda: self.open_all(paths))
        self.window.may_close = self.may_lose_changes
        self.window.statusBar().setSizeGripEnabled(False)
        self._surface_timer = QTimer(self.window)
        self._surface_timer.setSingleShot(True)
        self._surface_timer.timeout.connect(self._make_surface)
        self._observe()
        self.installation = Installation(self)
        self.installation.put()
        try:
            self.module_widget = self.installation.load(Path(module).absolute()).widget
        except BaseException:
            self.close()
            raise
        if hasattr(self.module_widget, "enter"):
            self.module_widget.enter()

    # --- views

    def _make_views(self) -> None:
        application = self.logics.application
        self._factories = (slice_factory(application), view3d_factory(application))
        self.slice_views = {name: SliceView(name, self.scene, application, self._factories[0]) for name in ORIENTATIONS}
        self.view3d = View3D(self.scene, application, self._factories[1])
        widgets = {name: view.widget for name, view in self.slice_views.items()}
        self._grid = ViewGrid({**widgets, "3D": self.view3d.widget})
        for name, view in (*self.slice_views.items(), ("3D", self.view3d)):
            view.canvas.double_clicked = lambda name=name: self._on_double_click(name)
        self.window.setCentralWidget(self._grid.widget)

    def _observe(self) -> None:
        events = slicer.vtkMRMLScene
        for event in (events.EndCloseEvent, events.EndImportEvent, events.EndRestoreEvent):
            self._observations.add(self.scene, event, self._on_scene)
        self._observations.add(self.scene, events.EndCloseEvent, self._on_emptied)
        self._observations.add(self.scene, events.EndBatchProcessEvent, self._after_batch)
        composite = self.slice_views["Red"].logic.GetSliceCompositeNode()
        self._observations.add(composite, vtk.vtkCommand.ModifiedEvent, self._on_shown)
        self._shown: Any = None

    def take_panel(self, panel: QWidget) -> None:
        """Dock the module's panel at the left."""
        self.window.dock(panel)

    def views(self) -> list[Any]:
        """All views."""
        return [*self.slice_views.values(), self.view3d]

    @property
    def volume(self) -> Any:
        """The volume that is shown, or None."""
        return self.slice_views["Red"].volume

    def show_volume(self, node: Any, fit: bool = True) -> None:
        """Show a volume in all views; a picture in one."""
        node_id = None if node is None else node.GetID()
        for view in self.slice_views.values():
            view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(node_id)
        if node is not None and fit:
            self.arrange(node)

    def arrange(self, node: Any) -> None:
        """Choose the views that suit a volume, and fit them to it."""
        if is_picture(node):
            name = plane_of(node)
            self.slice_views[name].node.RotateToVolumePlane(node)
            self.show_layout(name)
        else:
            for name, view in self.slice_views.items():
                view.node.SetOrientation(ORIENTATIONS[name])
            if self._grid.single is not None:
                self.show_layout(None)
        self.reset_views()

    def show_layout(self, single: str | None) -> None:
        """Show all views, or one: Red, Yellow, Green or 3D."""
        self._grid.show(single)
        self.actions.show_layout(single)

    def _on_double_click(self, name: str) -> bool:
        if self.interaction.GetCurrentInteractionMode() == self.interaction.Place:
            return False
        self.show_layout(None if self._grid.single == name else name)
        return True

    def reset_views(self) -> None:
        """Fit all views to the volume."""
        for view in self.slice_views.values():
            view.fit()
        if self.volume is not None:
            self.view3d.look_at(self.volume)

    def reset_window_level(self) -> None:
        """Let window and level suit the voxels again."""
        display = None if self.volume is None else self.volume.GetDisplayNode()
        if display is not None and display.IsA("vtkMRMLScalarVolumeDisplayNode"):
            display.SetAutoWindowLevel(0)
            display.SetAutoWindowLevel(1)

    def show_planes(self, shown: bool) -> None:
        """Show the slices in the 3D view, or not."""
        for view in self.slice_views.values():
            view.show_in_3d(shown)

    def _on_shown(self, *_: Any) -> None:
        """Another volume is shown, by whomever: its name stands in the title, its surface in the 3D view."""
        volume = self.volume
        if volume is self._shown:
            return
        was_picture = self._shown is not None and is_picture(self._shown)
        self._shown = volume
        if volume is not None and (is_picture(volume) or was_picture):
            self.arrange(volume)
        self.window.setWindowTitle(TITLE if volume is None else f"{volume.GetName()} – {TITLE}")
        self._surface_timer.start(30)

    def _make_surface(self) -> None:
        if self.scene is not None:
            self.surface.show(self.volume)
            self.view3d.see_all_depths()

    def _on_emptied(self, *_: Any) -> None:
        self.scene_path = None  # what comes next, or half of it, must not be saved in the place of what was there

    def _on_scene(self, *_: Any) -> None:
        self._shown = None
        self._on_shown()
        self.view3d.dress()
        if self.volume is None:
            self.show_layout(None)
        for view in self.slice_views.values():
            view.refresh()

    def _after_batch(self, *_: Any) -> None:
        for view in self.slice_views.values():
            view.node.Modified()  # what draws models in the slices heard nothing while a scene was read

    # --- files

    def open(self, path: str | os.PathLike[str]) -> Any:
        """Open an image, a DICOM folder, a file of landmarks or a scene.

        Returns:
            The volume or the markups node; for a scene the volume that it shows, or None.

        Raises:
            LandmarkDetectorError: it cannot be read; one sentence that says why.
        """
        self.window.statusBar().clearMessage()  # it may still speak of what was opened before
        is_scene = opening.kind_of(Path(path)) == "scene"
        node = opening.open_path(self.logics, path, self._note)
        if is_scene:
            self._changes.mark()
            self.scene_path = Path(path) if Path(path).suffix.lower() == ".mrb" else None
            if self.volume is None:
                self.show_volume(self.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
            elif is_picture(self.volume):
                self.arrange(self.volume)
            return self.volume
        if node.IsA("vtkMRMLVolumeNode"):
            self.show_volume(node)
            self.logics.application.GetSelectionNode().SetActiveVolumeID(node.GetID())
        self._changes.mark(node)
        return node

    def open_all(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Open what a person chose; what cannot be opened is said in a message box, and the rest is opened."""
        failures = []
        with _cursor(Qt.CursorShape.WaitCursor):
            for path in paths:
                if opening.kind_of(Path(path)) == "scene" and not self._may_replace():
                    continue
                try:
                    self.open(path)
                except LandmarkDetectorError as error:
                    failures.append(str(error))
        for message in failures:
            self.dialogs.say("error", message)

    def _may_replace(self) -> bool:
        with _cursor(Qt.CursorShape.ArrowCursor):
            return self.may_lose_changes()

    def _note(self, text: str) -> None:
        self.window.statusBar().showMessage(text, 15000)

    def save_node(self, node: Any, path: str | os.PathLike[str]) -> None:
        """Save one node's data.

        Raises:
            LandmarkFileError: it cannot be written.
        """
        saving.save_node(self.scene, node, path)

    def save_scene(self, path: str | os.PathLike[str]) -> None:
        """Save the scene with all its data into one ``.mrb``.

        Raises:
            LandmarkFileError: it cannot be written.
        """
        self.scene_path = saving.save_scene(self.scene, path)
        self._changes.mark()

    def try_save(self, path: str | os.PathLike[str]) -> bool:
        """Save the scene; says in a message box what went wrong."""
        try:
            with _cursor(Qt.CursorShape.WaitCursor):
                self.save_scene(path)
        except LandmarkDetectorError as error:
            self.dialogs.say("error", str(error))
            return False
        self.window.statusBar().showMessage("The scene is saved.", 5000)
        return True

    # --- changes

    def undo(self) -> None:
        """Take the last change of landmarks back."""
        history = History(self.scene)
        if history.can_undo():
            history.undo()
        else:
            self.window.statusBar().showMessage("There is nothing to undo.", 3000)

    def redo(self) -> None:
        """Do again what was taken back."""
        history = History(self.scene)
        if history.can_redo():
            history.redo()
        else:
            self.window.statusBar().showMessage("There is nothing to redo.", 3000)

    def may_lose_changes(self) -> bool:
        """Whether nothing is unsaved, or the person saves it now, or says that it may go."""
        if not self._changes.any():
            return True
        return self.dialogs.ask_unsaved(
            "The landmarks in this scene are not saved as a scene. Save them before it is closed?", self.actions.save
        )

    def close_scene(self) -> None:
        """Begin with an empty scene."""
        self.scene.Clear(0)
        self.scene_path = None

    def close(self) -> None:
        """End everything, in the order that leaves nothing behind; a second call does nothing."""
        if self.scene is None:
            return
        if self.module_widget is not None:
            self.module_widget.exit()
            self.module_widget.cleanup()
        self._surface_timer.stop()
        self._observations.release()
        for child in self.window.findChildren(QWidget):
            if hasattr(child, "setMRMLScene"):
                child.blockSignals(True)  # the module has been told that it is over
                child.setMRMLScene(None)
        self.actions.close()
        self.surface.clear()
        for view in self.views():
            view.close()
        self.installation.take_away()
        self.logics.close()
        self.window.may_close = self.window.closed = self.window.dropped = None
        self.window.close()
        self.window.deleteLater()
        forget_folders()
        self.scene = self.module_widget = None
