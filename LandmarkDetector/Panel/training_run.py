"""One training at a time, by the training worker: retrain and compare, put in use, train a set; draws nothing."""

from __future__ import annotations

from typing import Any

import qt

from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _

RETRAIN, COMPARE, PROMOTE, SET = "retrain", "compare", "promote", "set"
"""What can be at work."""
_PATIENCE = 8000
"""Milliseconds that a cancelled training has for its checkpoint; then it is ended, and the one before counts."""


class TrainingRun:
    """Runs trainings.

    Tells by its signals: ``began(what)``, ``progressed(what, stage, fraction, seconds_left)``, ``paused(whether)``,
    ``noticed(text)``, ``done(what, result)`` and ``failed(what, message, cancelled)``.

    Args:
        worker: a :class:`~LandmarkDetector.Panel.training_process.TrainingProcess`.
    """

    def __init__(self, worker) -> None:
        self.began, self.progressed, self.paused = Signal(), Signal(), Signal()
        self.noticed, self.done, self.failed = Signal(), Signal(), Signal()
        self._worker = worker
        self._what = ""
        self._comparison: dict[str, Any] = {}
        self._is_paused = self._leaving = False
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE)
        self._patience.timeout.connect(self._give_up)
        worker.progress.connect(self._on_progress)
        worker.paused.connect(self._on_paused)
        worker.notice.connect(self._on_notice)
        worker.result.connect(self._on_result)
        worker.failed.connect(self._on_failed)

    @property
    def running(self) -> bool:
        """Whether something is at work."""
        return bool(self._what)

    @property
    def is_paused(self) -> bool:
        """Whether it waits."""
        return self._is_paused

    @property
    def is_leaving(self) -> bool:
        """Whether it was cancelled and has not ended yet."""
        return self._leaving

    def retrain(self, bundle: str, store: str, output: str, **more: Any) -> None:
        """Retrain a bundle, and compare what comes of it with the bundle in use.

        Args:
            bundle: its folder.
            store: folder of the review store.
            output: folder of the run.
            more: ``data``, ``minutes``, ``by``, ``device``, ``resume``, as the worker has them.
        """
        about = {key: more[key] for key in ("data", "device") if more.get(key)}
        self._comparison = {"store": store, **about}
        self._ask(RETRAIN, "retrain", output, {"bundle": bundle, "store": store, "output": output, **more})

    def compare(self, candidate: str, store: str, folder: str, **more: Any) -> None:
        """Compare a candidate with the bundle in use; ``more``: ``data`` and ``device``."""
        self._comparison = {"candidate": candidate, "store": store, **more}
        self._ask(COMPARE, "promote", folder, {"install": False, **self._comparison})

    def promote(self, folder: str, because: str, by: str) -> None:
        """Put in use what was compared last."""
        self._ask(PROMOTE, "promote", folder, {"because": because, "by": by, **self._comparison})

    def train_set(self, folder: str, **more: Any) -> None:
        """Train a bundle of a landmark set and put it among the bundles.

        Args:
            folder: of the set.
            more: ``minutes``, ``device``, ``resume``, ``by``.
        """
        self._ask(SET, "train_set", folder, {"folder": folder, "install": True, **more})

    def pause(self) -> None:
        """Wait after the next step, or go on; :attr:`paused` tells when it is so."""
        if self.running and not self._leaving:
            self._worker.pause(not self._is_paused)

    def cancel(self) -> None:
        """Stop after the next step; what was learnt so far is kept in a checkpoint."""
        if self.running and not self._leaving:
            self._leaving = True
            self._worker.cancel()
            self._patience.start()

    def close(self) -> None:
        """The panel ends: end the process at once; the newest checkpoint stays."""
        self._rest()
        self._worker.close()

    def _ask(self, what: str, command: str, writes: str, content: dict[str, Any]) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        self._what = what
        self.began.emit(what)
        try:
            self._worker.ask(command, writes, content)
        except LandmarkDetectorError as error:
            self._on_failed(str(error), False)

    def _on_progress(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        if self.running:
            self.progressed.emit(self._what, stage, fraction, seconds_left)

    def _on_paused(self, paused: bool) -> None:
        if self.running and paused != self._is_paused:
            self._is_paused = paused
            self.paused.emit(paused)

    def _on_notice(self, text: str) -> None:
        if self.running:
            self.noticed.emit(text)

    def _on_result(self, result: dict[str, Any]) -> None:
        if not self.running:
            return
        what, leaving = self._what, self._leaving
        self._rest()
        if what == RETRAIN and not leaving:
            self._comparison["candidate"] = result["folder"]
            self._ask(COMPARE, "promote", result["folder"], {"install": False, **self._comparison})
            return
        if what != COMPARE:
            self._worker.end()  # the networks' memory is wanted elsewhere; a comparison waits for a decision
        if what == RETRAIN:
            self.failed.emit(RETRAIN, _("Cancelled before it was compared; the new bundle is kept."), True)
        else:
            self.done.emit(what, result)

    def _on_failed(self, message: str, cancelled: bool) -> None:
        if self.running:
            what = self._what
            self._rest()
            self._worker.end()
            self.failed.emit(what, message, cancelled)

    def _give_up(self, *_arguments) -> None:
        if self._leaving:
            self._on_failed(_("It was cancelled and ended, since it did not answer."), True)

    def _rest(self) -> None:
        self._patience.stop()
        self._what, self._is_paused, self._leaving = "", False, False
