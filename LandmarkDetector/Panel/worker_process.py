"""The detection worker as a process: started early, spoken to in the library's protocol, ended by killing it."""

from __future__ import annotations

import os
from typing import Any

from LandmarkDetector.Panel.child_process import ChildProcess
from LandmarkDetector.Panel.signals import Signal


class WorkerProcess(ChildProcess):
    """The worker of one panel.

    Tells by ``ready(devices)`` that it has loaded its libraries. What becomes of a request is told to whoever made it,
    by that one's ``on_progress(stage, fraction)``, ``on_notice(text)``, and once ``on_result(detection)`` or
    ``on_error(message)``; nothing after :meth:`end`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ready = Signal()
        self.devices: list[dict[str, str]] = []
        self._asker: Any = None

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded its libraries."""
        return self.conversation is not None and self.conversation.ready

    def warm(self, bundle: str, device: str) -> None:
        """Have a bundle loaded before anybody waits for it; where that cannot be, the first request says so."""
        from LandmarkDetectorLib.inference.client import WorkerError

        try:
            self.start()
        except WorkerError:
            return
        if not self.conversation.busy:
            self.conversation.load(bundle, device)

    def detect(self, asker: Any, reference: dict[str, Any], bundle: str, device: str) -> None:
        """Detect in a volume that lies in a mapped file.

        Raises:
            LandmarkDetectorError: the worker is busy, or cannot be started.
        """
        self.start()
        self.conversation.detect(reference, bundle, device)
        self._asker = asker

    def detect_file(self, asker: Any, image: str, outputs: list[str], bundle: str, device: str, **options: Any) -> None:
        """Detect in an image file, or a DICOM folder, and have the worker write the files.

        ``options``: ``series`` and ``coordinates``, as the conversation has them.

        Raises:
            LandmarkDetectorError: the worker is busy, or cannot be started.
        """
        self.start()
        for output in outputs:
            self.writes_into(os.path.dirname(os.path.abspath(output)))
        self.conversation.detect_file(image, outputs, bundle, device, **options)
        self._asker = asker

    def end(self) -> None:
        """Kill the process and all that it started; nothing more is heard of it."""
        self._asker = None
        super().end()

    def _command(self, python: str) -> list[str]:
        from LandmarkDetectorLib.inference.client import worker_command

        return worker_command(python)

    def _converse(self, send) -> Any:
        from LandmarkDetectorLib.inference.client import Conversation

        return Conversation(send, self, super().end)  # whoever waits is still told why

    # --- what the conversation tells

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        """It has loaded its libraries."""
        self.devices = list(devices)
        self.ready.emit(self.devices)

    def on_progress(self, stage: str, fraction: float) -> None:
        """So much is done."""
        if self._asker is not None:
            self._asker.on_progress(stage, fraction)

    def on_notice(self, text: str) -> None:
        """Something that the person should be told."""
        if self._asker is not None:
            self._asker.on_notice(text)

    def on_result(self, detection: Any) -> None:
        """The request has ended well."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.on_result(detection)

    def on_error(self, message: str) -> None:
        """The request, or the worker, has failed; where nobody waits for it, the next request says so again."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.on_error(message)
