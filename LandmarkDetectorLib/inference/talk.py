"""What an application's talk with any worker has in common; without input or output, so that every face can drive it.

:class:`~.conversation.Conversation` is that with the detection worker, ``TrainingConversation`` of the room ``review``
that with the training worker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from LandmarkDetectorLib.core import LandmarkDetectorError, errors
from LandmarkDetectorLib.inference.protocol import PROTOCOL, Lines, ProtocolError, decode, encode


class WorkerError(LandmarkDetectorError):
    """The worker ended, or cannot be understood; a new one can be started."""


class Hearer(Protocol):
    """What a face wants to hear of the running request, whichever it is."""

    def on_notice(self, text: str) -> None:
        """Something that the person should be told, at once; those of a detection come with its result."""

    def on_error(self, message: str) -> None:
        """The request, or the worker itself, has failed; one sentence."""


class Talk(ABC):
    """The talk with one worker process: its pieces, its end, and the numbers of the requests.

    Args:
        send: writes bytes to its standard input.
        listener: is told what comes back.
        end: ends the process; called where it cannot be understood.
    """

    WORK: str
    """What a request is about, for what is said of one that was lost."""

    def __init__(self, send: Callable[[bytes], None], listener: Hearer, end: Callable[[], None] | None = None) -> None:
        self._send, self._hearer, self._end = send, listener, end
        self._lines = Lines()
        self._number = 0
        self._running: tuple[int, str] | None = None
        self.ready = False
        self.over = False
        self.pid: int | None = None
        """Of the worker itself, also where a launcher stands between."""
        self.error: LandmarkDetectorError | None = None
        """What the listener was told last by ``on_error``, by its kind."""

    @property
    def busy(self) -> bool:
        """Whether a request runs; one more is refused, except behind a ``load``, which nobody waits for."""
        return self._running is not None

    @property
    def asked(self) -> str | None:
        """The command of the running request."""
        return None if self._running is None else self._running[1]

    def cancel(self) -> None:
        """Ask the running request to stop at its next step; its end is told as an error of kind ``Cancelled``."""
        if self.busy:
            self._send(encode({"command": "cancel"}))

    def feed(self, piece: bytes) -> None:
        """Take what has come from the worker's standard output, cut in any way."""
        try:
            for line in self._lines.feed(piece):
                if self.over:
                    return
                if self.pid is None and not line.lstrip().startswith(b"{"):
                    continue  # a launcher or the interpreter's site may greet before the worker does
                self._take(decode(line))
        except ProtocolError as error:
            self._break_off(f"The worker cannot be understood ({error}) and was ended; try again.")

    def lost(self, reason: str = "it ended unexpectedly") -> None:
        """To be called when the process has ended or could not be started."""
        if not self.over:
            self.over = True
            busy = self.busy
            self._running = None
            if busy or not self.ready:
                during = f"during {self.WORK}" if busy else "while it was starting"
                self._fail(WorkerError(f"The worker was lost {during} ({reason}); try again."))

    def _request(self, command: str, **content: Any) -> None:
        if self.over:
            raise WorkerError("The worker has ended; start a new one.")
        if self.asked not in (None, "load"):
            raise WorkerError("The worker is busy with another request; wait for its end, or cancel it.")
        self._number += 1
        line = encode({"id": self._number, "command": command, **content})
        self._running = (self._number, command)
        self._send(line)

    def _take(self, message: Mapping[str, Any]) -> None:
        try:
            tell = self._understood(message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"the event {str(message.get('event'))[:40]!r} is wrong: {error!r}") from error
        tell()  # apart from the rest: what a listener raises is its own affair

    def _understood(self, message: Mapping[str, Any]) -> Callable[[], None]:
        """What is to be done about an event; it is looked at to the end before anything is told."""
        event, number = message.get("event"), message.get("id")
        if event == "hello":
            return partial(self._greet, int(message["pid"]), message["protocol"])
        if event == "ready":
            return partial(self._get_ready, self._ready(message))
        if number is None and event == "error":
            return partial(self._break_off, str(message["message"]))
        if self._running is None or number != self._running[0]:
            return nothing  # of a request that nobody waits for any more
        if event == "progress":
            return self._progress(message)
        if event == "notice":
            return partial(self._hearer.on_notice, str(message["text"]))
        if event == "error":
            return partial(self._fail, _error_of(str(message["kind"]), str(message["message"])))
        if event == "result":
            return partial(self._end_well, self._result(message))
        raise ProtocolError(f"there is no event {str(event)[:40]!r}")

    def _greet(self, pid: int, protocol: Any) -> None:
        self.pid = pid
        if protocol != PROTOCOL:
            self._break_off(
                f"The worker speaks version {protocol} of the protocol and this application {PROTOCOL}; "
                "install both from the same release."
            )

    @abstractmethod
    def _ready(self, message: Mapping[str, Any]) -> Callable[[], None]:
        """What is to be told when the worker is ready."""

    @abstractmethod
    def _progress(self, message: Mapping[str, Any]) -> Callable[[], None]:
        """What is to be told of a step of the running request."""

    @abstractmethod
    def _result(self, message: Mapping[str, Any]) -> Callable[[], None]:
        """What is to be told when the running request has ended well."""

    def _get_ready(self, tell: Callable[[], None]) -> None:
        self.ready = True
        tell()

    def _end_well(self, tell: Callable[[], None]) -> None:
        self._running = None
        tell()

    def _break_off(self, sentence: str) -> None:
        if self.over:
            return
        self.over = True
        self._running = None
        if self._end is not None:
            self._end()
        self._fail(WorkerError(sentence))

    def _fail(self, error: LandmarkDetectorError) -> None:
        self._running = None
        self.error = error
        self._hearer.on_error(str(error))


def nothing() -> None:
    """Do nothing."""


def _error_of(kind: str, message: str) -> LandmarkDetectorError:
    """The error of this kind in the house's family."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, LandmarkDetectorError):
        return known(message)
    return WorkerError(message)
