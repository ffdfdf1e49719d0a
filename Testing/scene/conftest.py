"""A fresh scene of Slicer's own classes for each test, with the logics that markups and views need. No Qt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

if not os.environ.get("DISPLAY"):  # before VTK makes its first window
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (pip install landmark-detector[desktop])")
import vtk  # noqa: E402

from LandmarkDetectorLib.core import Grid, LandmarkSet  # noqa: E402
from Testing.scene.nodes import add_grid, add_linear, add_volume, marks_of  # noqa: E402


@dataclass
class World:
    """A scene and the logics beside it."""

    scene: Any
    application: Any
    markups: Any
    volumes: Any


@pytest.fixture
def world() -> Iterator[World]:
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetMRMLScene(scene)
    logics = {}
    vtk.vtkObject.GlobalWarningDisplayOff()  # the colour logic misses the application's folder of tables
    for name in ("Colors", "Markups", "Volumes", "Models", "Transforms"):
        kind = {"Colors": "Color", "Transforms": "Transform"}.get(name, name)
        logics[name] = getattr(slicer, f"vtkSlicer{kind}Logic")()
        logics[name].SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logics[name])
        logics[name].SetMRMLScene(scene)
    vtk.vtkObject.GlobalWarningDisplayOn()
    yield World(scene, application, logics["Markups"], logics["Volumes"])
    scene.Clear(1)


@pytest.fixture
def scene(world: World) -> Any:
    return world.scene


@pytest.fixture
def ct(scene: Any) -> Any:
    """A small oblique volume."""
    direction = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    return add_volume(scene, Grid((12, 10, 8), (1.0, 1.5, 2.0), (-20.0, 7.0, 30.0), direction))


@pytest.fixture
def marks() -> LandmarkSet:
    return marks_of()


@pytest.fixture(params=["none", "linear", "grid"])
def parent(request: pytest.FixtureRequest, scene: Any) -> Any:
    """No transform, a linear and a bent one."""
    make: dict[str, Callable[[Any], Any]] = {"none": lambda scene: None, "linear": add_linear, "grid": add_grid}
    return make[request.param](scene)
