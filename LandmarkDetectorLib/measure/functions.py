"""The functions that a formula may call, by name and by what they are given.

A formula's author meets them in docs/measure/README.md. Each entry says what kinds it takes and gives; the formula
is checked against them when it is read, so that nothing is looked up and nothing can go wrong but geometry when it is
computed. ``Trace.draw`` keeps what a person should see of the construction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from LandmarkDetectorLib.measure import geometry
from LandmarkDetectorLib.measure.values import (
    ANGLE,
    AREA,
    DIRECTION,
    ELLIPSE,
    LENGTH,
    LINE,
    PLACE,
    PLAIN,
    PLANE,
    Direction,
    Ellipse,
    Kind,
    Line,
    Plane,
    Shape,
)


@dataclass
class Trace:
    """What a formula has drawn so far."""

    shapes: list[Shape] = field(default_factory=list)

    def draw(self, *things: Any) -> None:
        """Keep lines, planes and ellipses; and positions (B, d) as landmarks."""
        for thing in things:
            if isinstance(thing, np.ndarray):
                self.shapes.append(Shape("landmark", thing[:1]))
            else:
                self.shapes += thing.shapes()

    def draw_line(self, start: np.ndarray, end: np.ndarray) -> None:
        """Keep a stretch between two positions (B, d)."""
        self.shapes.append(Shape("line", np.stack([start[0], end[0]])))


@dataclass(frozen=True)
class Function:
    """One way to call a function.

    ``many``: any number of the last argument; ``signed``: its value can be negative by convention; ``solid``: needs
    three dimensions; ``millimetres``: needs a physical scale; ``sided``: its last argument only says which side is the
    positive one, so that a vertical there does not make the value relative to it.
    """

    takes: tuple[Kind, ...]
    gives: Kind
    compute: Callable[..., Any]
    many: bool = False
    signed: bool = False
    solid: bool = False
    millimetres: bool = False
    sided: bool = False

    def fits(self, kinds: list[Kind]) -> bool:
        """Whether it can be called with these."""
        if self.many:
            fixed = len(self.takes)
            return len(kinds) >= fixed and all(k == self.takes[min(i, fixed - 1)] for i, k in enumerate(kinds))
        return list(self.takes) == kinds


FUNCTIONS: dict[str, list[Function]] = {}


def _function(name: str, *takes: Kind, gives: Kind, **how: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(compute: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.setdefault(name, []).append(Function(takes, gives, compute, **how))
        return compute

    return register


@_function("line", PLACE, PLACE, gives=LINE)
def _line(trace: Trace, start: np.ndarray, end: np.ndarray) -> Line:
    return Line(start, end)


@_function("plane", PLACE, PLACE, PLACE, gives=PLANE, solid=True)
def _plane(trace: Trace, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Plane:
    return Plane(*geometry.plane_through(a, b, c))


@_function("perpendicular", LINE, PLACE, gives=PLANE)
def _perpendicular(trace: Trace, line: Line, place: np.ndarray) -> Plane:
    return Plane(place, line.direction)


@_function("normal", PLANE, gives=DIRECTION)
def _normal(trace: Trace, plane: Plane) -> Direction:
    return Direction(plane.normal)


@_function("midpoint", PLACE, PLACE, gives=PLACE, many=True)
def _midpoint(trace: Trace, *places: np.ndarray) -> np.ndarray:
    return geometry.midpoint(*places)


@_function("project", PLACE, LINE, gives=PLACE)
def _project_on_line(trace: Trace, place: np.ndarray, line: Line) -> np.ndarray:
    return geometry.project_on_line(place, line.start, line.direction)


@_function("project", PLACE, PLANE, gives=PLACE)
def _project_on_plane(trace: Trace, place: np.ndarray, plane: Plane) -> np.ndarray:
    return geometry.project_on_plane(place, plane.point, plane.normal)


@_function("intersection", LINE, LINE, gives=PLACE)
def _intersection(trace: Trace, line: Line, other: Line) -> np.ndarray:
    return geometry.intersection(line.start, line.direction, other.start, other.direction)


@_function("level", LINE, DIRECTION, gives=DIRECTION)
def _level(trace: Trace, line: Line, up: Direction) -> Direction:
    return Direction(geometry.unit_across(line.end - line.start, up.direction))


@_function("distance", PLACE, PLACE, gives=LENGTH)
def _distance(trace: Trace, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    trace.draw_line(a, b)
    return geometry.distance(a, b)


@_function("distance", PLACE, LINE, gives=LENGTH)
def _distance_to_line(trace: Trace, place: np.ndarray, line: Line) -> np.ndarray:
    foot = geometry.project_on_line(place, line.start, line.direction)
    trace.draw(line)
    trace.draw_line(place, foot)
    return geometry.length(place - foot)


@_function("distance", PLACE, PLANE, gives=LENGTH)
def _distance_to_plane(trace: Trace, place: np.ndarray, plane: Plane) -> np.ndarray:
    return np.abs(_height(trace, place, plane))


@_function("signed_distance", PLACE, PLANE, gives=LENGTH, signed=True)
def _height(trace: Trace, place: np.ndarray, plane: Plane) -> np.ndarray:
    height = geometry.distance_to_plane(place, plane.point, plane.normal)
    trace.draw(plane)
    trace.draw_line(place, place - height[:, None] * plane.normal)
    return height


@_function("signed_distance", PLACE, LINE, PLACE, gives=LENGTH, signed=True)
@_function("signed_distance", PLACE, LINE, LINE, gives=LENGTH, signed=True)
def _side_of_line(trace: Trace, place: np.ndarray, line: Line, toward: np.ndarray | Line) -> np.ndarray:
    aim = toward.direction if isinstance(toward, Line) else toward - line.start
    side = geometry.unit_across(aim, line.direction)
    trace.draw(line)
    trace.draw_line(place, geometry.project_on_line(place, line.start, line.direction))
    return geometry.dot(place - line.start, side)


@_function("signed_distance", PLACE, PLANE, PLACE, gives=LENGTH, signed=True)
def _side_of_plane(trace: Trace, place: np.ndarray, plane: Plane, toward: np.ndarray) -> np.ndarray:
    side = geometry.distance_to_plane(toward, plane.point, plane.normal)
    told = np.abs(side) > geometry.PARALLEL * geometry.distance(toward, plane.point)
    return np.where(told, np.sign(side), np.nan) * _height(trace, place, plane)


@_function("along", PLACE, PLACE, LINE, gives=LENGTH, signed=True)
@_function("along", PLACE, PLACE, DIRECTION, gives=LENGTH, signed=True)
def _along(trace: Trace, start: np.ndarray, end: np.ndarray, line: Line | Direction) -> np.ndarray:
    trace.draw(line)
    if isinstance(line, Line):
        feet = [geometry.project_on_line(place, line.start, line.direction) for place in (start, end)]
        for place, foot in zip((start, end), feet, strict=True):
            trace.draw_line(place, foot)
    else:
        trace.draw_line(start, start + geometry.dot(end - start, line.direction)[:, None] * line.direction)
    return geometry.dot(end - start, line.direction)


@_function("angle", PLACE, PLACE, PLACE, gives=ANGLE)
def _angle_at(trace: Trace, a: np.ndarray, vertex: np.ndarray, b: np.ndarray) -> np.ndarray:
    trace.shapes.append(Shape("angle", np.stack([a[0], vertex[0], b[0]])))
    return geometry.angle_at(a, vertex, b)


@_function("angle", LINE, LINE, gives=ANGLE)
@_function("angle", LINE, DIRECTION, gives=ANGLE)
def _angle_between(trace: Trace, line: Line, other: Line | Direction) -> np.ndarray:
    trace.draw(line, other)
    return geometry.angle_between(line.direction, other.direction)


@_function("angle", LINE, PLANE, gives=ANGLE, signed=True)
def _elevation(trace: Trace, line: Line, plane: Plane) -> np.ndarray:
    trace.draw(line, plane)
    return 90 - geometry.angle_between(line.direction, plane.normal)


@_function("angle", PLANE, PLANE, gives=ANGLE)
def _between_planes(trace: Trace, plane: Plane, other: Plane) -> np.ndarray:
    trace.draw(plane, other)
    angle = geometry.angle_between(plane.normal, other.normal)
    return np.minimum(angle, 180 - angle)


@_function("signed_angle", LINE, LINE, PLACE, gives=ANGLE, signed=True)
@_function("signed_angle", LINE, LINE, LINE, gives=ANGLE, signed=True)
@_function("signed_angle", DIRECTION, LINE, LINE, gives=ANGLE, signed=True)
@_function("signed_angle", LINE, LINE, DIRECTION, gives=ANGLE, signed=True, sided=True)
def _signed_angle(
    trace: Trace, line: Line | Direction, other: Line, toward: np.ndarray | Line | Direction
) -> np.ndarray:
    trace.draw(line, other)
    if isinstance(toward, np.ndarray):
        assert isinstance(line, Line)  # the kinds above say so
        toward = Line(line.start, toward)
    return geometry.signed_angle(line.direction, other.direction, toward.direction)


@_function("ellipse", PLACE, PLACE, PLACE, PLACE, gives=ELLIPSE)
def _ellipse(trace: Trace, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> Ellipse:
    return Ellipse((a, b), (c, d))


@_function("circumference", ELLIPSE, gives=LENGTH)
def _circumference(trace: Trace, ellipse: Ellipse) -> np.ndarray:
    from LandmarkDetectorLib.evaluation.biometry import ellipse_perimeter  # here: it needs SciPy

    trace.draw(ellipse)
    return ellipse_perimeter(geometry.distance(*ellipse.first), geometry.distance(*ellipse.second))


@_function("area", ELLIPSE, gives=AREA)
def _area(trace: Trace, ellipse: Ellipse) -> np.ndarray:
    trace.draw(ellipse)
    return np.pi / 4 * geometry.distance(*ellipse.first) * geometry.distance(*ellipse.second)


@_function("centroid_size", PLACE, PLACE, gives=LENGTH, many=True)
def _centroid_size(trace: Trace, *places: np.ndarray) -> np.ndarray:
    trace.draw(*places)
    return geometry.centroid_size(np.stack(places, axis=-2))


@_function("degrees", PLAIN, gives=ANGLE)
def _degrees(trace: Trace, number: np.ndarray) -> np.ndarray:
    return number


@_function("in_cm", LENGTH, gives=PLAIN, millimetres=True)
def _in_cm(trace: Trace, value: np.ndarray) -> np.ndarray:
    return value / 10


@_function("in_mm", LENGTH, gives=PLAIN, millimetres=True)
def _in_mm(trace: Trace, value: np.ndarray) -> np.ndarray:
    return value
