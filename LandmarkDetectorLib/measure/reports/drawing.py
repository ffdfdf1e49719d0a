"""Pictures of the image with the lines, angles, planes and ellipses that measurements are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import Image, Landmark, LandmarkSet
from LandmarkDetectorLib.evaluation.views import View
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.subject import Measured
from LandmarkDetectorLib.measure.values import Shape

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.charts import Axes  # Slicer, which measures too, has no matplotlib

COLOUR = "#ff9fd0"
"""Of constructions: like no confidence and no tissue, and light enough on black."""

SEEN_FROM_ABOVE = 0.3
"""A plane whose trace would be shorter than this, as a sine, is seen from above and has no line to draw."""

SHORT = 4
"""Letters of a label that is written on a picture as it is."""

SMALLEST = 0.12
"""No part of an image that is shown by itself is smaller than this part of its longer side."""


@dataclass(frozen=True)
class Picture:
    """A picture of one or several results, as JPEG, with what is to be said beside it."""

    data: bytes
    name: str
    alt: str


def abbreviated(measured: Measured) -> LandmarkSet:
    """The landmarks that results are made of, called as the sets' formulas call them: S, N, Go L.

    A short label that is a landmark's own title stays: a set of numbered landmarks has no other names.
    """
    short: dict[str, str] = {}
    for each in measured.sets:
        for (name, side), label in measured.match(each).items():
            own = len(label) <= SHORT and label == each.landmarks[name].title
            called = label if own else name.replace("_", " ") + (f" {side[0].upper()}" if side else "")
            short.setdefault(label, called)
    used = set(measured.used)
    marks = [replace(mark, label=short[mark.label]) for mark in measured.landmarks if mark.label in used]
    return replace(measured.landmarks, landmarks=tuple(marks))


Progress = Callable[[str, float], None]
"""Is told what is at work and the fraction of it that is done; it may raise ``Cancelled``, and nothing is written."""


def overviews(measured: Measured, *, inches: float = 7.0, progress: Progress | None = None) -> list[Picture]:
    """The whole image with all landmarks and constructions: one picture in 2D, one of each projection in 3D.

    Args:
        measured: the subject; without an image there are no pictures.
        inches: length of a picture's longer side.
        progress: called before each picture.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from LandmarkDetectorLib.evaluation.figures import overview_views

    if measured.image is None:
        return []
    marks, unit = abbreviated(measured), measured.landmarks.unit
    pictures = []
    views = overview_views(measured.image)
    for number, view in enumerate(views):
        _tell(progress, "drawing the whole image", number / len(views))
        data = _drawn(measured.image, marks, view, measured.computed, inches, thin=True)
        places = ", ".join(f"{mark.label} at {_spoken(mark.position)} {unit}" for mark in marks)
        pictures.append(Picture(data, view.name, f"The {view.name} with all constructions; {places}"))
    return pictures


def close_ups(
    measured: Measured, *, inches: float = 3.2, progress: Progress | None = None
) -> list[tuple[Result, Picture]]:
    """The construction of each result that draws one, close up; of a measurement in several views the first.

    In 3D it is the projection in which the construction is largest.

    Args:
        measured: the subject; without an image there are no pictures.
        inches: length of a picture's longer side.
        progress: called before each picture.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from LandmarkDetectorLib.evaluation.figures import overview_views

    image = measured.image
    if image is None:
        return []
    views, marks = overview_views(image), abbreviated(measured)
    by_label = dict(zip(measured.used, marks, strict=True))
    drawn: dict[tuple[str, str, str | None], tuple[Result, Picture]] = {}
    for number, result in enumerate(measured.computed):
        key = (result.set_name, result.name, result.side)
        own = [by_label[label] for label in result.labels if label in by_label]
        if key in drawn or not result.geometry or not own:
            continue
        _tell(progress, f"drawing {result.name}", number / len(measured.computed))
        shown = [shape.positions for shape in result.geometry if shape.kind != "plane"]
        places = np.concatenate([*shown, np.array([mark.position for mark in own])])
        view = _cropped(max(views, key=lambda each: _size_in(each, places)), places)
        data = _drawn(image, LandmarkSet(tuple(own), marks.unit), view, [result], inches, thin=False)
        drawn[key] = result, Picture(data, view.name, f"How {result.title} was measured, {view.name}")
    return list(drawn.values())


def _tell(progress: Progress | None, what: str, fraction: float) -> None:
    if progress is not None:
        progress(what, fraction)


def _spoken(position: np.ndarray) -> str:
    return ", ".join(f"{value:.1f}" for value in position)


def _size_in(view: View, places: np.ndarray) -> float:
    """How large places are in a picture, in the image's unit."""
    spread = np.ptp(view.place(places), axis=0) * np.asarray(view.pixel)
    return float(spread.prod() ** 0.5 + spread.max() * 1e-3)


