"""How far readers agree: observers with each other, or a model with observers, per landmark and per measurement.

Of landmarks the distances, their shares within radii, and along each axis bias and limits of agreement; of measurements
bias and limits of agreement of each pair, the intraclass correlations of all, and, where there are cut-offs or a norm's
limits, in which classes the readers put the subjects. Only subjects that all readers have count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkSet, MeasurementError
from LandmarkDetectorLib.evaluation.bland_altman import BlandAltman, bland_altman
from LandmarkDetectorLib.evaluation.distances import position_errors
from LandmarkDetectorLib.evaluation.icc import ClassAgreement, Reliability, class_agreement, reliability
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII, Summary, summarise
from LandmarkDetectorLib.evaluation.plain import plain
from LandmarkDetectorLib.measure.measuring import measure
from LandmarkDetectorLib.measure.reports.bars import cut_offs_of
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.sets import MeasurementSet

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Agreed:
    """The agreement of one number.

    Attributes:
        name: of the measurement, or of a landmark's axis.
        title: as a person calls it.
        unit: of the number.
        values: by reader, (N,); NaN where it was not computed.
        pairs: second reader minus first, for each pair.
        correlations: of each pair.
        reliability: of all readers who read by themselves.
        classes: of each pair; empty without cut-offs and norm.
        classified: what makes the classes, in words.
        where: set, view and side, in words.
    """

    name: str
    title: str
    unit: str
    values: Mapping[str, np.ndarray]
    pairs: Mapping[Pair, BlandAltman]
    correlations: Mapping[Pair, Reliability]
    reliability: Reliability
    classes: Mapping[Pair, ClassAgreement]
    classified: str = ""
    where: str = ""

    def mean_absolute(self, pair: Pair) -> float:
        """Mean absolute difference of a pair; NaN without one."""
        gaps = np.abs(self.pairs[pair].differences)
        return float(gaps.mean()) if gaps.size else np.nan

    def to_json(self) -> dict[str, Any]:
        """A plain dict, without the values."""
        return {
            "title": self.title,
            "unit": self.unit,
            "where": self.where,
            "icc": self.reliability.to_json(),
            "pairs": {
                f"{b} - {a}": {
                    **plain({**item.to_json(), "mean_absolute": self.mean_absolute((a, b))}),
                    "icc": self.correlations[a, b].to_json(),
                }
                for (a, b), item in self.pairs.items()
            },
            "classes": {f"{a} and {b}": item.to_json() for (a, b), item in self.classes.items()},
            "classified": self.classified,
        }


@dataclass(frozen=True, eq=False)
class Agreement:
    """The agreement of readers.

    Attributes:
        readers: their names, in order.
        subjects: of each of N rows.
        labels: the K landmarks.
        unit: of the positions.
        distances: of each pair, (N, K); NaN where either did not place it.
        landmarks: of each pair the summary of these.
        placed: by reader, how many of the K landmarks were placed in all N rows.
        axes: of each landmark and axis.
        measurements: of each measurement, view and side.
        derived: readers that are made of others.
    """

    readers: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    unit: str
    distances: Mapping[Pair, np.ndarray]
    landmarks: Mapping[Pair, Summary]
    placed: Mapping[str, int]
    axes: Mapping[tuple[str, str], Agreed]
    measurements: tuple[Agreed, ...]
    derived: tuple[str, ...] = ()

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of readers, in order."""
        return list(combinations(self.readers, 2))

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        axes: dict[str, Any] = {}
        for (label, axis), item in self.axes.items():
            axes.setdefault(label, {})[axis] = item.to_json()
        return {
            "readers": list(self.readers),
            "cases": len(self.subjects),
            "subjects": len(set(self.subjects)),
            "unit": self.unit,
            "placed": dict(self.placed),
            "landmarks": {f"{a} and {b}": item.to_json() for (a, b), item in self.landmarks.items()},
            "axes": axes,
            "measurements": {f"{item.where}: {item.name}": item.to_json() for item in self.measurements},
        }


