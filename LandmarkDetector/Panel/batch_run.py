"""A folder of images, one after the other, by the worker of the panel; the event loop has its turn in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qt

from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _

_TURN_SECONDS = 0.02
"""For how long a folder is searched before the event loop has its turn."""


class BatchRun:
    """Runs batches, one at a time.

    Tells by its signals: ``searched(count)`` how many images were found so far, ``began(name)`` an image,
    ``progressed(stage, fraction)`` of it, ``ended(row)`` it, and ``finished(message)`` all, with a sentence where it
    did not come to its end.

    Args:
        worker: a :class:`~LandmarkDetector.Panel.worker_process.WorkerProcess`.
    """

    def __init__(self, worker) -> None:
        self.searched, self.began, self.progressed = Signal(), Signal(), Signal()
        self.ended, self.finished = Signal(), Signal()
        self.batch: Any = None
        self._worker = worker
        self._search: Any = None
        self._findings: Any = None
        self._order: dict[str, Any] = {}
        self._job: Any = None
        self._notices: list[str] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._turn)

    @property
    def running(self) -> bool:
        """Whether a batch is on its way."""
        return self._search is not None or self._job is not None or self._timer.isActive()

    def start(
        self, images: str, results: str, formats: Sequence[str], coordinates: str, bundle: str, device: str
    ) -> None:
        """Begin, or go on where an earlier run of the same folders was stopped.

        Args:
            images: the folder that is searched, with all below it.
            results: the folder for the files of landmarks and the summary.
            formats: suffixes of the files of each image.
            coordinates: ``LPS`` or ``RAS``.
            bundle: the name of a bundle.
            device: as the library calls it.
        """
        from LandmarkDetectorLib.inference.batch import look_for_images

        self.batch = None
        self._search = look_for_images(images)
        self._order = {
            "results": results,
            "formats": tuple(formats),
            "coordinates": coordinates,
            "bundle": bundle,
            "device": device,
        }
        self._worker.warm(bundle, device)
        self._timer.start()

    def stop(self) -> None:
        """Stop at once; what is done stays, and the same start goes on from there."""
        if self.running:
            if self._job is not None:
                self._worker.end()
            self._finish(_("Stopped; start again to go on."))

    def job_files(self, name: str) -> tuple[Any, list[Path]] | None:
        """The source of an image of the batch and the files of its landmarks, by the name in its row."""
        from LandmarkDetectorLib.inference.batch import outputs_of

        source = next((s for s in self.batch.sources if s.name == name), None) if self.batch else None
        return None if source is None else (source, outputs_of(source, self.batch.folder_out, self.batch.formats))

    def _turn(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            if self._search is not None:
                self._look()
            elif self.batch is None:
                self._begin()
            else:
                self._next()
        except LandmarkDetectorError as error:
            self._finish(str(error))

    def _look(self) -> None:
        end = time.monotonic() + _TURN_SECONDS
        while time.monotonic() < end:
            findings = next(self._search, None)
            if findings is None:
                self._search = None
                return
            self._findings = findings
        self.searched.emit(len(self._findings))

    def _begin(self) -> None:
        from LandmarkDetectorLib.bundles import load_bundle
        from LandmarkDetectorLib.core import ImageError
        from LandmarkDetectorLib.inference.batch import Batch

        sources = list(self._findings)
        if not sources:
            raise ImageError(_("No image was found in this folder; choose another one."))
        order, bundle = self._order, load_bundle(self._order["bundle"])
        self.batch = Batch(
            sources, order["results"], bundle.name, order["formats"], order["coordinates"], version=bundle.version
        )

    def _next(self) -> None:
        batch = self.batch
        if batch.over:
            self._finish("")
            return
        before = len(batch.rows)
        job = batch.step()
        for row in batch.rows[before:]:
            self.ended.emit(row)
        if job is None:
            return
        self._timer.stop()
        self._job = job
        self._notices.clear()
        self.began.emit(job.source.name)
        self._worker.detect_file(
            self,
            str(job.source.path),
            [str(path) for path in job.outputs],
            self._order["bundle"],
            self._order["device"],
            series=job.source.series,
            coordinates=batch.coordinates,
        )

    # --- what the worker tells

    def on_progress(self, stage: str, fraction: float) -> None:
        """So much of an image is done."""
        self.progressed.emit(stage, fraction)

    def on_notice(self, text: str) -> None:
        """Something that the person should be told of it."""
        self._notices.append(text)

    def on_result(self, detection: Any) -> None:
        """Its landmarks are written."""
        self.batch.done(detection, self._notices)
        self._after_job()

    def on_error(self, message: str) -> None:
        """Nothing comes of it; the next one is begun."""
        self.batch.failed(message)
        self._after_job()

    def _after_job(self) -> None:
        self._job = None
        self.ended.emit(self.batch.rows[-1])
        self._timer.start()

    def _finish(self, message: str) -> None:
        self._timer.stop()
        self._search = self._job = None
        self.finished.emit(message)
