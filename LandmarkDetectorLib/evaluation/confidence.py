"""Confidence that means something: of the landmarks that are 80 % sure, 80 of 100 lie within the tolerance.

What a detector says of its certainty, the spread of its maps and its own confidence, is turned into the probability
that the landmark lies within a tolerance, with an offset for each landmark that is drawn towards none. Errors are taken
as log-logistic (Bennett 1983, Appl Stat 32:165-71): the odds that an error is below a length grow with a power of the
length. So the sizes of all large errors teach, not only on which side of the tolerance they lie, of which a good
detector has few beyond. All slopes are at least zero: what the detector calls surer never becomes less sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, log_expit, logit

from LandmarkDetectorLib.core import LandmarkError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLIP = 1e-4
_RIDGE = 1.0
"""What an offset of 1 costs, and a slope whose feature moves the score by 1, beside the log-likelihood."""
_LARGE = 0.75
"""Errors below this quantile, and below the tolerance, count as being there and no more: how the small ones are spread
tells nothing of the large ones."""
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
    from scipy.optimize import minimize  # here: who only detects need not wait for it

    errors, confidence = np.asarray(errors, dtype=float), np.asarray(confidence, dtype=float)
    known = np.isfinite(errors) & np.isfinite(confidence) & np.isfinite(deviation)
    if not known.any():
        raise LandmarkError("No landmark was both found and annotated, so no confidence can be calibrated.")
    features = np.stack([part[known] for part in _features(confidence, deviation, tolerance, shown)], axis=1)
    middle, width = features.mean(0), np.maximum(features.std(0), 1e-6)
    design = np.column_stack([np.ones(len(features)), (features - middle) / width])
    which = np.broadcast_to(np.arange(len(labels)), errors.shape)[known]
    sizes = np.log(np.maximum((errors / tolerance)[known], 1e-9))
    limit = min(0.0, float(np.quantile(sizes, _LARGE)))
    large = sizes > limit
    sizes = np.where(large, sizes, limit)
    slopes, offsets = slice(1, design.shape[1]), slice(design.shape[1], -1)

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        # The last is the logarithm of the power by which the odds grow with the length.
        power = np.exp(theta[-1])
        score = design @ theta[: offsets.start] + theta[offsets][which] + power * sizes
        told = log_expit(score) + np.where(large, theta[-1] + log_expit(-score), 0.0)
        pull = np.where(large, expit(score), 0.0) - expit(-score)
        # One landmark more is right, and one wrong, so that what never failed on few cases is not called certain.
        prior = log_expit(theta[0]) + log_expit(-theta[0])
        value = _RIDGE / 2 * ((theta[slopes] ** 2).sum() + (theta[offsets] ** 2).sum()) - told.sum() - prior
        slope = np.concatenate(
            [design.T @ pull, np.bincount(which, pull, len(labels)), [(pull * power * sizes).sum() - large.sum()]]
        )
        slope[0] += expit(theta[0]) - expit(-theta[0])
        slope[slopes] += _RIDGE * theta[slopes]
        slope[offsets] += _RIDGE * theta[offsets]
        return float(value), slope

    free, count = (None, None), design.shape[1]
    bounds = [free, *[(0.0, None)] * (count - 1), *[free] * len(labels), (-3.0, 3.0)]
    found = minimize(cost, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds).x
    by_label = {label: round(float(value), 6) for label, value in zip(labels, found[offsets], strict=True)}
    each = found[slopes] / width
    spread, belief, image = (round(float(value), 6) for value in each)
    return ConfidenceModel(round(float(found[0] - each @ middle), 6), spread, belief, image, by_label)


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
    from scipy.stats import rankdata  # here: who only detects need not wait for it

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
