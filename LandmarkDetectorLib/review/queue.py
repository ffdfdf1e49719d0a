"""What to review next: where the detector is unsure, where two disagree, where a case is unlike those reviewed so far.

Each of the three is a number between 0 and 1, and 1/2 where nothing is known of it. The score is their product, each
raised by a little, so that a 0 does not silence the other two.

* **uncertainty**: of each landmark that waits, 1 where it was not found; else 1 - confidence; without a confidence
  s / (s + m), for a spread s (standard deviation) and the store's median spread m. The case has the mean of its least
  certain quarter, at least one.
* **disagreement**: of each landmark that two observers have placed, or, failing that, that the last two proposals of
  different bundles have placed, d / (d + 2 % of the shape's size); 1 where one placed it and the other called it absent
  or did not find it. The case has the mean of the worst quarter.
* **novelty**: the residual of the proposed shape to the mean of the reviewed shapes, in the best pose, as a multiple of
  the reviewed shapes' median residual r: r / (1 + r) (needs five reviewed cases); and at least 0.9 where the image was
  found to differ from those that trained the bundle.

The reason names what is high, in words. None of this knows whether a landmark is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from LandmarkDetectorLib.core.similarity import apply, fit_similarity
from LandmarkDetectorLib.review.state import ABSENT

UNKNOWN = 0.5
_FLOOR = 0.05
_HALF = 0.02
"""Of the shape's size: the distance between two positions that counts one half."""
_ENOUGH = 5
_DIFFERS = 0.9
_SAID = 0.5
"""From here on something is worth a word."""

Marks = Mapping[str, list[Any]]


@dataclass(frozen=True)
class Waiting:
    """A case that waits for a review.

    Args:
        case: its id.
        score: greater ones first.
        uncertainty: in [0, 1], as the other two; 1/2 where nothing is known.
        disagreement: see there.
        novelty: see there.
        waiting: how many landmarks wait.
        reason: one sentence.
    """

    case: str
    score: float
    uncertainty: float
    disagreement: float
    novelty: float
    waiting: int
    reason: str


@dataclass(frozen=True)
class _Term:
    value: float = UNKNOWN
    words: str = ""


def next_cases(
    summaries: Mapping[str, Mapping[str, Any]], observer: str | None = None, limit: int | None = None
) -> list[Waiting]:
    """The cases that wait, those first from which most is to be learnt; equals in the order in which they were added.

    Args:
        summaries: of all cases by id, as :meth:`Index.summaries` gives them.
        observer: whose review is waited for; by default anybody's.
        limit: how many at most.
    """
    shapes = _Shapes(summaries.values())
    spread = _median_spread(summaries.values())
    found = []
    for case, summary in summaries.items():
        waiting = _waiting(summary, observer)
        if not waiting:
            continue
        terms = (_uncertainty(summary, waiting, spread), _disagreement(summary), shapes.novelty(summary))
        score = float(np.prod([_FLOOR + term.value for term in terms]))
        unsure, split, novel = (term.value for term in terms)
        found.append(Waiting(case, score, unsure, split, novel, len(waiting), _reason(terms, summary)))
    found.sort(key=lambda one: -one.score)
    return found[:limit]


def _waiting(summary: Mapping[str, Any], observer: str | None) -> list[str]:
    said = summary["observers"]
    asked = said.values() if observer is None else [said.get(observer, {})]
    done = {label for one in asked for label in one}
    return [label for label in summary["labels"] if label not in done]


def _reason(terms: Iterable[_Term], summary: Mapping[str, Any]) -> str:
    words = [term.words for term in terms if term.words]
    if not summary["proposals"]:
        words = ["nothing has been proposed for it yet", *words[1:]]
    text = "; ".join(words) or "nothing speaks for or against it"
    return f"{text[0].upper()}{text[1:]}."


def _uncertainty(summary: Mapping[str, Any], waiting: list[str], typical: float | None) -> _Term:
    if not summary["proposals"]:
        return _Term()
    marks: Marks = summary["proposals"][-1]["marks"]
    doubts = []
    for label in waiting:
        if label not in marks:
            continue
        position, confidence, spread = marks[label]
        if position is None:
            doubts.append((1.0, f"{label} was not found"))
        elif confidence is not None:
            doubts.append((1.0 - confidence, f"{label} {confidence:.0%} sure"))
        elif spread is not None and typical:
            doubts.append((spread / (spread + typical), f"{label} ± {spread:.2g}"))
        else:
            doubts.append((UNKNOWN, ""))
    if not doubts:
        return _Term()
    doubts.sort(key=lambda doubt: -doubt[0])
    value = _worst_quarter([doubt for doubt, _ in doubts])
    unsure = [words for doubt, words in doubts if doubt >= _SAID and words]
    if not unsure:
        return _Term(value, f"no landmark is uncertain (the least: {doubts[0][1]})" if doubts[0][1] else "")
    named = ", ".join(unsure[:2]) + (" ..." if len(unsure) > 2 else "")
    return _Term(value, f"{len(unsure)} of {len(doubts)} landmarks are uncertain ({named})")


