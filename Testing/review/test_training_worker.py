"""The training worker: retrains in a process of its own, says how long it takes, waits, goes on, and can be ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from LandmarkDetectorLib.bundles import import_bundle, load_bundle
from LandmarkDetectorLib.inference.protocol import encode
from LandmarkDetectorLib.inference.worker import Request
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.review import worker
from LandmarkDetectorLib.training import finetune
from Testing.review.small_model import reviewed_store, small_bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("made")
    bundle, data = small_bundle(folder)
    yield bundle, data, reviewed_store(folder, bundle, 8)
    torch.set_num_threads(before)


class Told:
    """What a desk has said."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, data: bytes) -> None:
        self.events += [json.loads(line) for line in data.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[worker.TrainingDesk, Told, Callable[[dict], None]]]:
    """A desk in this process, and what does a request."""
    monkeypatch.setattr(finetune, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 20))
    monkeypatch.setattr(worker, "_EVERY", 0.0)
    told = Told()
    desk = worker.TrainingDesk(told)

    def do(message: dict) -> None:
        desk.take(encode(message))
        worker.TrainingServant().do(desk.next(), desk)

    yield desk, told, do


def request(made, output: Path, **more: Any) -> dict[str, Any]:
    bundle, _, store = made
    words = {"bundle": str(bundle.folder), "store": str(store.folder), "output": str(output), "minutes": 1}
    return {"id": 1, "command": "retrain", "device": "cpu", **words, **more}


def test_a_request_tells_progress_the_time_left_and_the_result(made, desk, tmp_path: Path) -> None:
    _, told, do = desk
    do(request(made, tmp_path / "run", by="Dr Roe"))
    (result,) = told.of("result")
    assert result["version"] == "0.2.0" and result["lineage"]["by"] == "Dr Roe" and result["id"] == 1
    assert load_bundle(result["folder"]).fingerprint == result["fingerprint"]
    progress = told.of("progress")
    assert progress[-1]["fraction"] == 1.0 and progress[-1]["seconds_left"] == 0.0
    assert any(one["seconds_left"] for one in progress)
    import_bundle(made[0].folder)
    do(
        {
            "id": 2,
            "command": "promote",
            "candidate": result["folder"],
            "store": str(made[2].folder),
            "because": "a test",
        }
    )
    promoted = told.of("result")[-1]
    assert promoted["promoted"] and Path(promoted["html"]).is_file()


def test_what_was_compared_last_is_put_in_use_as_it_was_shown(made, desk, tmp_path: Path, monkeypatch) -> None:
    from LandmarkDetectorLib.review import promote as promoting

    times = []
    judge = promoting.judge_beside
    monkeypatch.setattr(promoting, "judge_beside", lambda *a, **k: times.append(1) or judge(*a, **k))
    desk, told, _ = desk
    servant = worker.TrainingServant()

    def do(message: dict) -> dict:
        desk.take(encode(message))
        servant.do(desk.next(), desk)
        return told.of("result")[-1]

    import_bundle(made[0].folder)
    candidate = do(request(made, tmp_path / "run"))["folder"]
    about = {"id": 2, "command": "promote", "candidate": candidate, "store": str(made[2].folder), "device": "cpu"}
    shown = do({**about, "install": False})
    assert not shown["promoted"] and set(shown["landmarks"]) == set(made[0].labels) and len(times) == 1
    assert shown["trained"]["cases"] and set(shown["trained"]["per_landmark"]) == set(made[0].labels)
    used = do({**about, "because": "a test", "by": "Dr Roe"})
    assert used["promoted"] and used["landmarks"] == shown["landmarks"] and len(times) == 1
    assert load_bundle(made[0].name).version == "0.2.0"
    do({**about, "install": False})  # another one is in use now: it is compared with that
    assert len(times) == 2


def test_what_is_wrong_is_said_in_one_sentence(made, desk, tmp_path: Path) -> None:
    _, told, do = desk
    do({"id": 1, "command": "retrain", "bundle": "nothing-like-it", "store": "x", "output": str(tmp_path / "run")})
    do({"id": 2, "command": "retrain", "store": "x"})
    kinds = [(one["id"], one["kind"]) for one in told.of("error")]
    assert kinds == [(1, "BundleError"), (2, "ProtocolError")]


