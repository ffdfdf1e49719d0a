"""The interface of all ways to make regions: fitted on cases whose truth is known, then a region per prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions
from LandmarkDetectorLib.evaluation.regions.quantile import conformal_quantile, subject_count, subjects_needed
from LandmarkDetectorLib.evaluation.regions.region import Region


class RegionMethod(ABC):
    """A way to score how strange a truth is to a prediction. The region is all places that are not too strange.

    Split conformal prediction: whatever the score, a region that takes in all places up to the finite-sample quantile
    of the scores of n cases holds the truth of a case not yet seen with the probability asked for, if all n + 1 cases
    are exchangeable. What the score decides is how small regions are.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def scores(self, predictions: Predictions, truths: np.ndarray) -> np.ndarray:
        """Strangeness (N, K, S) of truths (N, K, D); NaN where a landmark was not found or nobody annotated it.

        S is 1 but where a region is cut by several bounds, each of which then gets its share of what may fail.
        """

    @abstractmethod
    def region(self, predictions: Predictions, case: int, landmark: int, bounds: np.ndarray) -> Region | None:
        """The places with scores up to ``bounds`` (S,) of a landmark; ``None`` where it was not found."""

    def volumes(self, predictions: Predictions, bounds: np.ndarray) -> np.ndarray:
        """Volumes (N, K) of all regions under bounds (K, S); NaN where a landmark was not found."""
        volumes = np.full(predictions.found.shape, np.nan)
        for case, landmark in np.argwhere(predictions.found):
            region = self.region(predictions, case, landmark, bounds[landmark])
            volumes[case, landmark] = np.nan if region is None else region.volume()
        return volumes

    def calibrate(
        self,
        predictions: Predictions,
        truths: Any,
        level: float = 0.95,
        *,
        joint: bool = False,
        pooled: bool = False,
        subjects: Sequence[Hashable] | None = None,
    ) -> Calibrated:
        """Fit the bounds on cases that neither trained nor will be judged.

        Landmarks that were not found or that nobody annotated are left out: what is promised is promised of landmarks
        that are found.

        Args:
            predictions: of N cases.
            truths: (N, K, D), NaN where nobody annotated.
            level: the probability to promise.
            joint: promise that all regions of a case hold their landmarks at once; else each by itself.
            pooled: one bound for all landmarks. By itself, a landmark drawn at random is then promised, and single
                ones may fare worse; jointly, the worst landmark of each case sets the bound. Else each landmark gets
                its own bound: jointly by a share of what may fail (Bonferroni), which needs K times the cases.
            subjects: to whom each case belongs, where several cases are of one; see
                :func:`~LandmarkDetectorLib.evaluation.regions.conformal_quantile`.

        Returns:
            The bounds. Where the cases are too few, regions are everywhere and a notice says so.

        Raises:
            LandmarkError: what is given does not fit, or the level is not between 0 and 1.
        """
        check_level(level)
        if subjects is not None and len(subjects) != len(predictions):
            raise LandmarkError(f"{len(subjects)} subjects do not fit {len(predictions)} cases; name one a case.")
        scores = self.scores(predictions, predictions.truths(truths))
        count, landmarks, parts = scores.shape
        owners = list(subjects) if subjects is not None else list(range(count))
        share = (1 - level) / parts
        if pooled:
            columns = worst(scores)[:, None] if joint else scores.reshape(-1, 1, parts)
            owners = owners if joint else [owner for owner in owners for _ in range(landmarks)]
        else:
            columns = scores
            share = share / landmarks if joint else share
        bounds = np.array(
            [
                [conformal_quantile(column, 1 - share, owners) for column in rows.T]
                for rows in np.moveaxis(columns, 1, 0)
            ]
        )
        counts = [subject_count(columns[:, k, 0], owners) for k in range(columns.shape[1])]
        names = ["all landmarks"] if pooled else list(predictions.labels)
        notices = [_notice(name, n, bound, share, level) for name, n, bound in zip(names, counts, bounds, strict=True)]
        return Calibrated(
            self,
            level,
            joint,
            pooled,
            predictions.labels,
            np.broadcast_to(bounds, (landmarks, parts)),
            tuple(np.broadcast_to(counts, landmarks).tolist()),
            tuple(notice for notice in notices if notice),
        )


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A method with its bounds.

    Args:
        method: that was calibrated.
        level: the probability that is promised.
        joint: whether it is promised of all landmarks of a case at once.
        pooled: whether all landmarks share one bound.
        labels: of the K landmarks.
        bounds: (K, S) on the scores; infinite where nothing can be promised.
        subjects: how many subjects each landmark's bound stands on; 0 where a method needs none.
        notices: what a person should know, one sentence each.
    """

    method: RegionMethod
    level: float
    joint: bool
    pooled: bool
    labels: tuple[str, ...]
    bounds: np.ndarray
    subjects: tuple[int, ...]
    notices: tuple[str, ...] = ()

    def region(self, predictions: Predictions, landmark: int | str, case: int = 0) -> Region | None:
        """The region of one landmark, by name or number, in one case; ``None`` where it was not found.

        Raises:
            LandmarkError: the landmarks are not those of the calibration.
        """
        self._same(predictions)
        if isinstance(landmark, str):
            if landmark not in self.labels:
                raise LandmarkError(f"There is no landmark {landmark!r}; choose one of {', '.join(self.labels)}.")
            landmark = self.labels.index(landmark)
        return self.method.region(predictions, case, landmark, self.bounds[landmark])

    def regions(self, predictions: Predictions) -> list[list[Region | None]]:
        """The regions of all landmarks, a list a case.

        Raises:
            LandmarkError: the landmarks are not those of the calibration.
        """
        return [[self.region(predictions, k, n) for k in range(len(self.labels))] for n in range(len(predictions))]

    def covers(self, predictions: Predictions, truths: Any) -> np.ndarray:
        """Whether regions hold their truths (N, K, D): (N, K) 1.0 or 0.0, NaN where there is no region or no truth.

        Raises:
            LandmarkError: what is given does not fit.
        """
        self._same(predictions)
        scores = self.method.scores(predictions, predictions.truths(truths))
        held = (scores <= self.bounds).all(-1).astype(float)
        return np.where(np.isnan(scores).any(-1), np.nan, held)

    def volumes(self, predictions: Predictions) -> np.ndarray:
        """Areas or volumes (N, K) of the regions in the unit of the predictions; NaN where there is none.

        Raises:
            LandmarkError: the landmarks are not those of the calibration.
        """
        self._same(predictions)
        return self.method.volumes(predictions, self.bounds)

    def _same(self, predictions: Predictions) -> None:
        if predictions.labels != self.labels:
            raise LandmarkError(
                f"The predictions are of {', '.join(predictions.labels)} and the regions were calibrated for "
                f"{', '.join(self.labels)}; give the same landmarks in the same order."
            )


def check_level(level: float) -> None:
    """Refuse what is not a probability between 0 and 1."""
    if not 0 < level < 1:
        raise LandmarkError(f"A level of {level} is not above 0 and below 1; give 0.95 for 95 %.")


def worst(scores: np.ndarray) -> np.ndarray:
    """The highest score of each case (N, S) of scores (N, K, S); NaN where a case has none."""
    highest = np.where(np.isnan(scores), -np.inf, scores).max(axis=1)
    return np.where(np.isnan(scores).all(axis=1), np.nan, highest)


def _notice(name: str, count: int, bounds: np.ndarray, share: float, level: float) -> str:
    if not np.isposinf(bounds).any():
        return ""
    needed = subjects_needed(1 - share)
    if count < needed:
        few = counted(count, "subject")
        return f"{name}: {few} cannot promise {100 * level:g} %, {needed} are needed; its region is everywhere."
    return f"{name}: too many truths lie outside of the maps to promise {100 * level:g} %; its region is everywhere."
