"""What a review says of one case: statuses, corrections, and the state that a log of them comes to.

The statuses are those of the panel. A state is never stored; it is the replay of the proposals and of one observer's
corrections, so that there is one truth and it cannot disagree with itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkSet

UNREVIEWED, CONFIRMED, CORRECTED, ABSENT, NOT_FOUND = STATUSES = (
    "unreviewed",
    "confirmed",
    "corrected",
    "absent",
    "not found",
)
"""Nobody has looked yet; the proposal is right; a person placed it; it is not in the image; nothing was found."""
REVIEWED = (CONFIRMED, CORRECTED, ABSENT)
LATEST = "latest"
"""The newest proposal that has the landmark."""

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Correction:
    """What an observer says of one landmark.

    Args:
        label: the landmark's.
        status: confirmed, corrected or absent; unreviewed takes back what was said before.
        position: in LPS, in the image's unit, for ``corrected``; of a confirmed landmark it is the proposal's.
        seconds: that the person spent on it, or ``None``.
        proposal: the id of the proposal that it speaks of, :data:`LATEST`, or ``None`` for what was said without one,
            such as an annotation from elsewhere.
    """

    label: str
    status: str
    position: Any = None
    seconds: float | None = None
    proposal: str | None = LATEST


@dataclass(frozen=True)
class Proposal:
    """One detection, as it is stored for good.

    Args:
        id: its name within the case.
        landmarks: in LPS, with confidence and covariance; those that were not found have no position.
        bundle: name of the bundle, empty where nobody said.
        version: the bundle's.
        fingerprint: the bundle's, by which two bundles of one name are told apart.
        software: the version of this library.
        at: when it was stored, UTC, ISO 8601.
        differences: in what the image differs from those that trained the bundle, one sentence each.
    """

    id: str
    landmarks: LandmarkSet
    bundle: str
    version: str
    fingerprint: str
    software: str
    at: str
    differences: tuple[str, ...] = ()

    @property
    def by_label(self) -> dict[str, Landmark]:
        """The landmarks by label."""
        return {mark.label: mark for mark in self.landmarks}


@dataclass(frozen=True)
class Entry:
    """One landmark in review.

    Args:
        label: its name.
        status: one of :data:`STATUSES`.
        position: where it stands now, LPS, or ``None``.
        proposal: the id of the proposal that the status speaks of, or the newest one; ``None`` without.
        proposed: what that proposal says.
        at: when it was last said something of, UTC; empty where nobody has.
        seconds: spent on it, all visits together.
    """

    label: str
    status: str
    position: Numbers | None
    proposal: str | None = None
    proposed: Landmark | None = None
    at: str = ""
    seconds: float = 0.0

    @property
    def reviewed(self) -> bool:
        """Whether the observer has said something that holds."""
        return self.status in REVIEWED


@dataclass(frozen=True)
class ReviewState:
    """Where an observer has left a case.

    Args:
        case: its id.
        observer: who.
        unit: of positions, ``"mm"`` or ``"px"``.
        entries: by label, in the order of the proposals; landmarks that a person added come last.
        changed: when the observer last said something, UTC; empty where never.
    """

    case: str
    observer: str
    unit: str
    entries: Mapping[str, Entry] = field(default_factory=dict)
    changed: str = ""

    def counts(self) -> dict[str, int]:
        """How many landmarks have each of the statuses."""
        found = dict.fromkeys(STATUSES, 0)
        for entry in self.entries.values():
            found[entry.status] += 1
        return found

    @property
    def waiting(self) -> list[str]:
        """Labels of landmarks that this observer has not reviewed."""
        return [label for label, entry in self.entries.items() if not entry.reviewed]

    def reviewed_set(self) -> LandmarkSet:
        """What the observer vouches for, and nothing else.

        Confirmed and corrected landmarks are ``defined``, absent ones ``missing``; whatever nobody looked at is
        ``undefined``, which no training takes for an answer. No confidence: a person placed or confirmed these.
        """
        marks = []
        for entry in self.entries.values():
            placed = entry.status in (CONFIRMED, CORRECTED)
            status = "defined" if placed else "missing" if entry.status == ABSENT else "undefined"
            marks.append(Landmark(entry.label, entry.position if placed else None, status))
        return LandmarkSet(tuple(marks), self.unit, self.case, {"case": self.case, "observer": self.observer})


def replay(
    case: str, observer: str, unit: str, proposals: Sequence[Proposal], records: Iterable[Mapping[str, Any]]
) -> ReviewState:
    """The state that proposals, oldest first, and the records of a log, in their order, come to."""
    entries: dict[str, Entry] = {}
    known = {proposal.id: proposal.by_label for proposal in proposals}
    newest: dict[str, Entry] = {}
    for proposal in proposals:
        for mark in proposal.landmarks:
            newest[mark.label] = _as_proposed(proposal.id, mark)
    entries.update(newest)
    spent: dict[str, float] = {}
    changed = ""
    for record in records:
        label, status, place = record["label"], record["after"]["status"], record["after"]["position"]
        spent[label] = spent.get(label, 0.0) + (record["seconds"] or 0.0)
        changed = max(changed, record["at"])
        if status not in REVIEWED:
            if label in newest:
                entries[label] = newest[label]
            else:
                entries.pop(label, None)  # a person added it and has taken it back
            continue
        proposed = known.get(record["proposal"] or "", {}).get(label)
        position = None if place is None else tuple(place)
        entries[label] = Entry(label, status, position, record["proposal"], proposed, record["at"])
    timed = {label: _with_seconds(entry, spent.get(label, 0.0)) for label, entry in entries.items()}
    return ReviewState(case, observer, unit, timed, changed)


def _as_proposed(proposal: str, mark: Landmark) -> Entry:
    position = None if mark.position is None else tuple(np.asarray(mark.position).tolist())
    return Entry(mark.label, NOT_FOUND if position is None else UNREVIEWED, position, proposal, mark)


def _with_seconds(entry: Entry, seconds: float) -> Entry:
    return Entry(entry.label, entry.status, entry.position, entry.proposal, entry.proposed, entry.at, round(seconds, 3))
