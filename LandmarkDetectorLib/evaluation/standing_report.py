"""The comparison of models and observers as one HTML page that asks for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from LandmarkDetectorLib.evaluation.page import data_uri, not_installed, template
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
    try:
        from LandmarkDetectorLib.evaluation.canvas import figure_png
        from LandmarkDetectorLib.evaluation.charts import comparison_figure, cumulative_figure

        page = template("comparison.html")
        radii = [float(radius) for radius in next(iter(standing.models.values())).sdr]
        curve = data_uri(figure_png(cumulative_figure(standing.errors, standing.unit, radii=radii), 110), "png")
        forests = [data_uri(figure_png(comparison_figure(pair), 100), "png") for pair in standing.pairs]
    except ImportError as error:
        raise not_installed(error) from error
    return page.render(
        title=title,
        about={name: str(value) for name, value in (about or {}).items() if value},
        notices=list(notices),
        standing=standing,
        subjects=len(set(standing.subjects)),
        # Two digits that mean something, whether the errors are those of a mouse or of a man.
        digits=3 if min(summary.median for summary in standing.models.values()) < 0.5 else 2,
        curve=curve,
        pairs=list(zip(standing.pairs, forests, strict=True)),
    )
