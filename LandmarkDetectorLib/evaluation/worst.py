"""The largest errors of an evaluation, seen from close by: what a person looks at before any mean.

Images are asked for one by one and only the small squares around the landmarks are kept, so an evaluation of any size
fits into memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation.inspection import write_title
from LandmarkDetectorLib.evaluation.panel import Panel, image_window
from LandmarkDetectorLib.evaluation.prediction import draw_pair
from LandmarkDetectorLib.evaluation.squares import sheet_of_squares
from LandmarkDetectorLib.evaluation.tiles import tile_width
from LandmarkDetectorLib.evaluation.views import PLANES, View, crop_view, patient_axes, planes_of, slice_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 240
"""Rows and columns of a square."""


@dataclass(frozen=True)
class Worst:
    """One landmark of one case: row and column of the errors, and the error, +inf where it was missed."""

    row: int
    column: int
    error: float


@dataclass(frozen=True, eq=False)
class ErrorTile:
    """A square of an image with a landmark's truth and prediction.

    Attributes:
        view: the square; in 3D the section through the truth in which the error is seen best.
        window: values shown as black and white.
        found: world position of the prediction, ``None`` where it was missed.
        true: that of the truth.
        caption: subject, label and error.
        unit: of lengths.
    """

    view: View
    window: tuple[float, float]
    found: np.ndarray | None
    true: np.ndarray
    caption: str
    unit: str


def worst_errors(errors: np.ndarray, count: int, each: int | None = None) -> list[Worst]:
    """The largest errors, the largest first.

    Misses are the largest of all, but take no more than half of the places while there are found ones to show.

    Args:
        errors: (N, K): NaN not annotated, +inf missed.
        count: how many at most.
        each: how many of one row at most; one image that went wrong altogether would fill the sheet.
    """
    errors = np.asarray(errors, dtype=np.float64)
    rows, columns = np.nonzero(~np.isnan(errors))
    items = [Worst(int(r), int(c), float(errors[r, c])) for r, c in zip(rows, columns, strict=True)]
    items.sort(key=lambda item: -item.error)
    if each is not None:
        before: Counter[int] = Counter()
        kept = []
        for item in items:
            if before[item.row] < each:
                kept.append(item)
            before[item.row] += 1
        items = kept
    missed = [item for item in items if np.isinf(item.error)]
    found = [item for item in items if np.isfinite(item.error)][:count]
    return [*missed[: max(count - len(found), -(-count // 2))], *found][:count]


def worst_of_each(errors: np.ndarray) -> list[Worst]:
    """The largest error of each landmark that was found at least once, else a miss; none where nobody annotated it."""
    chosen = []
    for k, column in enumerate(np.asarray(errors, dtype=np.float64).T):
        finite = np.where(np.isfinite(column), column, -1.0)
        if finite.size and finite.max() >= 0:
            chosen.append(Worst(int(finite.argmax()), k, float(finite.max())))
        elif np.isposinf(column).any():
            chosen.append(Worst(int(np.isposinf(column).argmax()), k, np.inf))
    return chosen


def error_tiles(
    wanted: Sequence[Worst],
    image_of: Callable[[int], Image],
    predicted: Sequence[LandmarkSet],
    truth: Sequence[LandmarkSet],
    subjects: Sequence[str],
) -> list[ErrorTile]:
    """Cut a square around each landmark that is wanted.

    Args:
        wanted: in the order of the result.
        image_of: reads the image of a row; it is called once for each image that is needed, and no two are kept.
        predicted: what was found, one set a row.
        truth: what was annotated, one set a row, whose order is that of the columns.
        subjects: name of each row's subject, as the data set has it.

    Raises:
        LandmarkError: a landmark that is wanted has no truth.
    """
    tiles: dict[Worst, ErrorTile] = {}
    for row in sorted({item.row for item in wanted}):
        image = image_of(row)
        window = image_window(image)
        found = predicted[row].reordered(truth[row].labels)
        for item in wanted:
            if item.row == row and item not in tiles:
                true = truth[row][item.column]
                if true.position is None:
                    raise LandmarkError(f"{subjects[row]}: {true.label!r} has no truth, so it has no error to show.")
                away = "missed" if np.isinf(item.error) else f"{item.error:.2f} {image.grid.unit}"
                caption = f"{subjects[row]} · {true.label} · {away}"
                place = None if np.isinf(item.error) else found[item.column].position
                view = square_around(image, place, true.position)
                tiles[item] = ErrorTile(view, window, place, true.position, caption, image.grid.unit)
        del image  # before the next one is read
    return [tiles[item] for item in wanted]


def worst_figure(tiles: Sequence[ErrorTile], title: str = "", *, across: int = 6, inches: float = 2.2) -> Figure:
    """A sheet of squares: a white ring is the truth, a blue disc the prediction, a vermilion cross a missed landmark.

    Raises:
        LandmarkError: there is nothing to show.
    """
    if not tiles:
        raise LandmarkError("There is no error to show; give at least one tile.")

    def draw(panel: Panel, tile: ErrorTile) -> None:
        draw_pair(panel, tile.found, tile.true, 1.3)

    figure, over = sheet_of_squares(tiles, draw, across=across, inches=inches, head=0.35 if title else 0.05)
    if title:
        write_title(over, title)
    return figure


def square_around(image: Image, found: np.ndarray | None, true: np.ndarray) -> View:
    """Wide enough for both, and in 3D in the plane along which they are farthest apart."""
    gap = 0.0 if found is None else float(np.linalg.norm(found - true))
    width = max(0.6 * tile_width(image), 2.6 * gap)
    centre = true if found is None else (true + found) / 2
    if image.dimension == 2:
        return crop_view(image, centre, width, PIXELS)
    planes = planes_of(image.grid)
    if found is None:
        return slice_views(image, true, width, PIXELS, planes[:1])[0]
    _, directions = patient_axes(image.grid)
    along = directions.T @ (found - true)
    best = max(planes, key=lambda name: float(np.hypot(*along[list(PLANES[name])])))
    # Centred between both within the plane, but through the truth: that is where the anatomy is the landmark's.
    inside = directions[:, PLANES[best]]
    return slice_views(image, true + inside @ along[list(PLANES[best])] / 2, width, PIXELS, [best])[0]