def agree(
    readings: Mapping[str, Sequence[LandmarkSet]],
    labels: Sequence[str],
    subjects: Sequence[str],
    sets: Sequence[MeasurementSet] = (),
    *,
    radii: Sequence[float] = ISBI_RADII,
    derived: Collection[str] = (),
    progress: Callable[[str, float], None] | None = None,
    **how: Any,
) -> Agreement:
    """Compare what readers placed on the same images.

    Args:
        readings: reader -> landmarks of each of N images, in one order; the first reader is what the others are
            compared with.
        labels: of the landmarks that count.
        subjects: to which subject each image belongs, for the bootstrap.
        sets: of measurements.
        radii: for the success detection rate, in the landmarks' unit.
        derived: readers that are made of others, such as their mean; they do not count in the correlation of all.
        progress: told a word and the fraction done.
        how: further arguments of :func:`measure`.

    Raises:
        MeasurementError: fewer than two readers, readings that do not fit each other, or as :func:`measure` says.
    """
    if len(readings) < 2:
        raise MeasurementError("Agreement needs two readers or more; give another one.")
    counts = {len(marks) for marks in readings.values()} | {len(subjects)}
    units = {marks.unit for row in readings.values() for marks in row}
    if len(counts) > 1 or not subjects:
        raise MeasurementError(f"The readers have {sorted(counts)} images; give the same images of each, one at least.")
    if len(units) > 1:
        raise MeasurementError("Some landmarks are in mm and others in px; bring all into one unit.")
    told = progress or (lambda words, fraction: None)
    names, unit = tuple(readings), units.pop()
    places = _places(readings, labels)
    distances, summaries = {}, {}
    for a, b in combinations(names, 2):
        told(f"{a} and {b}", 0.1)
        gaps = position_errors(places[a], places[b])
        gaps[np.isposinf(gaps)] = np.nan  # one who did not place it has not missed it
        distances[a, b] = gaps
        summaries[a, b] = summarise(gaps, labels, unit, radii, cases=list(subjects))
    axes = {
        (label, axis): _agreed(
            f"{label} {axis}", label, unit, {name: place[:, k, i] for name, place in places.items()}, derived
        )
        for k, label in enumerate(labels)
        for i, axis in enumerate(_axes(places[names[0]].shape[-1]))
    }
    measurements: list[Agreed] = []
    for number, each in enumerate(sets):
        told(each.title, 0.3 + 0.7 * number / len(sets))
        measurements += _measured(readings, each, derived, how)
    told("done", 1.0)
    placed = {name: int(np.isfinite(place).all(-1).sum()) for name, place in places.items()}
    made = tuple(name for name in names if name in derived)
    return Agreement(
        names, tuple(subjects), tuple(labels), unit, distances, summaries, placed, axes, tuple(measurements), made
    )


def distances_of(readings: Mapping[str, Sequence[LandmarkSet]], labels: Sequence[str]) -> tuple[np.ndarray, str]:
    """All finite distances between readers, and their unit, from which fitting radii are chosen.

    Raises:
        MeasurementError: some landmarks are 2D and others 3D.
    """
    places = _places(readings, labels)
    gaps = np.concatenate([position_errors(a, b).ravel() for a, b in combinations(places.values(), 2)])
    return gaps[np.isfinite(gaps)], next(iter(readings.values()))[0].unit


def _axes(dimension: int) -> tuple[str, ...]:
    return ("L", "P", "S") if dimension == 3 else ("x", "y")


