"""Pictures of landmarks by matplotlib: a whole image or its projections, and the errors of an evaluation.

Figures are made through matplotlib's object interface, so that nothing global is touched and no window can open.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation.paint import confidence_colour, painted, round_length
from LandmarkDetectorLib.evaluation.placement import place_labels
from LandmarkDetectorLib.evaluation.views import View, projection_views, shown_channels, whole_view, window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 150
"""Dots per inch of every figure."""

DOUBTFUL = 0.5
"""Below this confidence a marker is a diamond and not a disc, for those who do not see the colour."""

_MARKER, _TEXT = 5.5, 8.5
"""Sizes in typographic points."""

_MARGIN = 0.25
"""Inches around a picture that has letters."""


def overview_views(image: Image) -> list[View]:
    """The views that show all of an image: the picture itself in 2D, projections in 3D."""
    return [whole_view(image)] if image.dimension == 2 else projection_views(image)


def short_names(landmarks: LandmarkSet) -> list[str]:
    """What is written beside the markers: the labels, or running numbers from 1 where labels are too long for that."""
    labels = landmarks.labels
    longest = max(map(len, labels), default=0)
    readable = longest <= 4 or (longest <= 16 and len(labels) <= 10)
    # Matplotlib's own font has the letters up to Greek and Cyrillic; others would come out as empty boxes.
    drawable = all(label.isprintable() and max(map(ord, label), default=0) < 0x530 for label in labels)
    return labels if readable and drawable else [str(k + 1) for k in range(len(labels))]


def overview_figure(image: Image, landmarks: LandmarkSet, view: View, *, inches: float = 6.0) -> Figure:
    """All of an image in one view, with its landmarks in the colours of their confidence.

    Args:
        image: what is shown.
        landmarks: those without a position, or outside of the picture, are not drawn.
        view: one of :func:`overview_views`.
        inches: length of the picture's longer side; a side is never drawn shorter than an eighth of it.

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
    figure = _figure((size[0], size[1]))
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
        occupied.append(_scale_bar(over, view, (corner + [0, share[1]]) * paper, share * paper))
    _write_landmarks(over, landmarks, view, corner * paper, share * paper, occupied)
    return figure


def _write_letters(over: Axes, view: View, paper: np.ndarray) -> None:
    width, height = paper
    away = _MARGIN * DOTS / 2
    places = ((away, height / 2), (width - away, height / 2), (width / 2, away), (width / 2, height - away))
    for letters, (x, y) in zip(view.letters or (), places, strict=view.letters is not None):
        # Two or three letters of an oblique grid have the width of the margin for themselves.
        size = 11 - 2.5 * (len(letters) - 1)
        over.text(x, y, letters, color="#ffd27f", size=size, weight="bold", ha="center", va="center_baseline")


def _scale_bar(over: Axes, view: View, foot: np.ndarray, paper: np.ndarray) -> tuple[float, float, float, float]:
    """Draw a round number of millimetres at the lower left corner, ``foot``; return the box that this takes."""
    length = round_length(view.extent[0])
    pixels = length * paper[0] / view.extent[0]
    x, y = foot + (0.08 * DOTS, -0.08 * DOTS)
    over.plot([x, x + pixels], [y, y], color="white", linewidth=2.5, path_effects=_halo(), solid_capstyle="butt")
    over.text(x, y - 0.04 * DOTS, f"{length:g} mm", color="white", size=_TEXT, va="bottom", path_effects=_halo())
    return x, y - 0.24 * DOTS, x + max(pixels, 0.6 * DOTS), y


def _write_landmarks(
    over: Axes, landmarks: LandmarkSet, view: View, corner: np.ndarray, paper: np.ndarray, occupied: list
) -> None:
    drawn = []
    for mark, name in zip(landmarks, short_names(landmarks), strict=True):
        if mark.position is not None and view.shows(mark.position):
            drawn.append((mark, name, corner + view.fraction(mark.position) * paper))
    letter = _TEXT * DOTS / 72
    sizes = np.array([(0.62 * letter * len(name) + 2, letter * 1.05) for _, name, _ in drawn]).reshape(-1, 2)
    radius = (_MARKER / 2 + 1) * DOTS / 72
    spots = np.array([spot for *_, spot in drawn]).reshape(-1, 2)
    centres = place_labels(spots, sizes, (*corner, *(corner + paper)), radius, np.array(occupied))
    for spot, centre, box in zip(spots, centres, sizes, strict=True):
        if np.any(np.abs(centre - spot) > radius + box * 0.75):
            over.plot(*zip(spot, centre, strict=True), color="white", linewidth=0.7, alpha=0.8, zorder=2)
    for (mark, name, spot), centre in zip(drawn, centres, strict=True):
        colour = np.array(confidence_colour(mark.confidence)) / 255
        shape = "D" if mark.confidence is not None and mark.confidence < DOUBTFUL else "o"
        edge: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.8}
        over.plot(*spot, shape, color=colour, markersize=_MARKER, zorder=3, **edge)
        text = over.text(centre[0], centre[1], name, color="white", size=_TEXT, ha="center", va="center_baseline")
        # A label is a name, never a formula.
        text.set(parse_math=False, path_effects=_halo(), zorder=4)