@pytest.mark.parametrize(
    ("command", "said", "words"),
    [
        ("retrain", {"minutes": "ten"}, "'minutes' as a number, not 'ten'"),
        ("retrain", {"minutes": True}, "'minutes' as a number, not 'True'"),
        ("train_set", {"minutes": [1]}, r"'minutes' as a number, not '\[1\]'"),
        ("train_set", {"resume": "yes"}, "'resume' as true or false, not 'yes'"),
        ("train_set", {"recipe": 7}, "'recipe' as a text, not '7'"),
        ("promote", {"because": {}}, "'because' as a text"),
        ("promote", {"html": 7}, "'html' as a text"),
    ],
)
def test_a_field_of_another_kind_is_refused_and_is_no_defect(
    desk, tmp_path: Path, command: str, said: dict, words: str
) -> None:
    _, told, do = desk
    places = {name: str(tmp_path) for name in ("bundle", "store", "output", "candidate", "folder")}
    do({"id": 1, "command": command, **places, **said})
    (error,) = told.of("error")
    assert error["kind"] == "ProtocolError" and re.search(words, error["message"])


def test_what_is_said_aloud_comes_as_a_notice_once(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told, do = desk

    def speak(self, request: Request, desk: worker.TrainingDesk) -> dict[str, Any]:
        for _ in range(2):
            notice("'tip' lies far outside its image.")
        return {}

    monkeypatch.setattr(worker.TrainingServant, "_train_set", speak)
    do({"id": 4, "command": "train_set"})
    assert [(one["id"], one["text"]) for one in told.of("notice")] == [(4, "'tip' lies far outside its image.")]


def test_a_run_waits_while_it_is_paused_and_a_cancelled_one_can_be_resumed(made, desk, tmp_path: Path) -> None:
    desk, told, do = desk
    desk.take(encode(request(made, tmp_path / "run")))
    desk.take(encode({"command": "pause"}))
    assert told.of("paused")
    waiting = threading.Thread(target=lambda: worker.TrainingServant().do(desk.next(), desk))
    waiting.start()
    waiting.join(3.0)
    assert waiting.is_alive() and not told.of("result")
    desk.take(encode({"command": "cancel"}))
    waiting.join(60.0)
    assert told.of("error")[-1]["kind"] == "Cancelled"
    do(request(made, tmp_path / "run", resume=True))
    assert told.of("result")[-1]["version"] == "0.2.0"


def test_going_on_lets_a_paused_run_go_on() -> None:
    told = Told()
    desk = worker.TrainingDesk(told)
    desk.take(encode({"command": "retrain", "id": 1}))
    desk.take(encode({"command": "pause"}))
    threading.Timer(0.3, lambda: desk.take(encode({"command": "continue"}))).start()
    assert desk.wait_while_paused(desk.next()) >= 0.2
    assert told.of("going on")


def test_a_run_that_ends_while_it_is_paused_does_not_leave_the_next_one_waiting() -> None:
    told = Told()
    desk = worker.TrainingDesk(told)
    for late in (False, True):
        desk.take(encode({"command": "retrain", "id": 1}))
        asked = desk.next()
        if not late:
            desk.take(encode({"command": "pause"}))
        desk.close(asked)
        if late:
            desk.take(encode({"command": "pause"}))
            assert told.events[-1] == {"event": "going on"}
        desk.take(encode({"command": "promote", "id": 2}))
        following = desk.next()
        assert desk.wait_while_paused(following) < 0.1
        desk.close(following)


def test_a_page_that_has_no_place_is_refused_before_the_comparison(desk, tmp_path: Path) -> None:
    _, told, do = desk
    (tmp_path / "file").write_text("not a folder")
    page = str(tmp_path / "file" / "page.html")
    do({"id": 1, "command": "promote", "candidate": str(tmp_path), "store": str(tmp_path), "html": page})
    (error,) = told.of("error")
    assert error["kind"] == "LandmarkFileError" and "cannot be made" in error["message"]


def test_the_process_ends_with_its_application_and_leaves_no_half_written_bundle(made, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "LandmarkDetectorLib.review.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "hello"
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.stdin.write(encode(request(made, tmp_path / "run", minutes=60)))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] in ("progress", "notice")
        process.stdin.close()
        assert process.wait(30) == 0
    assert not list((tmp_path / "run").glob("*/manifest.json"))
