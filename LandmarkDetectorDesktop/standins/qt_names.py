"""The module that a scripted file imports as ``qt``: Qt's classes under one roof, as PythonQt has them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

_ROOMS = ("QtCore", "QtGui", "QtWidgets", "QtUiTools", "QtTest", "QtNetwork", "QtSvg")


class QtNames(ModuleType):
    """A module that looks a name up in Qt's libraries when it is first asked for; they fill theirs lazily too."""

    def __init__(self) -> None:
        super().__init__("qt", "Qt's classes, wherever Qt keeps them.")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for room in _ROOMS:
                try:
                    value = getattr(import_module(f"qtpy.{room}"), name)
                except AttributeError:
                    continue
                setattr(self, name, value)
                return value
        raise AttributeError(f"Qt has no {name!r} in {', '.join(_ROOMS)}.")
