"""The worker as a QProcess: started early, spoken to in the library's protocol, ended by killing it."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections import deque
from pathlib import Path
from typing import Any

import qt

from LandmarkDetector.Panel.signals import Signal

_LINES_KEPT = 200
_PATIENCE_MS = 2000


def python_executable() -> str:
    """The Python that runs the worker: this one, or the one beside an application that is no Python itself.

    Raises:
        WorkerError: there is none.
    """
    from LandmarkDetectorLib.inference.client import WorkerError

    if "python" in Path(sys.executable).name.lower():
        return sys.executable
    found = shutil.which("PythonSlicer")
    if found is None:
        raise WorkerError("PythonSlicer was not found beside this application; install the application again.")
    return found


class WorkerProcess:
    """The worker of one panel.

    Tells by its signals: ``ready(devices)``, ``progress(stage, fraction)``, ``notice(text)``, ``result(detection)``
    and ``failed(message)``; the last three belong to the request that runs, and none comes after :meth:`end`.
    """

    def __init__(self) -> None:
        self.ready, self.progress, self.notice = Signal(), Signal(), Signal()
        self.result, self.failed = Signal(), Signal()
        self.devices: list[dict[str, str]] = []
        self._process: Any = None
        self._conversation: Any = None
        self._leaving: list[Any] = []
        self._folders: set[str] = set()
        self._complaints: deque[str] = deque(maxlen=_LINES_KEPT)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded its libraries."""
        return self._conversation is not None and self._conversation.ready

    @property
    def pid(self) -> int:
        """The number of the process, 0 without one."""
        return int(self._process.processId()) if self._process is not None else 0

    def start(self) -> None:
        """Start the process, if there is none.

        Raises:
            LandmarkDetectorError: there is no Python that could run it.
        """
        if self._process is not None:
            return
        from LandmarkDetectorLib.inference.client import Conversation, worker_command, worker_environment

        program, *arguments = worker_command(python_executable())
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment(dict(os.environ)).items():
            environment.insert(name, value)
        process = qt.QProcess()
        process.setProcessEnvironment(environment)
        self._process, self._folders = process, set()
        self._conversation = Conversation(lambda data: self._send(process, data), _Ear(self), self.end)
        told = (process, self._conversation, self._folders)
        process.readyReadStandardOutput.connect(lambda *_: self._read(process))
        process.readyReadStandardError.connect(lambda *_: self._read_complaints(process))
        process.errorOccurred.connect(lambda *_: self._after_error(*told))
        process.finished.connect(lambda *_: self._finished(*told))
        self._complaints.clear()
        process.start(program, arguments)

    def warm(self, bundle: str, device: str) -> None:
        """Have a bundle loaded before anybody waits for it; where that cannot be, the first request says so."""
        from LandmarkDetectorLib.inference.client import WorkerError

        try:
            self.start()
        except WorkerError:
            return
        if not self._conversation.busy:
            self._conversation.load(bundle, device)

    def detect(self, reference: dict[str, Any], bundle: str, device: str) -> None:
        """Detect in a volume that lies in a mapped file."""
        self.start()
        self._conversation.detect(reference, bundle, device)

    def detect_file(self, image: str, outputs: list[str], bundle: str, device: str, **options: Any) -> None:
        """Detect in an image file, or a DICOM folder, and have the worker write the files.

        ``options``: ``series`` and ``coordinates``, as the conversation has them.
        """
        self.start()
        self._folders.update(os.path.dirname(os.path.abspath(output)) for output in outputs)
        self._conversation.detect_file(image, outputs, bundle, device, **options)

    def end(self) -> None:
        """Kill the process and all that it started; nothing more is heard of it."""
        process, conversation = self._process, self._conversation
        self._process = self._conversation = None
        if process is None:
            return
        if process.state() != qt.QProcess.NotRunning:
            from LandmarkDetectorLib.inference.client import kill_tree

            self._leaving.append(process)
            kill_tree(conversation.pid or int(process.processId()))  # in Slicer a launcher stands between
            process.kill()

    def close(self) -> None:
        """:meth:`end`, and wait until it is gone: the application leaves, or the module is loaded again."""
        self.end()
        for process in list(self._leaving):
            process.waitForFinished(_PATIENCE_MS)
        self._leaving.clear()

    def _send(self, process, data: bytes) -> None:
        if process.write(data) < 0:
            logging.error("The detector's process does not take requests any more.")

    def _read(self, process) -> None:
        data = process.readAllStandardOutput().data()
        if process == self._process:
            self._conversation.feed(bytes(data))

    def _read_complaints(self, process) -> None:
        text = process.readAllStandardError().data().decode("utf-8", "replace")
        self._complaints.extend(text.splitlines())

    def _after_error(self, process, conversation: Any, folders: set[str]) -> None:
        if process.state() == qt.QProcess.NotRunning:  # it did not even start: then finished never comes
            self._finished(process, conversation, folders)

    def _finished(self, process, conversation: Any, folders: set[str]) -> None:
        from LandmarkDetectorLib.io.atomic import remove_unfinished

        if conversation.pid:
            for folder in folders:
                remove_unfinished(folder, conversation.pid)
        if process in self._leaving:
            self._leaving.remove(process)
        if process != self._process:
            return
        self._read(process)
        if process != self._process:  # what it said last made somebody end it
            return
        self._process = self._conversation = None
        if self._complaints:
            logging.error("The detector's process said before it ended:\n%s", "\n".join(self._complaints))
        conversation.lost()


class _Ear:
    """What a conversation tells, passed on."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker

    def on_ready(self, devices) -> None:
        self._worker.devices = list(devices)
        self._worker.ready.emit(self._worker.devices)

    def on_progress(self, stage: str, fraction: float) -> None:
        self._worker.progress.emit(stage, fraction)

    def on_notice(self, text: str) -> None:
        self._worker.notice.emit(text)

    def on_result(self, detection) -> None:
        self._worker.result.emit(detection)

    def on_error(self, message: str) -> None:
        self._worker.failed.emit(message)
