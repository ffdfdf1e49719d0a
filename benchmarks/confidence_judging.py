"""How well signs tell wrong landmarks from right ones: fitted on one half of the subjects, judged on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from calibration import second_half
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from LandmarkDetectorLib.evaluation.confidence import found_first, roc_auc
from LandmarkDetectorLib.inference.calibrate import Detected, calibrate, model_of

TIMES = 2.0
"""Wrong is an error of more than so many times the median."""
IN_USE = ("own belief", "spread after the shape", "spread of all maps")
"""What the confidence of a calibrated bundle is made of."""


def in_use(detected: Detected) -> dict[str, np.ndarray]:
    """The signs that a calibration learns from, (N, K)."""
    confidence = np.clip(detected.confidence, 1e-4, 1 - 1e-4)
    shown = np.log(detected.shown / detected.units)[:, None]
    return {
        "own belief": -logit(confidence),
        "spread after the shape": np.log(detected.deviation / detected.units[:, None]),
        "spread of all maps": np.repeat(shown, len(detected.labels), 1),
    }


def fitted(signs: Sequence[np.ndarray], wrong: np.ndarray, known: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Scores (N, K) of a ridge logistic model of standardised signs, with an offset for each landmark."""
    features = np.stack(signs, -1)
    usable = known & np.isfinite(features).all(-1)
    train = usable & ~test[:, None]
    features = (features - features[train].mean(0)) / (features[train].std(0) + 1e-9)
    # What is missing counts as three standard deviations towards wrong: it was not seen.
    features = np.where(np.isfinite(features), features, 3.0)
    count = wrong.shape[1]
    offsets = np.broadcast_to(np.eye(count), (*wrong.shape, count))
    design = np.concatenate([np.ones((*wrong.shape, 1)), features, offsets], -1)
    rows, target = design[train], wrong[train].astype(float)
    price = np.ones(design.shape[-1])
    price[0] = 1e-6

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = rows @ theta
        value = -(target * log_expit(score) + (1 - target) * log_expit(-score)).sum() + (price * theta**2).sum() / 2
        return float(value), rows.T @ (expit(score) - target) + price * theta

    return design @ minimize(cost, np.zeros(design.shape[-1]), jac=True, method="L-BFGS-B").x


class Judge:
    """Judges scores (N, K) by errors in view units."""

    def __init__(self, detected: Detected, splits: int) -> None:
        self.errors = detected.errors / detected.units[:, None]
        self.known = np.isfinite(self.errors)
        self.typical = float(np.median(self.errors[self.known]))
        self.wrong = self.known & (self.errors > TIMES * self.typical)
        self.subjects = np.array(detected.subjects)
        self.test = second_half(detected.subjects)
        names = np.unique(self.subjects)
        self.halves = []
        for number in range(splits):
            first = np.random.default_rng(number).permutation(names)[: (len(names) + 1) // 2]
            self.halves.append(~np.isin(self.subjects, first))

    def auc(self, score: np.ndarray, rows: np.ndarray) -> float:
        """Of the cases ``rows``, a mask or numbers, as often as they are named."""
        known = self.known[rows]
        return roc_auc(score[rows][known], self.wrong[rows][known])

    def figures(self, of: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        """AUC with its interval and rows to look at first, of scores that ``of(test)`` fits on what is not ``test``."""
        score = of(self.test)
        rows = np.where(self.test[:, None] & self.known, score, np.nan)
        over = np.array([self.auc(of(half), half) for half in self.halves])
        return {
            "AUC": self.auc(score, self.test),
            "interval": self.interval(score),
            "first 20 %": found_first(rows, self.errors, times=TIMES),
            "over halves": {"mean": float(np.nanmean(over)), "sd": float(np.nanstd(over, ddof=1))},
        }

    def interval(self, score: np.ndarray, draws: int = 1000) -> list[float]:
        """95 % of the AUC on the judged half when its subjects are drawn anew."""
        rng, subjects = np.random.default_rng(0), np.unique(self.subjects[self.test])
        rows = {one: np.flatnonzero(self.subjects == one) for one in subjects}
        drawn = [np.concatenate([rows[one] for one in rng.choice(subjects, len(subjects))]) for _ in range(draws)]
        return np.nanpercentile([self.auc(score, one) for one in drawn], [2.5, 97.5]).tolist()


def report(detected: Detected, signs: Mapping[str, np.ndarray], tolerance: float, splits: int) -> dict[str, Any]:
    """All figures."""
    judge = Judge(detected, splits)
    lengths = (tolerance * detected.units)[:, None]

    def now(test: np.ndarray) -> np.ndarray:
        settings = calibrate(detected.cases(~test), tolerance, "what does not judge").sheet.confidence
        if settings is None:
            return 1 - detected.confidence
        told = (detected.confidence, detected.deviation, lengths, detected.shown[:, None])
        return 1 - model_of(settings)(detected.labels, *told)

    used = in_use(detected)
    base = [used[name] for name in IN_USE]
    every = {**used, **signs}
    models = {"in use, refitted to this": base}
    models |= {f"with {name}": [*base, values] for name, values in signs.items()}
    models["with all of them"] = [*base, *signs.values()]
    known, wrong = judge.known, judge.wrong
    right = known & ~wrong
    steps = ((2, 2.5), (2.5, 3), (3, 4), (4, np.inf))
    beyond = {}
    for low, high in steps:
        rows = wrong & (judge.errors > low * judge.typical) & (judge.errors <= high * judge.typical)
        either = rows | right
        auc = roc_auc(used["spread of all maps"][either], rows[either])
        beyond[f"{low:g} to {high:g} times the median"] = {"landmarks": int(rows.sum()), "AUC": auc}
    return {
        "cases": len(detected.subjects),
        "subjects": len(set(detected.subjects)),
        "judged cases": int(judge.test.sum()),
        "landmarks": int(known.sum()),
        "median error": judge.typical,
        "wrong": int(wrong.sum()),
        "calibrated confidence, as the bundle states it": judge.figures(now),
        "alone, all cases": {
            name: {"AUC": roc_auc(values[known & np.isfinite(values)], wrong[known & np.isfinite(values)])}
            for name, values in every.items()
        },
        "logistic models": {
            name: judge.figures(lambda test, given=given: fitted(given, wrong, known, test))
            for name, given in models.items()
        },
        "spread of all maps alone, by how large an error is": beyond,
    }
