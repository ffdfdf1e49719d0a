"""The application's side of the worker: what to start, what to say, how to understand the answers, how to end it.

A face with an event loop starts :func:`worker_command` itself and feeds a :class:`Conversation` with what arrives.
:class:`SubprocessWorker` does so for programs without one. Imports neither torch nor pydantic.
"""

from __future__ import annotations

import errno
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
from typing import Any

from LandmarkDetectorLib.core import Cancelled, Image
from LandmarkDetectorLib.inference.conversation import Conversation, Listener
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.talk import WorkerError
from LandmarkDetectorLib.inference.voxel_file import VoxelFile
from LandmarkDetectorLib.io.atomic import remove_unfinished

__all__ = [
    "Conversation",
    "Listener",
    "SubprocessWorker",
    "WorkerError",
    "kill_tree",
    "worker_command",
    "worker_environment",
]

HOME = Path(__file__).resolve().parents[2]
"""The folder in which the library lies."""


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
        self._folders: set[str] = set()

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
        series: str | None = None,
        coordinates: str = "LPS",
    ) -> Detection:
        """Read, detect and write in the worker; errors as of :meth:`detect`."""
        self._folders |= {os.path.dirname(os.path.abspath(output)) for output in outputs}

        def request(talk: Conversation) -> None:
            options: dict[str, Any] = {"spacing": spacing, "series": series, "coordinates": coordinates}
            talk.detect_file(image, outputs, bundle, device, **options)

        return self._ask(request, progress, cancelled)

    def close(self) -> None:
        """End the process, whatever it does; as often as you like."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait()
        for folder in self._folders:
            remove_unfinished(folder, process.pid)
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
        was_idle = self._process is not None
        if self._process is None:
            self._launch()
        self._heard.begin(progress)
        request(self._talk)
        try:
            self._follow(lambda: self._heard.detection is not None, cancelled)
        except WorkerError:
            if was_idle and self._process is None and not self._heard.anything:
                return self._ask(request, progress, cancelled)  # it had ended while nobody wanted anything of it
            raise
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
        self.anything = False
        self._progress = progress
        self._notices: list[str] = []

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        self.devices = devices

    def on_progress(self, stage: str, fraction: float) -> None:
        self.anything = True
        if self._progress is not None:
            self._progress(stage, fraction)

    def on_notice(self, text: str) -> None:
        self.anything = True
        self._notices.append(text)

    def on_result(self, detection: Detection) -> None:
        detection.notices[:0] = self._notices
        self.detection = detection

    def on_error(self, message: str) -> None:
        """The conversation keeps the error itself."""


def _check(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("Detection was cancelled; nothing was written.")


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
    except OSError as error:
        # The process has ended, and the end of its output says so. Windows calls that an invalid argument.
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            raise