def _cropped(view: View, places: np.ndarray) -> View:
    """The square part of a picture in which places lie, with room around them, as far as the picture reaches."""
    rows, columns = view.values.shape[:2]
    pixel, extent = np.asarray(view.pixel), max(view.extent)
    spots = view.place(places)
    centre = (spots.min(0) + spots.max(0)) / 2
    side = max(float((np.ptp(spots, axis=0) * pixel).max()) * 1.35, SMALLEST * extent)
    half = side / 2 / pixel
    start = np.clip(np.floor(centre - half), 0, [columns - 1, rows - 1]).astype(int)
    stop = np.clip(np.ceil(centre + half), start + 1, [columns, rows]).astype(int)
    values = view.values[start[1] : stop[1], start[0] : stop[0]]
    return replace(view, values=values, offset=view.offset - start)


def _drawn(
    image: Image, marks: Sequence[Landmark], view: View, results: Iterable[Result], inches: float, *, thin: bool
) -> bytes:
    from LandmarkDetectorLib.evaluation.canvas import figure_jpeg
    from LandmarkDetectorLib.evaluation.figures import overview_figure

    landmarks = marks if isinstance(marks, LandmarkSet) else LandmarkSet(tuple(marks), image.grid.unit)
    figure = overview_figure(image, landmarks, view, inches=inches, names=landmarks.labels)
    reach = 0.5 * max(view.extent)
    shapes = {(s.kind, s.positions.tobytes()): s for result in results for s in result.geometry}
    for shape in shapes.values():
        draw_shape(figure.axes[0], shape, view, reach, width=1.1 if thin else 1.9)
    return figure_jpeg(figure, 110)


def draw_shape(axes: Axes, shape: Shape, view: View, reach: float, *, width: float) -> None:
    """Draw a piece of a construction.

    Args:
        axes: count the columns and rows of the view.
        shape: in world coordinates.
        view: of the image.
        reach: how far a plane's trace goes to either side, in the image's unit.
        width: of strokes, in points.
    """
    from LandmarkDetectorLib.evaluation.canvas import halo

    for world, style in strokes(shape, view, reach):
        places = view.place(world)
        axes.plot(*places.T, style, color=COLOUR, linewidth=width, path_effects=halo(width + 1.2), scalex=False,
                  scaley=False)  # fmt: skip


def strokes(shape: Shape, view: View, reach: float) -> list[tuple[np.ndarray, str]]:
    """The polylines (N, d) of a shape in the world, each with its style: solid, or dashed for a plane."""
    places = shape.positions
    if shape.kind == "line":
        return [(places, "-")]
    if shape.kind == "angle":
        return [(places, "-"), (_arc(places), "-")]
    if shape.kind == "ellipse":
        centre, first, second = places
        turns = np.linspace(0, 2 * np.pi, 97)[:, None]
        return [(centre + np.cos(turns) * (first - centre) + np.sin(turns) * (second - centre), "-")]
    if shape.kind == "plane":
        point, normal = places[0], places[1] - places[0]
        if len(normal) == 2:
            along = np.array([-normal[1], normal[0]])
        else:
            towards = np.cross(*(row / np.linalg.norm(row) for row in view.matrix))
            along = np.cross(normal, towards)
        sine = float(np.linalg.norm(along))
        if sine < SEEN_FROM_ABOVE:
            return []
        return [(np.stack([point - reach * along / sine, point + reach * along / sine]), "--")]
    return []  # landmarks are drawn as such


def _arc(places: np.ndarray) -> np.ndarray:
    """An arc at the vertex of (end, vertex, end), a quarter of the shorter leg away."""
    end, vertex, other = places
    legs = np.stack([end - vertex, other - vertex])
    lengths = np.linalg.norm(legs, axis=1)
    u, v = legs / lengths[:, None]
    across = v - (u @ v) * u
    size = float(np.linalg.norm(across))
    if size < 1e-9:
        return vertex + 0.25 * lengths.min() * np.stack([u, v])
    turns = np.linspace(0, np.arctan2(size, u @ v), 25)[:, None]
    return vertex + 0.25 * lengths.min() * (np.cos(turns) * u + np.sin(turns) * across / size)