def error_figure(errors: np.ndarray, labels: Sequence[str], unit: str, *, radii: Sequence[float] = ()) -> Figure:
    """The errors of an evaluation: the share of landmarks within each distance, and the errors of each landmark.

    Args:
        errors: (N, K) radial errors: NaN not annotated, +inf missed. A miss keeps the curve below 100 %.
        labels: the K labels.
        unit: of the errors.
        radii: distances to mark on the curve.

    Raises:
        LandmarkError: the shape does not fit the labels, or nothing was annotated.
    """
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 2 or errors.shape[1] != len(labels):
        raise LandmarkError(f"Errors of shape {errors.shape} do not fit {len(labels)} labels; give (cases, landmarks).")
    annotated = errors[~np.isnan(errors)]
    if not annotated.size:
        raise LandmarkError("No landmark was annotated, so there is no error to draw; give cases with a truth.")
    figure = _figure((11, max(4.0, 0.6 + 0.17 * len(labels))))
    curve, strips = figure.subplots(1, 2, width_ratios=(1, 1.3))

    found = np.sort(annotated[np.isfinite(annotated)])
    # A step at each error; misses count in the denominator and never arrive.
    share = 100 * np.arange(found.size + 1) / annotated.size
    curve.step(np.concatenate([[0], found]), share, where="post", color="#0072b2", linewidth=2)
    for radius in radii:
        rate = 100 * float((annotated <= radius).mean())
        curve.plot(radius, rate, "o", color="#d55e00", markersize=5)
        curve.annotate(f"{rate:.1f} % within {radius:g} {unit}", (radius, rate), (6, -12), textcoords="offset points")
    limit = max(np.percentile(found, 99) * 1.15 if found.size else 0.0, *radii, 1e-9)
    missed = annotated.size - found.size
    curve.set(xlabel=f"radial error ({unit})", ylabel="landmarks within it (%)", xlim=(0, limit), ylim=(0, 101))
    curve.set_title(f"{found.size} found, {missed} missed, in {len(errors)} cases")
    curve.grid(alpha=0.3)

    rows = np.arange(len(labels))
    for row, column in zip(rows, errors.T, strict=True):
        ours = column[np.isfinite(column)]
        if ours.size:
            low, middle, high = np.percentile(ours, (25, 50, 75))
            strips.barh(row, high - low, left=low, height=0.7, color="#56b4e9", alpha=0.6)
            strips.plot([middle, middle], [row - 0.35, row + 0.35], color="black", linewidth=1.5)
            strips.plot(ours, np.full(ours.size, row), ".", color="#0072b2", markersize=3, alpha=0.6)
        lost = int(np.isposinf(column).sum())
        if lost:
            at_border = strips.get_yaxis_transform()
            strips.text(0.995, row, f"{lost} missed", transform=at_border, ha="right", va="center", color="#d55e00")
    strips.set_yticks(rows, labels, fontsize=8, parse_math=False)
    strips.set(xlabel=f"radial error ({unit})", ylim=(len(labels) - 0.4, -0.6))
    strips.set_xlim(left=0)
    strips.set_title("each landmark: cases, quartiles, median")
    strips.grid(alpha=0.3, axis="x")
    figure.set_layout_engine("constrained")
    return figure


def figure_png(figure: Figure, dpi: float = DOTS) -> bytes:
    """The figure as PNG."""
    return _saved(figure, format="png", dpi=dpi)


def figure_jpeg(figure: Figure, dpi: float = DOTS) -> bytes:
    """The figure as JPEG: a fraction of the size of PNG for pictures with noise; colours at full resolution."""
    return _saved(figure, format="jpeg", dpi=dpi, pil_kwargs={"quality": 85, "subsampling": 0})


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DOTS)
    FigureCanvasAgg(figure)
    return figure


def _saved(figure: Figure, **how) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **how)
    return buffer.getvalue()


def _halo() -> list:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground="black")]
