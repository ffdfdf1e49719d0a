"""What is measured in the panel as the library's ``Measured``, which its files are written of: image, card, review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from LandmarkDetector.Panel.measurements import Measurements, TimePoint
from LandmarkDetector.Panel.texts import _


def subject_names(measured: Measurements) -> list[str]:
    """What the times are called in files: the names of their point lists, told apart."""
    names = [str(time.node.GetName()) for time in measured.times]
    if len(names) > 1 and names[0] == names[1]:
        names[1] = _("{name}, second").format(name=names[1])
    return names


def source_facts(time: TimePoint) -> Mapping[str, Any]:
    """Bundle, version and fingerprint of what found the landmarks, as far as the point list says."""
    from LandmarkDetector.Scene.result import landmark_set_of

    return dict(landmark_set_of(time.node).info)


def subject_of(
    time: TimePoint, definition: Any, name: str, *, card: Any = None, reviewed_by: str = "", in_the_world: bool = False
) -> tuple[Any, str]:
    """One time as ``measure.subject.Measured``.

    Args:
        time: what was measured.
        definition: the ``MeasurementSet``.
        name: of the subject in files.
        card: of the bundle that found the landmarks, as a plain dict, or ``None``.
        reviewed_by: who reviewed, empty where nobody is named.
        in_the_world: landmarks and constructions of a picture where it lies in space, for files of markups, instead of
            in its plane; without an image.

    Returns:
        The subject, and why it has no image; empty where it has one.

    Raises:
        LandmarkDetectorError: the point list's record of the review was damaged by others.
    """
    from LandmarkDetector.Scene.result import landmark_set_of
    from LandmarkDetectorLib.io.markups_review import review_statuses
    from LandmarkDetectorLib.measure.subject import Measured, Reviewed

    full = landmark_set_of(time.node)
    statuses = dict(zip(full.labels, review_statuses(full) or (), strict=False))
    reviewed = Reviewed(reviewed_by, statuses)
    if in_the_world:
        results = [_lifted(result, time, full.dimension or 3) for result in time.results]
        return Measured(name, full, (definition,), tuple(results), None, card, reviewed), ""
    marks = replace(time.landmarks, info=full.info)
    without = Measured(name, marks, (definition,), tuple(time.results), None, card, reviewed)
    return _with_image(without, time)


def _with_image(measured: Any, time: TimePoint) -> tuple[Any, str]:
    from LandmarkDetector.Scene.measured_image import measured_image
    from LandmarkDetector.Scene.result import volume_of
    from LandmarkDetectorLib.core import LandmarkDetectorError

    volume = volume_of(time.node)
    if volume is None:
        return measured, _("the image of {name} is not in the scene").format(name=time.node.GetName())
    try:
        return replace(measured, image=measured_image(volume, time.landmarks.dimension or 3)), ""
    except LandmarkDetectorError as error:
        return measured, str(error)


def _lifted(result: Any, time: TimePoint, dimension: int) -> Any:
    """A result whose construction lies in space, or in the two coordinates of a list that is flat there."""
    shapes: Sequence[Any] = [
        replace(shape, positions=time.in_space(shape.positions)[:, :dimension]) for shape in result.geometry
    ]
    return replace(result, geometry=tuple(shapes))
