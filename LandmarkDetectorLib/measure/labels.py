"""Which label of a bundle is which landmark of a set: by name, title and synonyms, with their sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.measure.formula import SIDES, Need
from LandmarkDetectorLib.measure.schema import LandmarkEntry

_GAPS = re.compile(r"[\s_\-.,;:/()\[\]]+")


def plain(label: str) -> str:
    """A label without what people write differently: capitals, gaps, brackets; an apostrophe stays (Pog' is skin)."""
    return _GAPS.sub(" ", label.replace("’", "'").casefold()).strip()


def needs_of(landmarks: Mapping[str, LandmarkEntry]) -> dict[str, Need]:
    """What each plain label means: a landmark, and its side where the label says one.

    Raises:
        MeasurementError: one label would mean two landmarks.
    """
    known: dict[str, Need] = {}
    for name, entry in landmarks.items():
        for word in (name, entry.title, *entry.synonyms):
            if known.setdefault(plain(word), (name, None)) != (name, None):
                other = known[plain(word)][0]
                raise MeasurementError(f"the label {word!r} means both {other} and {name}")
    for name, entry in landmarks.items():
        if entry.bilateral:
            for word in (name, entry.title, *entry.synonyms):
                for side in SIDES:
                    for label in _with_side(plain(word), side):
                        known.setdefault(label, (name, side))  # what a file says goes before what is derived
    return known


def _with_side(word: str, side: str) -> list[str]:
    letter = side[0]
    spaced = [f"{word} {side}", f"{side} {word}", f"{word} {letter}", f"{letter} {word}"]
    # Glued as in LPo and GoR, which only abbreviations bear.
    return [*spaced, f"{letter}{word}", f"{word}{letter}"] if len(word) <= 3 else spaced


def match_labels(
    known: Mapping[str, Need], labels: Iterable[str], mapping: Mapping[str, str] | None = None
) -> dict[Need, str]:
    """The label of each landmark, as far as there is one.

    Args:
        known: what plain labels mean, of :func:`needs_of`.
        labels: of a bundle or a file; the first of two that mean the same counts.
        mapping: landmark (``"Po"``, or ``"Po left"``) to label, where the words do not say it; it goes first.

    Raises:
        MeasurementError: the mapping names a landmark or a label that is not there.
    """
    labels = list(labels)
    found: dict[Need, str] = {}
    for word, label in (mapping or {}).items():
        need = known.get(plain(word))
        if need is None:
            raise MeasurementError(f"The mapping names {word!r}, which is no landmark of the set; mend its name.")
        if label not in labels:
            raise MeasurementError(f"The mapping names the label {label!r}, which is not there; mend its name.")
        found[need] = label
    for label in labels:
        need = known.get(plain(label))
        if need is not None and label not in found.values():
            found.setdefault(need, label)
    return found


def parts_of(
    need: Need, side: str | None, landmarks: Mapping[str, LandmarkEntry], there: Collection[Need]
) -> tuple[Need, ...]:
    """What a need is made of: one landmark, or the two whose midpoint is taken.

    Args:
        need: of a formula.
        side: on which bilateral landmarks are meant where the formula does not say; ``None``: the midpoint of both.
        landmarks: of the set.
        there: what there is. One landmark without a side stands for both, as on a lateral radiograph.
    """
    name, said = need
    if said is not None:
        return ((name, said),)
    if not landmarks[name].bilateral or (name, None) in there:
        return ((name, None),)
    return ((name, side),) if side else ((name, SIDES[0]), (name, SIDES[1]))


def titles_of(
    needs: Iterable[Need], side: str | None, landmarks: Mapping[str, LandmarkEntry], there: Collection[Need]
) -> tuple[str, ...]:
    """The landmarks that needs are made of, as a person calls them; one of two sides without either is said once."""
    return _titles(needs, side, landmarks, there, lambda _: True)


def lacking_of(
    needs: Iterable[Need], side: str | None, landmarks: Mapping[str, LandmarkEntry], there: Collection[Need]
) -> tuple[str, ...]:
    """Those of :func:`titles_of` that are not there."""
    return _titles(needs, side, landmarks, there, lambda part: part not in there)


def _titles(
    needs: Iterable[Need],
    side: str | None,
    landmarks: Mapping[str, LandmarkEntry],
    there: Collection[Need],
    keep: Callable[[Need], bool],
) -> tuple[str, ...]:
    titles: list[str] = []
    for need in needs:
        parts, title = parts_of(need, side, landmarks, there), landmarks[need[0]].title
        neither = len(parts) == 2 and not any(part in there for part in parts)
        titles += [title] if neither else [f"{title} {s}" if s else title for _, s in filter(keep, parts)]
    return tuple(dict.fromkeys(titles))
