"""Whether a store is whole: every document, every line of every log, every reference, and, on request, every image."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.review.case import CASE, LOG, PLACES, Case, file_word, is_correction
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.journal import SUFFIX, Journal
from LandmarkDetectorLib.review.locked import problems

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore

DAMAGE, NOTE = "damage", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that ``verify`` has to say.

    Args:
        kind: ``"damage"``: something that was stored is altered or gone; ``"note"``: worth knowing, nothing is lost.
        case: the case's id, empty for the store.
        message: one sentence.
    """

    kind: str
    case: str
    message: str


def verify(
    store: ReviewStore, images: bool = False, progress: Callable[[str, float], None] | None = None
) -> list[Finding]:
    """Read everything anew and say what is wrong; nothing is changed.

    Args:
        store: the store.
        images: also read every image and compare it with its checksum.
        progress: told the case and the fraction done.
    """
    found = []
    if stale := _stale(store):
        words = f"{len(stale)} cases have changed since the index was made; the next list reads them anew."
        found.append(Finding(NOTE, "", words))
    ids = sorted(entry.name for entry in os.scandir(store.folder / "cases") if entry.is_dir())
    for number, case_id in enumerate(ids):
        if progress is not None:
            progress(case_id, number / len(ids))
        found += _case(store, case_id, images)
    found += [Finding(DAMAGE, "", f"The locked test set: {problem}") for problem in problems(store)]
    if progress is not None:
        progress("done", 1.0)
    return found


def _stale(store: ReviewStore) -> list[str]:
    # A store that nobody has listed yet has no index that could be wrong.
    return store.index.stale() if store.index.path.exists() and store.index.filled() else []


def _case(store: ReviewStore, case_id: str, images: bool) -> Iterator[Finding]:
    folder = store.folder / "cases" / case_id
    if not (folder / CASE).exists():
        logs = [name for name in os.listdir(folder) if name.startswith((LOG, "proposal-"))]
        if logs:
            yield Finding(DAMAGE, case_id, f"{case_id}: {CASE} is gone; take it from a copy of the store.")
        else:
            yield Finding(NOTE, case_id, f"{case_id}: an image was being added and was not finished; add it again.")
        return
    try:
        case = Case(folder)  # not the one that the store holds, which may have been read before
        known = {proposal.id for proposal in case.proposals()}
    except ReviewError as error:
        yield Finding(DAMAGE, case_id, str(error))
        return
    for problem in case.proposal_problems():
        yield Finding(DAMAGE, case_id, problem)
    for name in sorted(os.listdir(folder)):
        if name.startswith(LOG) and name.endswith(SUFFIX):
            try:
                yield from _log(case, folder / name, known)
            except ReviewError as error:  # the disk refuses this one; the others are looked at all the same
                yield Finding(DAMAGE, case_id, str(error))
    yield from _image(store, case, images)


def _log(case: Case, path: Path, known: set[str]) -> Iterator[Finding]:
    observer = case.observer_of(path)
    where = f"{case.id}: {path.name}"
    if observer is None:
        log = Journal(path, "", where).check()
        if log.problems:
            yield Finding(DAMAGE, case.id, f"{where}: no line of it can be read; take it from a copy of the store.")
        elif log.unfinished:  # the very first write broke off
            yield Finding(NOTE, case.id, _cut_short(where, log.unfinished))
        return
    if path.name != f"{LOG}{file_word(observer)}{SUFFIX}":
        yield Finding(DAMAGE, case.id, f"{where} was renamed, or belongs to another case; it is not read.")
        return
    log = case.journal(observer).check()
    for problem in log.problems:
        yield Finding(DAMAGE, case.id, f"{where}: {problem}")
    if log.unfinished:
        yield Finding(NOTE, case.id, _cut_short(where, log.unfinished))
    for record in log.records:
        yield from _record(case.id, where, record, observer, known)


def _cut_short(where: str, count: int) -> str:
    return f"{where}: {count} writes were cut short before they were stored; none is read."


def _record(case: str, where: str, record: dict[str, Any], observer: str, known: set[str]) -> Iterator[Finding]:
    line = f"{where}: line {record['number']}"
    if not is_correction(record, case, observer):
        yield Finding(DAMAGE, case, f"{line} is no correction of this case by this observer; it is not read.")
    elif record["proposal"] is not None and record["proposal"] not in known:
        yield Finding(DAMAGE, case, f"{line} speaks of a proposal that is gone or damaged.")


def _image(store: ReviewStore, case: Case, images: bool) -> Iterator[Finding]:
    places = store.image_path(case.id)
    log = store.places(case.folder).check()
    for problem in log.problems:
        yield Finding(DAMAGE, case.id, f"{case.id}: {PLACES}: {problem}")
    if places is None:
        if log.records:
            yield Finding(NOTE, case.id, f"{case.id}: its image is not where it was; add it again from its new place.")
        else:
            yield Finding(NOTE, case.id, f"{case.id}: its image was never on disk; it is known by its checksum only.")
    elif images:
        try:
            store.image(case.id)
        except LandmarkDetectorError as error:
            yield Finding(DAMAGE, case.id, f"{case.id}: {error}" if case.id not in str(error) else str(error))
