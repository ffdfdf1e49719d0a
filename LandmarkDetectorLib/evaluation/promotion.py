"""Whether a retrained model may take the place of the one before it, judged on cases that trained neither.

Overall it must be *shown* not to be worse: the upper end of the one-sided 95 % interval (t, over subjects) of the ratio
of new to old error must stay below 1 and a margin (a non-inferiority test). Ratios and not differences, lest one
subject with large errors drown the others; their mean is that of the logarithms. Too few subjects show nothing.

No landmark may be worse by more than a margin of its own. With many landmarks and few subjects some look much worse by
chance. So each difference is first drawn towards the mean of all by as much as chance explains (empirical Bayes, Efron
& Morris 1975, doi:10.1080/01621459.1975.10479864, the spread between landmarks as by DerSimonian & Laird 1986), and it
is this estimate that must stay below the margin. Beside it, whatever a one-sided t test finds worse after Holm's
correction counts too. A landmark that two labels swapped is far outside of chance and is not drawn back. Where there
is one subject only, what chance explains is taken from how its landmarks differ among each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.evaluation.comparison import holm
from LandmarkDetectorLib.evaluation.plain import plain
from LandmarkDetectorLib.evaluation.resampling import owners, sums_by_case

NOT_WORSE, WORSE, UNDECIDED = ("not worse", "worse", "undecided")
LEAST_SUBJECTS = 3
"""Below so many, nothing is shown."""
_FLOOR = 0.1
"""Of the old mean error."""
_BORROWED = 4
"""Degrees of freedom that each landmark's variance borrows from the others': its own are few."""


@dataclass(frozen=True)
class Margins:
    """By how much a new model may be worse: shares of the old mean error, overall and of each landmark."""

    overall: float = 0.10
    landmark: float = 0.25


@dataclass(frozen=True)
class LandmarkChange:
    """One landmark: lengths in the unit of the errors, NaN where nothing can be said.

    Attributes:
        old: mean error of the old model over landmarks that both found.
        new: that of the new model.
        difference: new minus old, mean over subjects.
        interval: 95 % of it, two-sided, by itself.
        estimate: the difference, drawn towards that of all landmarks by what chance explains.
        margin: that the estimate must not exceed.
        p: one-sided, that it is worse at all, after Holm's correction.
        subjects: that were judged.
        missed: by the old and by the new model.
        worse: whether it counts as worse.
        ratio: mean over subjects of new over old error, and the upper end of its one-sided 95 % interval.
    """

    old: float
    new: float
    difference: float
    interval: tuple[float, float]
    estimate: float
    margin: float
    p: float
    subjects: int
    missed: tuple[int, int]
    worse: bool
    ratio: tuple[float, float] = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Decision:
    """What the cases say; ``reasons`` in sentences, the deciding ones first."""

    verdict: str
    reasons: tuple[str, ...]
    unit: str
    subjects: int
    overall: LandmarkChange
    landmarks: Mapping[str, LandmarkChange]

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row a landmark and a last one for all."""
        rows = [*self.landmarks.items(), ("all", self.overall)]
        return [
            plain(
                {
                    "landmark": name,
                    "old": item.old,
                    "new": item.new,
                    "difference": item.difference,
                    "from": item.interval[0],
                    "to": item.interval[1],
                    "estimate": item.estimate,
                    "margin": item.margin,
                    "p": item.p,
                    "missed before": item.missed[0],
                    "missed now": item.missed[1],
                    "subjects": item.subjects,
                }
            )
            for name, item in rows
        ]


