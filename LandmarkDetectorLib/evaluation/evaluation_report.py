"""The report of an evaluation: every figure, curve, landmark and largest error on one HTML page that asks for nothing.

A landmark that nobody annotated is counted nowhere, one that was missed is shown as such everywhere. Subjects are named
as the data set names them, and the page says so: it is as confidential as the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation.bland_altman import BlandAltman
from LandmarkDetectorLib.evaluation.comparison import Comparison
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII, Summary, summarise
from LandmarkDetectorLib.evaluation.observers import ObserverAgreement
from LandmarkDetectorLib.evaluation.page import chart, digits_of, known, photograph, report_packages, template
from LandmarkDetectorLib.evaluation.page_table import PAIRED, SUMMARY, figure_table

WORST = 18
"""Places on the sheet of the largest errors, two of one image at most."""


def render_evaluation(
    errors: np.ndarray,
    labels: Sequence[str],
    unit: str,
    subjects: Sequence[str],
    *,
    title: str = "Evaluation",
    about: Mapping[str, str] | None = None,
    radii: Sequence[float] = ISBI_RADII,
    false_finds: np.ndarray | None = None,
    predicted: Sequence[LandmarkSet] | None = None,
    truth: Sequence[LandmarkSet] | None = None,
    image_of: Callable[[int], Image] | None = None,
    observers: ObserverAgreement | None = None,
    comparison: Comparison | None = None,
    measurements: Sequence[BlandAltman] = (),
    notices: Sequence[str] = (),
) -> str:
    """Write the report of an evaluation as one HTML page.

    Args:
        errors: (N, K) radial errors, one row an image: NaN not annotated, +inf missed.
        labels: the K labels.
        unit: of the errors.
        subjects: name of each row's subject; rows of one subject are resampled together.
        title: of the page.
        about: name and value of what is known of model, data and protocol, shown in this order.
        radii: for the success detection rate.
        false_finds: (N, K) bool, if they were counted.
        predicted: with ``truth`` and ``image_of``, for the pictures of the largest errors: what was found in each row.
        truth: what was annotated in each row, in the order of the labels.
        image_of: reads the image of a row. Only images that are shown are read, one after another.
        observers: agreement of observers on these landmarks.
        comparison: with another model.
        measurements: what was computed from the landmarks, against its reference.
        notices: sentences that the person must read.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkError: shapes that do not fit, or pictures asked for by halves.
        LandmarkDetectorError: a package for reports is not installed.
    """
    errors = np.asarray(errors, dtype=np.float64)
    summary = summarise(errors, labels, unit, radii, false_finds=false_finds, cases=list(subjects))
    given = [part is not None for part in (predicted, truth, image_of)]
    if any(given) and not all(given):
        raise LandmarkError("Pictures of errors need predicted, truth and image_of; give all three or none.")
    with report_packages():
        page = template("evaluation.html")
        curve = _curve(errors, labels, unit, radii)
        sheet, squares = _pictures(errors, image_of, predicted, truth, subjects) if image_of else (None, {})
        forest, agreement = _charts(comparison, measurements)
    ticks, digits = _ticks(errors), digits_of(summary.median)
    return page.render(
        title=title,
        about=known(about),
        summary=summary,
        unit=unit,
        digits=digits,
        subjects=len(set(subjects)),
        radii=[float(radius) for radius in radii],
        notices=[*_cautions(summary, len(set(subjects))), *notices],
        curve=curve,
        sheet=sheet,
        ticks=ticks,
        landmarks=[_landmark(k, label, errors, subjects, summary, squares) for k, label in enumerate(labels)],
        cases=_cases(errors, labels, subjects),
        observers=figure_table(observers.table(), digits, SUMMARY) if observers else None,
        observer_landmarks=figure_table(_between(observers, labels), digits),
        comparison=comparison,
        comparison_table=figure_table(comparison.table(), digits, PAIRED) if comparison else None,
        forest=forest,
        agreement=agreement,
    )


def _cautions(summary: Summary, subjects: int) -> list[str]:
    """What must be known of every evaluation, and of one of few subjects or images."""
    said = [
        "Subjects are named as the data set names them, and pieces of their images are shown. If those names lead to a "
        "person, keep this page as you keep the data."
    ]
    if subjects < 10:
        said.append("Fewer than ten subjects: the intervals are too narrow.")
    if summary.cases < 10:
        said.append("Fewer than ten images: the 95th percentile is hardly more than the largest error.")
    return said


def _curve(errors: np.ndarray, labels: Sequence[str], unit: str, radii: Sequence[float]) -> str | None:
    from LandmarkDetectorLib.evaluation.charts import error_figure

    if np.isnan(errors).all():
        return None
    return chart(error_figure(errors, labels, unit, radii=radii), 110)


def _pictures(errors, image_of, predicted, truth, subjects) -> tuple[str | None, dict[int, str]]:
    """The sheet of the largest errors, and the largest one of each landmark by its column."""
    from LandmarkDetectorLib.evaluation.worst import error_tiles, worst_errors, worst_figure, worst_of_each

    worst, each = worst_errors(errors, WORST, each=2), worst_of_each(errors)
    if not worst:
        return None, {}
    tiles = error_tiles([*worst, *each], image_of, predicted, truth, subjects)
    sheet = photograph(worst_figure(tiles[: len(worst)]))
    squares = {
        item.column: photograph(worst_figure([tile], inches=2.6))
        for item, tile in zip(each, tiles[len(worst) :], strict=True)
    }
    return sheet, squares


def _charts(
    comparison: Comparison | None, measurements: Sequence[BlandAltman]
) -> tuple[str | None, list[tuple[BlandAltman, str | None]]]:
    """The picture of the comparison, and each measurement with its own, where there is a pair to draw."""
    from LandmarkDetectorLib.evaluation.charts import bland_altman_figure, comparison_figure

    agreement = [(item, chart(bland_altman_figure(item)) if item.n else None) for item in measurements]
    return chart(comparison_figure(comparison)) if comparison else None, agreement


def _landmark(
    k: int, label: str, errors: np.ndarray, subjects: Sequence[str], summary: Summary, squares: Mapping[int, str]
) -> dict[str, Any]:
    """What the page shows of one landmark: its figures, a dot for each case, its worst picture."""
    column = errors[:, k]
    last = _ticks(errors)[-1]
    dots = [
        # Eight rows, so that equal errors do not hide each other; 1000 is the width of the drawing.
        {
            "x": round(1000 * column[row] / last, 1),
            "y": 12 + 9 * (3 * i % 8),
            "subject": subjects[row],
            "error": column[row],
        }
        for i, row in enumerate(np.flatnonzero(np.isfinite(column)).tolist())
    ]
    return {
        "number": k + 1,
        "label": label,
        "figures": summary.per_landmark[label],
        "dots": dots,
        "missed": [subjects[row] for row in np.flatnonzero(np.isposinf(column)).tolist()],
        "square": squares.get(k),
        "scale": 1000 / last,
    }


def _ticks(errors: np.ndarray) -> list[float]:
    """Round lengths from 0 to just beyond the largest error."""
    from LandmarkDetectorLib.evaluation.paint import round_length

    found = errors[np.isfinite(errors)]
    highest = max(float(found.max()), 1e-6) if found.size else 1.0
    step = round_length(highest)
    return [step * i for i in range(int(np.ceil(highest / step - 1e-9)) + 1)]


def _cases(errors: np.ndarray, labels: Sequence[str], subjects: Sequence[str]) -> list[dict[str, Any]]:
    """One row an image, the one with the most misses and the largest mean first."""
    rows = []
    for subject, row in zip(subjects, errors, strict=True):
        found = np.isfinite(row)
        worst = int(np.where(found, row, -1.0).argmax())
        rows.append(
            {
                "subject": subject,
                "mean": float(row[found].mean()) if found.any() else None,
                "worst": f"{labels[worst]}" if found.any() else "",
                "max": float(row[worst]) if found.any() else None,
                "n": int(found.sum()),
                "missed": int(np.isposinf(row).sum()),
            }
        )
    return sorted(rows, key=lambda item: (-item["missed"], -(item["mean"] or 0.0)))


def _between(observers: ObserverAgreement | None, labels: Sequence[str]) -> list[dict[str, Any]]:
    """One row a landmark: the mean of all pairs of observers, and of the model against their mean."""
    if observers is None:
        return []
    shown = {"observers": observers.all_pairs}
    shown |= {"model and mean": observers.model["mean"]} if observers.model else {}
    return [
        {"Landmark": label} | {name: summary.per_landmark[label].mean for name, summary in shown.items()}
        for label in labels
    ]
