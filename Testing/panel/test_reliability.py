"""Whatever ends a detection, at whatever moment: nothing is left behind, one sentence says it, the next click works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from LandmarkDetectorLib.inference import voxel_file
from LandmarkDetectorLib.io import load_landmarks
from Testing.panel import own_process
from Testing.panel.person import HEAD, PICTURE, SAMPLE

pytestmark = [pytest.mark.one_binding, pytest.mark.slow]  # test_detecting.py has the shortest of each kind

GONE = 2.0
"""Seconds within which nothing of a detection may be left."""


@pytest.fixture
def room(monkeypatch, tmp_path) -> Path:
    """The one folder in which voxels may lie, so that other programs' do not matter."""
    folder = tmp_path / "voxels"
    folder.mkdir()
    monkeypatch.setattr(voxel_file, "_bases", lambda: [folder])
    return folder


def tree(person) -> list[psutil.Process]:
    """The worker and all that it started."""
    if not person.panel.worker.pid:
        return []
    worker = psutil.Process(person.panel.worker.pid)
    return [worker, *worker.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def nodes(person) -> set[str]:
    scene = person.desktop.scene
    return {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}


def is_one_sentence(text: str) -> bool:
    """Whether a person can read it: it begins and ends as a sentence does, and no line of code is in it."""
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and "Error(" not in text


def begin(person, seconds: float) -> None:
    """Click Detect and let time pass, or less of it where the detection is quicker."""
    person.click("detectButton")
    end = time.monotonic() + seconds
    while time.monotonic() < end and person.panel.run.running:
        person.rest(1)


def cancel_after(person, room: Path, seconds: float) -> bool:
    """Cancel so many seconds after the click, and look whether anything is left; whether it was still running."""
    before = nodes(person)
    begin(person, seconds)
    if not person.panel.run.running:
        person.desktop.scene.RemoveNode(person.panel.review.node)
        return False
    processes = tree(person)
    person.click("detectButton")
    assert person.widget("detectButton").text() == "Detect landmarks" and person.widget("detectButton").isEnabled()
    assert person.said == "Cancelled; nothing was changed."
    assert not list(room.iterdir())
    person.wait_until(lambda: not alive(processes), GONE)
    person.rest(50)
    assert nodes(person) == before and person.said == "Cancelled; nothing was changed."
    return True


def test_cancel_soon_later_and_late_leaves_nothing(person, room):
    person.open(PICTURE, HEAD)
    person.detect()
    start = time.monotonic()
    again = person.detect()
    warm = time.monotonic() - start
    person.desktop.scene.RemoveNode(again)
    hit = [cancel_after(person, room, share * warm) for share in (0.0, 0.4, 0.8)]
    assert hit[0]
    person.detect()
    assert len(person.rows) == 4 and not list(room.iterdir())


def often(times: int, act: Callable[[float], bool]) -> None:
    """Act at random moments until it has come in time so often; a detection takes from two seconds to seven."""
    moments, hits = random.Random(3), 0
    for _ in range(4 * times):
        hits += act(5 * moments.random())
        if hits == times:
            return
    raise AssertionError(f"only {hits} of {4 * times} came in time")


@pytest.mark.parametrize("application", ["PySide6"], indirect=True)
def test_cancel_at_twenty_random_moments_leaves_nothing(person, room):
    person.open(SAMPLE)
    often(20, lambda seconds: cancel_after(person, room, seconds))
    person.detect()
    assert len(person.rows) == 45 and not list(room.iterdir())


def kill_after(person, room: Path, seconds: float) -> bool:
    before = nodes(person)
    begin(person, seconds)
    if not person.panel.run.running or not person.panel.worker.pid:
        person.panel.run.cancel()
        return False
    processes = tree(person)
    os.kill(processes[0].pid, signal.SIGKILL)
    person.wait_until(lambda: not person.panel.run.running)
    person.rest(50)
    if person.panel.review.node is not None:  # it died before it was asked, and another one answered
        person.desktop.scene.RemoveNode(person.panel.review.node)
        person.rest()
        return False
    assert "The worker was lost" in person.said and is_one_sentence(person.said), person.said
    assert nodes(person) == before and not list(room.iterdir()) and not alive(processes)
    return True


def test_a_worker_that_is_killed_while_it_starts_or_works_is_said(person, room):
    person.open(PICTURE, HEAD)
    person.panel.worker.end()
    for seconds in (0.05, 0.6, 2.0):
        kill_after(person, room, seconds)
    person.detect()
    assert len(person.rows) == 4


@pytest.mark.parametrize("application", ["PySide6"], indirect=True)
def test_a_worker_that_is_killed_at_ten_random_moments_is_said(person, room):
    person.open(SAMPLE)
    often(10, lambda seconds: kill_after(person, room, seconds))
    person.detect()
    assert len(person.rows) == 45


def test_a_worker_that_hangs_is_cancelled_all_the_same(person, room):
    person.open(SAMPLE)
    begin(person, 0.5)
    processes = tree(person)
    os.kill(processes[0].pid, signal.SIGSTOP)
    person.rest(200)
    assert person.panel.run.running
    person.click("detectButton")
    person.wait_until(lambda: not alive(processes), GONE)
    assert person.said == "Cancelled; nothing was changed." and not list(room.iterdir())
    assert person.widget("detectButton").isEnabled()


def test_many_quick_clicks_on_detect_and_cancel_end_in_order(person, room):
    person.open(PICTURE, HEAD)
    seen: list[psutil.Process] = []
    for _ in range(25):
        person.click("detectButton")
        seen += tree(person)
    person.rest()
    if person.panel.run.running:
        person.click("detectButton")
    person.wait_until(lambda: not alive([p for p in seen if p.pid != person.panel.worker.pid]), GONE)
    assert not list(room.iterdir()) and person.widget("detectButton").text() == "Detect landmarks"
    person.wait_until(lambda: len(psutil.Process().children()) <= 1, GONE)
    person.detect()
    assert len(person.rows) == 4


def test_a_worker_that_is_killed_in_mid_batch_costs_one_image(person, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.mha").write_bytes(PICTURE.read_bytes())
    begin_batch(person, tmp_path, tmp_path / "out")
    person.wait_until(lambda: person.panel.batch_run._job is not None)
    os.kill(person.panel.worker.pid, signal.SIGKILL)
    person.wait_until(lambda: not person.panel.batch_run.running)
    rows = person.widget("batchTable")
    assert "lost" in rows.item(0, 2).text() and [rows.item(r, 1).text() for r in (1, 2)] == ["4 of 4"] * 2
    assert sorted(file.name for file in (tmp_path / "out").glob("*.csv")) == ["1.csv", "2.csv", "summary.csv"]


def test_a_batch_that_is_stopped_while_it_writes_leaves_no_half_of_a_file(person, tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.mha").write_bytes(PICTURE.read_bytes())
    begin_batch(person, tmp_path, tmp_path / "out")
    person.wait_until(lambda: person.widget("batchTable").rowCount() >= 2 and person.panel.batch_run._job is not None)
    half = tmp_path / "out" / f".writing-{person.panel.worker.pid}-0123.tmp"  # as a worker calls it
    half.write_bytes(b"half")
    (tmp_path / "out" / ".writing-1-0123.tmp").write_bytes(b"of another program")
    processes = tree(person)
    person.press("batchButton")
    person.wait_until(lambda: not alive(processes) and not half.exists(), GONE)
    assert [file.name for file in (tmp_path / "out").glob(".*")] == [".writing-1-0123.tmp"]
    assert all(len(load_landmarks(file)) == 4 for file in (tmp_path / "out").glob("*.mrk.json"))


@pytest.mark.parametrize("trouble", ["a file", "in a file", "no images", "a strange summary"])
def test_a_batch_that_cannot_begin_leaves_a_sentence(person, tmp_path, trouble):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "one.mha").write_bytes(PICTURE.read_bytes())
    (tmp_path / "file").write_bytes(b"a letter")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_bytes(b"a budget")
    results = {"a file": "file", "in a file": "file/deep", "a strange summary": "out"}.get(trouble, "new")
    begin_batch(person, tmp_path / ("nowhere" if trouble == "no images" else "images"), tmp_path / results)
    person.wait_until(lambda: not person.panel.batch_run.running)
    told = person.widget("batchMessage").text()
    assert is_one_sentence(told) and str(tmp_path) not in told, told
    assert (tmp_path / "file").read_bytes() == b"a letter" and (tmp_path / "out" / "summary.csv").stat().st_size == 8
    assert person.widget("batchButton").text() == "Start the batch" and person.widget("batchButton").isEnabled()


def begin_batch(person, images: Path, results: Path) -> None:
    person.panel.input.choose_bundle(HEAD)
    person.answer(open_folder=[str(images), str(results)])
    for name in ("batchInputButton", "batchOutputButton", "batchButton"):
        person.press(name)


def test_a_worker_that_cannot_be_started_is_said(person, room, monkeypatch):
    from LandmarkDetectorLib.inference import client

    person.open(PICTURE, HEAD)
    person.panel.worker.end()
    with monkeypatch.context() as patch:
        patch.setattr(client, "worker_command", lambda python=None: ["/nowhere/python", "-m", "nothing"])
        person.click("detectButton")
        person.wait_until(lambda: not person.panel.run.running)
    assert "The worker was lost while it was starting" in person.said or "lost during" in person.said
    assert is_one_sentence(person.said) and not list(room.iterdir())
    person.detect()
    assert len(person.rows) == 4


def test_an_application_without_its_python_says_so(person, room, monkeypatch):
    from LandmarkDetector.Panel import child_process

    person.open(PICTURE, HEAD)
    person.panel.worker.end()
    with monkeypatch.context() as patch:
        patch.setattr(child_process.sys, "executable", "SlicerApp-real")
        patch.setenv("PATH", "/nowhere")
        person.click("detectButton")
        person.wait_until(lambda: not person.panel.run.running, 5)
    assert "PythonSlicer" in person.said and is_one_sentence(person.said)
    assert person.widget("detectButton").text() == "Detect landmarks" and not list(room.iterdir())


def test_voxels_that_have_no_room_are_said(person, room, monkeypatch):
    person.open(PICTURE, HEAD)
    with monkeypatch.context() as patch:
        patch.setattr(voxel_file, "_room_in", lambda base: 1000)
        person.click("detectButton")
        person.rest()
    assert "free some space" in person.said and is_one_sentence(person.said)
    assert person.widget("detectButton").text() == "Detect landmarks"

    with monkeypatch.context() as patch:
        patch.setattr(voxel_file, "_write", Mock(side_effect=OSError(28, "No space left on device")))
        person.click("detectButton")
        person.wait_until(lambda: not person.panel.run.running)
    assert "No space left on device" in person.said and is_one_sentence(person.said) and not list(room.iterdir())
    person.detect()
    assert len(person.rows) == 4


def test_voxels_that_somebody_removes_in_mid_run_are_said(person, room):
    person.open(PICTURE, HEAD)
    person.panel.worker.end()  # one that has to start leaves time
    person.click("detectButton")
    person.wait_until(lambda: person.panel.run._asked)
    for file in room.rglob("voxels"):
        file.unlink()
    person.wait_until(lambda: not person.panel.run.running)
    assert "its voxels are no longer there" in person.said and is_one_sentence(person.said)
    assert not list(room.iterdir())


IN_MID_RUN = """
person.open(SAMPLE)
person.click("detectButton")
stages = []
person.panel.run.progressed.connect(lambda stage, fraction: stages.append(stage))
person.wait_until(lambda: sys.argv[1] in stages)
print(person.panel.worker.pid, person.panel.run._file._home.path, flush=True)
"""


def in_mid_run(stage: str, then: str) -> tuple[subprocess.Popen[str], psutil.Process, Path]:
    """An application of its own, in mid-run: its process, its worker, its folder of voxels."""
    process = own_process.begin(IN_MID_RUN + then, stage)
    assert process.stdout is not None
    line = process.stdout.readline().split(maxsplit=1)
    if len(line) != 2:
        process.kill()
        raise AssertionError(process.communicate()[1][-2000:])
    return process, psutil.Process(int(line[0])), Path(line[1].strip())


@pytest.mark.parametrize("stage", ["starting", "coarse"])
def test_an_application_that_is_killed_takes_its_worker_with_it_and_the_next_one_sweeps(stage):
    process, worker, folder = in_mid_run(stage, "time.sleep(60)")
    assert folder.is_dir() and worker.is_running()
    process.kill()
    process.communicate()
    start = time.monotonic()
    while alive([worker]) and time.monotonic() - start < 5:
        time.sleep(0.02)
    assert time.monotonic() - start < GONE
    assert folder.is_dir()
    voxel_file.sweep()
    assert not folder.exists()


CLOSED = """
desktop.window.close()
person.rest()
desktop.close()
"""
RELOADED = """
base = sys.modules["slicer.ScriptedLoadableModule"].ScriptedLoadableModuleWidget
base.onReload = lambda self: None  # Slicer's loads the file again
desktop.module_widget.onReload()
from LandmarkDetectorDesktop.application import MODULE
desktop.module_widget = desktop.installation.load(MODULE).widget
desktop.scene.Clear(0)
person.rest()
person.answer()
person.open(PICTURE, HEAD)
person.detect()
assert len(person.rows) == 4
desktop.close()
"""
ANOTHER = """
desktop.close()
desktop = open_desktop("PySide6")
person = Person(desktop)
person.open(PICTURE, HEAD)
person.detect()
assert len(person.rows) == 4
desktop.close()
"""


@pytest.mark.parametrize(
    "end",
    [CLOSED, RELOADED, ANOTHER],
    ids=["closed", "reloaded", "another one"],
)
def test_an_application_that_ends_or_reloads_in_mid_run_leaves_nothing(end):
    process, worker, folder = in_mid_run("coarse", end)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in complaints, complaints[-2000:]
    assert not alive([worker]) and not folder.exists()


FULL = """
import resource
folder = Path(sys.argv[1])
person.begin_review()
files = [folder / f"points{suffix}" for suffix in (".mrk.json", ".fcsv", ".csv", ".xlsx")]
for file in files:
    assert "written to" in export(file.name[6:], "LPS", file)
desktop.save_scene(folder / "scene.mrb")
before = {file.name: file.read_bytes() for file in folder.iterdir()}
resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
for file in files:
    print(export(file.name[6:], "RAS", file))
desktop.try_save(folder / "scene.mrb")
print(desktop.dialogs.said[-1][1])
desktop.scene.RemoveNode(person.panel.review.node)
person.click("detectButton")
person.wait_until(lambda: not person.panel.run.running)
print(person.said)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert before == {file.name: file.read_bytes() for file in folder.iterdir()}
person.detect()
assert len(person.rows) == 45
desktop.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file size can be set")
def test_a_disk_that_takes_no_more_leaves_every_old_file_and_a_sentence_each(tmp_path):
    out, complaints = own_process.run(FULL, tmp_path)
    told = out.splitlines()
    assert len(told) == 6 and all(is_one_sentence(line) for line in told), out
    names = ["points.mrk.json", "points.fcsv", "points.csv", "points.xlsx", "scene.mrb", "NU_J"]
    assert [line.split(":")[0] for line in told] == names and "Traceback" not in complaints
