"""Base classes of a scripted module, with the interface that Slicer's have."""

from __future__ import annotations

import contextlib
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer
from qtpy.QtWidgets import QVBoxLayout

from LandmarkDetectorDesktop.standins.mrml_widgets import qMRMLWidget


def _file_of(instance: object) -> Path:
    """The file in which the class of this object is written."""
    return Path(str(sys.modules[type(instance).__module__].__file__)).absolute()


class ScriptedLoadableModule:
    """What a module says about itself.

    Args:
        parent: takes title, categories, helpText and so on as attributes.
    """

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        parent.hidden = False

    def resourcePath(self, filename: str) -> str:
        """A file in the module's ``Resources``."""
        return str(_file_of(self).parent / "Resources" / filename)


class ScriptedLoadableModuleWidget:
    """The panel of a module.

    Args:
        parent: the widget with a layout that the panel is built into; made here if None.
    """

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.logic: Any = None
        if parent is None:
            parent = qMRMLWidget()
            parent.setLayout(QVBoxLayout())
            parent.setMRMLScene(slicer.mrmlScene)
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename: str) -> str:
        """A file in the module's ``Resources``."""
        return str(_file_of(self).parent / "Resources" / filename)

    def setup(self) -> None:
        """Build the panel; a module adds its own."""

    def cleanup(self) -> None:
        """The application closes."""

    def enter(self) -> None:
        """The panel comes into view."""

    def exit(self) -> None:
        """The panel goes out of view."""


class ScriptedLoadableModuleLogic:
    """What a module does, and the node that keeps its parameters."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def resourcePath(self, filename: str) -> str:
        """A file in the module's ``Resources``."""
        return str(_file_of(self).parent / "Resources" / filename)

    def getParameterNode(self) -> Any:
        """The module's parameter node; made when it is first asked for."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                return node
        else:
            found = self.getAllParameterNodes()
            if found:
                return found[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list:
        """Every parameter node of this module in the scene."""
        scene = slicer.mrmlScene
        nodes = (scene.GetNthNodeByClass(i, "vtkMRMLScriptedModuleNode") for i in range(scene.GetNumberOfNodes()))
        return [node for node in nodes if node is not None and node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        """A parameter node that is not in the scene yet."""
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The tests that a module brings along."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        if not arguments and not hasattr(self, "runTest"):
            arguments = ("setUp",)
        super().__init__(*arguments, **keywords)

    def delayDisplay(self, message: str, msec: int = 100, **_: Any) -> None:
        """Show what the test does now."""
        slicer.util.delayDisplay(message, msec)

    def runTest(self, *_: Any, **__: Any) -> None:
        """A module writes its own."""


def i18n_module() -> ModuleType:
    """``slicer.i18n`` of an application that speaks English."""
    module = ModuleType("slicer.i18n")
    module.tr = module._ = lambda text: text  # type: ignore[attr-defined]
    module.translate = lambda context, text: text  # type: ignore[attr-defined]
    module.getContext = lambda file: Path(file).stem  # type: ignore[attr-defined]
    return module


def scripted_module() -> ModuleType:
    """``slicer.ScriptedLoadableModule`` with what ``import *`` brings a module file."""
    module = ModuleType("slicer.ScriptedLoadableModule")
    for cls in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, cls.__name__, cls)
    module.__all__ = [name for name in vars(module) if name.startswith("Scripted")]  # type: ignore[attr-defined]
    return module


def module_parent(path: Path) -> SimpleNamespace:
    """What Slicer hands the constructor of a module's class."""
    return SimpleNamespace(path=str(path), name=path.stem, icon=None)


@contextlib.contextmanager
def importable(folder: Path):
    """Slicer puts a module's folder on the path; here only while it is loaded."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