def _places(readings: Mapping[str, Sequence[LandmarkSet]], labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Positions (N, K, d) by reader; NaN where a landmark was not placed. Who placed nothing says nothing of d."""
    dimensions = {marks.dimension or 0 for row in readings.values() for marks in row} - {0}
    if len(dimensions) > 1:
        raise MeasurementError("Some landmarks are 2D and others 3D; give all of them in one space.")
    nowhere = np.full((len(labels), dimensions.pop() if dimensions else 2), np.nan)
    own = {name: [marks.reordered(labels) for marks in row] for name, row in readings.items()}
    return {
        name: np.array([nowhere if marks.dimension is None else marks.positions for marks in row])
        for name, row in own.items()
    }


def _agreed(
    name: str, title: str, unit: str, values: Mapping[str, np.ndarray], derived: Collection[str], **said: Any
) -> Agreed:
    pairs = {(a, b): bland_altman(values[b], values[a], name, unit) for a, b in combinations(values, 2)}
    correlations = {(a, b): reliability(np.stack([values[a], values[b]], axis=1)) for a, b in pairs}
    own = [row for reader, row in values.items() if reader not in derived]
    joint = reliability(np.stack(own if len(own) > 1 else list(values.values()), axis=1))
    return Agreed(name, title, unit, values, pairs, correlations, joint, said.pop("classes", {}), **said)


def _measured(
    readings: Mapping[str, Sequence[LandmarkSet]],
    each: MeasurementSet,
    derived: Collection[str],
    how: Mapping[str, Any],
) -> list[Agreed]:
    found: dict[str, list[dict[tuple, Result]]] = {}
    for name, row in readings.items():
        found[name] = [{(r.name, r.view, r.side): r for r in measure(marks, each, **how)} for marks in row]
    keys = dict.fromkeys(key for rows in found.values() for row in rows for key in row)
    agreed = []
    for key in keys:
        results = {name: [row.get(key) for row in rows] for name, rows in found.items()}
        values = {name: np.array([_value(result) for result in row]) for name, row in results.items()}
        if not any(np.isfinite(row).any() for row in values.values()):
            continue
        first = next(r for row in results.values() for r in row if r is not None and r.value is not None)
        edges, names, words = _classes(each, first)
        classes = {}
        if edges:
            numbers = {name: _classified(row, edges) for name, row in values.items()}
            classes = {
                (a, b): class_agreement(numbers[a], numbers[b], names, (a, b)) for a, b in combinations(values, 2)
            }
        name, view, side = key
        where = ", ".join([each.name, view, *([side] if side else [])])
        agreed.append(
            _agreed(name, first.title, first.unit, values, derived, classes=classes, classified=words, where=where)
        )
    return agreed


def _value(result: Result | None) -> float:
    return np.nan if result is None or result.value is None else result.value


def _classes(each: MeasurementSet, result: Result) -> tuple[list[float], list[str], str]:
    """Edges, names and the source of the classes that a measurement has: by its cut-offs, else by its norm."""
    definition = next(m for m in each.definition.measurements if m.name == result.name)
    cuts = cut_offs_of(definition, result)
    unit = "°" if result.unit == "degrees" else "" if result.unit == "ratio" else f" {result.unit}"
    norm = result.norm
    if cuts:
        edges = [cut.value for cut in cuts]
        words = "; ".join(f"{cut.value:g}{unit}: {cut.text} ({cut.source})" for cut in cuts)
    elif norm is not None and norm.low is not None and norm.high is not None:
        edges, words = [norm.low, norm.high], f"the norm's limits, {norm.limits} ({norm.source})"
    elif norm is not None and norm.mean is not None and norm.sd is not None:
        edges, words = [norm.mean - norm.sd, norm.mean + norm.sd], f"the norm's mean ± 1 SD ({norm.source})"
    else:
        return [], [], ""
    between = [f"{low:g} to {high:g}{unit}" for low, high in zip(edges, edges[1:], strict=False)]
    return edges, [f"below {edges[0]:g}{unit}", *between, f"above {edges[-1]:g}{unit}"], words


def _classified(values: np.ndarray, edges: Sequence[float]) -> list[int]:
    """The class of each value; one at an upper edge belongs below it, as "above 4" says. -1 where there is none."""
    numbers = np.searchsorted(edges[1:], values, side="left") + (values >= edges[0])
    return [int(number) if np.isfinite(value) else -1 for number, value in zip(numbers, values, strict=True)]
