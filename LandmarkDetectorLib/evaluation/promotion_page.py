"""The comparison of a retrained model with the one before it as one HTML page that asks for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from LandmarkDetectorLib.evaluation.changes import Change
from LandmarkDetectorLib.evaluation.comparison import Comparison
from LandmarkDetectorLib.evaluation.page import chart, digits_of, known, number, photograph, report_packages, template
from LandmarkDetectorLib.evaluation.promotion import NOT_WORSE, WORSE, Decision


def render_promotion(
    decision: Decision,
    *,
    title: str,
    outcome: str,
    doubts: Sequence[str] = (),
    judged: Comparison | None = None,
    trained: Comparison | None = None,
    changes: Sequence[Change] = (),
    about: Mapping[str, str] | None = None,
    notices: Sequence[str] = (),
    measured: Mapping[str, Any] | None = None,
) -> str:
    """Write the page.

    Args:
        decision: by :func:`LandmarkDetectorLib.evaluation.promotion.decide`.
        title: of the page.
        outcome: one sentence: what was done.
        doubts: that stand against the corrections.
        judged: both models on the cases that trained neither.
        trained: both on the newly reviewed cases, which trained the new one.
        changes: squares of the largest ones.
        about: name and value of what is known of bundles, store and protocol.
        notices: sentences that the person must read.
        measured: figures of the new bundle's calibration.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: a package for reports is not installed.
    """
    with report_packages():
        from LandmarkDetectorLib.evaluation.changes import changes_figure
        from LandmarkDetectorLib.evaluation.charts import comparison_figure

        page = template("promotion.html")
        forest = None if judged is None else chart(comparison_figure(judged))
        pictures = photograph(changes_figure(changes)) if changes else None
    return page.render(
        title=title,
        outcome=outcome,
        tone="good" if decision.verdict == NOT_WORSE and not doubts else "bad" if decision.verdict == WORSE else "open",
        decision=decision,
        doubts=list(doubts),
        judged=judged,
        trained=trained,
        forest=forest,
        pictures=pictures,
        about=known(about),
        notices=list(notices),
        # Counts are whole; shares and lengths are not.
        measured=[
            (name, number(value, 0 if value is not None and float(value).is_integer() and value > 1 else 3))
            for name, value in (measured or {}).items()
        ],
        digits=digits_of(decision.overall.old),
    )
