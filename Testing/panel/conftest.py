"""A desktop with the panel in it, under PySide6 and under PythonQt's manners, driven as a person would drive it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

if sys.platform.startswith("linux"):  # before Qt or VTK is imported
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if os.environ["QT_QPA_PLATFORM"] == "offscreen":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


@pytest.fixture(scope="package", params=["PySide6", "PythonQt"])
def application(request, tmp_path_factory) -> Iterator:
    """A desktop for all tests of one binding: its worker is warm after the first."""
    pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
    pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")
    from Testing.panel.person import open_desktop

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANDMARK_DETECTOR_BUNDLES", str(tmp_path_factory.mktemp("bundles")))
        desktop = open_desktop(request.param)
        yield desktop
        desktop.close()


class _Unwanted(ModuleType):
    """A module that nobody may use; it can be imported, since PySide6 looks at all that is in sys.modules."""

    def __init__(self, name: str, complaints: list[str]) -> None:
        super().__init__(name)
        self._complaints = complaints

    def __getattr__(self, name: str) -> None:
        if not name.startswith("__"):
            self._complaints.append(f"{self.__name__}.{name} was asked for in the application's own process")
        raise AttributeError(name)


@pytest.fixture
def person(application, monkeypatch) -> Iterator:
    """A person in front of an empty scene.

    What goes wrong in a slot or an observer fails the test, and so does whoever wants torch in this process.
    """
    from Testing.panel.person import Person

    complaints: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, _trace: complaints.append(f"{kind.__name__}: {error}"))
    monkeypatch.setitem(sys.modules, "torch", _Unwanted("torch", complaints))
    person = Person(application)
    person.begin()
    yield person
    person.leave()
    assert not complaints
