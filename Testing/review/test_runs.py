"""Where a store keeps its retrainings, and which of them can be gone on with or decided on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.review.runs import next_run, undecided_candidate, unfinished_run
from LandmarkDetectorLib.review.training_conversation import TrainingConversation


@pytest.fixture
def head() -> Bundle:
    return load_bundle("fetal-head-us")


def begun(folder: Path, parent: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "corrections.json").write_text("{}", encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps({"parent": parent}), encoding="utf-8")
    return folder


def test_runs_are_numbered_behind_the_highest(tmp_path: Path) -> None:
    assert next_run(tmp_path) == tmp_path / "training" / "run-001" and not next_run(tmp_path).exists()
    (tmp_path / "training" / "run-007").mkdir(parents=True)
    (tmp_path / "training" / "run-mine").mkdir()
    assert next_run(tmp_path).name == "run-008"


def test_only_the_newest_run_of_this_very_bundle_is_gone_on_with(tmp_path: Path, head: Bundle) -> None:
    assert unfinished_run(tmp_path, head) is None
    run = begun(tmp_path / "training" / "run-001", head.fingerprint)
    assert unfinished_run(tmp_path, head) == run
    (run / "plan.json").write_text("{", encoding="utf-8")
    assert unfinished_run(tmp_path, head) is None
    begun(tmp_path / "training" / "run-002", "0" * 64)
    assert unfinished_run(tmp_path, head) is None
    done = begun(tmp_path / "training" / "run-003", head.fingerprint)
    (done / "candidate").mkdir()
    (done / "candidate" / "manifest.json").write_text("{}", encoding="utf-8")
    assert unfinished_run(tmp_path, head) is None
    assert undecided_candidate(tmp_path, head) is None  # it is no bundle


def test_the_thousandth_run_is_newer_than_those_before(tmp_path: Path, head: Bundle) -> None:
    begun(tmp_path / "training" / "run-999", "0" * 64)
    newest = begun(tmp_path / "training" / "run-1000", head.fingerprint)
    assert unfinished_run(tmp_path, head) == newest


class Heard:
    """What a conversation tells."""

    def __init__(self) -> None:
        self.said: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *told: self.said.append((name, *told))


def test_a_conversation_with_the_training_worker_is_understood() -> None:
    sent, heard = [], Heard()
    talk = TrainingConversation(lambda data: sent.append(json.loads(data)), heard)
    lines = [
        {"event": "hello", "protocol": 1, "version": "1", "pid": 7},
        {"event": "ready"},
        {"id": 1, "event": "progress", "stage": "patch", "fraction": 0.5, "seconds_left": None},
        {"event": "paused"},
        {"event": "going on"},
        {"id": 1, "event": "notice", "text": "One case is left out."},
        {"id": 9, "event": "progress", "stage": "patch", "fraction": 0.9, "seconds_left": 1.0},
        {"id": 1, "event": "result", "folder": "f", "version": "1.2.0"},
    ]
    talk.ask("retrain", {"bundle": Path("b"), "minutes": 1, "data": None})
    talk.pause(True)
    talk.feed(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert sent == [{"id": 1, "command": "retrain", "bundle": "b", "minutes": 1}, {"command": "pause"}]
    assert heard.said == [
        ("on_ready",),
        ("on_progress", "patch", 0.5, None),
        ("on_paused", True),
        ("on_paused", False),
        ("on_notice", "One case is left out."),
        ("on_result", {"folder": "f", "version": "1.2.0"}),
    ]
    assert not talk.busy and talk.pid == 7


def test_a_cancelled_request_and_a_lost_worker_are_told_apart() -> None:
    heard = Heard()
    talk = TrainingConversation(lambda data: None, heard)
    talk.ask("train_set", {"folder": "f"})
    talk.feed(b'{"id":1,"event":"error","kind":"Cancelled","message":"Cancelled."}\n')
    assert talk.cancelled and heard.said[-1] == ("on_error", "Cancelled.")
    talk.ask("train_set", {"folder": "f"})
    talk.lost()
    assert not talk.cancelled and "lost during the training" in heard.said[-1][1]
