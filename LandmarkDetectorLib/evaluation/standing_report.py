"""The comparison of models and observers as one HTML page that asks for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from LandmarkDetectorLib.evaluation.page import chart, digits_of, known, report_packages, template
from LandmarkDetectorLib.evaluation.page_table import PAIRED, SUMMARY, figure_table
from LandmarkDetectorLib.evaluation.standing import Standing


def render_standing(
    standing: Standing,
    *,
    title: str = "Comparison",
    about: Mapping[str, str] | None = None,
    notices: Sequence[str] = (),
) -> str:
    """Write the page: tables, the curves of all models in one picture, and a picture of each pair of models.

    Args:
        standing: by :func:`LandmarkDetectorLib.evaluation.standing.stand`.
        title: of the page.
        about: name and value of what is known of models, data and protocol, shown in this order.
        notices: sentences that the person must read.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: a package for reports is not installed.
    """
    with report_packages():
        from LandmarkDetectorLib.evaluation.charts import comparison_figure, cumulative_figure

        page = template("comparison.html")
        radii = [float(radius) for radius in next(iter(standing.models.values())).sdr]
        curve = chart(cumulative_figure(standing.errors, standing.unit, radii=radii), 110)
        forests = [chart(comparison_figure(pair)) for pair in standing.pairs]
    subjects = len(set(standing.subjects))
    few = ["Fewer than ten subjects: the intervals are too narrow."] if subjects < 10 else []
    digits = digits_of(*(summary.median for summary in standing.models.values()))
    tables = [figure_table(pair.table(), digits, PAIRED) for pair in standing.pairs]
    return page.render(
        title=title,
        about=known(about),
        notices=[*few, *notices],
        standing=standing,
        subjects=subjects,
        overall=figure_table(standing.overall(), digits, SUMMARY),
        differences=figure_table(standing.differences(), digits, PAIRED),
        between=figure_table(standing.observers.table() if standing.observers else [], digits, SUMMARY),
        at_observers=figure_table(_beside(standing), digits, SUMMARY),
        by_landmark=figure_table(standing.by_landmark(), digits, {"landmark": "Landmark"}),
        curve=curve,
        pairs=list(zip(standing.pairs, forests, tables, strict=True)),
    )


def _beside(standing: Standing) -> list[dict[str, Any]]:
    """The models at the observers, without what makes the table too wide for a page; the interval beside its mean."""
    first, left_out = ("between", "mean", "mean from", "mean to"), {"sd", "median", "p95"}
    return [{key: row[key] for key in (*first, *row) if key not in left_out} for row in standing.at_observers()]
