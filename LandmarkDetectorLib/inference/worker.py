"""The worker: a process of its own that keeps a detector warm and does as it is told over its standard input.

``python -m LandmarkDetectorLib.inference.worker``. Standard output carries the protocol and nothing else: whatever a
library prints goes to standard error. One thread reads the requests, the main thread does them, one at a time. When
standard input ends, the application is gone, and the worker ends at once, also in the middle of an inference.

Nothing here writes the name or the path of an image anywhere but into its answers.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, TypeVar

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.inference.failures import failure
from LandmarkDetectorLib.inference.protocol import PROTOCOL, TEXT, Kind, Lines, ProtocolError, decode, encode
from LandmarkDetectorLib.io.notices import told_as_notices


class Request:
    """A request on its way: what it asks, and whether it was called off.

    Args:
        message: as it came; ``command`` is one that the worker knows.
    """

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message
        self.number = message.get("id")
        self.command = message["command"]
        self._called_off = threading.Event()

    def said(self, name: str, kind: Kind = TEXT) -> Any:
        """What it says of a field; ``None`` where it says nothing.

        Raises:
            ProtocolError: the value is of another kind.
        """
        value = self.message.get(name)
        if value is not None and not kind.fits(value):
            raise ProtocolError(f"The request {self.command} needs {name!r} as {kind.words}, not {str(value)[:40]!r}.")
        return value

    def needed(self, name: str, kind: Kind = TEXT) -> Any:
        """What it says of a field without which it cannot be done.

        Raises:
            ProtocolError: it says nothing, or the value is of another kind.
        """
        value = self.said(name, kind)
        if value in (None, ""):
            raise ProtocolError(f"The request {self.command} needs {name!r} as {kind.words}.")
        return value

    def cancel(self) -> None:
        """Call it off; it ends at its next step."""
        self._called_off.set()

    def cancelled(self) -> bool:
        """Whether it was called off."""
        return self._called_off.is_set()


class Desk:
    """Takes the lines that come in, hands out the requests, and sends what is to be said.

    Args:
        send: writes bytes to the application.
    """

    WORK: tuple[str, ...] = ("load", "detect", "detect_file")
    """The requests that wait for their turn."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._write = send
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._open: list[Request] = []

    def say(self, event: str, number: Any = None, **content: Any) -> None:
        """Send one event, of the request with this number."""
        head: dict[str, Any] = {} if number is None else {"id": number}
        line = encode({**head, "event": event, **content})
        with self._sending:
            self._write(line)

    def take(self, line: bytes) -> None:
        """Do at once what can be done at once, and put the rest in the queue."""
        try:
            message = decode(line)
            command = message.get("command")
            if command in self.WORK:
                self._enter(Request(message))
            elif not self._done_at_once(command):
                self.refuse(message.get("id"), f"The worker knows no command {str(command)[:40]!r}; send one it knows.")
        except ProtocolError as error:
            self.refuse(None, str(error))

    def refuse(self, number: Any, message: str, kind: str = "ProtocolError") -> None:
        """Say that a request will not be done."""
        self.say("error", number, kind=kind, message=message)

    def next(self) -> Request:
        """Wait for the next request."""
        return self._waiting.get()

    @property
    def busy(self) -> bool:
        """Whether a request runs, or waits."""
        with self._lock:
            return bool(self._open)

    def close(self, request: Request) -> None:
        """It is done; another one may come. To be called before its end is said."""
        with self._lock:
            self._open.remove(request)

    def answer(self, request: Request, work: Callable[[], dict[str, Any]], memory: str) -> None:
        """Do a request and say how it ended. Only a pipe that is closed on the other side raises.

        Args:
            request: the one that :meth:`next` gave.
            work: does it, and returns the content of its result.
            memory: what is said where the memory did not suffice.
        """
        try:
            with told_as_notices(lambda text: self.say("notice", request.number, text=text)):
                end = {"event": "result", **work()}
        except BrokenPipeError:
            raise
        except Exception as error:
            kind, sentence = failure(error, request.command, memory)
            end = {"event": "error", "kind": kind, "message": sentence}
        self.close(request)
        self.say(number=request.number, **end)

    def _done_at_once(self, command: Any) -> bool:
        """Whether this was a command that needs no turn; it is done then."""
        if command == "cancel":
            with self._lock:
                for request in self._open:
                    request.cancel()
        elif command == "exit":
            os._exit(0)
        else:
            return False
        return True

    def _enter(self, request: Request) -> None:
        with self._lock:
            # Behind a "load", which nobody waits for, one request may wait.
            free = not self._open or (len(self._open) == 1 and self._open[0].command == "load")
            if free:
                self._open.append(request)
                self._waiting.put(request)
        if not free:
            self.refuse(
                request.number, "The worker is busy with another request; wait for its end, or cancel it.", "BusyError"
            )


_Desk = TypeVar("_Desk", bound=Desk)


def main() -> None:
    """Serve until standard input ends."""
    run_worker(Desk, _serve)


def run_worker(desk_of: Callable[[Callable[[bytes], None]], _Desk], serve: Callable[[_Desk], None]) -> None:
    """Greet the application and serve it until standard input ends.

    Args:
        desk_of: makes the desk of what sends bytes.
        serve: says that it is ready, and does what the desk hands out, for ever.
    """
    send = claim_stdout()
    if os.name == "posix":
        with suppress(OSError):  # whoever started us has made us the head of a session already
            os.setsid()
    desk = desk_of(send)
    desk.say("hello", protocol=PROTOCOL, version=__version__, pid=os.getpid())
    threading.Thread(target=read_requests, args=(desk,), daemon=True).start()
    try:
        serve(desk)
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)


def _serve(desk: Desk) -> None:
    try:
        from LandmarkDetectorLib.inference.serve import Servant
        from LandmarkDetectorLib.inference.voxel_file import sweep
    except ImportError as error:
        desk.say(
            "error", kind="Defect", message=f"The worker lacks a part of its installation ({error}); install again."
        )
        raise
    servant = Servant()
    desk.say("ready", devices=servant.devices())
    sweep()
    while True:
        servant.do(desk.next(), desk)


def read_requests(desk: Desk) -> None:
    """Hand what comes in on standard input to the desk; its end is the end of everything."""
    lines = Lines()
    while True:
        # Not through sys.stdin: its lock would be held by this thread whenever the process ends.
        with suppress(InterruptedError):
            piece = os.read(0, 1 << 16)
            if not piece:
                os._exit(0)
            try:
                for line in lines.feed(piece):
                    desk.take(line)
            except ProtocolError as error:
                desk.refuse(None, str(error))
            except BrokenPipeError:
                os._exit(0)


def claim_stdout() -> Callable[[bytes], None]:
    """Keep standard output for the protocol, and lead everything that is printed from now on to standard error."""
    sys.stdout.flush()
    channel = os.dup(1)  # not inherited by processes that libraries start
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(channel, os.O_BINARY)
        msvcrt.setmode(0, os.O_BINARY)
    stream: IO[bytes] = os.fdopen(channel, "wb", buffering=0)

    def send(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[stream.write(view) or 0 :]

    return send


if __name__ == "__main__":
    main()
