"""From landmarks to results: the door of this room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure.formula import SIDES, UP, Formula, Need
from LandmarkDetectorLib.measure.labels import lacking_of, titles_of
from LandmarkDetectorLib.measure.remarks import near, pick_norm, remarks, unit_in
from LandmarkDetectorLib.measure.results import Interval, Result
from LandmarkDetectorLib.measure.schema import Measurement, View, Way
from LandmarkDetectorLib.measure.sets import MeasurementSet, load_set
from LandmarkDetectorLib.measure.stage import Scene, Stage, build_scene
from LandmarkDetectorLib.measure.uncertainty import (
    bending_moves,
    bending_reach,
    folds,
    from_covariances,
    from_regions,
    gradient_of,
    half_widths,
    reach_in,
)

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.regions import Region

WAYS: dict[str, tuple[str | None, ...]] = {
    "midpoint": (None,),
    "left": ("left",),
    "right": ("right",),
    "each": SIDES,
}


@dataclass(frozen=True)
class _Request:
    """What holds for all results of one call."""

    measurements: MeasurementSet
    chosen: Mapping[str, str]
    unit: str
    sex: str | None
    level: float
    joint: bool
    labels: Mapping[Need, str]


def measure(
    landmarks: LandmarkSet,
    measurements: MeasurementSet | str,
    *,
    views: Collection[View] | None = None,
    bilateral: Way | None = None,
    choices: Mapping[str, str] | None = None,
    include: Collection[str] = (),
    sex: str | None = None,
    mapping: Mapping[str, str] | None = None,
    regions: Mapping[str, Region] | None = None,
    level: float = 0.95,
    joint: bool = False,
    touching: Collection[str] | None = None,
) -> list[Result]:
    """Measure a set of landmarks.

    Args:
        landmarks: in world coordinates; those that are missing make results that say so.
        measurements: a set, or the name of one that comes with the library.
        views: of 3D landmarks ``3D`` and ``mid-sagittal``, both by default where the set has a mid-sagittal plane; of
            2D landmarks ``2D``, and of those without any place too.
        bilateral: how landmarks of two sides are used: their ``midpoint``, ``left``, ``right``, or ``each`` side by
            itself; the set's own way by default. One landmark without a side stands for both.
        choices: options other than the set's defaults, for example ``{"mandibular_plane": "Go-Me"}``.
        include: names of measurements that are off by default.
        sex: ``female`` or ``male``, where norms differ.
        mapping: landmark of the set to label, where the labels' words do not say which is which.
        regions: calibrated boxes or ellipsoids by label, in world positions; instead of the covariances.
        level: of the intervals; of the regions, where there are any.
        joint: whether the regions hold all landmarks at once.
        touching: labels; only results that depend on one of these landmarks are computed and returned, for those who
            measure at each movement of the mouse and keep the others.

    Returns:
        Results in the order of the set, for each measurement its views and sides.

    Raises:
        MeasurementError: a set, choice, name, view or region that is not there; two landmarks of one label.
    """
    chosen_set = load_set(measurements) if isinstance(measurements, str) else measurements
    _check(chosen_set, include, sex, level, bilateral)
    found = chosen_set.match(landmarks.labels, mapping)
    twice = [label for label in found.values() if landmarks.labels.count(label) > 1]
    if twice:
        raise MeasurementError(f"Two landmarks are called {twice[0]!r}; give each a label of its own.")
    wanted = [(m, f) for m, f in chosen_set.formulas(choices) if m.default or m.name in include]
    scene = build_scene(landmarks, _used(chosen_set, [formula for _, formula in wanted], found), regions)
    taken = _views(landmarks.dimension, chosen_set, views)
    sides = WAYS[bilateral or chosen_set.definition.bilateral]
    request = _Request(chosen_set, chosen_set.chosen(choices), landmarks.unit, sex, level, joint, found)
    stages = {(view, side): Stage(scene, view, side, chosen_set) for view in taken for side in sides}
    results = []
    for measurement, formula in wanted:
        two_sided = _depends_on_side(formula, chosen_set, scene)
        for view in taken:
            if view in measurement.views:
                own = sides if two_sided else sides[:1]
                for side in own:
                    stage = stages[view, side]
                    labels = _labels(request, stage.parts(formula))
                    if touching is None or not set(touching).isdisjoint(labels):
                        results.append(_result(request, measurement, formula, stage, two_sided, labels))
    return results


def _labels(request: _Request, parts: Collection[Need]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request.labels[part] for part in parts if part in request.labels))


def _used(measurements: MeasurementSet, formulas: Iterable[Formula], found: Mapping[Need, str]) -> dict[Need, str]:
    """Of the landmarks that were found those that count here: each one moved costs time while a person drags."""
    of_plane = measurements.mid_sagittal
    names = {name for formula in formulas for name, _ in formula.needs}
    names |= {*of_plane.midline, *of_plane.pairs} if of_plane else set()
    return {need: label for need, label in found.items() if need[0] in names}


def _check(
    measurements: MeasurementSet, include: Collection[str], sex: str | None, level: float, bilateral: str | None
) -> None:
    unknown = set(include) - set(measurements.names)
    if unknown:
        raise MeasurementError(f"{measurements.name} has no measurement {sorted(unknown)[0]!r}; mend the name.")
    if sex not in (None, "female", "male"):
        raise MeasurementError(f"The sex {sex!r} is neither female nor male, of which norms are published.")
    if bilateral is not None and bilateral not in WAYS:
        raise MeasurementError(f"Bilateral landmarks cannot be used by {bilateral!r}; choose one of {', '.join(WAYS)}.")
    if not 0 < level < 1:
        raise MeasurementError(f"The level {level} is not between 0 and 1; give 0.95, for example.")


def _views(dimension: int | None, measurements: MeasurementSet, wanted: Collection[View] | None) -> list[View]:
    """The views that were asked for, otherwise all that there are; before anything has a place, nobody knows."""
    solid: list[View] = ["3D", "mid-sagittal"] if measurements.mid_sagittal else ["3D"]
    flat: list[View] = ["2D"]
    possible = {2: flat, 3: solid, None: flat + solid}[dimension]
    wrong = [view for view in wanted or () if view not in possible]
    if wrong:
        raise MeasurementError(
            f"{measurements.name} cannot be measured in the view {wrong[0]!r} from {dimension}D landmarks; "
            f"choose from {', '.join(possible)}."
        )
    if wanted is None:
        return flat if dimension is None else possible
    return [view for view in possible if view in wanted]


def _depends_on_side(formula: Formula, measurements: MeasurementSet, scene: Scene) -> bool:
    return any(
        said is None and measurements.landmarks[name].bilateral and (name, None) not in scene.column
        for name, said in formula.needs
    )


def _result(
    request: _Request,
    measurement: Measurement,
    formula: Formula,
    stage: Stage,
    two_sided: bool,
    labels: tuple[str, ...],
) -> Result:
    measurements, there = request.measurements, stage.scene.column
    shared: dict[str, Any] = dict(
        name=measurement.name,
        title=measurement.title,
        unit=unit_in(measurement.unit, request.unit),
        view=stage.view,
        side=stage.side if two_sided else None,
        needs=titles_of(formula.needs, stage.side, measurements.landmarks, there),
        sign=measurement.sign,
        citation=measurement.citation or measurements.definition.citation,
        set_name=measurements.name,
        labels=labels,
    )
    reason = _why_not(request, formula, stage)
    if reason:
        return Result(value=None, not_computed=reason, **shared)
    values, shapes = stage.compute(formula)
    value = float(values[0])
    if not np.isfinite(value):
        return Result(value=None, not_computed=_why_undefined(formula, stage), **shared)
    if measurement.valid and not measurement.valid[0] <= value <= measurement.valid[1]:
        low, high = measurement.valid
        unit = shared["unit"]
        reason = f"{value:.1f} {unit} lie outside {low:g} to {high:g} {unit}, for which the formula was made"
        return Result(value=None, not_computed=reason, **shared)
    norm, no_norm = pick_norm(measurement, stage.view, request.unit, request.sex, request.chosen)
    interval, no_interval = _interval(request, formula, stage, values)
    notes = [*remarks(stage, formula, measurement, request.chosen), no_norm, no_interval]
    if interval is not None:
        notes += near(measurement, norm, interval, stage.view, request.unit)
    known = norm is not None and norm.mean is not None and norm.sd is not None
    return Result(
        value=value,
        norm=norm,
        deviation=(value - norm.mean) / norm.sd if known else None,  # type: ignore[union-attr,operator]
        interval=interval,
        notes=tuple(note for note in notes if note),
        geometry=shapes,
        **shared,
    )


def _why_not(request: _Request, formula: Formula, stage: Stage) -> str:
    """Why a formula cannot be computed here; empty if it can."""
    lacking = lacking_of(formula.needs, stage.side, request.measurements.landmarks, stage.scene.column)
    if lacking:
        return f"needs {', '.join(lacking)}"
    if formula.solid and stage.scene.dimension == 2:
        return "needs landmarks in 3D"
    if formula.millimetres and request.unit != "mm":
        return "needs a scale in mm, which the picture does not have"
    if UP in formula.uses and stage.scene.lies_flat:
        return "needs the vertical, across which all landmarks lie; those of a picture need that picture (--image)"
    if not stage.has_plane:
        return "needs landmarks that determine the mid-sagittal plane: a pair, or three of the midline"
    return ""


def _why_undefined(formula: Formula, stage: Stage) -> str:
    """Why a formula has no value though all its landmarks are there."""
    both = {name for name, said in formula.needs if said is not None}
    if stage.side is None and any(said is None and name in both for name, said in formula.needs):
        return "it is of one side, and the midpoint of both has none; measure left, right or each"
    return "landmarks coincide, or lines of it are parallel"


def _interval(request: _Request, formula: Formula, stage: Stage, values: np.ndarray) -> tuple[Interval | None, str]:
    """The interval, or none and why; silence where no landmark at all has an uncertainty."""
    scene, landmarks = stage.scene, request.measurements.landmarks
    if not scene.uncertain:
        return None, ""
    silent = [part for part in stage.parts(formula) if scene.column[part] not in scene.uncertain]
    if silent:
        names = titles_of(sorted(silent, key=scene.column.__getitem__), None, landmarks, scene.column)
        return None, f"no interval: nothing is known of the uncertainty of {', '.join(names)}"
    gradients = gradient_of(values, scene.step, scene.dimension)
    if not np.isfinite(gradients).all():
        return None, "no interval: the value jumps here"
    value = float(values[0])
    if not scene.regions:
        if folds(values):
            return None, "no interval: the value folds here, as a distance does at 0"
        calibrated = scene.calibrated.issuperset(scene.column[part] for part in stage.parts(formula))
        return from_covariances(value, gradients, scene.covariances, request.level, calibrated), ""
    return _from_regions(request, formula, stage, value, gradients), ""


def _from_regions(request: _Request, formula: Formula, stage: Stage, value: float, gradients: np.ndarray) -> Interval:
    scene = stage.scene
    used = {scene.column[part] for part in stage.parts(formula)}
    counting = [place for place, column in enumerate(scene.uncertain) if column in used]
    reach = sum(reach_in(scene.regions[place], gradients[place]) for place in counting)
    if not np.isfinite(reach) or any(scene.regions[place].unbounded for place in counting):
        reach = np.inf
    else:
        widths = np.concatenate([half_widths(scene.regions[place]) for place in counting])
        moves = np.zeros((len(steps := bending_moves(widths)), len(scene.uncertain), scene.dimension))
        moves[:, counting] = steps.reshape(len(steps), len(counting), scene.dimension)
        bent = bending_reach(value, stage.compute_moved(formula, moves), len(widths))
        reach = reach + bent if np.isfinite(bent) else np.inf
    return from_regions(value, reach, len(counting), request.level, request.joint)
