"""The client: the same landmarks as without a worker, and an end to everything within two seconds."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import BundleError, Cancelled, Grid, Image, ImageError, LandmarkSet
from LandmarkDetectorLib.inference import Detection, Detector, voxel_file
from LandmarkDetectorLib.inference.client import (
    Conversation,
    SubprocessWorker,
    WorkerError,
    _send_all,
    kill_tree,
    worker_environment,
)
from LandmarkDetectorLib.inference.protocol import encode, landmarks_to_record
from Testing.inference.worker_process import HEAD, PATIENT, SKULL, same_info, sample_image, soon
from Testing.phantoms import phantom


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process puts its voxels, so that a test sees what is left there."""
    folder = tmp_path / "Zwischen ablage ü"
    folder.mkdir()
    monkeypatch.setattr(voxel_file, "_bases", lambda: [folder])
    return folder


@pytest.fixture(scope="module")
def shared() -> Iterator[SubprocessWorker]:
    with SubprocessWorker() as worker:
        worker.start()
        yield worker


@pytest.fixture
def own() -> Iterator[SubprocessWorker]:
    with SubprocessWorker() as worker:
        yield worker


def is_gone(pid: int | None) -> bool:
    return pid is None or not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_worker_finds_what_the_detector_finds(shared: SubprocessWorker, solid_bundle: Bundle, temp: Path) -> None:
    image, _ = phantom(np.random.default_rng(5), 3, 44)
    strided = Image(np.asfortranarray(image.array), image.grid, "ein Bild ü")
    expected = Detector(solid_bundle, "cpu").detect(image)
    found = shared.detect(strided, solid_bundle.folder, "cpu")
    np.testing.assert_allclose(found.landmarks.positions, expected.landmarks.positions, atol=1e-4)
    for one, other in zip(found.landmarks, expected.landmarks, strict=True):
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-3, atol=1e-6)  # mm²; threads differ
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert found.landmarks.name == "ein Bild ü" and same_info(found.landmarks, expected.landmarks)
    assert found.notices == expected.notices and set(found.timing) == set(expected.timing)
    assert list(temp.iterdir()) == []


def test_progress_comes_with_stages_and_grows(shared: SubprocessWorker) -> None:
    heard: list[tuple[str, float]] = []
    shared.detect(sample_image(HEAD), HEAD, "cpu", lambda stage, fraction: heard.append((stage, fraction)))
    fractions = [fraction for _, fraction in heard]
    assert heard[-1] == ("done", 1.0) and fractions == sorted(fractions) and len(set(fractions)) > 2


def test_the_errors_are_those_of_the_library_and_leave_nothing(shared: SubprocessWorker, temp: Path) -> None:
    pid = shared.pid
    with pytest.raises(BundleError, match="no-such-bundle"):
        shared.detect(sample_image(HEAD), "no-such-bundle")
    with pytest.raises(ImageError, match="2D images"):
        shared.detect(sample_image(SKULL), HEAD)
    assert list(temp.iterdir()) == [] and shared.pid == pid
    shared.detect(sample_image(HEAD), HEAD, "cpu")


def test_nothing_in_the_folder_for_temporary_files_tells_whose_image_it_is(
    shared: SubprocessWorker, temp: Path
) -> None:
    image = sample_image(HEAD)
    seen: set[str] = set()
    shared.detect(
        Image(image.array, image.grid, PATIENT),
        HEAD,
        "cpu",
        lambda *_: seen.update(str(p.relative_to(temp)) for p in temp.rglob("*")),
    )
    assert seen and not any(PATIENT in name or HEAD in name for name in seen)
    assert PATIENT not in shared.log()


def test_cancel_ends_the_process_within_two_seconds_and_the_next_detection_works(
    own: SubprocessWorker, temp: Path
) -> None:
    image, stages = sample_image(SKULL), []
    own.start()
    pid, asked = own.pid, [0.0]

    def cancelled() -> bool:
        if "patches" in stages and not asked[0]:
            asked[0] = time.monotonic()
        return bool(asked[0])

    with pytest.raises(Cancelled):
        own.detect(image, SKULL, "cpu", lambda stage, _: stages.append(stage), cancelled)
    assert time.monotonic() - asked[0] < 2.0
    assert is_gone(pid) and own.pid is None and list(temp.iterdir()) == []
    assert len(own.detect(sample_image(HEAD), HEAD, "cpu").landmarks) == 4


