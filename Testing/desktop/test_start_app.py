"""``start.py app``, up to where the window begins."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start(monkeypatch):
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.syspath_prepend(str(ROOT))
    return module


def test_the_window_is_started_with_what_was_named(start):
    command = start.command_line(Path("python"), ["app", "a.nii", "b.nrrd"])
    assert command == ["python", "-I", "-m", "LandmarkDetectorDesktop", "a.nii", "b.nrrd"]


def test_its_extras_are_those_of_the_project(start):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in {*start.APP, *start.TEST}:
        assert f"\n{extra} = [" in project


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a screen")
def test_without_a_screen_it_stops_before_it_downloads_anything(start, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(start.Environment, "set_up", lambda *_: pytest.fail("it began to set up"))
    assert start.main(["app"]) == 2
    assert "DISPLAY is not set" in capsys.readouterr().err


def test_the_libraries_that_qt_needs_are_looked_for():
    pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = subprocess.run([sys.executable, "-c", module.APP_IMPORTS], capture_output=True, text=True)
    library = module.re.search(r"(\S+\.so[.\d]*): cannot open shared object file", result.stderr)
    assert result.returncode == 0 or (library and library.group(1).lower() in module.LIBRARIES), result.stderr
