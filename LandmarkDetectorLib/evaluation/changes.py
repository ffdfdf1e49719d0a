"""The largest changes between two models, from close by: where the old one put a landmark, where the new one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError
from LandmarkDetectorLib.evaluation.canvas import ORANGE, SKY, halo
from LandmarkDetectorLib.evaluation.inspection import marker
from LandmarkDetectorLib.evaluation.panel import Panel, image_window
from LandmarkDetectorLib.evaluation.squares import sheet_of_squares
from LandmarkDetectorLib.evaluation.views import View
from LandmarkDetectorLib.evaluation.worst import square_around

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Change:
    """A square of an image with a landmark as people have it, as the old and as the new model has it.

    Attributes:
        view: the square.
        window: values shown as black and white.
        places: world positions of truth, old and new; ``None`` where there is none.
        caption: case, label, and the errors.
        unit: of lengths.
    """

    view: View
    window: tuple[float, float]
    places: tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
    caption: str
    unit: str


def largest_changes(
    truths: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    labels: Sequence[str],
    names: Sequence[str],
    image_of: Callable[[int], Image],
    count: int = 12,
    each: int = 3,
) -> list[Change]:
    """Squares around the landmarks whose errors have changed most, for the better or the worse.

    Args:
        truths: (N, K, D) positions that people vouch for, NaN where there are none.
        old: (N, K, D) those of the old model, NaN where not found.
        new: (N, K, D) those of the new one.
        labels: the K labels.
        names: of the N cases.
        image_of: reads the image of a row; called once for each image that is needed.
        count: how many at most.
        each: how many of one case at most.
    """
    errors = [np.linalg.norm(found - truths, axis=-1) for found in (old, new)]
    known = np.isfinite(truths).all(-1)
    shift = np.where(np.isfinite(errors[0]) & np.isfinite(errors[1]), np.abs(errors[1] - errors[0]), 0.0)
    shift = np.where(known & (np.isfinite(errors[0]) != np.isfinite(errors[1])), np.inf, shift)
    order = [(int(r), int(c)) for r, c in np.argwhere(known & (shift > 0))]
    order.sort(key=lambda place: -shift[place])
    taken: dict[int, list[int]] = {}
    for row, column in order:
        if sum(map(len, taken.values())) < count and len(taken.get(row, [])) < each:
            taken.setdefault(row, []).append(column)
    found = {}
    for row in sorted(taken):
        image = image_of(row)
        window = image_window(image)
        for column in taken[row]:
            true = truths[row, column]
            places = (true, _placed(old[row, column]), _placed(new[row, column]))
            away = max((p for p in places[1:] if p is not None), key=lambda p: float(np.linalg.norm(p - true)))
            before, after = (
                "missed" if not np.isfinite(part[row, column]) else f"{part[row, column]:.2f}" for part in errors
            )
            unit = image.grid.unit
            caption = f"{names[row]} · {labels[column]} · {before} → {after} {unit}"
            found[row, column] = Change(square_around(image, away, true), window, places, caption, unit)
        del image  # before the next one is read
    return [found[place] for place in order if place in found]


def _placed(position: np.ndarray) -> np.ndarray | None:
    return position if np.isfinite(position).all() else None


def changes_figure(changes: Sequence[Change], *, across: int = 4, inches: float = 2.6) -> Figure:
    """A sheet of squares: a white ring is what people vouch for, an orange square the old model, a blue disc the new.

    Raises:
        LandmarkError: there is nothing to show.
    """
    if not changes:
        raise LandmarkError("No landmark has moved, so there is no change to show.")
    return sheet_of_squares(changes, _draw, across=across, inches=inches)[0]


def _draw(panel: Panel, change: Change) -> None:
    true, old, new = change.places
    for place, colour in ((old, ORANGE), (new, SKY)):
        if place is not None and true is not None:
            panel.line(panel.spot(np.array([true, place])), color=colour, linewidth=1.3, path_effects=halo(2.4))
    ring = marker("none", markeredgecolor="white", markeredgewidth=1.8, path_effects=halo(3.4)) | {"markersize": 9}
    for place, shape, style in (
        (true, "o", ring),
        (old, "s", marker(ORANGE) | {"markersize": 5.5}),
        (new, "o", marker(SKY) | {"markersize": 5.5}),
    ):
        if place is not None and change.view.shows(place):
            panel.over.plot(*panel.spot(place), shape, **style)
