"""A desktop with a small module in it; Qt and VTK draw without a screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform.startswith("linux"):  # before Qt or VTK is imported
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if os.environ["QT_QPA_PLATFORM"] == "offscreen":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).resolve().parent / "data" / "HostProbe.py"
SAMPLES = ROOT / "LandmarkDetectorLib" / "bundles" / "shipped"


@pytest.fixture
def desktop() -> Iterator:
    """A desktop with the probe module, shown; every question is answered with yes."""
    pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
    pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")
    from PySide6.QtTest import QTest

    from LandmarkDetectorDesktop.application import Desktop

    desktop = Desktop(module=PROBE, answer=lambda kind, text: True)
    desktop.window.show()
    desktop.window.activateWindow()  # shortcuts belong to the active window, which no window manager chooses here
    QTest.qWait(50)
    yield desktop
    desktop.close()
