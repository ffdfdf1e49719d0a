"""The training worker as a process: started when it is needed, asked to pause, to go on and to cancel."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.child_process import ChildProcess
from LandmarkDetector.Panel.signals import Signal


class TrainingProcess(ChildProcess):
    """The training worker of one panel.

    Tells by its signals: ``progress(stage, fraction, seconds_left)``, ``paused(whether)``, ``notice(text)``,
    ``result(dict)`` and ``failed(message, cancelled)``; none comes after :meth:`end`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress, self.paused, self.notice = Signal(), Signal(), Signal()
        self.result, self.failed = Signal(), Signal()

    def ask(self, command: str, folder: str, content: dict[str, Any]) -> None:
        """Send a request; see ``docs/retraining.md``.

        Args:
            command: ``retrain``, ``promote`` or ``train_set``.
            folder: below which it writes.
            content: of the request; ``None`` is left out.

        Raises:
            LandmarkDetectorError: the worker is busy, or cannot be started.
        """
        self.start()
        self.writes_into(folder, True)
        self.conversation.ask(command, content)

    def pause(self, paused: bool) -> None:
        """Have the running request wait after its next step, or go on."""
        if self.conversation is not None:
            self.conversation.pause(paused)

    def cancel(self) -> None:
        """Ask the running request to stop after its next step; its checkpoint is written before it says so."""
        if self.conversation is not None:
            self.conversation.cancel()

    def _command(self, python: str) -> list[str]:
        from LandmarkDetectorLib.review.training_conversation import training_command

        return training_command(python)

    def _converse(self, send) -> Any:
        from LandmarkDetectorLib.review.training_conversation import TrainingConversation

        return TrainingConversation(send, self, self.end)

    # --- what the conversation tells

    def on_ready(self) -> None:
        """Nobody waits for that: a request is sent with the start."""

    def on_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """So much is done."""
        self.progress.emit(stage, fraction, seconds_left)

    def on_paused(self, paused: bool) -> None:
        """It waits, or goes on."""
        self.paused.emit(paused)

    def on_notice(self, text: str) -> None:
        """Something that the person should be told."""
        self.notice.emit(text)

    def on_result(self, result: dict[str, Any]) -> None:
        """The request has ended well."""
        self.result.emit(result)

    def on_error(self, message: str) -> None:
        """The request, or the worker, has failed, or was cancelled."""
        # Without a conversation the worker itself was lost, and nobody called it off.
        self.failed.emit(message, self.conversation is not None and self.conversation.cancelled)