def _disagreement(summary: Mapping[str, Any]) -> _Term:
    unit = summary["unit"]
    said = {name: {k: v for k, (_, v) in one.items()} for name, one in summary["observers"].items()}
    absent = {name: {k for k, (s, _) in one.items() if s == ABSENT} for name, one in summary["observers"].items()}
    best = _Term()
    for first, second in combinations(said, 2):
        term = _between(
            said[first], said[second], absent[first] | absent[second], f"observers {first} and {second}", unit
        )
        if term is not None and (best.value == UNKNOWN and not best.words or term.value > best.value):
            best = term
    if best.words:
        return best
    last = summary["proposals"][-2:]
    if len(last) == 2 and last[0]["fingerprint"] != last[1]["fingerprint"]:
        one, other = ({label: mark[0] for label, mark in proposal["marks"].items()} for proposal in last)
        missing = {label for label in one.keys() & other.keys() if (one[label] is None) != (other[label] is None)}
        term = _between(one, other, missing, "two bundles", unit)
        if term is not None:
            return term
    return best


def _between(
    one: Mapping[str, Any], other: Mapping[str, Any], contested: set[str], who: str, unit: str
) -> _Term | None:
    """How far two disagree; ``None`` where they speak of no landmark in common."""
    both = [label for label in one if label in other]
    placed = np.array([one[label] for label in both if one[label] is not None], dtype=float)
    size = float(np.sqrt(((placed - placed.mean(0)) ** 2).sum(-1).mean())) if len(placed) > 1 else 0.0
    found = []
    for label in both:
        a, b = one[label], other[label]
        if (a is None) != (b is None):
            if label in contested:
                found.append((1.0, f"{who} do not agree that {label} is there"))
        elif a is not None:
            apart = float(np.linalg.norm(np.subtract(a, b)))
            half = max(_HALF * size, 1e-9)
            found.append(
                (apart / (apart + half) if size else UNKNOWN, f"{who} differ by {apart:.2g} {unit} at {label}")
            )
    if not found:
        return None
    found.sort(key=lambda pair: -pair[0])
    value = _worst_quarter([pair[0] for pair in found])
    return _Term(value, found[0][1] if value >= _SAID else f"{who} agree")


class _Shapes:
    """The reviewed shapes of a store, and how unlike them another one is."""

    def __init__(self, summaries: Iterable[Mapping[str, Any]]) -> None:
        reviewed = [self._reviewed(summary) for summary in summaries]
        shapes = [shape for shape in reviewed if len(shape) >= 3]
        dimensions = {len(place) for shape in shapes for place in shape.values()}
        self.labels = sorted(set.intersection(*map(set, shapes))) if shapes else []
        self.known = len(shapes) >= _ENOUGH and len(self.labels) >= 3 and len(dimensions) == 1
        if not self.known:
            return
        rows = np.array([[shape[label] for label in self.labels] for shape in shapes])
        mean = rows[0]
        for _ in range(5):
            mean = apply(fit_similarity(rows, mean), rows).mean(0)
        self.mean = mean
        self.typical = float(np.median([self._residual(shape) for shape in rows]))

    def novelty(self, summary: Mapping[str, Any]) -> _Term:
        if not summary["proposals"]:
            return _Term()
        newest = summary["proposals"][-1]
        differences = newest["differences"]
        term = self._of_shape(newest["marks"])
        if differences and term.value < _DIFFERS:
            return _Term(_DIFFERS, f"its image is unlike those that trained the bundle ({differences[0].rstrip('.')})")
        return term

    def _of_shape(self, marks: Marks) -> _Term:
        if not self.known or self.typical <= 0:
            return _Term()
        places = [marks.get(label, [None])[0] for label in self.labels]
        if any(place is None for place in places) or {len(place) for place in places} != {self.mean.shape[1]}:
            return _Term()
        times = self._residual(np.array(places, dtype=float)) / self.typical
        value = float(times / (1 + times))
        return _Term(
            value, f"its shape is {times:.1f} times as far from the reviewed ones as usual" if times > 2 else ""
        )

    def _residual(self, shape: np.ndarray) -> float:
        """Root mean square distance to the mean shape in the best pose, of its own size."""
        moved = apply(fit_similarity(shape, self.mean), shape)
        return float(np.sqrt(((moved - self.mean) ** 2).sum(-1).mean()) / np.linalg.norm(self.mean - self.mean.mean(0)))

    def _reviewed(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The shape of the observer who has placed most; empty where a landmark still waits."""
        said = [
            {k: place for k, (_, place) in one.items() if place is not None} for one in summary["observers"].values()
        ]
        return max(said, key=len, default={}) if not _waiting(summary, None) else {}


def _worst_quarter(values: list[float]) -> float:
    """The mean of the greatest quarter, at least one; values descend."""
    return float(np.mean(values[: max(1, len(values) // 4)]))


def _median_spread(summaries: Iterable[Mapping[str, Any]]) -> float | None:
    newest = [summary["proposals"][-1]["marks"] for summary in summaries if summary["proposals"]]
    spreads = [mark[2] for marks in newest for mark in marks.values() if mark[2] is not None]
    return float(np.median(spreads)) if spreads else None
