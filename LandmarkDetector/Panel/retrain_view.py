"""From the corrections of a review store to the next bundle: what is needed, how far it is, and the decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from LandmarkDetector.Panel.comparison_view import ComparisonView
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _, count
from LandmarkDetector.Panel.training_bar import TrainingBar
from LandmarkDetector.Panel.training_run import COMPARE, PROMOTE, RETRAIN, TrainingRun

GO_ON, ANEW, DECIDE = "go on", "anew", "decide"
MINE = (RETRAIN, COMPARE, PROMOTE)


class RetrainView:
    """The part of the section "Cases" that makes the next bundle.

    Tells by ``promoted(name)`` that another bundle is in use under a name.

    Args:
        ui: the widgets of the .ui file by name.
        dialogs: how the person is asked.
        run: does the work.
        recording: knows the store and the observer.
        choice: the bundle that is chosen, and the device.
    """

    def __init__(self, ui, dialogs, run: TrainingRun, recording, choice: Callable[[], tuple[Any, str]]) -> None:
        self.promoted = Signal()
        self._ui, self._dialogs, self._run, self._recording, self._choice = ui, dialogs, run, recording, choice
        self._store: Any = None
        self._counted: tuple[int, Counter[str]] = (0, Counter())
        self._folder = ""
        self._notices: list[str] = []
        self.message = Note(ui.retrainMessage)
        self.comparison = ComparisonView(ui, dialogs, self._on_decided)
        self.bar = TrainingBar(
            ui.retrainRunFrame,
            ui.retrainProgress,
            ui.retrainStage,
            ui.retrainPauseButton,
            ui.retrainCancelButton,
            run,
            MINE,
        )
        ui.retrainFrame.setVisible(False)
        ui.casesRetrainButton.clicked.connect(self._on_open)
        ui.retrainDataButton.clicked.connect(self._on_data)
        ui.retrainStartButton.clicked.connect(self._on_start)
        run.began.connect(self._on_began)
        run.noticed.connect(self._notices.append)
        run.done.connect(self._on_done)
        run.failed.connect(self._on_failed)

    def show(self) -> None:
        """Bring up to date what stands there: the store, the bundle or the corrections are others."""
        store = self._recording.store
        if store is not self._store:
            self._store = store
            self._ui.retrainFrame.setVisible(False)
            if not self._run.running:
                self.message.clear()
                self.comparison.show(None)
        if store is None:
            self._ui.retrainFrame.setVisible(False)
            return
        if not self._ui.retrainFrame.isHidden():
            self._show_obstacle()

    def _on_open(self, *_arguments) -> None:
        """Fold out what is needed, or fold it in again."""
        self._ui.retrainFrame.setVisible(self._ui.retrainFrame.isHidden())
        if not self._ui.retrainFrame.isHidden():
            self._count()
            self._show_obstacle()

    def _show_obstacle(self) -> None:
        bundle, _device = self._choice()
        obstacle = self._obstacle(bundle)
        self._ui.retrainStartButton.setEnabled(not obstacle)
        self._ui.retrainStartButton.setToolTip(obstacle or _("Train further in a process of its own, then compare."))
        self._ui.retrainLabel.setText(obstacle or self._about(bundle))

    def _obstacle(self, bundle: Any) -> str:
        if self._run.running:
            return _("A training is running.")
        if bundle is None:
            return _("Choose the bundle that shall learn, at the top of the panel.")
        return ""

    def _about(self, bundle: Any) -> str:
        """Which bundle learns from how many cases, and how many of them judge it."""
        reviewed, sides = self._counted
        text = _("{bundle} {version} learns from {cases}").format(
            bundle=bundle.name,
            version=bundle.version,
            cases=count(reviewed, _("reviewed case"), _("reviewed cases")),
        )
        if not sum(sides.values()):
            return _("{text}; one in five is kept back to judge it.").format(text=text)
        known = [_("{n} train").format(n=sides["training"]), _("{n} are locked and judge").format(n=sides["locked"])]
        new = reviewed - sum(sides.values())
        if new:
            known.append(_("of {n} it is settled when it begins").format(n=new))
        return f"{text}: {', '.join(known)}."

    def _count(self) -> None:
        """How many cases are reviewed, and how many of them stand on each side of the split."""
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.locked import sides_of

        store = self._recording.store
        try:
            reviewed = [row.case for row in store.cases() if any(row.reviewed.values())]
            self._counted = len(reviewed), Counter(sides_of(store, reviewed).values())
        except LandmarkDetectorError as error:
            self._counted = 0, Counter()
            self.message.show(str(error), "error")

    # --- what the person does

    def _on_data(self, *_arguments) -> None:
        folder = self._dialogs.open_folder(_("The data that the bundle was trained on"))
        if folder:
            self._ui.retrainDataEdit.setText(folder)

    def _on_start(self, *_arguments) -> None:
        from LandmarkDetectorLib.review.runs import next_run, undecided_candidate, unfinished_run

        store, (bundle, device) = self._recording.store, self._choice()
        if store is None or self._obstacle(bundle):
            self._show_obstacle()
            return
        begun, candidate = unfinished_run(store.folder, bundle), undecided_candidate(store.folder, bundle)
        answer = self._asked(begun is not None, candidate is not None)
        if answer is None:
            return
        data = str(self._ui.retrainDataEdit.property("text")).strip() or None
        if answer == DECIDE and candidate is not None:
            self._folder = str(candidate.parent)
            self._run.compare(str(candidate), str(store.folder), self._folder, data=data, device=device)
            return
        self._folder = str(begun if answer == GO_ON else next_run(store.folder))
        self._run.retrain(
            str(bundle.folder),
            str(store.folder),
            self._folder,
            data=data,
            minutes=float(self._ui.retrainMinutesSpin.property("value")),
            by=self._recording.observer,
            device=device,
            resume=answer == GO_ON,
        )

    def _asked(self, unfinished: bool, undecided: bool) -> str | None:
        """What shall be done with an earlier run; ``None`` when the person would rather not."""
        anew = (ANEW, _("Begin anew"))
        if unfinished:
            question = _("The last retraining of this bundle was interrupted. Go on with it, by its own corrections?")
            return self._dialogs.ask(_("Retrain"), question, [(GO_ON, _("Go on with it")), anew])
        if undecided:
            question = _("The last retraining of this bundle waits for a decision. Compare it with the one in use?")
            return self._dialogs.ask(_("Retrain"), question, [(DECIDE, _("Compare it")), anew])
        return ANEW

    def _on_decided(self, because: str) -> None:
        self._run.promote(self._folder, because, self._recording.observer)

    # --- what comes of it

    def _on_began(self, what: str) -> None:
        self.comparison.set_busy(True)
        self._show_obstacle()
        if what in (RETRAIN, COMPARE):
            self.message.clear()
            self.comparison.show(None)
        if what == RETRAIN:
            self._notices.clear()

    def _on_done(self, what: str, result: dict[str, Any]) -> None:
        self._rest()
        if what == COMPARE:
            self.comparison.show(result)
            self.message.show("\n".join(self._notices), "warning")
        elif what == PROMOTE and result["promoted"]:
            self.comparison.show(None)
            self._ui.retrainFrame.setVisible(False)
            self.message.show(str(result["outcome"]))
            self.promoted.emit(str(result["candidate"]["name"]))
        elif what == PROMOTE:  # the bundle in use had become another one meanwhile
            self.comparison.show(result)

    def _on_failed(self, what: str, message: str, cancelled: bool) -> None:
        self._rest()
        if what not in MINE:
            return
        if cancelled:
            message = _("Cancelled; nothing was put in use. What was learnt is kept: Start offers to go on.")
        self.message.show(message, "plain" if cancelled else "error")

    def _rest(self) -> None:
        self.comparison.set_busy(False)
        if self._recording.store is not None:
            self._count()
            self._show_obstacle()
