"""How a desktop begins and ends."""

from __future__ import annotations

import gc
import locale
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

pytest.importorskip("slicer", reason="needs slicer-core: pip install landmark-detector[desktop]")
pytest.importorskip("PySide6", reason="needs PySide6: pip install landmark-detector[desktop]")

import slicer  # noqa: E402
import vtk  # noqa: E402
from PySide6.QtCore import QSettings, Qt, QTimer  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication, QMessageBox  # noqa: E402

from LandmarkDetectorDesktop.__main__ import missing_screen  # noqa: E402
from LandmarkDetectorDesktop.application import Desktop  # noqa: E402
from LandmarkDetectorDesktop.standins.qt_names import QtNames  # noqa: E402
from LandmarkDetectorLib.io.private_folder import PREFIX  # noqa: E402
from Testing.desktop import hands  # noqa: E402
from Testing.desktop.conftest import PROBE, ROOT, SAMPLES  # noqa: E402

SKULL = SAMPLES / "mouse-skull-ct" / "samples" / "NU_J.nii.gz"


def test_two_desktops_follow_each_other_and_share_nothing():
    scenes = []
    for _ in range(2):
        desktop = Desktop(module=PROBE, answer=lambda kind, text: True)
        desktop.window.show()
        hands.settle()
        assert slicer.mrmlScene is desktop.scene
        assert desktop.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
        hands.show_ball(desktop)
        hands.wheel(desktop.slice_views["Red"].canvas, 1)
        scenes.append(desktop.scene)
        desktop.close()
        desktop.close()
    assert scenes[0] is not scenes[1]
    assert "ctk" not in sys.modules


def test_a_closed_desktop_leaves_no_scene_behind():
    desktop = Desktop(module=PROBE, answer=lambda kind, text: True)
    desktop.window.show()
    hands.show_ball(desktop)
    hands.points(desktop, (1, 2, 3))
    hands.settle(300)
    views = [view.canvas.render_window for view in desktop.views()]
    held = []
    for subject in (desktop.scene, desktop.view3d.node, *views):
        held.append(vtk.vtkWeakReference())
        held[-1].Set(subject)
    del views, subject
    desktop.close()
    del desktop
    QTest.qWait(50)
    gc.collect()
    assert [weak.Get() for weak in held] == [None] * len(held)


def test_closing_while_something_is_still_to_be_drawn_does_nothing_bad():
    desktop = Desktop(module=PROBE, answer=lambda kind, text: True)
    desktop.window.show()
    hands.settle()
    desktop.open(SKULL)  # the surface waits for its timer
    for view in desktop.views():
        view.request()
    assert desktop._surface_timer.isActive()
    desktop.close()
    QTest.qWait(200)


def test_a_module_file_that_fails_leaves_nothing_behind(tmp_path):
    file = tmp_path / "Broken.py"
    file.write_text(
        "class Broken:\n    def __init__(self, parent):\n        raise ValueError('no')\nBrokenWidget = 3\n"
    )
    with pytest.raises(ValueError, match="no"):
        Desktop(module=file)
    assert "ctk" not in sys.modules
    with pytest.raises(RuntimeError, match="there is no such module file"):
        Desktop(module=tmp_path / "Missing.py")


def test_what_a_test_passes_as_qt_is_what_the_module_sees():
    class Proxy(QtNames):
        wrapped: list = []

        def wrap(self, widget):
            self.wrapped.append(widget)
            return widget

    proxy = Proxy()
    desktop = Desktop(proxy, module=PROBE)
    assert sys.modules["HostProbe"].qt is proxy
    assert desktop.module_widget.parent in proxy.wrapped
    assert desktop.module_widget.ui.volumeSelector in proxy.wrapped
    desktop.close()
    assert "qt" not in sys.modules


