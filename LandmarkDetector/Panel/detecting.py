"""The way of a click: from the button "Detect" to landmarks in the scene, open for review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _

KEEP, NEW = "keep", "new"


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is being looked at.

    Args:
        volume: its node.
        contents: equal as long as it holds the same voxels at the same places.
        into: the result that the landmarks go into, ``None`` for a new one.
    """

    volume: Any
    contents: tuple[Any, ...]
    into: Any


class Detecting:
    """What the button does, step by step.

    :meth:`_on_asked` takes what was chosen above and asks whether reviewed landmarks stay; the run hands the voxels to
    the worker; :meth:`_on_found` makes a result of what it found and opens it for review. Nothing is made or changed in
    the scene before that.

    Tells by ``changed()`` that a detection began or ended, or cannot begin.

    Args:
        scene: the MRML scene.
        dialogs: how the person is asked.
        view: the button, and the words below it.
        run: a :class:`~LandmarkDetector.Panel.detection.DetectionRun`.
        choice: what was chosen to be looked at, an :class:`~LandmarkDetector.Panel.input_view.InputView`.
        review: a :class:`~LandmarkDetector.Panel.review_view.ReviewView`.
        volumes: shows a volume in the slice views.
        place_mode: which is left before landmarks change.
    """

    def __init__(self, scene, dialogs, view, run, choice, review, volumes, place_mode) -> None:
        self.changed = Signal()
        self._scene, self._dialogs, self._view, self._run = scene, dialogs, view, run
        self._choice, self._review, self._volumes, self._place_mode = choice, review, volumes, place_mode
        self._asked: _Asked | None = None
        self._notices: list[str] = []
        view.asked.connect(self._on_asked)
        view.called_off.connect(self._on_called_off)
        run.progressed.connect(view.show_progress)
        run.noticed.connect(self._notices.append)
        run.found.connect(self._on_found)
        run.failed.connect(self._on_failed)

    def stop(self) -> None:
        """End the detection that runs, if one does, and say nothing: its nodes are about to go."""
        self._run.cancel()
        self._asked = None

    def _on_asked(self) -> None:
        from LandmarkDetector.Scene.volume_image import contents_of
        from LandmarkDetectorLib.core import LandmarkDetectorError

        choice = self._choice
        choice.look()
        if choice.obstacle:
            self.changed.emit()
            return
        into = self._where_to(choice.volume, choice.bundle.name)
        if into is False:
            return
        self._asked = _Asked(choice.volume, contents_of(choice.volume), into)
        self._notices.clear()
        self._place_mode.cancel()
        self._view.show_running()
        try:
            self._run.start(choice.image, choice.bundle.name, choice.device)
        except LandmarkDetectorError as error:
            self._on_failed(str(error))
        else:
            self.changed.emit()

    def _where_to(self, volume, bundle: str) -> Any:
        """The result that the landmarks go into, ``None`` for a new one, ``False`` when the person would rather not."""
        from LandmarkDetector.Scene.result import bundle_of, is_result, volume_of
        from LandmarkDetectorLib.core import LandmarkDetectorError

        node, review = self._review.node, self._review.review
        if not is_result(node) or volume_of(node) is not volume or bundle_of(node) != bundle:
            return None
        try:
            if review is None:
                return None
            if not review.has_reviewed():
                return node
        except LandmarkDetectorError:
            return None  # a damaged record, of which the line over the table tells, stays as it is
        question = _("{name} holds landmarks that were reviewed. Detect again, and…").format(name=node.GetName())
        answers = [(KEEP, _("Keep reviewed ones")), (NEW, _("Make a new result"))]
        answer = self._dialogs.ask(_("Detect again"), question, answers)
        return {KEEP: node, NEW: None, None: False}[answer]

    def _on_found(self, detection) -> None:
        from LandmarkDetector.Scene.control_points import is_alive
        from LandmarkDetector.Scene.result import create_result, update_result
        from LandmarkDetector.Scene.volume_image import contents_of
        from LandmarkDetectorLib.core import LandmarkDetectorError

        asked, say = self._rest(), self._view.message.show
        if asked is None or not is_alive(asked.volume, self._scene):
            say(_("The volume was removed meanwhile; its landmarks were dropped."), "warning")
            return
        if contents_of(asked.volume) != asked.contents:
            say(_("The volume was changed meanwhile; detect again."), "warning")
            return
        self._place_mode.cancel()  # the click would add a landmark to what is there now
        node = asked.into if is_alive(asked.into, self._scene) else None
        try:
            if node is not None:
                update_result(node, detection.landmarks)
            else:
                node = create_result(self._scene, detection.landmarks, asked.volume)
        except LandmarkDetectorError as error:  # somebody altered the record of the review
            say(str(error), "error")
            return
        self._volumes.show(asked.volume)
        self._review.choose_node(node)
        self._review.begin()
        told = dict.fromkeys([*self._notices, *detection.notices])
        notices = [notice for notice in told if notice not in self._choice.notices]
        say("\n".join(notices), "warning" if notices else "plain")

    def _on_failed(self, message: str) -> None:
        self._rest()
        self._view.message.show(message, "error")

    def _on_called_off(self) -> None:
        self._run.cancel()
        self._rest()
        self._view.message.show(_("Cancelled; nothing was changed."))

    def _rest(self) -> _Asked | None:
        """Nothing runs any more; what was asked."""
        asked, self._asked = self._asked, None
        self.changed.emit()
        return asked
