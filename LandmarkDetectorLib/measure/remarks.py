"""What is said beside a value: whether a norm may be compared, what was chosen, which cut-off is within reach."""

from __future__ import annotations

from collections.abc import Mapping

from LandmarkDetectorLib.measure.formula import Formula
from LandmarkDetectorLib.measure.labels import parts_of
from LandmarkDetectorLib.measure.results import Interval
from LandmarkDetectorLib.measure.schema import Measurement, Norm, View
from LandmarkDetectorLib.measure.stage import Stage

LENGTHS = ("mm", "mm²")


def unit_in(unit: str, landmarks_unit: str) -> str:
    """A unit as it is printed: lengths of a picture without a scale are in px."""
    return unit.replace("mm", landmarks_unit) if unit in LENGTHS else unit


def pick_norm(
    measurement: Measurement, view: View, unit: str, sex: str | None, chosen: Mapping[str, str]
) -> tuple[Norm | None, str]:
    """The norm with which a value may be compared, or none and the reason.

    Args:
        measurement: whose norms these are.
        view: of the value.
        unit: of the landmarks; a norm in mm says nothing about px.
        sex: of the patient, where it was said.
        chosen: option of each choice.
    """
    if not measurement.norms:
        return None, f"no norm: {measurement.no_norm}"
    if measurement.unit in LENGTHS and unit != "mm":
        return None, "no norm: the picture has no scale in mm"
    norms = [norm for norm in measurement.norms if norm.sex in (sex, None)]
    if not norms:
        why = "the published one is for the other sex" if sex else "it differs between the sexes; say which"
        return None, f"no norm: {why}"
    seen = [norm for norm in norms if view in norm.views]
    if not seen:
        views = dict.fromkeys(view for norm in norms for view in norm.views)
        return None, f"no norm: the published one is for {' and '.join(views)}"
    fitting = [norm for norm in seen if norm.choices.items() <= chosen.items()]
    if not fitting:
        other = next(option for name, option in seen[0].choices.items() if chosen[name] != option)
        return None, f"no norm: the published one is for {other}"
    # Of the own sex before that of both, and of what was chosen before that of any.
    return max(fitting, key=lambda each: (each.sex == sex, len(each.choices))), ""


def remarks(stage: Stage, formula: Formula, measurement: Measurement, chosen: Mapping[str, str]) -> list[str]:
    """Choices, sides, plane and vertical that a value rests on."""
    measurements = stage.measurements
    said = [
        f"{measurements.definition.choices[name].title}: {option}"
        for name, option in chosen.items()
        if name in formula.uses
    ]
    said += _sides(stage, formula)
    if stage.view == "mid-sagittal":
        titles = [measurements.landmarks[name].title for name in stage.midline]
        titles += [f"{measurements.landmarks[name].title} left and right" for name in stage.pairs]
        said.append(f"projected on the mid-sagittal plane of {', '.join(titles)}")
    if formula.upright:
        vertical = "the patient's axis to the head" if stage.scene.dimension == 3 else "the picture's vertical"
        said.append(f"relative to {vertical}")
    return [*said, *measurement.notes]


def _sides(stage: Stage, formula: Formula) -> list[str]:
    landmarks, column = stage.measurements.landmarks, stage.scene.column
    midpoints, unsaid = [], []
    for need in formula.needs:
        title = landmarks[need[0]].title
        parts = parts_of(need, stage.side, landmarks, column)
        if len(parts) == 2:
            midpoints.append(title)
        elif landmarks[need[0]].bilateral and parts[0][1] is None and stage.scene.dimension == 3:
            unsaid.append(title)
    said = [f"midpoint of left and right: {', '.join(midpoints)}"] if midpoints else []
    return said + ([f"one landmark without a side: {', '.join(unsaid)}"] if unsaid else [])


def near(measurement: Measurement, norm: Norm | None, interval: Interval, view: View, unit: str) -> list[str]:
    """The cut-offs, and limits of the norm, that the interval cannot tell from the value."""
    said = []
    if measurement.unit not in LENGTHS or unit == "mm":
        for cut in measurement.cut_offs:
            if view in cut.views and interval.holds(cut.value):
                said.append(f"within its uncertainty of the cut-off {cut.value:g} {measurement.unit} ({cut.text})")
    for name, limit in (("lower", norm.low), ("upper", norm.high)) if norm else ():
        if limit is not None and interval.holds(limit):
            said.append(f"within its uncertainty of the norm's {name} limit {limit:g} {measurement.unit}")
    return said
