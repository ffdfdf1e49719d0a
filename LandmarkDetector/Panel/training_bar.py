"""How far a training is, how long it takes yet, and the buttons that pause and cancel it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from LandmarkDetector.Panel.progress_words import left_words, line_of, percent
from LandmarkDetector.Panel.texts import _
from LandmarkDetector.Panel.training_run import COMPARE, PROMOTE, RETRAIN


class TrainingBar:
    """A bar with its words and two buttons, in a frame that shows while something of it runs.

    Args:
        frame: the QFrame of all.
        bar: the QProgressBar, of 1000.
        words: the QLabel below it.
        pause: the button that pauses and goes on.
        cancel: the button that cancels.
        run: the :class:`~LandmarkDetector.Panel.training_run.TrainingRun`.
        mine: what of it this bar shows.
    """

    def __init__(self, frame, bar, words, pause, cancel, run, mine: Collection[str]) -> None:
        self._frame, self._bar, self._words, self._pause, self._cancel = frame, bar, words, pause, cancel
        self._run, self._mine = run, mine
        self._last: tuple[str, str, float, float | None] = ("", "", 0.0, None)
        frame.setVisible(False)
        pause.clicked.connect(lambda *_a: run.pause())
        cancel.clicked.connect(self._on_cancel)
        run.began.connect(self._on_began)
        run.progressed.connect(self._on_progress)
        run.paused.connect(self._on_paused)
        run.done.connect(self._on_end)
        run.failed.connect(self._on_end)

    def _on_began(self, what: str) -> None:
        if what in self._mine:
            self._frame.setVisible(True)
            self._pause.setText(_("Pause"))
            for button in (self._pause, self._cancel):
                button.setEnabled(True)
            self._on_progress(what, "starting", 0.0, None)

    def _on_progress(self, what: str, stage: str, fraction: float, seconds_left: float | None) -> None:
        if what in self._mine:
            self._last = (what, stage, fraction, seconds_left)
            self._bar.setValue(round(1000 * fraction))
            self._say()

    def _on_paused(self, paused: bool) -> None:
        self._pause.setText(_("Go on") if paused else _("Pause"))
        self._say()

    def _on_cancel(self, *_arguments: Any) -> None:
        self._run.cancel()
        for button in (self._pause, self._cancel):
            button.setEnabled(False)
        self._say()

    def _on_end(self, what: str, *_arguments: Any) -> None:
        if what in self._mine:
            self._frame.setVisible(False)

    def _say(self) -> None:
        what, stage, fraction, seconds_left = self._last
        if self._run.is_leaving:
            self._words.setText(_("Stopping after this step; what was learnt so far is kept."))
            return
        left = left_words(seconds_left) if seconds_left is not None and fraction < 1 else ""
        if self._run.is_paused:
            left = _("paused")
        self._words.setText(line_of(percent(fraction), training_words(what, stage), left))


def training_words(what: str, stage: str) -> str:
    """A stage of a training in words for a person."""
    if stage == "starting":
        if what == COMPARE:
            return _("Comparing old and new")
        return _("Putting it in use") if what == PROMOTE else _("Gathering the images")
    if what in (COMPARE, PROMOTE):
        return _("Putting it in use") if stage == "putting it in use" else _("Comparing old and new")
    words = {
        "coarse": _("Learning to find the anatomy"),
        "frame": _("Learning its position and direction"),
        "image": _("Learning the landmarks"),
        "patch": _("Learning to look closely"),
    }
    return words.get(stage, _("Retraining") if what == RETRAIN else _("Training"))
