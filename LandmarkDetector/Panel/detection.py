"""One detection from the volume to the landmarks, between two turns of the event loop at a time.

The voxels are written piece by piece by a timer, then the worker is asked; nothing is made or changed in the scene.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import qt

from LandmarkDetector.Panel.signals import Signal

_WRITING = 0.05
"""The share of the bar that writing the voxels takes."""
_TURN_SECONDS = 0.02
"""For how long voxels are written before the event loop has its turn."""


class DetectionRun:
    """Runs detections, one at a time.

    Tells by its signals: ``progressed(stage, fraction)``, ``noticed(text)``, ``found(detection)`` and
    ``failed(message)``. Nothing is told after :meth:`cancel`.

    Args:
        worker: a :class:`~LandmarkDetector.Panel.worker_process.WorkerProcess`.
    """

    def __init__(self, worker) -> None:
        self.progressed, self.noticed, self.found, self.failed = Signal(), Signal(), Signal(), Signal()
        self._worker = worker
        self._file: Any = None
        self._steps: Iterator[float] | None = None
        self._request: tuple[str, str] = ("", "")
        self._asked = False
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._write)

    @property
    def running(self) -> bool:
        """Whether a detection is on its way."""
        return self._steps is not None or self._asked

    def start(self, image: Any, bundle: str, device: str) -> None:
        """Begin.

        Args:
            image: a library ``Image``; its array must stay as it is until the voxels are written.
            bundle: the name of a bundle, or its folder.
            device: as the library calls it.

        Raises:
            LandmarkDetectorError: there is no room for the voxels, or the worker cannot be started.
        """
        from LandmarkDetectorLib.inference.voxel_file import VoxelFile

        self._worker.start()
        self._file = VoxelFile(image)
        self._steps = self._file.write_steps()
        self._request = (bundle, device)
        self.progressed.emit("writing", 0.0)
        self._timer.start()

    def cancel(self) -> None:
        """Stop at once: the worker is killed, the voxels are removed."""
        if not self.running:
            return
        self._worker.end()
        self._rest()

    def _write(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        end = time.monotonic() + _TURN_SECONDS
        fraction: float | None = 0.0
        try:
            while fraction is not None and time.monotonic() < end:
                fraction = next(self._steps, None) if self._steps is not None else None
        except LandmarkDetectorError as error:
            self.on_error(str(error))
            return
        if fraction is not None:
            self.progressed.emit("writing", _WRITING * fraction)
            return
        self._timer.stop()
        self._steps, self._asked = None, True
        try:
            self._worker.detect(self, self._file.reference, *self._request)
            self.progressed.emit("loading" if self._worker.is_ready else "starting", _WRITING)
        except LandmarkDetectorError as error:
            self.on_error(str(error))

    # --- what the worker tells

    def on_progress(self, stage: str, fraction: float) -> None:
        """So much is done."""
        self.progressed.emit(stage, _WRITING + (1 - _WRITING) * fraction)

    def on_notice(self, text: str) -> None:
        """Something that the person should be told."""
        self.noticed.emit(text)

    def on_result(self, detection: Any) -> None:
        """The landmarks are there."""
        self._rest()
        self.found.emit(detection)

    def on_error(self, message: str) -> None:
        """Nothing comes of it."""
        self._rest()
        self.failed.emit(message)

    def _rest(self) -> None:
        self._timer.stop()
        self._steps, self._asked = None, False
        if self._file is not None:
            self._file.close()
            self._file = None
