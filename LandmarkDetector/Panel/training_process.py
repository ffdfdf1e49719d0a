"""The training worker as a process: started when it is needed, asked to pause, to go on and to cancel."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.child_process import ChildProcess
from LandmarkDetector.Panel.signals import Signal


class TrainingProcess:
    """The training worker of one panel.

    Tells by its signals: ``progress(stage, fraction, seconds_left)``, ``paused(whether)``, ``notice(text)``,
    ``result(dict)`` and ``failed(message, cancelled)``; none comes after :meth:`end`.
    """

    def __init__(self) -> None:
        self.progress, self.paused, self.notice = Signal(), Signal(), Signal()
        self.result, self.failed = Signal(), Signal()
        self._child = ChildProcess(_command, self._converse)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._child.running

    @property
    def pid(self) -> int:
        """The number of the process, 0 without one."""
        return self._child.pid

    def ask(self, command: str, folder: str, content: dict[str, Any]) -> None:
        """Send a request; see ``docs/retraining.md``.

        Args:
            command: ``retrain``, ``promote`` or ``train_set``.
            folder: below which it writes.
            content: of the request; ``None`` is left out.

        Raises:
            LandmarkDetectorError: the worker is busy, or cannot be started.
        """
        self._child.start()
        self._child.writes_into(folder, True)
        self._child.conversation.ask(command, content)

    def pause(self, paused: bool) -> None:
        """Have the running request wait after its next step, or go on."""
        if self._child.conversation is not None:
            self._child.conversation.pause(paused)

    def cancel(self) -> None:
        """Ask the running request to stop after its next step; its checkpoint is written before it says so."""
        if self._child.conversation is not None:
            self._child.conversation.cancel()

    def end(self) -> None:
        """Kill the process and all that it started; nothing more is heard of it."""
        self._child.end()

    def close(self) -> None:
        """:meth:`end`, and wait until it is gone: the application leaves, or the module is loaded again."""
        self._child.close()

    def _converse(self, send, end) -> Any:
        from LandmarkDetectorLib.review.training_conversation import TrainingConversation

        ear = _Ear(self)
        ear.conversation = TrainingConversation(send, ear, end)
        return ear.conversation


def _command(python: str) -> list[str]:
    from LandmarkDetectorLib.review.training_conversation import training_command

    return training_command(python)


class _Ear:
    """What a conversation tells, passed on."""

    def __init__(self, worker: TrainingProcess) -> None:
        self._worker = worker
        self.conversation: Any = None

    def on_ready(self, devices) -> None:
        """Nobody waits for that: a request is sent with the start."""

    def on_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        self._worker.progress.emit(stage, fraction, seconds_left)

    def on_paused(self, paused: bool) -> None:
        self._worker.paused.emit(paused)

    def on_notice(self, text: str) -> None:
        self._worker.notice.emit(text)

    def on_result(self, result: dict[str, Any]) -> None:
        self._worker.result.emit(result)

    def on_error(self, message: str) -> None:
        self._worker.failed.emit(message, self.conversation.cancelled)
