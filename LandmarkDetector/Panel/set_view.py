"""A landmark set of one's own: name and define, place on images, train a first bundle, let it propose on the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _, count
from LandmarkDetector.Panel.training_bar import TrainingBar
from LandmarkDetector.Panel.training_run import SET, TrainingRun

GO_ON, ANEW, REPLACE = "go on", "anew", "replace"


class SetView:
    """The section "New landmarks".

    Tells by ``trained(name)`` that a bundle of a set was trained and is among the bundles.

    Args:
        ui: the widgets of the .ui file by name.
        dialogs: how the person is asked.
        run: does the work.
        annotating: makes lists to place, and reads what was placed.
        about: who trains, and on which device.
    """

    def __init__(self, ui, dialogs, run: TrainingRun, annotating, about: Callable[[], tuple[str, str]]) -> None:
        self.trained = Signal()
        self._ui, self._dialogs, self._run = ui, dialogs, run
        self._annotating, self._about = annotating, about
        self._folder = Path()
        self._set: Any = None
        self._notices: list[str] = []
        self.message = Note(ui.setMessage)
        self.bar = TrainingBar(
            ui.setRunFrame, ui.setProgress, ui.setStage, ui.setPauseButton, ui.setCancelButton, run, (SET,)
        )
        ui.setNewFrame.setVisible(False)
        ui.setOpenButton.clicked.connect(self._on_open)
        ui.setNewButton.clicked.connect(lambda *_a: ui.setNewFrame.setVisible(ui.setNewFrame.isHidden()))
        ui.setCreateButton.clicked.connect(self._on_create)
        ui.setPlaceButton.clicked.connect(self._on_place)
        ui.setAddButton.clicked.connect(self._on_add)
        ui.setTrainButton.clicked.connect(self._on_train)
        annotating.placing.waits.connect(self._on_waits)
        annotating.placing.ended.connect(self._on_placing_ended)
        run.began.connect(lambda _what: self._show())
        run.noticed.connect(self._notices.append)
        run.done.connect(self._on_done)
        run.failed.connect(self._on_failed)
        self._show()

    # --- the set

    def _on_open(self, *_arguments) -> None:
        folder = self._dialogs.open_folder(_("Open a landmark set"))
        if folder:
            self._use(Path(folder))

    def _on_create(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.set_folder import LandmarkList, create_set, parse_labels, parse_mirror

        ui = self._ui
        try:
            labels, definitions = parse_labels(str(ui.setLabelsEdit.property("plainText")).splitlines())
            mirror = parse_mirror(str(ui.setMirrorEdit.property("text")).split(";"))
            landmarks = LandmarkList(str(ui.setNameEdit.property("text")).strip(), labels, definitions, mirror)
            folder = self._dialogs.open_folder(_("An empty folder for the landmark set"))
            if not folder:
                return
            create_set(folder, landmarks)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        ui.setNewFrame.setVisible(False)
        self._use(Path(folder))

    def _use(self, folder: Path) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.set_folder import read_set

        try:
            self._set, self._folder = read_set(folder), folder
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        self.message.clear()
        self._show()

    def _show(self) -> None:
        """Say how far the set is, and what can be done with it."""
        ui, on = self._ui, self._set is not None
        ui.setWorkFrame.setVisible(on)
        if not on:
            ui.setLabel.setText(_("Landmarks that no bundle finds yet: name them, place them on five images, train."))
            ui.setLabel.setToolTip("")
            return
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.set_folder import LEAST, annotated

        try:
            done = len(annotated(self._folder))
        except LandmarkDetectorError as error:
            done = 0
            self.message.show(str(error), "error")
        text = _("{name}: {landmarks}, placed on {images}.").format(
            name=self._set.name,
            landmarks=count(len(self._set.labels), _("landmark"), _("landmarks")),
            images=count(done, _("image"), _("images")),
        )
        if done < LEAST:
            text += " " + _("{n} more are needed to train.").format(n=LEAST - done)
        ui.setLabel.setText(text)
        ui.setLabel.setToolTip(str(self._folder))
        ui.setTrainButton.setEnabled(done >= LEAST and not self._run.running)
        tip = _("Train a bundle on the images of this set, in a process of its own, and offer it above.")
        ui.setTrainButton.setToolTip(_("A training is running.") if self._run.running else tip)

    # --- the images

    def _on_place(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        if self._annotating.placing.active:
            self._annotating.placing.cancel()
            return
        try:
            self._annotating.begin(self._set)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
        self._ui.setPlaceButton.setChecked(self._annotating.placing.active)

    def _on_waits(self) -> None:
        """Say which landmark the next click places."""
        label, definition = self._annotating.placing.next
        text = _("Click in a view where {label} is; press Absent in the review if it is not in the image.")
        self.message.show("\n".join(filter(None, [text.format(label=label), definition])))

    def _on_placing_ended(self, over: bool) -> None:
        self._ui.setPlaceButton.setChecked(False)
        self.message.show(_("Drag what lies wrong, then add the image to the set.") if over else "")

    def _on_add(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.set_folder import IMAGES, add_annotated

        try:
            done = self._annotating.finished()
            there = (self._folder / IMAGES / f"{done.name}.mrk.json").exists()
            question = _("{name} is in the set already. Replace its landmarks?").format(name=done.name)
            if there and self._dialogs.ask(_("Add to the set"), question, [(REPLACE, _("Replace"))]) != REPLACE:
                return
            add_annotated(self._folder, done.image, done.landmarks, done.name, replace=there)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        if done.left:
            text = _("{name} is in the set. Nobody has placed or confirmed {left}; that teaches nothing.")
            self.message.show(text.format(name=done.name, left=_some(done.left)), "warning")
        else:
            self.message.show(_("{name} is in the set.").format(name=done.name))
        self._show()

    # --- the training

    def _on_train(self, *_arguments) -> None:
        from LandmarkDetectorLib.review.set_folder import training_was_interrupted

        answer: str | None = ANEW
        if training_was_interrupted(self._folder):
            question = _("The last training of this set was interrupted. Go on with it, by the images it began with?")
            answers = [(GO_ON, _("Go on with it")), (ANEW, _("Begin anew"))]
            answer = self._dialogs.ask(_("Train"), question, answers)
        if answer is None:
            return
        by, device = self._about()
        self._notices.clear()
        self.message.clear()
        minutes = float(self._ui.setMinutesSpin.property("value"))
        self._run.train_set(str(self._folder), minutes=minutes, device=device, resume=answer == GO_ON, by=by or None)

    def _on_done(self, what: str, result: dict[str, Any]) -> None:
        self._show()
        if what != SET:
            return
        text = _("{name} {version} learnt from {n} images. Open the next one and press Detect: it proposes.")
        said = text.format(name=result["name"], version=result["version"], n=result["images"])
        self.message.show("\n".join([said, *self._notices]), "warning" if self._notices else "plain")
        self.trained.emit(str(result["name"]))

    def _on_failed(self, what: str, message: str, cancelled: bool) -> None:
        self._show()
        if what == SET:
            text = _("Cancelled; nothing was changed. What was learnt is kept: Train offers to go on.")
            self.message.show(text if cancelled else message, "plain" if cancelled else "error")


def _some(labels: tuple[str, ...]) -> str:
    """A few of these, and how many more there are."""
    shown = ", ".join(labels[:3])
    return shown if len(labels) <= 3 else _("{shown} and {n} more").format(shown=shown, n=len(labels) - 3)