def test_without_a_screen_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert "QT_QPA_PLATFORM=offscreen" in missing_screen()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert missing_screen() == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
@pytest.mark.parametrize("ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_the_process_ends_well_leaves_no_settings_and_says_nothing_bad(ending, tmp_path):
    command = [sys.executable, "-m", "LandmarkDetectorDesktop", str(SKULL)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            end = time.monotonic() + 60
            while not psutil.Process(process.pid).children():  # the worker comes when the window stands
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.1)
            time.sleep(1)
            assert list(tmp_path.glob(f"{PREFIX}*"))
            process.send_signal(ending)
            output = process.communicate(timeout=30)[0]
        finally:
            process.kill()
    assert process.returncode == 0, output
    said = [line for line in output.splitlines() if "propagateSizeHints" not in line]
    assert said == []
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_the_folders_that_a_person_visits_are_not_remembered(desktop):
    settings = QSettings(QSettings.Scope.UserScope, "QtProject")
    where = Path(settings.fileName())
    assert where.is_relative_to(tempfile.gettempdir())
    folder = next(parent for parent in where.parents if parent.name.startswith(PREFIX))
    assert (folder / "owner").exists()  # by whose lock the next program sees whether this one was killed


def test_an_unexpected_error_is_said_once_and_the_window_lives_on(desktop, capsys):
    from LandmarkDetectorDesktop.__main__ import _say_unexpected

    _say_unexpected(desktop, ValueError, ValueError("what nobody foresaw"), None)
    assert desktop.dialogs.said[-1][0] == "error"
    assert "ValueError" in desktop.dialogs.said[-1][1]
    assert "what nobody foresaw" in capsys.readouterr().err


def test_numbers_are_written_with_a_point_whatever_the_locale(tmp_path):
    before = locale.setlocale(locale.LC_NUMERIC)
    for name in ("de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "German"):
        try:
            locale.setlocale(locale.LC_NUMERIC, name)
        except locale.Error:
            continue
        break
    else:
        pytest.skip("no locale with a decimal comma is installed")
    desktop = Desktop(module=PROBE, answer=lambda kind, text: True)
    assert locale.localeconv()["decimal_point"] == "."
    hands.show_ball(desktop)
    node = hands.points(desktop, (1.25, 2.5, 3.75))
    desktop.save_node(node, tmp_path / "points.fcsv")
    desktop.save_scene(tmp_path / "scene.mrb")
    assert "1.25" in (tmp_path / "points.fcsv").read_text()
    assert desktop.open(tmp_path / "scene.mrb").GetSpacing() == pytest.approx((0.8, 0.8, 1.5))
    again = desktop.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert hands.world(again, 0) == pytest.approx([1.25, 2.5, 3.75])
    desktop.close()
    locale.setlocale(locale.LC_NUMERIC, before)


def test_the_help_is_laid_out_and_what_names_files_is_not(desktop, monkeypatch):
    shown = []

    def look() -> None:
        box = QApplication.activeModalWidget()
        shown.append(box.textFormat())
        box.accept()

    monkeypatch.setattr(desktop.dialogs, "answer", None)
    for call in (desktop.actions.by_name["keys"].trigger, lambda: desktop.dialogs.say("info", "<b>scan</b>.nii.gz")):
        QTimer.singleShot(100, look)
        call()
    assert shown == [Qt.TextFormat.RichText, Qt.TextFormat.PlainText]


def test_return_does_not_throw_unsaved_work_away(desktop, monkeypatch, tmp_path):
    hands.show_ball(desktop)
    hands.points(desktop, (1, 2, 3))
    monkeypatch.setattr(desktop.dialogs, "answer", None)
    button, asked = QMessageBox.StandardButton, []

    def press(name: QMessageBox.StandardButton | None) -> None:
        box = QApplication.activeModalWidget()
        asked.append(box.text())
        (box.defaultButton() if name is None else box.button(name)).click()

    def closes(name: QMessageBox.StandardButton | None) -> bool:
        QTimer.singleShot(100, lambda: press(name))
        return desktop.may_lose_changes()

    desktop.scene_path = tmp_path / "no such folder" / "scene.mrb"
    assert not closes(button.Cancel)
    monkeypatch.setattr(desktop.dialogs, "say", lambda *_: None)
    assert not closes(None)  # Return saves, which fails here: the work must not go with the window
    desktop.scene_path = tmp_path / "scene.mrb"
    assert closes(None) and (tmp_path / "scene.mrb").is_file()
    hands.points(desktop, (4, 5, 6))
    assert closes(button.Discard)
    assert len(asked) == 4 and all("not saved" in text for text in asked)


def test_the_window_is_seen_before_an_image_is_read(desktop, monkeypatch):
    seen, called = SimpleNamespace(isExposed=lambda: False), []
    monkeypatch.setattr(desktop.window, "windowHandle", lambda: seen)
    desktop.window.when_seen(lambda: called.append("read"))
    hands.settle(100)
    assert not called
    seen.isExposed = lambda: True
    hands.settle(100)
    assert called == ["read"]
    seen.isExposed = lambda: False
    desktop.window.when_seen(lambda: called.append("read all the same"), tries=2)
    hands.settle(200)
    assert len(called) == 2
