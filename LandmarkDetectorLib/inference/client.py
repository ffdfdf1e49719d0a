"""The application's side of the worker: what to start, what to say, how to understand the answers, how to end it.

:class:`Conversation` does no input or output, so that every face can drive it: Qt's QProcess feeds it what has arrived.
:class:`SubprocessWorker` drives it for programs without an event loop. Imports neither torch nor pydantic.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from LandmarkDetectorLib.core import Cancelled, Image, LandmarkDetectorError, errors
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.protocol import (
    PROTOCOL,
    Lines,
    ProtocolError,
    decode,
    encode,
    landmarks_from_record,
)
from LandmarkDetectorLib.inference.voxel_file import VoxelFile

HOME = Path(__file__).resolve().parents[2]
"""The folder in which the library lies."""


class WorkerError(LandmarkDetectorError):
    """The worker ended, or cannot be understood; a new one can be started."""


class Listener(Protocol):
    """What a face wants to hear of the running request."""

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        """The worker has loaded its libraries; ``devices`` have a ``name`` for requests and a ``label`` for people."""

    def on_progress(self, stage: str, fraction: float) -> None:
        """So much of the whole is done."""

    def on_notice(self, text: str) -> None:
        """Something that the person should be told, at once; those of the detection come with the result."""

    def on_result(self, detection: Detection) -> None:
        """The request has ended well."""

    def on_error(self, message: str) -> None:
        """The request, or the worker itself, has failed; one sentence."""


class Conversation:
    """The talk with one worker process.

    Args:
        send: writes bytes to its standard input.
        listener: is told what comes back.
        end: ends the process; called where it cannot be understood.
    """

    def __init__(
        self, send: Callable[[bytes], None], listener: Listener, end: Callable[[], None] | None = None
    ) -> None:
        self._send, self._listener, self._end = send, listener, end
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

    def load(self, bundle: str | os.PathLike[str], device: str = "auto") -> None:
        """Have the worker read a bundle now, so that the first detection does not wait for it."""
        self._request("load", bundle=os.fspath(bundle), device=device)

    def detect(self, reference: Mapping[str, Any], bundle: str | os.PathLike[str], device: str = "auto") -> None:
        """Detect in the image of :attr:`VoxelFile.reference`; the file must stay until the request has ended."""
        self._request("detect", image=dict(reference), bundle=os.fspath(bundle), device=device)

    def detect_file(
        self,
        image: str | os.PathLike[str],
        outputs: Sequence[str | os.PathLike[str]],
        bundle: str | os.PathLike[str],
        device: str = "auto",
        *,
        spacing: Sequence[float] | None = None,
        coordinates: str = "LPS",
    ) -> None:
        """Have the worker read an image file or DICOM folder, detect, and write the landmarks to all of ``outputs``."""
        written = [os.path.abspath(output) for output in outputs]
        more = {} if spacing is None else {"spacing": list(spacing)}
        self._request(
            "detect_file",
            image=os.path.abspath(image),
            outputs=written,
            bundle=os.fspath(bundle),
            device=device,
            coordinates=coordinates,
            **more,
        )

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
            busy, self._running = self.busy, None
            if busy or not self.ready:
                during = "during the detection" if busy else "while it was starting"
                self._fail(WorkerError(f"The worker was lost {during} ({reason}); try again."))

    def _request(self, command: str, **content: Any) -> None:
        if self.over:
            raise WorkerError("The worker has ended; start a new one.")
        if self._running is not None and self._running[1] != "load":
            raise WorkerError("The worker is busy with another request; wait for its end, or cancel it.")
        self._number += 1
        line = encode({"id": self._number, "command": command, **content})
        self._running = (self._number, command)
        self._send(line)

    def _take(self, message: Mapping[str, Any]) -> None:
        event, number = message.get("event"), message.get("id")
        try:
            if event == "hello":
                self._greet(message)
            elif event == "ready":
                self.ready = True
                self._listener.on_ready([dict(device) for device in message["devices"]])
            elif number is None and event == "error":
                self._break_off(str(message["message"]))
            elif self._running is not None and number == self._running[0]:
                self._answer(event, message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"the event {str(event)[:40]!r} is wrong: {error!r}") from error

    def _greet(self, message: Mapping[str, Any]) -> None:
        self.pid = int(message["pid"])
        if message["protocol"] != PROTOCOL:
            self._break_off(
                f"The worker speaks version {message['protocol']} of the protocol and this application {PROTOCOL}; "
                "install both from the same release."
            )

    def _answer(self, event: Any, message: Mapping[str, Any]) -> None:
        if event == "progress":
            self._listener.on_progress(str(message["stage"]), float(message["fraction"]))
        elif event == "notice":
            self._listener.on_notice(str(message["text"]))
        elif event == "error":
            self._running = None
            self._fail(_error_of(str(message["kind"]), str(message["message"])))
        elif event == "result":
            assert self._running is not None
            if self._running[1] == "load":
                self._running = None
                return
            detection = Detection(
                landmarks_from_record(message["landmarks"]), dict(message["timing"]), list(message["notices"])
            )
            self._running = None
            self._listener.on_result(detection)
        else:
            raise ProtocolError(f"there is no event {str(event)[:40]!r}")

    def _break_off(self, sentence: str) -> None:
        if self.over:
            return
        self.over, self._running = True, None
        if self._end is not None:
            self._end()
        self._fail(WorkerError(sentence))

    def _fail(self, error: LandmarkDetectorError) -> None:
        self.error = error
        self._listener.on_error(str(error))


def worker_command(python: str | None = None) -> list[str]:
    """The program and its arguments; its standard streams must be pipes."""
    return [python or sys.executable, "-m", "LandmarkDetectorLib.inference.worker"]


def worker_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The worker's environment, from that of the application.

    Slicer tells ITK where its plugins are; SimpleITK, which has an ITK of its own, must not load them.
    """
    environment = dict(os.environ if base is None else base)
    folders = [str(HOME), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment |= {
        "ITK_AUTOLOAD_PATH": "",
        "SITK_AUTOLOAD_PATH": "",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONSAFEPATH": "1",  # a torch.py in the working folder is not torch
    }
    return environment


def kill_tree(pid: int) -> None:
    """End a worker, and what its libraries may have started, at once."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(pid)],
            check=False,
            capture_output=True,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
        return
    with suppress(ProcessLookupError, PermissionError):
        # The worker is the head of a group of its own from its first lines on; before that it has no children.
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


class SubprocessWorker:
    """A worker for programs that may wait: started when first needed, kept warm, ended with the block.

    Args:
        python: the interpreter, by default this one.
    """

    def __init__(self, python: str | None = None) -> None:
        self._command = worker_command(python)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[bytes] = deque(maxlen=40)

    def __enter__(self) -> SubprocessWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def log(self) -> str:
        """The last lines that the worker has written to its standard error."""
        return b"".join(self._log).decode("utf-8", "replace")

    def start(self, timeout: float = 120.0) -> list[dict[str, str]]:
        """Start the process, if there is none, and wait until it is ready; returns its devices.

        Raises:
            WorkerError: it cannot be started.
        """
        if self._process is None:
            self._launch()
            self._follow(lambda: self._heard.devices is not None, None, timeout)
        assert self._heard.devices is not None
        return self._heard.devices

    def detect(
        self,
        image: Image,
        bundle: str | os.PathLike[str],
        device: str = "auto",
        progress: Callable[[str, float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Detection:
        """As :meth:`Detector.detect <LandmarkDetectorLib.inference.detector.Detector.detect>`, in the worker.

        Raises:
            LandmarkDetectorError: as the detector says.
            WorkerError: the worker was lost; the next call starts a new one.
            Cancelled: on request; the worker is ended then.
        """
        with VoxelFile(image) as file:
            for _ in file.write_steps():
                _check(cancelled)
            return self._ask(lambda talk: talk.detect(file.reference, bundle, device), progress, cancelled)

    def detect_file(
        self,
        image: str | os.PathLike[str],
        outputs: Sequence[str | os.PathLike[str]],
        bundle: str | os.PathLike[str],
        device: str = "auto",
        progress: Callable[[str, float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        spacing: Sequence[float] | None = None,
        coordinates: str = "LPS",
    ) -> Detection:
        """Read, detect and write in the worker; errors as of :meth:`detect`."""
        return self._ask(
            lambda talk: talk.detect_file(image, outputs, bundle, device, spacing=spacing, coordinates=coordinates),
            progress,
            cancelled,
        )

    def close(self) -> None:
        """End the process, whatever it does; as often as you like."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):  # what was still to be sent has nobody to go to
                    stream.close()

    def _ask(
        self,
        request: Callable[[Conversation], None],
        progress: Callable[[str, float], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> Detection:
        _check(cancelled)
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it ended while nobody wanted anything of it
        if self._process is None:
            self._launch()
        self._heard.begin(progress)
        request(self._talk)
        self._follow(lambda: self._heard.detection is not None, cancelled)
        assert self._heard.detection is not None
        return self._heard.detection

    def _follow(
        self, done: Callable[[], bool], cancelled: Callable[[], bool] | None, timeout: float | None = None
    ) -> None:
        """Feed the conversation until it is done."""
        waited = 0.0
        try:
            while not done():
                _check(cancelled)
                try:
                    piece = self._arrived.get(timeout=_LOOK)
                except queue.Empty:
                    waited += _LOOK
                    if timeout is not None and waited >= timeout:
                        raise WorkerError(f"The worker was not ready within {timeout:.0f} s; try again.") from None
                    continue
                if piece is None:
                    self._talk.lost(f"exit code {self._process.wait() if self._process else 'unknown'}")
                else:
                    self._talk.feed(piece)
                if self._talk.error is not None:
                    error, self._talk.error = self._talk.error, None
                    raise error
        except BaseException:
            if self._talk.busy or self._talk.over or not self._talk.ready:
                self.close()  # nobody knows what it would still say
            raise

    def _launch(self) -> None:
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW}
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=worker_environment(), bufsize=0, **options
            )
        except OSError as error:
            raise WorkerError(f"The worker cannot be started ({error.strerror}); install the program again.") from error
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._heard = _Heard()
        self._log.clear()
        stdin, pid = process.stdin.fileno(), process.pid
        self._talk = Conversation(lambda data: _send_all(stdin, data), self._heard, lambda: kill_tree(pid))
        self._threads = [
            threading.Thread(target=_pump, args=(process.stdout.fileno(), self._arrived.put), daemon=True),
            threading.Thread(target=_pump, args=(process.stderr.fileno(), self._keep), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _keep(self, piece: bytes | None) -> None:
        if piece is not None:
            self._log.append(piece)


_LOOK = 0.05
"""Seconds between two looks at whether to cancel."""


class _Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.devices: list[dict[str, str]] | None = None
        self.begin(None)

    def begin(self, progress: Callable[[str, float], None] | None) -> None:
        self.detection: Detection | None = None
        self._progress = progress
        self._notices: list[str] = []

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        self.devices = devices

    def on_progress(self, stage: str, fraction: float) -> None:
        if self._progress is not None:
            self._progress(stage, fraction)

    def on_notice(self, text: str) -> None:
        self._notices.append(text)

    def on_result(self, detection: Detection) -> None:
        detection.notices[:0] = self._notices
        self.detection = detection

    def on_error(self, message: str) -> None:
        """The conversation keeps the error itself."""


def _check(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("Detection was cancelled; nothing was written.")


def _error_of(kind: str, message: str) -> LandmarkDetectorError:
    """The error of this kind in the house's family."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, LandmarkDetectorError):
        return known(message)
    return WorkerError(message)


def _pump(descriptor: int, give: Callable[[bytes | None], None]) -> None:
    """Hand on what arrives, and ``None`` at the end."""
    with suppress(OSError):
        while piece := os.read(descriptor, 1 << 16):
            give(piece)
    give(None)


def _send_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        pass  # the process has ended; the end of its output says so
