"""Worker processes that do not do as they should: whoever waits is told, once."""

from __future__ import annotations

from typing import Any

STRANGER = "import json, os; print(json.dumps({'event': 'hello', 'pid': os.getpid(), 'protocol': -1}), flush=True)"
GONE = "raise SystemExit(1)"


class Asker:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_progress(self, stage: str, fraction: float) -> None:
        """Nothing is done here."""

    def on_notice(self, text: str) -> None:
        """Nothing is noticed here."""

    def on_result(self, detection: Any) -> None:
        self.said.append("found")

    def on_error(self, message: str) -> None:
        self.said.append(message)


def test_who_waits_for_a_detection_is_told_of_a_worker_that_cannot_be_understood(person):
    from LandmarkDetector.Panel.worker_process import WorkerProcess

    class Strange(WorkerProcess):
        def _command(self, python: str) -> list[str]:
            return [python, "-c", STRANGER]

    worker, asker = Strange(), Asker()
    worker.detect(asker, {}, "bundle", "cpu")
    person.wait_until(lambda: asker.said)
    worker.close()
    assert len(asker.said) == 1 and "speaks version -1" in asker.said[0]


def test_nothing_is_heard_of_a_request_after_its_worker_was_ended(person):
    from LandmarkDetector.Panel.worker_process import WorkerProcess

    worker, asker = WorkerProcess(), Asker()
    worker.detect(asker, {}, "bundle", "cpu")
    worker.end()
    worker.close()
    person.rest()
    assert asker.said == []


def test_a_training_worker_that_ends_has_failed_and_was_not_cancelled(person, tmp_path):
    from LandmarkDetector.Panel.training_process import TrainingProcess

    class Gone(TrainingProcess):
        def _command(self, python: str) -> list[str]:
            return [python, "-c", GONE]

    worker, told = Gone(), []
    worker.failed.connect(lambda message, cancelled: told.append((message, cancelled)))
    worker.ask("retrain", str(tmp_path), {})
    person.wait_until(lambda: told)
    worker.close()
    ((message, cancelled),) = told
    assert "lost during the training" in message and not cancelled