def test_a_worker_that_is_killed_is_reported_and_the_next_detection_works(own: SubprocessWorker, temp: Path) -> None:
    def kill(stage: str, _: float) -> None:
        if stage == "coarse" and own.pid is not None:
            os.kill(own.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    with pytest.raises(WorkerError, match=r"lost during the detection .*; try again\.$"):
        own.detect(sample_image(SKULL), SKULL, "cpu", kill)
    assert list(temp.iterdir()) == []
    assert len(own.detect(sample_image(HEAD), HEAD, "cpu").landmarks) == 4


def test_a_worker_that_died_while_idle_is_started_anew(own: SubprocessWorker) -> None:
    own.start()
    first = own.pid
    assert first is not None
    kill_tree(first)
    assert soon(lambda: is_gone(first))
    own.detect(sample_image(HEAD), HEAD, "cpu")
    assert own.pid not in (None, first)


def test_an_exception_of_the_listener_ends_the_worker_and_is_raised(own: SubprocessWorker, temp: Path) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        own.detect(sample_image(HEAD), HEAD, "cpu", fail)
    assert own.pid is None and list(temp.iterdir()) == []


def test_a_program_that_is_not_there_is_one_clear_error(temp: Path) -> None:
    with SubprocessWorker("no-such-python") as worker, pytest.raises(WorkerError, match="cannot be started"):
        worker.detect(sample_image(HEAD), HEAD)
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit(3)", "while it was starting .exit code 3."),
        ("print('Welcome'); raise SystemExit(3)", "exit code 3"),
        ('print(\'{"event": "hello", "protocol": 0, "pid": 1}\', flush=True); input()', "version 0"),
        ('import os; print(\'{"event": "hello", "protocol": 1, "pid": 1}\\n%\', flush=True); input()', "understood"),
    ],
)
def test_a_program_that_is_no_worker_is_ended_with_one_clear_error(program: str, words: str) -> None:
    worker = SubprocessWorker()
    worker._command = [sys.executable, "-c", program]
    with pytest.raises(WorkerError, match=words):
        worker.start()
    assert worker.pid is None


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL])
def test_a_worker_that_has_ended_is_told_by_its_output_whatever_the_system_calls_its_pipe(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        _send_all(-1, b"x")  # EINVAL is what Windows says
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        _send_all(-1, b"x")


def test_slicers_plugins_are_kept_from_the_worker() -> None:
    base = {"ITK_AUTOLOAD_PATH": "x", "PYTHONPATH": os.pathsep.join(["a", "b"]), "PATH": "p"}
    environment = worker_environment(base)
    assert environment["ITK_AUTOLOAD_PATH"] == environment["SITK_AUTOLOAD_PATH"] == ""
    assert environment["PYTHONPATH"].split(os.pathsep)[1:] == ["a", "b"] and environment["PATH"] == "p"
    assert (Path(environment["PYTHONPATH"].split(os.pathsep)[0]) / "LandmarkDetectorLib").is_dir()


class Heard:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.all: list[tuple] = []

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        self.all.append(("ready", devices))

    def on_progress(self, stage: str, fraction: float) -> None:
        self.all.append(("progress", stage, fraction))

    def on_notice(self, text: str) -> None:
        self.all.append(("notice", text))

    def on_result(self, detection: Detection) -> None:
        self.all.append(("result", detection))

    def on_error(self, message: str) -> None:
        self.all.append(("error", message))


HELLO = {"event": "hello", "protocol": 1, "version": "x", "pid": 4711}
SOME = LandmarkSet.from_positions(["a", "b"], np.array([[0.1, 1 / 3, 1e-17], [np.nan] * 3]))
RESULT = {
    "id": 1,
    "event": "result",
    "landmarks": landmarks_to_record(SOME),
    "timing": {"networks": 0.5},
    "notices": [],
}


def talk() -> tuple[Conversation, Heard, list[bytes], list[str]]:
    heard, sent, ended = Heard(), [], []
    return Conversation(sent.append, heard, lambda: ended.append("end")), heard, sent, ended


def reference() -> dict:
    return {"file": "f", "shape": [1, 2, 2]}


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_conversation_understands_lines_in_any_pieces(size: int) -> None:
    conversation, heard, sent, _ = talk()
    conversation.detect(reference(), HEAD)
    assert conversation.busy and len(sent) == 1
    events = [HELLO, {"event": "ready", "devices": [{"name": "cpu", "label": "CPU"}]}]
    events += [{"id": 1, "event": "progress", "stage": "coarse", "fraction": 0.5}]
    events += [{"id": 1, "event": "notice", "text": "ü"}, RESULT]
    data = b"greetings of a launcher\n\n" + b"".join(map(encode, events))
    for start in range(0, len(data), size):
        conversation.feed(data[start : start + size])
    assert [entry[0] for entry in heard.all] == ["ready", "progress", "notice", "result"]
    assert heard.all[2] == ("notice", "ü") and conversation.pid == 4711 and not conversation.busy
    np.testing.assert_array_equal(heard.all[3][1].landmarks.positions, SOME.positions)


def test_a_second_request_is_one_clear_error_and_does_not_disturb_the_first() -> None:
    conversation, heard, sent, _ = talk()
    conversation.detect(reference(), HEAD)
    with pytest.raises(WorkerError, match="busy"):
        conversation.detect(reference(), HEAD)
    assert len(sent) == 1 and heard.all == []
    conversation.feed(encode(HELLO) + encode(RESULT))
    assert heard.all[-1][0] == "result"


def test_a_detection_may_follow_a_load_at_once_and_only_its_own_events_are_told() -> None:
    conversation, heard, sent, _ = talk()
    conversation.load(HEAD)
    conversation.detect(reference(), HEAD)
    conversation.feed(encode(HELLO))
    conversation.feed(encode({"id": 1, "event": "progress", "stage": "loading", "fraction": 0}))
    conversation.feed(encode({"id": 1, "event": "result", "bundle": HEAD, "version": "1", "fingerprint": "f"}))
    assert heard.all == [] and conversation.busy
    conversation.feed(encode({**RESULT, "id": 2}))
    assert [entry[0] for entry in heard.all] == ["result"] and len(sent) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"Segmentation fault\n",
        b'{"event": "ready"}\n',
        b'{"id": 1, "event": "progress"}\n',
        b'{"id": 1, "event": "result"}\n',
        b'{"id": 1, "event": "result", "landmarks": {}, "timing": {}, "notices": []}\n',
        b'{"id": 1, "event": "song"}\n',
        b'{"event": "error", "kind": "ProtocolError", "message": "A line of 3 bytes holds no JSON object."}\n',
    ],
)
def test_what_cannot_be_understood_ends_the_worker_with_one_error(line: bytes) -> None:
    conversation, heard, _, ended = talk()
    conversation.detect(reference(), HEAD)
    conversation.feed(encode(HELLO) + line + encode(RESULT))
    conversation.lost("exit code -9")
    assert [entry[0] for entry in heard.all] == ["error"] and ended == ["end"]
    assert heard.all[0][1].endswith(".") and "\n" not in heard.all[0][1]
    with pytest.raises(WorkerError, match="start a new one"):
        conversation.detect(reference(), HEAD)