def decide(
    old: np.ndarray,
    new: np.ndarray,
    labels: Sequence[str],
    unit: str,
    subjects: Sequence[Hashable] | None = None,
    *,
    earlier: np.ndarray | None = None,
    margins: Margins = Margins(),  # noqa: B008  # frozen
) -> Decision:
    """Judge a new model beside the old one.

    Args:
        old: (N, K) errors of the old model: NaN not annotated, +inf missed.
        new: (N, K) errors of the new one on the same rows.
        labels: the K labels.
        unit: of the errors.
        subjects: to which subject (or family) each row belongs.
        earlier: (N,) bool, rows that were there to judge by before the corrections that trained the new model: on these
            alone it must not look worse either, for corrections that are wrong are wrong on both sides of a split.
        margins: see there.

    Raises:
        LandmarkError: shapes that do not fit.
    """
    old, new = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if old.shape != new.shape or old.ndim != 2 or old.shape[1] != len(labels):
        raise LandmarkError(f"Errors of shapes {old.shape} and {new.shape} do not fit {len(labels)} labels.")
    owner = owners(subjects, len(old)) if len(old) else np.zeros(0, int)
    overall = _change(old, new, owner, margins.overall)
    columns = [_change(old[:, [k]], new[:, [k]], owner, margins.landmark) for k in range(len(labels))]
    each = dict(zip(labels, _weighed(columns, overall, margins), strict=True))
    worse, open_questions = _overall(overall, unit, margins.overall)
    if earlier is not None and np.any(earlier) and not np.all(earlier):
        before = _change(old[earlier], new[earlier], owner[earlier], margins.overall)
        if before.difference > before.margin:
            more = f"{before.difference:+.3g} {unit}, margin {before.margin:.3g}"
            those = counted(before.subjects, "subject")
            worse.append(f"On what was there to judge by before ({those}) it is worse ({more}).")
    for label, item in each.items():
        if item.worse:
            more = f"{item.old:.3g} to {item.new:.3g} {unit}, estimate {item.estimate:+.3g}, margin {item.margin:.3g}"
            worse.append(f"{label} is worse: {more}.")
    verdict = WORSE if worse else UNDECIDED if open_questions else NOT_WORSE
    those = counted(overall.subjects, "subject")
    good = f"Overall {overall.old:.3g} to {overall.new:.3g} {unit} on {those} that trained neither."
    reasons = (*worse, *open_questions, good) if np.isfinite(overall.difference) else (*worse, *open_questions)
    return Decision(verdict, reasons, unit, overall.subjects, overall, each)


def _overall(item: LandmarkChange, unit: str, margin: float) -> tuple[list[str], list[str]]:
    """Why it is worse, and why it cannot be told."""
    worse, unknown = [], []
    annotated_more = item.missed[1] - item.missed[0]
    if annotated_more > max(1, 0.02 * item.missed[0] + 0.01 * item.subjects):
        worse.append(f"It misses {counted(item.missed[1], 'landmark')} where {item.missed[0]} were missed before.")
    if item.subjects < LEAST_SUBJECTS:
        unknown.append(
            f"{counted(item.subjects, 'subject')} to judge by: too few to show anything; {LEAST_SUBJECTS} are needed."
        )
    if not np.isfinite(item.difference):
        return worse, unknown
    if item.difference > item.margin:
        worse.append(f"Overall it is worse by {item.difference:.3g} {unit}, more than the margin {item.margin:.3g}.")
    elif item.subjects >= LEAST_SUBJECTS and not item.ratio[1] < 1 + margin:
        unknown.append(
            f"It cannot be excluded that its errors are {100 * (item.ratio[1] - 1):.0f} % larger, more than the margin "
            f"of {100 * margin:.0f} %; more cases to judge by would tell."
        )
    return worse, unknown


