"""Figures of numbers by matplotlib: errors, curves of models, agreement of measurements, two models compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.bland_altman import BlandAltman, digits_in
from LandmarkDetectorLib.evaluation.canvas import BLUE, SKY, VERMILION, blank_figure, series_styles
from LandmarkDetectorLib.evaluation.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    figure = blank_figure((11, max(4.0, 0.6 + 0.17 * len(labels))))
    curve, strips = figure.subplots(1, 2, width_ratios=(1, 1.3))

    found = np.sort(annotated[np.isfinite(annotated)])
    # A step at each error; misses count in the denominator and never arrive.
    share = 100 * np.arange(found.size + 1) / annotated.size
    curve.step(np.concatenate([[0], found]), share, where="post", color=BLUE, linewidth=2)
    words = []
    for radius in radii:
        rate = 100 * float((annotated <= radius).mean())
        curve.plot(radius, rate, "o", color=VERMILION, markersize=5)
        words.append(f"{rate:.1f} % within {radius:g} {unit}")
    curve.text(0.97, 0.04, "\n".join(words), transform=curve.transAxes, ha="right", va="bottom", linespacing=1.5)
    limit = max(np.percentile(found, 99) * 1.15 if found.size else 0.0, *radii, 1e-9)
    # Beyond the last landmark the curve is level: those that were missed are nowhere.
    last = found[-1] if found.size else 0.0
    curve.plot([last, max(last, limit)], [share[-1], share[-1]], color=BLUE, linewidth=2)
    missed = annotated.size - found.size
    curve.set(xlabel=f"radial error ({unit})", ylabel="landmarks within it (%)", xlim=(0, limit), ylim=(0, 101))
    curve.set_title(f"{found.size} found, {missed} missed, in {len(errors)} cases")
    curve.grid(alpha=0.3)

    rows = np.arange(len(labels))
    for row, column in zip(rows, errors.T, strict=True):
        ours = column[np.isfinite(column)]
        if ours.size:
            low, middle, high = np.percentile(ours, (25, 50, 75))
            strips.barh(row, high - low, left=low, height=0.7, color=SKY, alpha=0.6)
            strips.plot([middle, middle], [row - 0.35, row + 0.35], color="black", linewidth=1.5)
            strips.plot(ours, np.full(ours.size, row), ".", color=BLUE, markersize=3, alpha=0.6)
        lost = int(np.isposinf(column).sum())
        if lost:
            at_border = strips.get_yaxis_transform()
            strips.text(0.995, row, f"{lost} missed", transform=at_border, ha="right", va="center", color=VERMILION)
    strips.set_yticks(rows, labels, fontsize=8, parse_math=False)
    strips.set(xlabel=f"radial error ({unit})", ylim=(len(labels) - 0.4, -0.6))
    strips.set_xlim(left=0)
    strips.set_title("each landmark: cases, quartiles, median")
    strips.grid(alpha=0.3, axis="x")
    figure.set_layout_engine("constrained")
    return figure


def cumulative_figure(
    errors: Mapping[str, np.ndarray], unit: str, *, radii: Sequence[float] = (), limit: float | None = None
) -> Figure:
    """The share of landmarks within each distance, one curve a model.

    Args:
        errors: name of the model -> radial errors of any shape: NaN not annotated, +inf missed. A miss keeps its curve
            below 100 %.
        unit: of the errors.
        radii: distances to mark by a line.
        limit: where the axis ends; by default just beyond the 99th percentile of the worst model.

    Raises:
        LandmarkError: no model, or one of which nothing was annotated.
    """
    if not errors:
        raise LandmarkError("There is no model to draw a curve of; give its errors.")
    curves = {}
    for name, values in errors.items():
        annotated = np.asarray(values, dtype=np.float64)
        annotated = annotated[~np.isnan(annotated)]
        if not annotated.size:
            raise LandmarkError(f"{name}: no landmark was annotated, so there is no error to draw.")
        curves[name] = np.sort(annotated[np.isfinite(annotated)]), annotated.size
    ends = [1.15 * np.percentile(found, 99) for found, _ in curves.values() if found.size]
    last = limit or max(*ends, *radii, 1e-9, 1e-9)
    figure = blank_figure((8, 5))
    axes = figure.subplots()
    for (name, (found, count)), (colour, style) in zip(curves.items(), series_styles(), strict=False):
        mean = f"mean {found.mean():.2f} {unit}" if found.size else "nothing found"
        missed = f", {count - found.size} missed" if found.size < count else ""
        share = 100 * np.arange(found.size + 1) / count
        # The curve goes on level beyond its last landmark: those that were missed are nowhere.
        places = np.concatenate([[0], found, [max(last, *found[-1:], 0)]])
        label = f"{name}: {mean}{missed}"
        axes.step(places, [*share, share[-1]], where="post", label=label, color=colour, linestyle=style, linewidth=2)
    for radius in radii:
        axes.axvline(radius, color="black", linewidth=0.8, alpha=0.4)
    axes.set(xlabel=f"radial error ({unit})", ylabel="landmarks within it (%)", xlim=(0, last), ylim=(0, 101))
    axes.grid(alpha=0.3)
    _plain_legend(axes, loc="lower right")
    figure.set_layout_engine("constrained")
    return figure


def bland_altman_figure(
    figures: BlandAltman, *, names: tuple[str, str] = ("reference", "measured"), size: tuple[float, float] = (8, 5)
) -> Figure:
    """Differences over means, with bias, limits of agreement and the 95 % intervals of all three.

    Args:
        figures: of the pairs.
        names: of the first, which is taken away, and of the second.
        size: in inches.

    Raises:
        LandmarkError: there is no pair to draw.
    """
    if not figures.n:
        raise LandmarkError(f"{figures.name}: there is no pair of measurement and reference to draw.")
    figure = blank_figure(size)
    axes = figure.subplots()
    axes.plot(figures.means, figures.differences, "o", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
    lines = (
        ("bias", figures.bias, figures.bias_interval, "black", "-"),
        ("bias + 1.96 sd", figures.upper, figures.upper_interval, VERMILION, "--"),
        ("bias − 1.96 sd", figures.lower, figures.lower_interval, VERMILION, "--"),
    )
    at_border, digits = axes.get_yaxis_transform(), digits_in(figures.unit)
    for name, value, (low, high), colour, style in lines:
        if not np.isfinite(value):
            continue
        axes.axhline(value, color=colour, linestyle=style, linewidth=1.5)
        axes.axhspan(low, high, color=colour, alpha=0.12, linewidth=0)
        words = f"{name}\n{value:+.{digits}f} {figures.unit}\n[{low:+.{digits}f}, {high:+.{digits}f}]".replace("-", "−")
        axes.text(1.01, value, words, transform=at_border, va="center", color=colour, size=8.5)
    axes.axhline(0, color="black", linewidth=0.6, alpha=0.5)
    lost = f", {figures.not_computed} not computed" if figures.not_computed else ""
    axes.set_title(f"{figures.name}: {figures.n} pairs{lost}", parse_math=False)
    axes.set_xlabel(f"mean of both ({figures.unit})")
    axes.set_ylabel(f"{names[1]} − {names[0]} ({figures.unit})", parse_math=False)
    axes.grid(alpha=0.3)
    figure.set_layout_engine("constrained")
    return figure


def comparison_figure(comparison: Comparison) -> Figure:
    """Difference of the mean error with its interval, for all landmarks and for each; filled where Holm's p < 0.05."""
    rows = [*comparison.per_landmark.items(), ("all", comparison.overall)]
    figure = blank_figure((8, max(3.0, 1.2 + 0.2 * len(rows))))
    axes = figure.subplots()
    for place, (_, item) in enumerate(rows):
        if not np.isfinite(item.difference):
            continue
        colour = BLUE if item.difference < 0 else VERMILION
        sure = item.p_corrected < 0.05
        axes.plot(item.interval, [place, place], color=colour, linewidth=1.6)
        face = colour if sure else "white"
        axes.plot(item.difference, place, "o" if item.difference < 0 else "s", color=colour, markerfacecolor=face)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axhline(len(rows) - 1.5, color="black", linewidth=0.5, alpha=0.5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8, parse_math=False)
    first, second = comparison.names
    axes.set_xlabel(f"mean error of {second} minus that of {first} ({comparison.unit})", parse_math=False)
    axes.set_title(
        f"left of 0: {second} is better; 95 % intervals over {comparison.subjects} subjects", parse_math=False
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(alpha=0.3, axis="x")
    figure.set_layout_engine("constrained")
    return figure


def _plain_legend(axes: Axes, **where) -> None:
    """A legend whose names are names, never formulas."""
    for text in axes.legend(framealpha=0.9, **where).get_texts():
        text.set_parse_math(False)
