"""Several models, and the observers, on the same cases: who stands where, and how sure that is.

Every model is compared with the first one, pair by pair (:mod:`.comparison`). Where several observers annotated, each
of them stands beside the models by the distance from the mean of the others, and every model is measured against each
observer too, beside what the other observers reach there: a model that is closer to an observer than the others are
cannot be told from one of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.comparison import Comparison, compare_models, holm
from LandmarkDetectorLib.evaluation.distances import position_errors
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII, Summary, summarise
from LandmarkDetectorLib.evaluation.observers import ObserverAgreement, mean_position, observer_agreement
from LandmarkDetectorLib.evaluation.plain import plain

OTHERS = "the other observers"


@dataclass(frozen=True, eq=False)
class Standing:
    """Models and observers on the same cases.

    Attributes:
        labels: the K landmarks that all of them find.
        unit: of all lengths.
        subjects: of each of the N rows.
        errors: model -> (N, K) distance to what counts as true: NaN not annotated, +inf missed.
        models: model -> their summary.
        pairs: the first model with each other one. ``p_corrected`` over all landmarks is Holm's for the number of
            pairs, that of a landmark his for the number of landmarks.
        observers: agreement of the observers with each other, ``None`` where there are fewer than two.
        against: model -> observer, and ``"mean"`` -> the distance of the model from it; only of models whose positions
            are known.
        beside: model -> observer -> the distance from that observer: first that of the mean of the other observers,
            second that of the model.
    """

    labels: tuple[str, ...]
    unit: str
    subjects: tuple[Hashable, ...]
    errors: Mapping[str, np.ndarray]
    models: Mapping[str, Summary]
    pairs: tuple[Comparison, ...]
    observers: ObserverAgreement | None = None
    against: Mapping[str, Mapping[str, Summary]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Comparison]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return {
            "unit": self.unit,
            "cases": len(self.subjects),
            "subjects": len(set(self.subjects)),
            "models": {name: summary.to_json() for name, summary in self.models.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
            "observers": None if self.observers is None else self.observers.to_json(),
            "against_observers": {
                name: {who: summary.to_json() for who, summary in rows.items()} for name, rows in self.against.items()
            },
            "beside_observers": {
                name: {who: plain(asdict(pair.overall)) for who, pair in rows.items()}
                for name, rows in self.beside.items()
            },
        }

    @property
    def columns(self) -> dict[str, Summary]:
        """The models, then each observer against the others."""
        people = {} if self.observers is None else self.observers.against_others
        return {**self.models, **{f"observer {name}": summary for name, summary in people.items()}}

    def overall(self) -> list[dict[str, Any]]:
        """One row a model or observer, over all landmarks."""
        return [{"who": name} | _overall(summary) for name, summary in self.columns.items()]

    def by_landmark(self) -> list[dict[str, Any]]:
        """One row a landmark: the mean error of each model and observer."""
        return [
            plain({"landmark": lb} | {name: summary.per_landmark[lb].mean for name, summary in self.columns.items()})
            for lb in self.labels
        ]

    def differences(self) -> list[dict[str, Any]]:
        """One row a pair of models, over all landmarks; rates in percent points."""
        return [{"models": f"{b} − {a}"} | _difference(pair) for pair in self.pairs for a, b in [pair.names]]

    def at_observers(self) -> list[dict[str, Any]]:
        """One row a model and observer: the model's distance, that of the other observers, and the difference."""
        rows = []
        for name, summaries in self.against.items():
            for who, summary in summaries.items():
                overall = _overall(summary)
                row = {"between": f"{name} and {'the mean' if who == 'mean' else who}", "mean": overall["mean"]}
                pair = self.beside.get(name, {}).get(who)
                others = {OTHERS: None, "difference": None, "difference from": None, "difference to": None, "p": None}
                rows.append(row | (others if pair is None else _beside(pair)) | overall)
        return rows


def stand(
    errors: Mapping[str, np.ndarray],
    labels: Sequence[str],
    unit: str,
    subjects: Sequence[Hashable],
    radii: Sequence[float] = ISBI_RADII,
    *,
    observers: Mapping[str, np.ndarray] | None = None,
    found: Mapping[str, np.ndarray] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Standing:
    """Compare models, and observers, on the same cases.

    Args:
        errors: model -> (N, K) errors on the same rows: NaN not annotated, +inf missed.
        labels: the K labels.
        unit: of the errors.
        subjects: to which subject each row belongs.
        radii: for the success detection rate.
        observers: observer -> positions (N, K, d); a row with NaN was not placed.
        found: model -> positions (N, K, d), of those models whose positions are known; NaN where not found.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        LandmarkError: no model, shapes that do not fit, or models that were judged on different annotations.
    """
    if not errors:
        raise LandmarkError("There is no model to compare; give the errors of at least one.")
    drawn: dict[str, Any] = {"cases": list(subjects), "resamples": resamples, "seed": seed}
    first, *others = errors
    pairs = [
        compare_models(errors[first], errors[name], labels, unit, radii, names=(first, name), **drawn)
        for name in others
    ]
    corrected = holm([pair.overall.p for pair in pairs])
    pairs = [
        replace(pair, overall=replace(pair.overall, p_corrected=p)) for pair, p in zip(pairs, corrected, strict=True)
    ]
    agreement, against, beside = None, {}, {}
    if observers and len(observers) > 1:
        agreement = observer_agreement(observers, labels, unit, radii, **drawn)
        for name, places in (found or {}).items():
            judged = observer_agreement(observers, labels, unit, radii, model=places, **drawn)
            against[name] = judged.model
            beside[name] = {
                who: _beside_others(name, who, places, observers, (labels, unit, radii), drawn) for who in observers
            }
    return Standing(
        tuple(labels),
        unit,
        tuple(subjects),
        {name: np.asarray(values, dtype=np.float64) for name, values in errors.items()},
        {name: summarise(values, labels, unit, radii, **drawn) for name, values in errors.items()},
        tuple(pairs),
        agreement,
        against,
        beside,
    )


def _beside_others(
    name: str, who: str, places: np.ndarray, observers: Mapping[str, np.ndarray], of: tuple, drawn: Mapping[str, Any]
) -> Comparison:
    """Distances from one observer: of the mean of the others, then of the model."""
    truth = np.asarray(observers[who], dtype=np.float64)
    mean = mean_position([place for key, place in observers.items() if key != who])
    theirs, ours = position_errors(mean, truth), position_errors(places, truth)
    unknown = ~np.isfinite(theirs)  # of those whom nobody else placed, nothing can be said
    theirs[unknown] = ours[unknown] = np.nan
    labels, unit, radii = of
    return compare_models(theirs, ours, labels, unit, radii, names=(OTHERS, name), **drawn)


def _overall(summary: Summary) -> dict[str, Any]:
    row = summary.table()[-1]
    del row["landmark"]
    return row


def _difference(pair: Comparison) -> dict[str, Any]:
    row = pair.table()[-1]
    renamed = {pair.names[0]: "first", pair.names[1]: "second"}
    return {renamed.get(key, key): value for key, value in row.items() if key != "landmark" and "missed" not in key}


def _beside(pair: Comparison) -> dict[str, Any]:
    low, high = pair.overall.interval
    item = pair.overall
    values = {OTHERS: item.first, "difference": item.difference, "difference from": low, "difference to": high}
    return plain(values | {"p": item.p})
