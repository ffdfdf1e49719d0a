"""The talk between an application and its training worker, without any input or output. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from LandmarkDetectorLib.core import Cancelled
from LandmarkDetectorLib.inference.protocol import encode
from LandmarkDetectorLib.inference.talk import Hearer, Talk


def training_command(python: str) -> list[str]:
    """The program and its arguments; its standard streams must be pipes."""
    return [python, "-m", "LandmarkDetectorLib.review.worker"]


class TrainingListener(Hearer, Protocol):
    """What a face wants to hear of the running training."""

    def on_ready(self) -> None:
        """The worker listens."""

    def on_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """So much of the whole is done, and it takes so much longer, where that can be told."""

    def on_paused(self, paused: bool) -> None:
        """The worker waits, or goes on."""

    def on_result(self, result: dict[str, Any]) -> None:
        """The request has ended well; what ``docs/retraining.md`` says of its answer."""


class TrainingConversation(Talk):
    """The talk with one training worker; arguments as for :class:`~LandmarkDetectorLib.inference.talk.Talk`."""

    WORK = "the training"

    def __init__(
        self, send: Callable[[bytes], None], listener: TrainingListener, end: Callable[[], None] | None = None
    ) -> None:
        super().__init__(send, listener, end)
        self._listener = listener

    @property
    def cancelled(self) -> bool:
        """Whether the last error was that a person cancelled."""
        return isinstance(self.error, Cancelled)

    def ask(self, command: str, content: Mapping[str, Any]) -> None:
        """Send a request: ``retrain``, ``promote`` or ``train_set`` with its fields; ``None`` is left out.

        Raises:
            WorkerError: the worker is busy, or has ended.
        """
        said = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in content.items()}
        self._request(command, **{name: value for name, value in said.items() if value is not None})

    def pause(self, paused: bool) -> None:
        """Have the running request wait after its next step, or go on."""
        self._send(encode({"command": "pause" if paused else "continue"}))

    def _understood(self, message: Mapping[str, Any]) -> Callable[[], None]:
        event = message.get("event")
        if event in ("paused", "going on"):
            return partial(self._listener.on_paused, event == "paused")
        return super()._understood(message)

    def _ready(self, message: Mapping[str, Any]) -> Callable[[], None]:
        return self._listener.on_ready

    def _progress(self, message: Mapping[str, Any]) -> Callable[[], None]:
        left = message.get("seconds_left")
        seconds = None if left is None else float(left)
        return partial(self._listener.on_progress, str(message["stage"]), float(message["fraction"]), seconds)

    def _result(self, message: Mapping[str, Any]) -> Callable[[], None]:
        result = {name: value for name, value in message.items() if name not in ("id", "event")}
        return partial(self._listener.on_result, result)
