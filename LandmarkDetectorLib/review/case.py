"""One case: a folder with what is known of its image, its proposals, and a log for each observer."""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.review.documents import FORMAT, check_format, read_document
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.journal import SUFFIX, Journal
from LandmarkDetectorLib.review.lines import sha256, unsealed
from LandmarkDetectorLib.review.proposals import PREFIX, in_grid, now, read_proposals
from LandmarkDetectorLib.review.state import (
    ABSENT,
    CONFIRMED,
    CORRECTED,
    LATEST,
    STATUSES,
    UNREVIEWED,
    Correction,
    Entry,
    Proposal,
    ReviewState,
    replay,
)

CASE = "case.json"
PLACES = f"places{SUFFIX}"
LOG = "corrections-"
CONSENSUS = "consensus"
"""Not an observer: what all of them say together."""
_LONGEST = 200


class Case:
    """One case of a store; made by :class:`~LandmarkDetectorLib.review.store.ReviewStore`.

    Args:
        folder: its folder, whose name is the case's id.

    Raises:
        ReviewError: ``case.json`` is missing, damaged, altered or of a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        self.about = read_document(folder / CASE, "case", f"{self.id}")
        if self.about["case"] != self.id:
            raise ReviewError(f"{self.id}: its folder was renamed from {self.about['case']}; name it so again.")
        self.image: dict[str, Any] = self.about["image"]
        self._journals: dict[str, Journal] = {}
        self._proposals: tuple[tuple[str, ...], list[Proposal], list[str]] = ((), [], [])
        self._turn = threading.RLock()

    @property
    def unit(self) -> str:
        """Of all its positions."""
        return self.image["unit"]

    def proposals(self) -> list[Proposal]:
        """Its proposals, oldest first; damaged ones are left out, see :meth:`proposal_problems`."""
        return self._read_proposals()[1]

    def proposal_problems(self) -> list[str]:
        """What is wrong with proposals that were left out, one sentence each."""
        return self._read_proposals()[2]

    def _read_proposals(self) -> tuple[tuple[str, ...], list[Proposal], list[str]]:
        names = tuple(name for name in self._files() if name.startswith(PREFIX))
        with self._turn:
            if names != self._proposals[0]:  # they never change, so that their names tell
                self._proposals = (names, *read_proposals(self.folder, self.id))
            return self._proposals

    def observers(self) -> list[str]:
        """Who has said something, by name."""
        names = []
        for name in self._files():
            if name.startswith(LOG) and name.endswith(SUFFIX):
                first = self.observer_of(self.folder / name)
                if first is not None and name == f"{LOG}{file_word(first)}{SUFFIX}":
                    names.append(first)
        return sorted(names)

    def _files(self) -> list[str]:
        """The names of its files; its folder may have gone with the disk that it lies on."""
        with disk_errors(f"{self.id}: its records cannot be read"):
            return sorted(os.listdir(self.folder))

    def observer_of(self, path: Path) -> str | None:
        """Whose log a file is, by what stands in it; ``None`` where no line of it can be read.

        Raises:
            ReviewError: the disk refuses to read it.
        """
        with disk_errors(f"{self.id}: a log of corrections cannot be read"), open(path, "rb") as stream:
            for line in stream:
                record = unsealed(line.rstrip(b"\n"))
                if record is not None and isinstance(record.get("observer"), str):
                    return record["observer"]
        return None

    def journal(self, observer: str) -> Journal:
        """An observer's log; the file is made by the first correction."""
        with self._turn:
            if observer not in self._journals:
                path = self.folder / f"{LOG}{file_word(observer)}{SUFFIX}"
                self._journals[observer] = Journal(path, anchor(self.id, observer), f"{self.id}: a log of corrections")
            return self._journals[observer]

    def state(self, observer: str) -> ReviewState:
        """Where the observer has left it."""
        records = self.corrections(self.journal(observer).records(), observer)
        return replay(self.id, observer, self.unit, self.proposals(), records)

    def history(self, observer: str) -> list[dict[str, Any]]:
        """All that the observer has ever said, in order, as it stands in the log."""
        return self.corrections(self.journal(observer).records(), observer)

    def corrections(self, records: Sequence[dict[str, Any]], observer: str) -> list[dict[str, Any]]:
        """Those of a log's whole lines that are corrections of this case by this observer.

        Raises:
            ReviewError: one is of a newer format.
        """
        for record in records:
            check_format(record.get("format"), f"{self.id}: a correction")
        return [record for record in records if is_correction(record, self.id, observer)]

    def record(self, observer: str, corrections: Sequence[Correction], origin: str) -> list[dict[str, Any]]:
        """Append corrections, each one line, all in one write; see ``ReviewStore.record``."""
        proposals = self.proposals()
        known = {proposal.id: proposal for proposal in proposals}
        checked = [self._checked(correction, known, proposals) for correction in corrections]

        def lines(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
            said = self.corrections(records, observer)
            news: list[dict[str, Any]] = []
            for correction in checked:
                entries = replay(self.id, observer, self.unit, proposals, [*said, *news]).entries
                line = self._line(observer, correction, entries.get(correction.label), known, origin)
                news += [] if line is None else [line]
            return news

        return self.journal(observer).append(lines)

    def _checked(self, correction: Correction, known: dict[str, Proposal], proposals: list[Proposal]) -> Correction:
        """The correction with its proposal named and its position filled in and fitting the image."""
        label, status = correction.label, correction.status
        if not isinstance(label, str) or not label or len(label) > _LONGEST:
            raise ReviewError(f"{self.id}: a label is a word of 1 to {_LONGEST} letters; give one.")
        if status not in STATUSES:
            raise ReviewError(f"{self.id}: {str(status)[:40]!r} is no status; say one of {', '.join(STATUSES)}.")
        seconds = correction.seconds
        if seconds is not None and not (np.isfinite(seconds) and seconds >= 0):
            raise ReviewError(f"{self.id}: {seconds} s cannot have been spent on {label!r}; give a number from 0.")
        name = correction.proposal
        if name == LATEST:
            name = next((one.id for one in reversed(proposals) if label in one.by_label), None)
        elif name is not None and name not in known:
            raise ReviewError(f"{self.id}: there is no proposal {str(name)[:60]!r}; store it first.")
        proposed = None if name is None else known[name].by_label.get(label)
        place = correction.position
        if status == CONFIRMED:
            if proposed is None or proposed.position is None:
                raise ReviewError(
                    f"{self.id}: nothing was proposed for {label!r} that could be confirmed; give a position instead."
                )
            if place is not None and not np.array_equal(place, proposed.position):
                raise ReviewError(
                    f"{self.id}: {label!r} is confirmed at another position than the proposed one; call it corrected."
                )
            place = proposed.position
        elif status == CORRECTED:
            place = self._placed(label, place)
        elif place is not None:
            raise ReviewError(f"{self.id}: {label!r} is {status} and has no position; leave that out.")
        position = None if place is None else tuple(float(value) for value in place)
        return Correction(label, status, position, None if seconds is None else float(seconds), name)

    def _placed(self, label: str, place: Any) -> Any:
        """A position as the image has them."""
        if place is None:
            raise ReviewError(f"{self.id}: {label!r} is corrected and has no position; give one, or call it absent.")
        try:
            mark = Landmark(label, np.asarray(place, dtype=np.float64), "defined")
        except (LandmarkError, TypeError, ValueError):
            raise ReviewError(
                f"{self.id}: the position of {label!r} is not two or three finite numbers; place it again."
            ) from None
        return in_grid(LandmarkSet((mark,), self.unit), self.image, self.id)[0].position

    def _line(
        self, observer: str, said: Correction, before: Entry | None, known: dict[str, Proposal], origin: str
    ) -> dict[str, Any] | None:
        """What is written, or ``None`` where it stands there already and no time was spent."""
        was = {"status": UNREVIEWED, "position": None} if before is None else _words(before.status, before.position)
        is_now = _words(said.status, said.position)
        if said.status not in (CONFIRMED, CORRECTED, ABSENT):  # back to the proposal, whatever that was
            is_now = _words(UNREVIEWED, None)
        same = was == is_now or (before is not None and not before.reviewed and is_now["status"] == UNREVIEWED)
        if same and (before is None or before.proposal == said.proposal or not before.reviewed) and not said.seconds:
            return None
        proposal = None if said.proposal is None else known[said.proposal]
        return {
            "format": FORMAT,
            "case": self.id,
            "observer": observer,
            "at": now(),
            "label": said.label,
            "proposal": said.proposal,
            "before": was,
            "after": is_now,
            "seconds": said.seconds,
            "origin": origin,
            "bundle": "" if proposal is None else proposal.fingerprint,
            "software": __version__,
        }


def check_observer(name: str) -> str:
    """The observer's name, without white space around it.

    Raises:
        ReviewError: it is empty, too long, of more than one line, or means something else.
    """
    name = unicodedata.normalize("NFC", str(name)).strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise ReviewError(f"An observer is called by 1 to {_LONGEST} letters on one line; give a name or a code.")
    if name.casefold() == CONSENSUS:
        raise ReviewError(f"{CONSENSUS!r} means all observers together; give the observer another name.")
    return name


def file_word(observer: str) -> str:
    """What a file of this observer is called by: readable, safe on every disk, and unlike any other observer's."""
    plain = unicodedata.normalize("NFKD", observer).encode("ascii", "ignore").decode("ascii").lower()
    word = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "observer"
    return f"{word}-{sha256(observer.encode('utf-8'))[:8]}"


def anchor(case: str, observer: str) -> str:
    """What the first line of a log refers to."""
    return sha256(f"{case}\n{observer}".encode())


def is_correction(record: dict[str, Any], case: str, observer: str) -> bool:
    """Whether a whole line is a correction as this version writes them; ``verify`` speaks of others."""
    after = record.get("after")
    if record.get("case") != case or record.get("observer") != observer:
        return False
    if not isinstance(after, dict) or after.get("status") not in STATUSES or "position" not in after:
        return False
    return isinstance(record.get("label"), str) and isinstance(record.get("at"), str) and "seconds" in record


def _words(status: str, position: tuple[float, ...] | None) -> dict[str, Any]:
    return {"status": status, "position": None if position is None else list(position)}
