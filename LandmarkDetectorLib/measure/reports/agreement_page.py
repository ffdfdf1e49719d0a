"""The agreement of readers as one HTML page that loads nothing, and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.evaluation.bland_altman import digits_in
from LandmarkDetectorLib.evaluation.page import chart, report_packages, template
from LandmarkDetectorLib.measure.agreement import Agreed, Agreement, Pair

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.charts import Figure  # Slicer, which measures too, has no matplotlib


def render_agreement(
    agreement: Agreement,
    *,
    title: str = "Agreement",
    about: Mapping[str, str] | None = None,
    notices: Sequence[str] = (),
) -> str:
    """Write the page: measurements with their correlations, Bland-Altman plots and classes; landmarks and their axes.

    Args:
        agreement: by :func:`LandmarkDetectorLib.measure.agreement.agree`.
        title: of the page.
        about: reader -> what it is.
        notices: sentences that the person must read.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: a package for reports is not installed.
    """
    with report_packages():
        page = template("agreement.html", Path(__file__).with_name("templates"))
        pictures = {name: chart(figure, 80) for name, figure in agreement_figures(agreement).items()}
    return page.render(
        title=title,
        about=dict(about or {}),
        notices=list(notices),
        agreement=agreement,
        subjects=len(set(agreement.subjects)),
        pictures=pictures,
        plot=plot_name,
        distances=distances_name,
        radii=[float(radius) for radius in next(iter(agreement.landmarks.values())).sdr],
        several=len({item.where for item in agreement.measurements}) > 1,
        digits=lambda item: digits_in(item.unit),
    )


def plot_name(item: Agreed, pair: Pair) -> str:
    """How the Bland-Altman plot of a measurement and pair is called, among the pictures and as a file."""
    return _file_name(f"bland-altman {item.where} {item.name} {pair[0]} {pair[1]}")


def distances_name(pair: Pair) -> str:
    """How the plot of a pair's distances is called, likewise."""
    return _file_name(f"distances {pair[0]} {pair[1]}")


def _file_name(words: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in words)


def agreement_figures(agreement: Agreement) -> dict[str, Figure]:
    """Every picture of the page by its name: correlations, distances of each pair, a Bland-Altman plot a measurement.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from LandmarkDetectorLib.evaluation.charts import bland_altman_figure, error_figure

    figures: dict[str, Figure] = {}
    if agreement.measurements:
        figures["correlations"] = correlation_figure(agreement.measurements)
    for (a, b), gaps in agreement.distances.items():
        if np.isfinite(gaps).any():
            radii = list(agreement.landmarks[a, b].sdr)
            figures[distances_name((a, b))] = error_figure(gaps, agreement.labels, agreement.unit, radii=radii)
    for item in agreement.measurements:
        for pair, figure in item.pairs.items():
            if figure.n:
                figures[plot_name(item, pair)] = bland_altman_figure(figure, names=pair, size=(6.5, 3.6))
    return figures


def correlation_figure(measurements: Sequence[Agreed]) -> Figure:
    """Both correlations of each measurement with their intervals, from 0 to 1; below 0 at 0.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from LandmarkDetectorLib.evaluation.canvas import BLUE, VERMILION, blank_figure

    figure = blank_figure((8, max(2.2, 1.1 + 0.34 * len(measurements))))
    axes = figure.subplots()
    several = len({item.where for item in measurements}) > 1
    for row, item in enumerate(measurements):
        found = item.reliability
        for shift, value, (low, high), colour, mark in (
            (-0.14, found.agreement, found.agreement_interval, BLUE, "o"),
            (0.14, found.consistency, found.consistency_interval, VERMILION, "s"),
        ):
            if not np.isfinite(value):
                continue
            axes.plot([max(low, 0), max(high, 0)], [row + shift] * 2, color=colour, linewidth=1.8)
            axes.plot(max(value, 0), row + shift, mark, color=colour, markersize=5)
    names = [f"{item.name} ({item.where})" if several else item.name for item in measurements]
    axes.set_yticks(range(len(names)), names, fontsize=8.5, parse_math=False)
    axes.set(xlim=(0, 1.01), ylim=(len(names) - 0.4, -0.6), xlabel="intraclass correlation with 95 % interval")
    axes.set_title("circle: ICC(2,1), absolute agreement; square: ICC(3,1), consistency", fontsize=9.5)
    axes.grid(alpha=0.3, axis="x")
    figure.set_layout_engine("constrained")
    return figure
