"""Puts the stand-ins where a module file looks for them, and takes them away again."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util
from qtpy.QtWidgets import QVBoxLayout

from LandmarkDetectorDesktop.standins import ctk_widgets, mrml_widgets, scripted, util
from LandmarkDetectorDesktop.standins.app import App

if TYPE_CHECKING:
    from LandmarkDetectorDesktop.application import Desktop

_MISSING = object()


@dataclass
class LoadedModule:
    """A scripted module that was loaded."""

    name: str
    path: Path
    instance: Any
    widget: Any = None
    parent: Any = None
    logics: dict[str, Any] = field(default_factory=dict)


class Installation:
    """The stand-ins of one desktop, in ``sys.modules`` and in ``slicer``."""

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._replaced: list[tuple[Any, str, Any]] = []
        self._loaded: dict[str, LoadedModule] = {}

    def put(self) -> None:
        """Put everything in place."""
        desktop = self._desktop
        ctk = ModuleType("ctk")
        for cls in ctk_widgets.WIDGETS:
            setattr(ctk, cls.__name__, cls)
        i18n, scripted_module = scripted.i18n_module(), scripted.scripted_module()
        modules = {
            "qt": desktop.qt_module,
            "ctk": ctk,
            "slicer.i18n": i18n,
            "slicer.ScriptedLoadableModule": scripted_module,
        }
        for name, module in modules.items():
            self._set_item(sys.modules, name, module)
        logics = desktop.logics
        known = {
            name: SimpleNamespace(name=name, logic=lambda logic=logic: logic)
            for name, logic in logics.by_module().items()
        }
        attributes = {
            "mrmlScene": desktop.scene,
            "app": App(desktop),
            "modules": SimpleNamespace(**known),
            "i18n": i18n,
            "ScriptedLoadableModule": scripted_module,
            **{cls.__name__: cls for cls in mrml_widgets.WIDGETS},
        }
        for name, value in attributes.items():
            self._set_attribute(slicer, name, value)
        for name, function in util.functions(desktop).items():
            self._set_attribute(slicer.util, name, function)
            if hasattr(slicer, name):  # slicer-core lifts the functions of slicer.util into slicer
                self._set_attribute(slicer, name, function)

    def take_away(self) -> None:
        """Leave ``sys.modules`` and ``slicer`` as they were found."""
        for module in self._loaded.values():
            self._forget(module.path)
        self._loaded.clear()
        while self._replaced:
            holder, name, value = self._replaced.pop()
            if isinstance(holder, dict):
                if value is _MISSING:
                    holder.pop(name, None)
                else:
                    holder[name] = value
            elif value is not _MISSING:
                setattr(holder, name, value)
            elif name in vars(holder):
                delattr(holder, name)

    def load(self, path: Path) -> LoadedModule:
        """Run a module file and build its panel, as Slicer does.

        Args:
            path: the file; it defines classes by its own name, and by that name with Widget, Logic and Test.

        Raises:
            RuntimeError: the file is missing or lacks one of the classes.
            Exception: whatever the file raises.
        """
        name = path.stem
        if not path.is_file():
            raise RuntimeError(f"{path.name}: there is no such module file in {path.parent}.")
        self._forget(path)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        source = importlib.util.module_from_spec(spec)
        self._set_item(sys.modules, name, source)
        with scripted.importable(path.parent):
            spec.loader.exec_module(source)
        missing = [name + part for part in ("", "Widget") if not hasattr(source, name + part)]
        if missing:
            raise RuntimeError(f"{path.name}: it defines no class {missing[0]}; Slicer finds its parts by these names.")
        parent = scripted.module_parent(path)
        module = LoadedModule(name, path, getattr(source, name)(parent), parent=parent)
        self._loaded[name] = module
        self._announce(module)
        module.widget = self._build(getattr(source, name + "Widget"))
        setattr(slicer.modules, f"{name}Widget", module.widget)
        return module

    def module_of(self, module: Any) -> LoadedModule:
        """A loaded module by its name, or by what ``slicer.modules`` holds.

        Raises:
            RuntimeError: it is not loaded.
        """
        name = module if isinstance(module, str) else module.name
        for loaded in self._loaded.values():
            if loaded.name.lower() == name.lower():
                return loaded
        raise RuntimeError(f"Could not find module with name {name!r}.")

    def _announce(self, module: LoadedModule) -> None:
        representation = SimpleNamespace(self=lambda: module.widget)
        entry = SimpleNamespace(
            name=module.name,
            path=str(module.path),
            title=module.parent.title,
            logic=lambda: None,
            widgetRepresentation=lambda: representation,
        )
        setattr(slicer.modules, module.name.lower(), entry)
        setattr(slicer.modules, f"{module.name}Instance", module.instance)

    def _build(self, cls: type) -> Any:
        wrap = getattr(self._desktop.qt_module, "wrap", lambda widget: widget)
        holder = mrml_widgets.qMRMLWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(4, 4, 4, 4)
        holder.setMRMLScene(self._desktop.scene)
        self._desktop.take_panel(holder)
        widget = cls(wrap(holder))
        widget.setup()
        return widget

    def _forget(self, path: Path) -> None:
        """Drop what an earlier desktop imported of this module: it holds that desktop's ``qt``."""
        name = path.stem
        for key in [key for key in sys.modules if key == name or key.startswith(f"{name}.Panel")]:
            self._set_item(sys.modules, key, _MISSING)

    def _set_item(self, holder: dict, name: str, value: Any) -> None:
        if value is _MISSING:
            holder.pop(name, None)
            return
        self._replaced.append((holder, name, holder.get(name, _MISSING)))
        holder[name] = value

    def _set_attribute(self, holder: Any, name: str, value: Any) -> None:
        self._replaced.append((holder, name, vars(holder).get(name, _MISSING)))
        setattr(holder, name, value)
