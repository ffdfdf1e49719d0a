"""The quantile that makes a region honest with however few cases: that of the cases and one more, not yet seen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence

import numpy as np

ROUNDING = 1e-9
"""(n + 1) · 0.9 is a whole number for n = 9; what arithmetic adds to it must not ask for one case more."""


def conformal_quantile(scores, level: float, subjects: Sequence[Hashable] | None = None) -> float:
    """The smallest score that bounds the score of a case not yet seen with probability ``level`` or more.

    With one score a subject this is the ceil((n + 1)·level)-th smallest (Vovk, Gammerman & Shafer 2005; Lei et al.
    2018, doi:10.1080/01621459.2017.1307116, theorem 2.2). Scores of one subject (images of one person, landmarks of
    one image) are no independent cases: each subject then weighs the same, and what is promised is a score drawn from
    a subject not yet seen (Lee, Barber & Willett 2023, arXiv:2306.06342).

    Args:
        scores: (n,) nonconformity, higher is stranger; NaN where there is none. Infinite ones count.
        level: probability, above 0 and below 1.
        subjects: to whom each score belongs; each to its own by default.

    Returns:
        The quantile; ``inf`` where the subjects are too few for the level (:func:`subjects_needed`), or where so many
        scores are infinite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    known = ~np.isnan(scores)
    _, owner = np.unique(_numbered(subjects, len(scores))[known], return_inverse=True)
    scores = scores[known]
    if not len(scores):
        return np.inf
    sizes = np.bincount(owner)
    weights = 1 / ((len(sizes) + 1) * sizes[owner])
    order = np.argsort(scores, kind="stable")
    reached = np.flatnonzero(np.cumsum(weights[order]) >= level - ROUNDING)
    return float(scores[order[reached[0]]]) if len(reached) else np.inf


def left_out_quantile(scores, level: float, subjects: Sequence[Hashable]) -> float:
    """The smallest score that bounds ``level`` of the scores of a subject on the mean, where each is left out in turn.

    :func:`conformal_quantile` must allow for one subject all of whose scores are beyond all others': of 12 subjects it
    holds 97.5 % at a level of 90. Where every subject has many scores (the landmarks of its images), one sees how much
    they differ from subject to subject, and no more than that is allowed for: each subject is judged by a quantile of
    all others, at the lowest probability for which ``level`` of its scores are held on the mean. This is what is to be
    expected of subjects like these, not a promise for any other.

    Args:
        scores: (n,) nonconformity, higher is stranger; NaN where there is none.
        level: share of a subject's scores to hold, above 0 and below 1.
        subjects: to whom each score belongs; each subject weighs the same.

    Returns:
        The quantile; ``inf`` where not even the highest of all others holds so many, or fewer than two subjects are.
    """
    scores = np.asarray(scores, dtype=np.float64)
    known = ~np.isnan(scores)
    order = np.argsort(scores[known], kind="stable")
    ranked = scores[known][order]
    _, owner = np.unique(_numbered(subjects, len(scores))[known][order], return_inverse=True)
    count = len(np.unique(owner))
    if count < 2:
        return np.inf
    own = np.cumsum(owner == np.arange(count)[:, None], axis=1, dtype=float)
    own /= own[:, -1:]  # (subjects, n): which share of each one's scores is up to here
    others = (own.sum(0) - own) / (count - 1)
    places = np.arange(count)

    def held(probability: float) -> float:
        bounds = (others < probability - ROUNDING).sum(1)  # the rank at which the others reach it
        return float(own[places, np.searchsorted(ranked, ranked[bounds], side="right") - 1].mean())

    candidates = np.unique(others[others > 0])
    first = bisect_left(candidates, level - ROUNDING, key=held)
    if first == len(candidates):
        return np.inf
    return float(ranked[np.flatnonzero(own.mean(0) >= candidates[first] - ROUNDING)[0]])


def subjects_needed(level: float) -> int:
    """The fewest subjects whose quantile at this level is a number: 19 for 0.95."""
    return int(np.ceil(level / (1 - level) - ROUNDING))


def subject_count(scores, subjects: Sequence[Hashable] | None = None) -> int:
    """How many subjects have a score among ``scores`` (n,), NaN where there is none."""
    return len(np.unique(_numbered(subjects, len(scores))[~np.isnan(scores)]))


def _numbered(subjects: Sequence[Hashable] | None, count: int) -> np.ndarray:
    if subjects is None:
        return np.arange(count)
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(subject, len(numbers)) for subject in subjects], dtype=int)
