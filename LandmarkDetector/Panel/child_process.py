"""A worker of the library as a QProcess: started, spoken to by a conversation, ended with all that it started."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt

_LINES_KEPT = 200
_PATIENCE_MS = 2000


def python_executable() -> str:
    """The Python that runs a worker: this one, or the one beside an application that is no Python itself.

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


class ChildProcess(ABC):
    """One process at a time, and the conversation with it; which program and which conversation a subclass says."""

    def __init__(self) -> None:
        self.conversation: Any = None
        self._process: Any = None
        self._leaving: list[Any] = []
        self._folders: dict[str, bool] = {}
        self._complaints: deque[str] = deque(maxlen=_LINES_KEPT)

    @abstractmethod
    def _command(self, python: str) -> list[str]:
        """Program and arguments, for the Python that runs it."""

    @abstractmethod
    def _converse(self, send: Callable[[bytes], None]) -> Any:
        """A conversation, of what sends bytes to the process."""

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

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
        from LandmarkDetectorLib.inference.client import worker_environment

        program, *arguments = self._command(python_executable())
        environment = qt.QProcessEnvironment()
        for name, value in worker_environment(dict(os.environ)).items():
            environment.insert(name, value)
        process = qt.QProcess()
        process.setProcessEnvironment(environment)
        self._process, self._folders = process, {}
        self.conversation = self._converse(lambda data: self._send(process, data))
        told = (process, self.conversation, self._folders)
        process.readyReadStandardOutput.connect(lambda *_: self._read(process))
        process.readyReadStandardError.connect(lambda *_: self._read_complaints(process))
        process.errorOccurred.connect(lambda *_: self._after_error(*told))
        process.finished.connect(lambda *_: self._finished(*told))
        self._complaints.clear()
        process.start(program, arguments)

    def writes_into(self, folder: str, below: bool = False) -> None:
        """The process writes into this folder (or ``below`` it), which is tidied up if it is ended in mid-writing."""
        self._folders[os.path.abspath(folder)] = below

    def end(self) -> None:
        """Kill the process and all that it started; nothing more is heard of it."""
        process, conversation = self._process, self.conversation
        self._process = self.conversation = None
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
            logging.error("The worker's process does not take requests any more.")

    def _read(self, process) -> None:
        data = process.readAllStandardOutput().data()
        if process == self._process:
            self.conversation.feed(bytes(data))

    def _read_complaints(self, process) -> None:
        text = process.readAllStandardError().data().decode("utf-8", "replace")
        self._complaints.extend(text.splitlines())

    def _after_error(self, process, conversation: Any, folders: dict[str, bool]) -> None:
        if process.state() == qt.QProcess.NotRunning:  # it did not even start: then finished never comes
            self._finished(process, conversation, folders)

    def _finished(self, process, conversation: Any, folders: dict[str, bool]) -> None:
        from LandmarkDetectorLib.io.atomic import remove_unfinished

        if conversation.pid:
            for folder, below in folders.items():
                remove_unfinished(folder, conversation.pid, below=below)
        if process in self._leaving:
            self._leaving.remove(process)
        if process != self._process:
            return
        self._read(process)
        if process != self._process:  # what it said last made somebody end it
            return
        self._process = self.conversation = None
        if self._complaints:
            logging.error("The worker's process said before it ended:\n%s", "\n".join(self._complaints))
        conversation.lost()
