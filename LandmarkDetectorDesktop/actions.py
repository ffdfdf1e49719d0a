"""Menus and tool bar."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import vtk
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QActionGroup, QKeySequence
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QToolBar

from LandmarkDetector.Scene.observations import Observations
from LandmarkDetectorDesktop.help import ABOUT, KEYS
from LandmarkDetectorDesktop.opening import FILTERS, samples
from LandmarkDetectorDesktop.saving import scene_file
from LandmarkDetectorDesktop.volume_node import pixel_size_of, set_pixel_size
from LandmarkDetectorLib.core import ImageError

if TYPE_CHECKING:
    from LandmarkDetectorDesktop.application import Desktop

_LAYOUTS = (("Four views", None), ("Axial", "Red"), ("Sagittal", "Yellow"), ("Coronal", "Green"), ("3D", "3D"))


class Actions:
    """What a person can do by menu, by key and by tool bar.

    No list of recent files is kept: names of files may be names of patients.

    Args:
        desktop: what it is done to.

    Attributes:
        by_name: the actions: open, folder, save, save_as, close_scene, quit, undo, redo, pixel_size, window_level, fit,
            crosshair, surface, planes.
    """

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._observations = Observations()
        self.by_name: dict[str, QAction] = {}
        window = desktop.window
        file, edit, view, help_menu = (window.menuBar().addMenu(name) for name in ("&File", "&Edit", "&View", "&Help"))
        self._add(
            file, "open", "&Open…", self.ask_open, QKeySequence.StandardKey.Open, "Open images, landmarks, a scene"
        )
        self._add(file, "folder", "Open &DICOM folder…", self.ask_folder, "Ctrl+Shift+O", "Open a folder of one series")
        shipped = file.addMenu("Open sa&mple")
        for path in samples():
            self._add(shipped, f"sample {path.name}", path.name, partial(desktop.open_all, [path]), None, "")
        file.addSeparator()
        self._add(file, "save", "&Save scene", self.save, QKeySequence.StandardKey.Save, "Save all into one .mrb")
        self._add(file, "save_as", "Save scene &as…", self.ask_save, "Ctrl+Shift+S", "Save all into another .mrb")
        file.addSeparator()
        self._add(file, "close_scene", "&Close scene", self.close_scene, "Ctrl+W", "Begin with an empty scene")
        self._add(file, "quit", "&Quit", window.close, QKeySequence.StandardKey.Quit, "")
        self._add(edit, "undo", "&Undo", desktop.undo, "Ctrl+Z", "Undo the last change of landmarks")
        self._add(edit, "redo", "&Redo", desktop.redo, "Ctrl+Shift+Z", "Do it again")
        self._add_views(view)
        self._add(help_menu, "keys", "&Mouse and keys", lambda: desktop.dialogs.tell(KEYS), "F1", "")
        self._add(help_menu, "about", "&About", lambda: desktop.dialogs.tell(ABOUT), None, "")
        edit.addSeparator()
        self._add(
            edit, "pixel_size", "Pi&xel size…", self.ask_pixel_size, None,
            "Say how large the pixels of a picture are, whose file does not",
        )  # fmt: skip
        self._add(edit, "stop", "Stop &placing", self._stop_placing, "Esc", "A click in a view places nothing any more")
        self._make_tool_bar()
        mode = desktop.interaction
        self._observations.add(mode, vtk.vtkCommand.ModifiedEvent, self._show_mode)
        self._observations.add(desktop.logics.crosshair, vtk.vtkCommand.ModifiedEvent, self._show_mode)
        self._show_mode()

    def close(self) -> None:
        """Follow the scene no longer."""
        self._observations.release()

    def _add(self, menu: QMenu, name: str, text: str, slot, keys, tip: str, checkable: bool = False) -> QAction:
        action = QAction(text, self._desktop.window)
        action.setObjectName(name)
        action.setCheckable(checkable)
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        if tip:
            shown = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{tip} ({shown})" if shown else tip)
            action.setStatusTip(tip)
        if checkable:
            action.toggled.connect(slot)
        else:
            action.triggered.connect(lambda *_: slot())
        menu.addAction(action)
        self.by_name[name] = action
        return action

    def _add_views(self, menu: QMenu) -> None:
        desktop = self._desktop
        group = QActionGroup(desktop.window)
        for number, (text, single) in enumerate(_LAYOUTS, 1):
            action = self._add(
                menu, f"layout {text}", text, lambda single=single: desktop.show_layout(single), f"Alt+{number}", ""
            )
            action.setCheckable(True)
            group.addAction(action)
        menu.addSeparator()
        self._add(menu, "fit", "&Fit to volume", desktop.reset_views, "Ctrl+0", "Show the whole volume in all views")
        self._add(
            menu, "window_level", "&Window/level", self._set_window_level, "Ctrl+L",
            "Drag in a slice view to change brightness and contrast", True,
        )  # fmt: skip
        self._add(menu, "auto_level", "&Automatic window/level", desktop.reset_window_level, "Ctrl+Shift+L", "")
        self._add(
            menu, "crosshair", "&Crosshair", self._set_crosshair, "Ctrl+H",
            "Show the same point in all views; it follows the mouse while Shift is held", True,
        )  # fmt: skip
        menu.addSeparator()
        surface = self._add(menu, "surface", "&Surface in 3D", desktop.surface.set_visible, None, "", True)
        surface.setChecked(True)
        self._add(menu, "planes", "S&lices in 3D", desktop.show_planes, None, "", True)

    def _make_tool_bar(self) -> None:
        bar = QToolBar("Tools")
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        for names in (("open", "save"), ("undo", "redo"), ("window_level", "crosshair", "fit")):
            if bar.actions():
                bar.addSeparator()
            for name in names:
                bar.addAction(self.by_name[name])
        self._desktop.window.addToolBar(bar)

    # --- files

    def ask_open(self) -> None:
        """Ask for files and open them."""
        paths, _ = QFileDialog.getOpenFileNames(self._desktop.window, "Open", "", ";;".join(FILTERS))
        self._desktop.open_all(paths)

    def ask_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = QFileDialog.getExistingDirectory(self._desktop.window, "Open the folder of one DICOM series")
        if folder:
            self._desktop.open_all([folder])

    def save(self) -> bool:
        """Save the scene where it was saved before; whether that was done."""
        path = self._desktop.scene_path
        return self.ask_save() if path is None else self._desktop.try_save(path)

    def ask_save(self) -> bool:
        """Ask for a file and save the scene; whether that was done."""
        volume = self._desktop.volume
        name = f"{volume.GetName() if volume is not None else 'scene'}.mrb"
        path, _ = QFileDialog.getSaveFileName(self._desktop.window, "Save scene", name, "Scene (*.mrb)")
        if not path:
            return False
        target = scene_file(path)  # the dialog has asked about the very name that was typed, and not about this one
        if target != Path(path) and target.exists():
            buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
            if not self._desktop.dialogs.confirm(f"{target.name} is there already. Replace it?", buttons):
                return False
        return self._desktop.try_save(target)

    def close_scene(self) -> None:
        """Begin with an empty scene, after asking."""
        if self._desktop.may_lose_changes():
            self._desktop.close_scene()

    def ask_pixel_size(self) -> None:
        """Ask how large the pixels of the shown picture are, where its file does not say, and measure in mm."""
        desktop, volume = self._desktop, self._desktop.volume
        try:
            known = pixel_size_of(volume)
        except ImageError as error:
            desktop.dialogs.say("info", str(error))
            return
        text = f"How large is a pixel of {volume.GetName()}, in mm?"
        size = desktop.dialogs.ask_number(text, known or 0.1, 1e-4, 100.0, 4)
        if size is not None:
            set_pixel_size(volume, size)
            desktop.arrange(volume)

    # --- what the scene says

    def _set_window_level(self, on: bool) -> None:
        mode = self._desktop.interaction
        if on != (mode.GetCurrentInteractionMode() == mode.AdjustWindowLevel):
            mode.SetCurrentInteractionMode(mode.AdjustWindowLevel if on else mode.ViewTransform)

    def _stop_placing(self) -> None:
        mode = self._desktop.interaction
        if mode.GetCurrentInteractionMode() != mode.ViewTransform:
            mode.SetCurrentInteractionMode(mode.ViewTransform)

    def _set_crosshair(self, on: bool) -> None:
        crosshair = self._desktop.logics.crosshair
        if on != (crosshair.GetCrosshairMode() != crosshair.NoCrosshair):
            crosshair.SetCrosshairMode(crosshair.ShowBasic if on else crosshair.NoCrosshair)

    def _show_mode(self, *_) -> None:
        mode, crosshair = self._desktop.interaction, self._desktop.logics.crosshair
        self.by_name["window_level"].setChecked(mode.GetCurrentInteractionMode() == mode.AdjustWindowLevel)
        self.by_name["crosshair"].setChecked(crosshair.GetCrosshairMode() != crosshair.NoCrosshair)
        placing = mode.GetCurrentInteractionMode() == mode.Place
        for view in self._desktop.views():
            if placing:
                view.canvas.setCursor(Qt.CursorShape.CrossCursor)
            else:
                view.canvas.unsetCursor()

    def show_layout(self, single: str | None) -> None:
        """Mark the layout that is shown."""
        for text, name in _LAYOUTS:
            self.by_name[f"layout {text}"].setChecked(name == single)
