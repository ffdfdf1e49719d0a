"""The picture of a detection: a whole image or its projections, with landmarks in the colours of their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkSet
from LandmarkDetectorLib.evaluation.canvas import DOTS, blank_figure
from LandmarkDetectorLib.evaluation.lettering import LETTER_COLOUR, MARKER, scale_bar, short_names, write_names
from LandmarkDetectorLib.evaluation.paint import confidence_colour, painted
from LandmarkDetectorLib.evaluation.views import View, projection_views, shown_channels, whole_view, window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOUBTFUL = 0.5
"""Below this confidence a marker is a diamond and not a disc, for those who do not see the colour."""

_MARGIN = 0.25
"""Inches around a picture that has letters."""


def overview_views(image: Image) -> list[View]:
    """The views that show all of an image: the picture itself in 2D, projections in 3D."""
    return [whole_view(image)] if image.dimension == 2 else projection_views(image)


def overview_figure(
    image: Image, landmarks: LandmarkSet, view: View, *, inches: float = 6.0, names: Sequence[str] | None = None
) -> Figure:
    """All of an image in one view, with its landmarks in the colours of their confidence.

    Args:
        image: what is shown.
        landmarks: those without a position, or outside of the picture, are not drawn.
        view: one of :func:`overview_views`.
        inches: length of the picture's longer side; a side is never drawn shorter than an eighth of it.
        names: what is written beside the landmarks; by default their labels, or numbers where these are too long.

    Returns:
        A figure whose first axes hold the picture and count its columns and rows, as ``view.place`` does; anatomical
        letters stand in a margin around it.
    """
    width, height = view.extent
    scale = inches / max(width, height)
    margin = 0.0 if view.letters is None else _MARGIN
    inner = np.array([width, height]) * scale
    size = np.maximum(inner, inches / 8) + 2 * margin
    share = inner / size
    corner = (1 - share) / 2
    figure = blank_figure((size[0], size[1]))
    figure.set_facecolor("black")

    rows, columns = view.values.shape[:2]
    eight_bits = shown_channels(image).dtype == np.uint8 and view.values.shape[2] == 3
    window = (0.0, 255.0) if eight_bits else window_of(np.moveaxis(view.values, -1, 0))
    axes = figure.add_axes((*corner, *share), xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    smooth = "bilinear" if inner[0] * DOTS > columns else "antialiased"
    borders = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    axes.imshow(painted(view, window), aspect="auto", extent=borders, interpolation=smooth)
    axes.axis("off")

    # Text has its size in pixels of the paper, so labels are laid out there, y down.
    paper = size * DOTS
    over = figure.add_axes((0, 0, 1, 1), xlim=(0, paper[0]), ylim=(paper[1], 0))
    over.axis("off")
    _write_letters(over, view, paper)
    occupied = []
    if image.grid.unit == "mm":
        occupied.append(scale_bar(over, view.extent[0], (corner + [0, share[1]]) * paper, share[0] * paper[0]))
    _write_landmarks(over, landmarks, view, corner * paper, share * paper, occupied, names or short_names(landmarks))
    return figure


def _write_letters(over: Axes, view: View, paper: np.ndarray) -> None:
    width, height = paper
    away = _MARGIN * DOTS / 2
    places = ((away, height / 2), (width - away, height / 2), (width / 2, away), (width / 2, height - away))
    for letters, (x, y) in zip(view.letters or (), places, strict=view.letters is not None):
        # Two or three letters of an oblique grid have the width of the margin for themselves.
        size = 11 - 2.5 * (len(letters) - 1)
        over.text(x, y, letters, color=LETTER_COLOUR, size=size, weight="bold", ha="center", va="center_baseline")


def _write_landmarks(
    over: Axes,
    landmarks: LandmarkSet,
    view: View,
    corner: np.ndarray,
    paper: np.ndarray,
    occupied: list,
    names: Sequence[str],
) -> None:
    drawn = []
    for mark, name in zip(landmarks, names, strict=True):
        if mark.position is not None and view.shows(mark.position):
            drawn.append((mark, name, corner + view.fraction(mark.position) * paper))
    for mark, _, spot in drawn:
        colour = np.array(confidence_colour(mark.confidence)) / 255
        shape = "D" if mark.confidence is not None and mark.confidence < DOUBTFUL else "o"
        edge: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.8}
        over.plot(*spot, shape, color=colour, markersize=MARKER, zorder=3, **edge)
    spots = np.array([spot for *_, spot in drawn])
    write_names(over, spots, [name for _, name, _ in drawn], (*corner, *(corner + paper)), occupied)