def _change(old: np.ndarray, new: np.ndarray, owner: np.ndarray, share: float) -> LandmarkChange:
    both = np.isfinite(old) & np.isfinite(new)
    nothing = float("nan")
    missed = int(np.isposinf(old).sum()), int(np.isposinf(new).sum())
    annotated = ~np.isnan(old)
    subjects = len(np.unique(owner[annotated.any(axis=1)])) if len(owner) else 0
    if not both.any():
        return LandmarkChange(
            nothing, nothing, nothing, (nothing, nothing), nothing, nothing, nothing, subjects, missed, False
        )
    counts = sums_by_case(both.sum(1), owner)
    there = counts > 0
    olds, news = (sums_by_case(np.where(both, part, 0).sum(1), owner)[there] / counts[there] for part in (old, new))
    means = news - olds
    n, mean = len(means), float(means.mean())
    error = float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else nothing
    half = error * float(student.ppf(0.975, n - 1)) if n > 1 else nothing
    before, after = float(old[both].mean()), float(new[both].mean())
    p = float(student.sf(mean / error, n - 1)) if n > 1 and error > 0 else nothing
    return LandmarkChange(
        before,
        after,
        mean,
        (mean - half, mean + half),
        mean,
        share * before,
        p,
        n,
        missed,
        False,
        _ratio(olds, news, _FLOOR * before),
    )


def _ratio(olds: np.ndarray, news: np.ndarray, floor: float) -> tuple[float, float]:
    """The geometric mean of the ratios of subjects' errors, and the upper end of its one-sided 95 % interval.

    ``floor`` is added to both: an error of nearly nothing that has doubled is still nearly nothing.
    """
    logs = np.log((news + floor + 1e-12) / (olds + floor + 1e-12))
    n = len(logs)
    middle = float(np.exp(logs.mean()))
    if n < 2:
        return middle, float("inf")
    tail = float(student.ppf(0.95, n - 1)) * float(logs.std(ddof=1)) / np.sqrt(n)
    return middle, float(np.exp(logs.mean() + tail))


def _weighed(items: Sequence[LandmarkChange], overall: LandmarkChange, margins: Margins) -> list[LandmarkChange]:
    """Every landmark with its estimate, its margin and whether it counts as worse."""
    differences = np.array([item.difference for item in items])
    counts = np.array([item.subjects for item in items])
    known, several = np.isfinite(differences), np.isfinite(differences) & (counts > 1)
    estimates = differences.copy()
    if known.sum() > 1:
        tails = student.ppf(0.975, np.maximum(counts - 1, 1))
        widths = np.array([item.interval[1] - item.difference for item in items])
        variances = np.where(several, (widths / tails) ** 2 * counts, 0)
        # Of one subject, what chance does shows in how its landmarks differ among each other.
        typical = float(np.median(variances[several])) if several.any() else _scatter(differences[known]) ** 2
        own = np.where(several, counts - 1, 0)
        spread = (_BORROWED * typical + own * variances) / (_BORROWED + own) / np.maximum(counts, 1)
        estimates[known] = _shrunk(differences[known], np.maximum(spread[known], 1e-18))
    corrected = holm([item.p for item in items])
    found = []
    for item, estimate, p in zip(items, estimates, corrected, strict=True):
        # A landmark that was nearly perfect may lose a little: its margin is never below that of an ordinary one.
        margin = margins.landmark * max(item.old, overall.old) if np.isfinite(item.old) else item.margin
        lost = item.missed[1] - item.missed[0] > max(1, 0.1 * item.subjects)
        sure = bool(p < 0.05) and item.difference > margin
        worse = bool(estimate > margin) or sure or lost
        found.append(
            LandmarkChange(
                item.old,
                item.new,
                item.difference,
                item.interval,
                float(estimate),
                float(margin),
                p,
                item.subjects,
                item.missed,
                worse,
                item.ratio,
            )
        )
    return found


def _scatter(differences: np.ndarray) -> float:
    """A standard deviation that a few which stand out do not move: from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(differences - np.median(differences))))


def _shrunk(differences: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Differences drawn towards their mean by the share of their spread that chance explains."""
    weights = 1 / variances
    mean = float((weights * differences).sum() / weights.sum())
    excess = float((weights * (differences - mean) ** 2).sum()) - (len(differences) - 1)
    between = max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
    return mean + between / (between + variances) * (differences - mean)
