"""The locked test set: cases of a store that never train, so that there is always something to judge a new model by.

Chosen once and by nobody: subjects and families are numbered by a keyed hash, and of those that are new, the lowest are
locked until one in :data:`SHARE` of all is. The choice is recorded in the store's ``locked.jsonl``, to which is only
ever added: what has trained is never locked later, and what is locked never trains. The set grows with the store.

A subject and a family stand on one side with all their cases. Where two groups on different sides turn out to be of one
family, the cases of both train nothing and judge nothing from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.review.case import anchor
from LandmarkDetectorLib.review.documents import FORMAT
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.journal import Journal
from LandmarkDetectorLib.review.proposals import now

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore

SHARE = 5
"""One group in so many is locked."""
LEAST = 4
"""From so many groups on there is a locked one."""
TRAINING, LOCKED, NEITHER = SIDES = ("training", "locked", "neither")
FILE = "locked.jsonl"


def group_of(store: ReviewStore, case_id: str) -> tuple[str, ...]:
    """What stands on one side with a case: codes of its subject and family, or the case itself."""
    about = store.case(case_id).about
    named = [("subject", about["subject"]), ("family", about["family"])]
    return tuple(store.pseudonym(kind, name) for kind, name in named if name) or (case_id,)


def sides_of(store: ReviewStore, cases: Sequence[str]) -> dict[str, str]:
    """On which side each case stands, of those on which it was decided; nothing is decided here."""
    known = _recorded(_journal(store).records())
    found = {case: {known[word] for word in group_of(store, case) if word in known} for case in cases}
    return {case: next(iter(sides)) if len(sides) == 1 else NEITHER for case, sides in found.items() if sides}


def decide_sides(
    store: ReviewStore, cases: Sequence[str], trained: Iterable[str] = (), locked: Iterable[str] = ()
) -> dict[str, str]:
    """Decide on the groups that are new, record it, and say on which side each case stands.

    Args:
        store: the store.
        cases: that are reviewed.
        trained: codes of subjects and families, and ids of cases, that trained the model before; these cannot be locked
            any more.
        locked: ids of cases that the model was never shown, by its own word; they stay locked, also where the record
            was lost.

    Raises:
        ReviewError: the record is damaged, or the disk refuses.
    """
    if damage := problems(store):
        raise ReviewError(
            f"The locked test set: {damage[0]} Take {FILE} from a copy of the store; without the file, sides are taken "
            "from the bundle as far as that knows them."
        )
    words_of = {case: group_of(store, case) for case in cases}
    before, kept = (
        {*given, *(word for case in cases if case in given for word in words_of[case])}
        for given in (set(trained), set(locked))
    )

    def news(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known, recorded = _recorded(records), [words for _, words in _groups_recorded(records)]
        groups = _joined([*words_of.values(), *recorded])
        fresh, added, count = [], [], 0
        for words in groups:
            sides = {known[word] for word in words if word in known}
            if not sides and not words & (before | kept):
                fresh.append(words)
                continue
            found = sides or {TRAINING if words & before else LOCKED}
            side = next(iter(found)) if len(found) == 1 else NEITHER
            count += side == LOCKED
            if len(sides) != 1 or not words <= known.keys():  # new, one more name, or two that turn out to be one
                added.append((words, side))
        wanted = (max(1, round(len(groups) / SHARE)) if len(groups) >= LEAST else 0) - count
        order = sorted(fresh, key=lambda words: store.pseudonym("locked", min(words)))
        added += [(words, LOCKED if place < wanted else TRAINING) for place, words in enumerate(order)]
        return [{"format": FORMAT, "at": now(), "group": sorted(words), "side": side} for words, side in added]

    _journal(store).append(news)
    return sides_of(store, cases)


def problems(store: ReviewStore) -> list[str]:
    """What is damaged in the record of the choice, one sentence each."""
    return _journal(store).check().problems if (store.folder / FILE).exists() else []


def _journal(store: ReviewStore) -> Journal:
    return Journal(store.folder / FILE, anchor("store", FILE), "the locked test set")


def _recorded(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The side of each name; one that was recorded on two sides is on neither."""
    known: dict[str, str] = {}
    for side, words in _groups_recorded(records):
        for word in words:
            known[word] = side if known.get(word, side) == side else NEITHER
    return known


def _groups_recorded(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    for record in records:
        if record.get("side") not in SIDES or not isinstance(record.get("group"), list):
            raise ReviewError("The locked test set has a line that is none of ours; take locked.jsonl from a copy.")
    return [(record["side"], record["group"]) for record in records]


def _joined(groups: Iterable[Sequence[str]]) -> list[set[str]]:
    """The groups, those that share a name put together, in their order."""
    found: dict[str, set[str]] = {}
    for words in groups:
        whole = set(words).union(*(found[word] for word in words if word in found))
        found.update(dict.fromkeys(whole, whole))
    return list({id(whole): whole for whole in found.values()}.values())
