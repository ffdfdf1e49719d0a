"""The detection worker as a process: started early, spoken to in the library's protocol, ended by killing it."""

from __future__ import annotations

import os
from typing import Any

from LandmarkDetector.Panel.child_process import ChildProcess
from LandmarkDetector.Panel.signals import Signal


class WorkerProcess:
    """The worker of one panel.

    Tells by its signals: ``ready(devices)``, ``progress(stage, fraction)``, ``notice(text)``, ``result(detection)``
    and ``failed(message)``; the last three belong to the request that runs, and none comes after :meth:`end`.
    """

    def __init__(self) -> None:
        self.ready, self.progress, self.notice = Signal(), Signal(), Signal()
        self.result, self.failed = Signal(), Signal()
        self.devices: list[dict[str, str]] = []
        self._child = ChildProcess(_command, lambda send, end: _conversation(send, _Ear(self), end))

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._child.running

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded its libraries."""
        return self._child.conversation is not None and self._child.conversation.ready

    @property
    def pid(self) -> int:
        """The number of the process, 0 without one."""
        return self._child.pid

    def start(self) -> None:
        """Start the process, if there is none.

        Raises:
            LandmarkDetectorError: there is no Python that could run it.
        """
        self._child.start()

    def warm(self, bundle: str, device: str) -> None:
        """Have a bundle loaded before anybody waits for it; where that cannot be, the first request says so."""
        from LandmarkDetectorLib.inference.client import WorkerError

        try:
            self.start()
        except WorkerError:
            return
        if not self._child.conversation.busy:
            self._child.conversation.load(bundle, device)

    def detect(self, reference: dict[str, Any], bundle: str, device: str) -> None:
        """Detect in a volume that lies in a mapped file."""
        self.start()
        self._child.conversation.detect(reference, bundle, device)

    def detect_file(self, image: str, outputs: list[str], bundle: str, device: str, **options: Any) -> None:
        """Detect in an image file, or a DICOM folder, and have the worker write the files.

        ``options``: ``series`` and ``coordinates``, as the conversation has them.
        """
        self.start()
        for output in outputs:
            self._child.writes_into(os.path.dirname(os.path.abspath(output)))
        self._child.conversation.detect_file(image, outputs, bundle, device, **options)

    def end(self) -> None:
        """Kill the process and all that it started; nothing more is heard of it."""
        self._child.end()

    def close(self) -> None:
        """:meth:`end`, and wait until it is gone: the application leaves, or the module is loaded again."""
        self._child.close()


def _command(python: str) -> list[str]:
    from LandmarkDetectorLib.inference.client import worker_command

    return worker_command(python)


def _conversation(send, ear, end) -> Any:
    from LandmarkDetectorLib.inference.client import Conversation

    return Conversation(send, ear, end)


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
