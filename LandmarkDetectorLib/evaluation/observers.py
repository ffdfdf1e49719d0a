"""How far observers lie from each other, and where a model stands among them.

A model cannot be judged more finely than the observers agree. Two figures of the same name must not be mixed up: the
distance between two observers, and the distance of one of them from the mean of both, which is half as long.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.distances import position_errors
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII, Summary, summarise


@dataclass(frozen=True)
class ObserverAgreement:
    """Summaries of the distances between observers, and of a model to them.

    Attributes:
        pairs: ``"A and B"`` -> the distance between two observers, for each pair.
        all_pairs: all pairs in one summary: a case counts once in the bootstrap, a landmark once for each pair.
        against_others: observer -> the distance from the mean of the others who placed the landmark.
        model: observer, and ``"mean"`` -> the distance of the model from it; empty without a model. A landmark that the
            model lacks is missed; one that the observer lacks is not counted.
    """

    pairs: Mapping[str, Summary]
    all_pairs: Summary
    against_others: Mapping[str, Summary]
    model: Mapping[str, Summary]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return {
            "pairs": {name: summary.to_json() for name, summary in self.pairs.items()},
            "all_pairs": self.all_pairs.to_json(),
            "against_others": {name: summary.to_json() for name, summary in self.against_others.items()},
            "model": {name: summary.to_json() for name, summary in self.model.items()},
        }

    def table(self) -> list[dict[str, Any]]:
        """One row a comparison over all landmarks; :meth:`Summary.table` of each gives it landmark by landmark."""
        rows = dict(self.pairs)
        if len(rows) > 1:
            rows["all pairs of observers"] = self.all_pairs
        rows |= {f"{name} and the mean of the others": summary for name, summary in self.against_others.items()}
        rows |= {f"model and {name}": summary for name, summary in self.model.items()}
        return [{"between": name} | _overall(summary) for name, summary in rows.items()]


def observer_agreement(
    observers: Mapping[str, np.ndarray],
    labels: Sequence[str],
    unit: str,
    radii: Sequence[float] = ISBI_RADII,
    *,
    model: np.ndarray | None = None,
    cases: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> ObserverAgreement:
    """Compare two or more observers of the same images with each other, and a model with them.

    Args:
        observers: name -> positions (N, K, d) in ``unit``; a row with NaN was not placed, which is no failure.
        labels: the K labels.
        unit: of the positions.
        radii: for the success detection rate.
        model: positions (N, K, d); a row with NaN was not found.
        cases: to which case (subject) each row belongs, for the bootstrap.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.

    Raises:
        LandmarkError: fewer than two observers, or shapes that do not fit.
    """
    if len(observers) < 2:
        raise LandmarkError(f"{len(observers)} observer was given; agreement needs the positions of two or more.")
    places = {name: _checked(name, value, labels) for name, value in observers.items()}
    shapes = {value.shape for value in places.values()}
    if len(shapes) > 1:
        raise LandmarkError(f"The observers' positions have different shapes {sorted(shapes)}; give them one.")
    rows = list(range(len(next(iter(places.values()))))) if cases is None else list(cases)

    def summary(errors: np.ndarray, owner: list) -> Summary:
        return summarise(errors, labels, unit, radii, cases=owner, resamples=resamples, seed=seed)

    gaps = {f"{a} and {b}": _between(places[a], places[b]) for a, b in combinations(places, 2)}
    others = {name: mean_position([place for key, place in places.items() if key != name]) for name in places}
    judged: dict[str, Summary] = {}
    if model is not None:
        found = _checked("model", model, labels)
        truths = {**places, "mean": mean_position(list(places.values()))}
        judged = {name: summary(position_errors(found, truth), rows) for name, truth in truths.items()}
    return ObserverAgreement(
        pairs={name: summary(gap, rows) for name, gap in gaps.items()},
        all_pairs=summary(np.concatenate(list(gaps.values())), rows * len(gaps)),
        against_others={name: summary(_between(places[name], mean), rows) for name, mean in others.items()},
        model=judged,
    )


def mean_position(observers: Sequence[np.ndarray]) -> np.ndarray:
    """Mean (N, K, d) of the observers who placed a landmark; NaN where nobody did.

    With the mean of two as truth (ISBI 2015; FARNet), a landmark that only one of them placed has that one's place.
    """
    stack = np.array([np.asarray(place, dtype=np.float64) for place in observers])
    placed = np.isfinite(stack).all(axis=-1, keepdims=True)
    count = placed.sum(axis=0)
    return np.where(count > 0, np.where(placed, stack, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances (N, K); NaN where either was not placed: neither of two observers can miss."""
    errors = position_errors(one, other)
    errors[np.isposinf(errors)] = np.nan
    return errors


def _checked(name: str, positions: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 3 or positions.shape[1] != len(labels) or positions.shape[2] not in (2, 3):
        raise LandmarkError(
            f"{name}: positions of shape {positions.shape} do not fit {len(labels)} labels; give (cases, landmarks, d)."
        )
    return positions


def _overall(summary: Summary) -> dict[str, Any]:
    row = summary.table()[-1]
    del row["landmark"]
    return row
