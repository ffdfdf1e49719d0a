"""Confidence that means something: of the landmarks that are 80 % sure, 80 of 100 lie within the tolerance.

What a detector says of its certainty, the spread of its maps and its own confidence, is turned into the probability
that the landmark lies within a tolerance, by logistic regression on cases that did not train (Platt 1999), with an
offset for each landmark that is drawn towards none. The targets are Platt's, so that a landmark which never failed on
few cases is not called certain. All slopes are at least zero: what the detector calls surer never becomes less sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from scipy.stats import rankdata

from LandmarkDetectorLib.core import LandmarkError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLIP = 1e-4
_RIDGE = 1.0
"""What an offset of 1 costs, beside the log-likelihood of all landmarks."""
BINS = 10


@dataclass(frozen=True)
class ConfidenceModel:
    """From what a detector says to a probability.

    Args:
        intercept: of the logit.
        spread: slope on the logarithm of tolerance / standard deviation.
        belief: slope on the logit of the detector's own confidence.
        image: slope on the logarithm of tolerance / mean standard deviation of all maps of the image. Where an image is
            read badly as a whole, its landmarks hold each other at wrong places and each looks sure.
        offsets: of each landmark.
    """

    intercept: float
    spread: float
    belief: float
    image: float = 0.0
    offsets: Mapping[str, float] = field(default_factory=dict)

    def __call__(
        self, labels: Sequence[str], confidence: Any, deviation: Any, tolerance: Any, shown: Any = np.nan
    ) -> np.ndarray:
        """Probabilities (..., K) that landmarks lie within the tolerance.

        Args:
            labels: the K labels.
            confidence: (..., K) the detector's own.
            deviation: (..., K) root of the mean variance over the axes, in the unit of the tolerance.
            tolerance: a length that broadcasts to (..., K).
            shown: the mean deviation of all maps of the image, which broadcasts likewise; NaN where it is not known,
                where the landmark's own stands for it.
        """
        certainty, belief, image = _features(confidence, deviation, tolerance, shown)
        offsets = np.array([self.offsets.get(label, 0.0) for label in labels])
        score = self.intercept + self.spread * certainty + self.belief * belief + self.image * image
        return expit(score + offsets)


def fit_confidence(
    labels: Sequence[str],
    confidence: np.ndarray,
    deviation: np.ndarray,
    errors: np.ndarray,
    tolerance: Any,
    shown: Any = np.nan,
) -> ConfidenceModel:
    """Fit the model.

    Args:
        labels: the K labels.
        confidence: (N, K) the detector's own; NaN where a landmark was not found.
        deviation: (N, K), as for :class:`ConfidenceModel`.
        errors: (N, K) distances from the truth: NaN where nobody annotated.
        tolerance: a length that broadcasts to (N, K).
        shown: as for :class:`ConfidenceModel`.

    Raises:
        LandmarkError: there is nothing to learn from.
    """
    errors, confidence = np.asarray(errors, dtype=float), np.asarray(confidence, dtype=float)
    known = np.isfinite(errors) & np.isfinite(confidence) & np.isfinite(deviation)
    if not known.any():
        raise LandmarkError("No landmark was both found and annotated, so no confidence can be calibrated.")
    features = [part[known] for part in _features(confidence, deviation, tolerance, shown)]
    right = (errors <= tolerance)[known]
    which = np.broadcast_to(np.arange(len(labels)), errors.shape)[known]
    positive, negative = right.sum(), (~right).sum()
    target = np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([np.ones(len(right)), *features], axis=1)
    count = design.shape[1]

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = design @ theta[:count] + theta[count:][which]
        value = -(target * log_expit(score) + (1 - target) * log_expit(-score)).sum()
        value += _RIDGE / 2 * (theta[count:] ** 2).sum() + 1e-3 * (theta[:count] ** 2).sum()
        slope = expit(score) - target
        pulls = np.bincount(which, slope, len(labels)) + _RIDGE * theta[count:]
        return float(value), np.concatenate([slope @ design + 2e-3 * theta[:count], pulls])

    free = (None, None)
    bounds = [free, *[(0.0, None)] * (count - 1), *[free] * len(labels)]
    found = minimize(cost, np.zeros(count + len(labels)), jac=True, method="L-BFGS-B", bounds=bounds).x
    offsets = {label: round(float(value), 6) for label, value in zip(labels, found[count:], strict=True)}
    intercept, spread, belief, image = (round(float(value), 6) for value in found[:count])
    return ConfidenceModel(intercept, spread, belief, image, offsets)


@dataclass(frozen=True)
class Reliability:
    """How well confidences keep their word.

    Attributes:
        stated: mean confidence in each bin that holds any.
        right: share within the tolerance in each.
        counts: landmarks in each.
        expected_error: mean distance of stated and right, weighed by counts (expected calibration error).
        brier: mean squared distance of confidence and outcome (Brier 1950).
        auc: probability that of a landmark that is off and one that is not, the one that is off is less sure (0.5 by
            chance); NaN where all are of one kind.
        wrong: landmarks beyond the tolerance.
    """

    stated: tuple[float, ...]
    right: tuple[float, ...]
    counts: tuple[int, ...]
    expected_error: float
    brier: float
    auc: float
    wrong: int


def reliability(confidence: np.ndarray, errors: np.ndarray, tolerance: Any, bins: int = BINS) -> Reliability:
    """Judge confidences (N, K) by errors (N, K); NaN on either side does not count.

    The bins hold equally many landmarks each, as far as equal confidences allow.
    """
    confidence, errors = np.asarray(confidence, dtype=float), np.asarray(errors, dtype=float)
    known = np.isfinite(confidence) & np.isfinite(errors)
    stated, right = confidence[known], (errors <= tolerance)[known]
    edges = np.unique(np.quantile(stated, np.linspace(0, 1, bins + 1)[1:-1])) if stated.size else np.array([])
    place = np.searchsorted(edges, stated, side="right")
    used = np.unique(place)
    means = [float(stated[place == one].mean()) for one in used]
    shares = [float(right[place == one].mean()) for one in used]
    counts = [int((place == one).sum()) for one in used]
    gap = float(np.average(np.abs(np.subtract(means, shares)), weights=counts)) if counts else float("nan")
    brier = float(np.mean((stated - right) ** 2)) if stated.size else float("nan")
    return Reliability(
        tuple(means), tuple(shares), tuple(counts), gap, brier, roc_auc(-stated, ~right), int((~right).sum())
    )


def roc_auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of scores (n,): higher ones should be positive; ties count half, NaN for one kind."""
    positive = np.asarray(positive, dtype=bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def found_first(score: np.ndarray, errors: np.ndarray, share: float = 0.2, times: float = 2.0) -> float:
    """Of the errors above ``times`` the median, the share that lies in the first ``share`` of the rows by score.

    NaN where there is no such error. Where rows are equal they count by what a draw would give.
    """
    known = np.isfinite(score) & np.isfinite(errors)
    score, errors = np.asarray(score)[known], np.asarray(errors)[known]
    large = errors > times * np.median(errors) if errors.size else np.zeros(0, bool)
    if not large.any():
        return float("nan")
    rows = share * len(score)
    cut = np.sort(score)[::-1][min(len(score), int(np.ceil(rows))) - 1]
    above, level = score > cut, score == cut
    room = max(0.0, rows - above.sum()) / max(1, level.sum())
    return float((large[above].sum() + room * large[level].sum()) / large.sum())


def reliability_figure(parts: Mapping[str, Reliability], tolerance: str) -> Figure:
    """The reliability diagram: stated confidence against the share that kept it; the area of a dot is its number.

    Args:
        parts: by name, such as before and after the calibration.
        tolerance: in words, with its unit.
    """
    from LandmarkDetectorLib.evaluation.canvas import blank_figure, series_styles

    figure = blank_figure((5.2, 5.0))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, alpha=0.5)
    for (name, part), (colour, _) in zip(parts.items(), series_styles(), strict=False):
        label = f"{name}: off by {100 * part.expected_error:.1f} points, AUC {part.auc:.2f}"
        axes.plot(part.stated, part.right, "-", color=colour, linewidth=1.2, label=label)
        total = max(1, sum(part.counts))
        axes.scatter(part.stated, part.right, [12 + 240 * count / total for count in part.counts], color=colour)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="stated confidence", ylabel=f"within {tolerance}")
    axes.set_title("on cases that neither trained nor calibrated", fontsize=10)
    axes.grid(alpha=0.3)
    for text in axes.legend(loc="upper left", fontsize=8.5, framealpha=0.9).get_texts():
        text.set_parse_math(False)
    figure.set_layout_engine("constrained")
    return figure


def _features(confidence: Any, deviation: Any, tolerance: Any, shown: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence, deviation = np.asarray(confidence, dtype=float), np.asarray(deviation, dtype=float)
    length = np.log(np.asarray(tolerance, dtype=float))
    shown = np.where(np.isfinite(shown), shown, deviation)
    own, all_of = (np.clip(length - np.log(np.maximum(part, 1e-9)), -6, 6) for part in (deviation, shown))
    return own, logit(np.clip(confidence, _CLIP, 1 - _CLIP)), all_of
