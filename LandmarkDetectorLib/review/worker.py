"""The training worker: a process of its own that retrains, compares and promotes while an application goes on.

``python -m LandmarkDetectorLib.review.worker``; JSON lines over its standard streams, as the detection worker speaks
them, with ``pause`` and ``continue`` beside ``cancel``. ``docs/retraining.md`` has the conversation. When standard
input ends, the application is gone, and the worker ends at once; the checkpoints stay, and the same request with
``resume`` goes on from them to the same weights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.core import Cancelled
from LandmarkDetectorLib.inference.protocol import NUMBER, TEXT, WHETHER
from LandmarkDetectorLib.inference.worker import Desk, Request, run_worker

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.promote import Promotion

_MEMORY = "The memory does not suffice for this training; close other programs."
_PAUSE = 0.1
_EVERY = 0.25
"""Seconds between two words of progress: an application draws no faster."""


class TrainingDesk(Desk):
    """Takes the lines that come in; a running request can be paused.

    Args:
        send: writes bytes to the application.
    """

    WORK = ("retrain", "promote", "train_set")

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__(send)
        self._going = threading.Event()
        self._going.set()

    def _done_at_once(self, command: Any) -> bool:
        if command == "pause" and self.busy:
            self._going.clear()
            self.say("paused")
        elif command == "pause":  # it came when the request had just ended; the next one is not to wait
            self.say("going on")
        elif command == "continue":
            self._going.set()
            self.say("going on")
        else:
            done = super()._done_at_once(command)
            if command == "cancel":
                self._going.set()  # it ends at its next step, which it must come to
            return done
        return True

    def close(self, request: Request) -> None:
        """It is done, perhaps while it was to wait; the next one does not wait for that."""
        self._going.set()
        super().close(request)

    def wait_while_paused(self, request: Request) -> float:
        """Return when the request may go on, or was cancelled; the seconds that were waited."""
        begun = time.monotonic()
        while not self._going.is_set() and not request.cancelled():
            self._going.wait(_PAUSE)
        return time.monotonic() - begun


class TrainingServant:
    """Does one request after the other, and remembers what it compared last: that is promoted as it was shown."""

    def __init__(self) -> None:
        self._compared: tuple[dict[str, Any], Promotion] | None = None

    def do(self, request: Request, desk: TrainingDesk) -> None:
        """Do a request and say how it ended. Only a pipe that is closed on the other side raises."""
        desk.answer(request, lambda: getattr(self, f"_{request.command}")(request, desk), _MEMORY)

    def _retrain(self, request: Request, desk: TrainingDesk) -> dict[str, Any]:
        from LandmarkDetectorLib.review.retrain import retrain

        progress, cancelled = _listening(request, desk)
        done = retrain(
            request.needed("bundle"),
            request.needed("store"),
            request.needed("output"),
            progress=progress,
            cancelled=cancelled,
            **_given(request, "data", "minutes", "name", "observer", "by", "resume", "device"),
        )
        for notice in done.notices:
            desk.say("notice", request.number, text=notice)
        return {
            "folder": str(done.bundle.folder),
            "name": done.bundle.name,
            "version": done.bundle.version,
            "fingerprint": done.bundle.fingerprint,
            "lineage": done.bundle.card.lineage[0].model_dump(mode="json"),
            "steps": dict(done.tuned.plan.steps),
        }

    def _promote(self, request: Request, desk: TrainingDesk) -> dict[str, Any]:
        from LandmarkDetectorLib.review.promote import adopt, check_page_place, compare, save_page

        progress, cancelled = _listening(request, desk)

        def step(stage: str, fraction: float) -> None:
            if cancelled():
                raise Cancelled("The comparison was cancelled; nothing was put in use.")
            progress(stage, fraction)

        candidate, store = Path(request.needed("candidate")), request.needed("store")
        # Refused now, and not after the comparison:
        install, by_whom = request.said("install", WHETHER), _given(request, "because", "by")
        page = Path(request.said("html") or candidate.parent / "comparison.html")
        check_page_place(page)
        how = _given(request, "data", "against", "observer", "device")
        about = {"candidate": str(candidate), "store": store, **how}
        done = self._known(about)
        if done is None:
            done = compare(candidate, store, progress=step, **how)
            self._compared = (about, done)
        if install is not False:
            step("putting it in use", 1.0)
            done = adopt(done, **by_whom)
        save_page(done, page)
        return {**done.to_json(), "html": str(page)}

    def _known(self, about: dict[str, Any]) -> Promotion | None:
        """What was compared last, if that is what is asked for and both bundles are what they were."""
        from LandmarkDetectorLib.review.promote import still_holds

        if self._compared is None or self._compared[0] != about or not still_holds(self._compared[1]):
            return None
        return self._compared[1]

    def _train_set(self, request: Request, desk: TrainingDesk) -> dict[str, Any]:
        from LandmarkDetectorLib.review.new_set import train_set

        install, by_whom = request.said("install", WHETHER), _given(request, "by")
        progress, cancelled = _listening(request, desk)
        done = train_set(
            request.needed("folder"),
            progress=progress,
            cancelled=cancelled,
            **_given(request, "minutes", "recipe", "resume", "device"),
        )
        for sentence in done.left_out:
            desk.say("notice", request.number, text=f"Left out: {sentence}")
        if install:
            from LandmarkDetectorLib.bundles.versions import promote_bundle

            promote_bundle(done.bundle.folder, {**by_whom, "because": "trained as a new landmark set"})
        about = {"name": done.bundle.name, "version": done.bundle.version, "fingerprint": done.bundle.fingerprint}
        return {"folder": str(done.bundle.folder), **about, "images": done.cases, "recipe": str(done.recipe)}


_KINDS = {"minutes": NUMBER, "resume": WHETHER}


def _given(request: Request, *names: str) -> dict[str, Any]:
    """Those of these fields that a request says, texts but for :data:`_KINDS`.

    Raises:
        ProtocolError: one is of another kind.
    """
    found = {name: request.said(name, _KINDS.get(name, TEXT)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _listening(request: Request, desk: TrainingDesk) -> tuple[Callable[[str, float], None], Callable[[], bool]]:
    """How progress is told, with the seconds left, and what is asked after every step; a pause waits there."""
    begun, waited, spoken, first = time.monotonic(), 0.0, 0.0, 0.0

    def progress(stage: str, fraction: float) -> None:
        nonlocal spoken, first
        now = time.monotonic()
        if now - spoken < _EVERY and fraction < 1:
            return
        first = first or fraction  # a run that is resumed does not begin at nothing
        done, spoken = fraction - first, now
        left = (now - begun - waited) * (1 - fraction) / done if done > 0 else None
        seconds = None if left is None else round(left, 1)
        desk.say("progress", request.number, stage=stage, fraction=round(fraction, 4), seconds_left=seconds)

    def cancelled() -> bool:
        nonlocal waited
        waited += desk.wait_while_paused(request)
        return request.cancelled()

    return progress, cancelled


def main() -> None:
    """Serve until standard input ends."""
    run_worker(TrainingDesk, _serve)


def _serve(desk: TrainingDesk) -> None:
    servant = TrainingServant()
    desk.say("ready")
    while True:
        servant.do(desk.next(), desk)


if __name__ == "__main__":
    main()
