"""Several landmarks of one class in an image: which prediction belongs to which truth, and what that makes.

The assignment is optimal (Hungarian method; Kuhn 1955, doi:10.1002/nav.3800020109; Crouse 2016,
doi:10.1109/TAES.2016.140952), not greedy: first as many pairs as the distance allows, then the shortest sum of
distances. It does not depend on the order in which landmarks stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.plain import plain


@dataclass(frozen=True, eq=False)
class Matching:
    """Which prediction belongs to which truth; the numbers are rows of what was given.

    Attributes:
        predicted: (M,) rows of the predictions that found a truth.
        truth: (M,) rows of these truths, ascending.
        distances: (M,) between them, none beyond the threshold.
        missed: rows of the truths that nobody found.
        false: rows of the predictions that have no truth.
    """

    predicted: np.ndarray
    truth: np.ndarray
    distances: np.ndarray
    missed: np.ndarray
    false: np.ndarray


@dataclass(frozen=True)
class InstanceScore:
    """How well the instances of a class were found; NaN where there is nothing to divide by.

    Attributes:
        found: truths with a prediction within the threshold.
        missed: truths without one.
        false: predictions without a truth.
        precision: found / (found + false).
        recall: found / (found + missed).
        f1: harmonic mean of both, 2 found / (2 found + missed + false).
        mean: mean distance of the found, in the summary's unit.
        median: their median distance.
        max: the largest distance of the found.
    """

    found: int
    missed: int
    false: int
    precision: float
    recall: float
    f1: float
    mean: float
    median: float
    max: float


@dataclass(frozen=True)
class InstanceSummary:
    """Scores over all images: ``overall``, and class by class. ``threshold`` is ``None`` where there was none."""

    unit: str
    threshold: float | None
    images: int
    overall: InstanceScore
    per_class: Mapping[str, InstanceScore]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row a class and a last one for all."""
        rows = [*self.per_class.items(), ("all", self.overall)]
        return plain([{"class": name} | asdict(score) for name, score in rows])


def match_instances(
    predicted: np.ndarray, truth: np.ndarray, threshold: float | None = None, spacing: Any = 1.0
) -> Matching:
    """Pair the predicted and the true landmarks of one class in one image.

    Args:
        predicted: (P, d) in any order; a row with NaN is padding and counts as nothing.
        truth: (T, d); a row with NaN is padding: neither a miss nor a failure.
        threshold: a pair farther apart than this is no pair; one at this very distance is. ``None``: any distance.
        spacing: what the positions are multiplied by, a number or (d,).

    Raises:
        LandmarkError: positions of different dimension, or a threshold or a spacing that is not positive.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if threshold is not None and not threshold > 0:
        raise LandmarkError(f"A threshold of {threshold} matches nothing; give a positive distance, or None for any.")
    found, known = _rows(predicted), _rows(truth)
    if len(found) and len(known) and found.shape[1] != known.shape[1]:
        raise LandmarkError(f"Instances in {found.shape[1]}D and in {known.shape[1]}D cannot be matched.")
    step = np.asarray(spacing, dtype=np.float64)
    if step.shape not in ((), found.shape[1:], known.shape[1:]) or not np.all(step > 0):
        raise LandmarkError(f"The spacing {step.tolist()} is not a positive number, nor one along each axis; mend it.")
    here, there = (np.flatnonzero(np.isfinite(rows).all(axis=1)) for rows in (found, known))
    if not here.size or not there.size:
        none = np.empty(0, dtype=int)
        return Matching(none, none, np.empty(0), there, here)
    distances = cdist(found[here] * step, known[there] * step)
    limit = distances.max() if threshold is None else threshold
    # A forbidden pair costs more than all that are allowed together, so no allowed one is given up for a shorter sum.
    costs = np.where(distances <= limit, distances, (limit + 1) * (min(distances.shape) + 1))
    rows, columns = linear_sum_assignment(costs)
    kept = distances[rows, columns] <= limit
    rows, columns = rows[kept], columns[kept]
    order = np.argsort(columns)
    rows, columns = rows[order], columns[order]
    return Matching(
        predicted=here[rows],
        truth=there[columns],
        distances=distances[rows, columns],
        missed=np.delete(there, columns),
        false=np.delete(here, rows),
    )


def summarise_instances(
    predicted: Sequence[Sequence[np.ndarray]],
    truth: Sequence[Sequence[np.ndarray]],
    labels: Sequence[str],
    unit: str,
    threshold: float | None = None,
    *,
    spacing: Any = 1.0,
) -> InstanceSummary:
    """Match every class in every image and count over them.

    Args:
        predicted: for each of N images, for each of the C classes, positions (P, d); an array (N, C, P, d) padded with
            NaN will do.
        truth: likewise.
        labels: of the C classes.
        unit: of the positions, after ``spacing``.
        threshold: as in :func:`match_instances`.
        spacing: a number, (d,), or (N, d) where it differs from image to image.

    Raises:
        LandmarkError: different numbers of images or classes.
    """
    if len(predicted) != len(truth) or any(
        len(found) != len(labels) or len(known) != len(labels) for found, known in zip(predicted, truth, strict=False)
    ):
        raise LandmarkError(
            f"Instances of {len(predicted)} and {len(truth)} images in {len(labels)} classes do not fit."
        )
    step = np.asarray(spacing, dtype=np.float64)
    steps = step if step.ndim == 2 else [step] * len(truth)
    matched = [
        [match_instances(p, t, threshold, s) for p, t in zip(found, known, strict=True)]
        for found, known, s in zip(predicted, truth, steps, strict=True)
    ]
    return InstanceSummary(
        unit=unit,
        threshold=threshold,
        images=len(matched),
        overall=_score([item for image in matched for item in image]),
        per_class={label: _score([image[c] for image in matched]) for c, label in enumerate(labels)},
    )


def _score(matchings: Sequence[Matching]) -> InstanceScore:
    distances = np.concatenate([np.empty(0), *(item.distances for item in matchings)])
    found = distances.size
    missed, false = (int(sum(getattr(item, kind).size for item in matchings)) for kind in ("missed", "false"))
    return InstanceScore(
        found=found,
        missed=missed,
        false=false,
        precision=_share(found, found + false),
        recall=_share(found, found + missed),
        f1=_share(2 * found, 2 * found + missed + false),
        mean=float(distances.mean()) if found else np.nan,
        median=float(np.median(distances)) if found else np.nan,
        max=float(distances.max()) if found else np.nan,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else np.nan


def _rows(positions: np.ndarray) -> np.ndarray:
    rows = np.asarray(positions, dtype=np.float64)
    if rows.size == 0:
        return np.empty((0, rows.shape[-1] if rows.ndim == 2 else 0))
    if rows.ndim != 2 or rows.shape[1] not in (2, 3):
        raise LandmarkError(f"Instances of shape {rows.shape} are not positions; give (instances, 2 or 3).")
    return rows