def test_what_a_listener_raises_is_not_mistaken_for_a_fault_of_the_worker() -> None:
    conversation, heard, _, ended = talk()

    def fail(*_: object) -> None:
        raise AttributeError("a defect of the panel")

    heard.on_result = fail  # type: ignore[method-assign]
    conversation.detect(reference(), HEAD)
    with pytest.raises(AttributeError, match="of the panel"):
        conversation.feed(encode(HELLO) + encode(RESULT))
    assert ended == [] and not conversation.busy and not conversation.over


def test_another_version_of_the_protocol_is_refused() -> None:
    conversation, heard, _, ended = talk()
    conversation.feed(encode({**HELLO, "protocol": 0}))
    assert ended == ["end"] and "version 0" in heard.all[0][1] and "same release" in heard.all[0][1]


def test_a_worker_that_ends_while_idle_is_not_an_error_but_its_conversation_is_over() -> None:
    conversation, heard, _, _ = talk()
    conversation.feed(encode(HELLO) + encode({"event": "ready", "devices": []}))
    conversation.lost()
    assert [entry[0] for entry in heard.all] == ["ready"] and conversation.over


def test_a_grid_survives_the_way(shared: SubprocessWorker, solid_bundle: Bundle) -> None:
    image, _ = phantom(np.random.default_rng(6), 3, 44)
    turn = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    far = Grid(image.grid.size, image.grid.spacing, (-1234.5678901234567, 987.1, -0.1), turn)
    moved = Image(image.array, far, "far")
    expected = Detector(solid_bundle, "cpu").detect(moved).landmarks
    np.testing.assert_allclose(
        shared.detect(moved, solid_bundle.folder, "cpu").landmarks.positions, expected.positions, atol=1e-4
    )
