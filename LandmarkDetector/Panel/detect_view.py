"""One button that detects and cancels, and what happens meanwhile in words, per cent and time left."""

from __future__ import annotations

import time

from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.progress_words import line_of, percent, stage_words, time_left
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _


class DetectView:
    """The section "Detect".

    Tells by ``asked()`` that the button was pressed to detect and by ``called_off()`` that it was pressed to cancel.

    Args:
        ui: the widgets of the .ui file by name.
    """

    def __init__(self, ui) -> None:
        self.asked, self.called_off = Signal(), Signal()
        self._ui = ui
        self._running = False
        self._began = 0.0
        self.message = Note(ui.messageLabel)
        ui.detectButton.clicked.connect(self._on_button)

    def show_ready(self, obstacle: str, told: bool = False) -> None:
        """Nothing runs; ``obstacle`` says why nothing can, or is empty; ``told`` that it stands elsewhere already."""
        self._running = False
        self._ui.detectButton.setText(_("Detect landmarks"))
        self._ui.detectButton.setEnabled(not obstacle)
        self._ui.detectButton.setToolTip(obstacle or _("Find the landmarks of the chosen volume."))
        self._ui.progressBar.setVisible(False)
        self._ui.stageLabel.setVisible(bool(obstacle) and not told)
        self._ui.stageLabel.setText(obstacle)

    def show_running(self) -> None:
        """A detection has begun."""
        self._running = True
        self._began = time.monotonic()
        self.message.clear()
        self._ui.detectButton.setText(_("Cancel"))
        self._ui.detectButton.setToolTip(_("Stop at once; nothing is changed."))
        self._ui.detectButton.setEnabled(True)
        self._ui.progressBar.setVisible(True)
        self._ui.stageLabel.setVisible(True)
        self.show_progress("writing", 0.0)

    def show_progress(self, stage: str, fraction: float) -> None:
        """How far it is; a fraction in 0..1."""
        self._ui.progressBar.setValue(round(1000 * fraction))
        left = time_left(time.monotonic() - self._began, fraction)
        self._ui.stageLabel.setText(line_of(percent(fraction), stage_words(stage), left))

    def _on_button(self, *_arguments) -> None:
        (self.called_off if self._running else self.asked).emit()
