"""Every judgement of the open result, written into a review store as it is made.

The scene is the source: what is recorded is how its review changes. Where the store cannot be written, the scene keeps
its state, the person reads one sentence, and the next change is recorded together with what is still missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from LandmarkDetector.Panel.signals import Signal

_LONGEST = 300.0
"""Seconds; who looks at one landmark for longer is having coffee."""
_NEAR = 1e-6


class Recording:
    """The log of what one observer does to the result that is open.

    Tells by ``changed()`` that something was recorded, or could not be.

    Args:
        may_adopt: whether reviewed landmarks of a result that the store does not know are the observer's own, given how
            many they are.
    """

    def __init__(self, may_adopt: Callable[[int], bool]) -> None:
        self.changed = Signal()
        self.store: Any = None
        self.observer = ""
        self.copies = False
        self.case = ""
        self.trouble = ""
        self._may_adopt, self._clock = may_adopt, time.monotonic
        self._node: Any = None
        self._review: Any = None
        self._known: dict[str, Any] | None = None  # what the store knows of the open result; None: it does not know it
        self._ids: dict[int, str] = {}
        self._proposed: Any = None
        self._since = self._clock()
        self._looking = False

    def use(self, store: Any, observer: str) -> None:
        """Record into this store from now on, by this observer; ``None`` for nothing any more."""
        self.store, self.observer = store, observer
        self._begin_anew()
        self.look()

    def follow(self, node: Any, review: Any) -> None:
        """The result that is open, and its review; ``None`` for none."""
        if node is not self._node or review is not self._review:
            self._node, self._review = node, review
            self._begin_anew()
        self.look()

    def looked_at(self, *_arguments) -> None:
        """The person goes to a landmark: from now on time is spent on it."""
        self._since = self._clock()

    def shows(self, case: str) -> bool:
        """Whether the open result is this case, and says what the store says of it for this observer.

        Raises:
            LandmarkDetectorError: the case is damaged.
        """
        from LandmarkDetector.Scene.case_result import what_is_said

        if case != self.case or not case or self._review is None or not self._review.alive:
            return False
        entries = self.store.state(case, self.observer).entries
        said = what_is_said(self._node, self._review.settled())
        reviewed = {label: now for label, now in said.items() if now.status != "unreviewed"}
        known = {label for label, entry in entries.items() if entry.reviewed}
        return reviewed.keys() == known and all(_agree(entries[label], now) for label, now in reviewed.items())

    def observer_of(self, node: Any) -> str:
        """Who reviewed a point list: the observer, where the review store knows what it says as that one's."""
        from LandmarkDetectorLib.core import LandmarkDetectorError

        if node is not self._node or self.store is None:
            return ""
        try:
            return self.observer if self.shows(self.case) else ""
        except LandmarkDetectorError:  # of a damaged case nobody knows; the line under the review says so
            return ""

    def look(self) -> None:
        """Record what has changed since the last look."""
        from LandmarkDetectorLib.core import LandmarkDetectorError

        if self._looking or self.store is None or self._review is None or not self._review.alive:
            return  # a question to the person lets the event loop go on, which comes by here again
        before = self.trouble, self.case
        self._looking = True
        try:
            wrote = self._record()
            self.trouble = ""
        except LandmarkDetectorError as error:
            wrote, self.trouble = False, str(error)
        finally:
            self._looking = False
        if wrote or before != (self.trouble, self.case):
            self.changed.emit()

    def _begin_anew(self) -> None:
        self.case, self.trouble = "", ""
        self._known, self._ids, self._proposed = None, {}, None

    def _record(self) -> bool:
        from LandmarkDetector.Scene.case_result import what_is_said

        state = self._review.settled()
        said = what_is_said(self._node, state)
        proposed = {key: entry.proposal for key, entry in state.points.items()}
        if proposed != self._proposed:  # at first, and after another detection
            self._store_proposals(state)
            self._proposed = proposed
        if self._known is None:
            self._known = self._first_known(said)
        news = {label: now for label, now in said.items() if self._is_news(self._known.get(label), now)}
        gone = [label for label, then in self._known.items() if label not in said and then.status != "unreviewed"]
        if news or gone:
            self.store.record(self.case, self.observer, *self._corrections(news, gone))
            self._since = self._clock()
        self._known = said
        return bool(news or gone)

    @staticmethod
    def _is_news(then: Any, now: Any) -> bool:
        if then is None:
            return bool(now.status != "unreviewed")
        return (then.status, then.position) != (now.status, now.position)

    def _corrections(self, news: Mapping[str, Any], gone: list[str]) -> list[Any]:
        from LandmarkDetectorLib.review import Correction

        spent = min(self._clock() - self._since, _LONGEST) / (len(news) + len(gone))
        made = [Correction(label, "unreviewed", None, round(spent, 3), None) for label in gone]
        for label, now in news.items():
            proposal = None if now.source is None else self._ids.get(now.source)
            made.append(Correction(label, now.status, now.position, round(spent, 3), proposal))
        return made

    def _store_proposals(self, state: Any) -> None:
        """Put the image and what was proposed into the store, unless they are there."""
        from LandmarkDetector.Scene.case_result import proposals_of
        from LandmarkDetector.Scene.dicom_source import patient_in
        from LandmarkDetector.Scene.image_volume import image_for_store
        from LandmarkDetector.Scene.result import volume_of
        from LandmarkDetectorLib.review import ReviewError

        volume = volume_of(self._node)
        if volume is None:
            raise ReviewError(
                "This result has no image in the scene, so it is not recorded; open its image and detect."
            )
        if not self.case:
            image, path = image_for_store(volume)
            copy = self.copies or path is None
            self.case = self.store.add_image(image, copy=copy, path=path, patient=patient_in(volume))
        stored = self.store.case(self.case).proposals()
        for number, landmarks in proposals_of(self._node, state).items():
            known = next((each.id for each in reversed(stored) if _says_all(each, landmarks)), None)
            self._ids[number] = known or self.store.add_proposal(self.case, landmarks)

    def _first_known(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What the observer has said of this case before, as far as the open result says the same.

        What the result does not say, a fresh detection for one, is no taking back; what only the result says was done
        before anybody recorded it, and the person says whose it is.
        """
        entries = self.store.state(self.case, self.observer).entries
        strange = [
            label for label, now in said.items() if now.status != "unreviewed" and not _agree(entries.get(label), now)
        ]
        adopted = bool(strange) and self._may_adopt(len(strange))
        return {label: now for label, now in said.items() if not (adopted and label in strange)}


def _says_all(proposal: Any, landmarks: Any) -> bool:
    """Whether a stored proposal says of all these landmarks what they say."""
    if proposal.fingerprint != str(landmarks.info.get("fingerprint", "")):
        return False
    by_label = proposal.by_label
    return all(mark.label in by_label and _near(by_label[mark.label].position, mark.position) for mark in landmarks)


def _agree(entry: Any, now: Any) -> bool:
    """Whether the store says of a landmark what the result says."""
    if entry is None or entry.status != now.status:
        return False
    return now.status != "corrected" or _near(entry.position, now.position)


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is None and b is None
    pairs = zip(a, b, strict=False)  # of a picture one of them may have a third coordinate, which is 0
    return all(abs(float(x) - float(y)) <= _NEAR for x, y in pairs)
