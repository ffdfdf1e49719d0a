"""Calibrate a bundle: what its confidences and covariances are worth, by detections on cases that did not train."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles.calibration import CalibrationSheet, ConfidenceSettings, RegionSettings
from LandmarkDetectorLib.core import DatasetError, LandmarkSet
from LandmarkDetectorLib.evaluation.confidence import (
    ConfidenceModel,
    Reliability,
    fit_confidence,
    found_first,
    reliability,
    roc_auc,
)
from LandmarkDetectorLib.evaluation.regions import (
    Predictions,
    build_region_method,
    left_out_quantile,
    positions_of,
    subjects_needed,
)

LEVEL = 0.9
EACH_BY_ITSELF = 30
"""From so many subjects on every landmark has a radius of its own; below, one for all."""
MAP_SPREAD = "map_spread"
"""Where the mean deviation of an image's maps stands in a detection's ``info``: in its unit, the shape of mean size."""
GROSS = 3.0
"""Times the median error: what nobody would let pass."""
LEAST = 4
"""Subjects below which no confidence is calibrated."""
KNOWN = 40
"""Landmarks below which none is: the quarter with the largest errors teaches, and ten a variable are needed (Peduzzi et
al. 1996, J Clin Epidemiol 49:1373-9), of which one matters mostly."""


@dataclass(frozen=True, eq=False)
class Detected:
    """Detections of N cases beside what is true, as arrays.

    Args:
        labels: the K landmarks.
        positions: (N, K, D), NaN where not found.
        covariances: (N, K, D, D).
        confidence: (N, K) the detector's own belief, NaN where not found.
        shown: (N,) mean deviation of each image's maps, NaN where not known.
        truths: (N, K, D), NaN where nobody annotated.
        units: (N,) world units of a view unit.
        subjects: to whom each case belongs; families where there are any.
        unit: of lengths.
    """

    labels: tuple[str, ...]
    positions: np.ndarray
    covariances: np.ndarray
    confidence: np.ndarray
    shown: np.ndarray
    truths: np.ndarray
    units: np.ndarray
    subjects: tuple[str, ...]
    unit: str

    @classmethod
    def of(
        cls,
        found: Sequence[LandmarkSet],
        truths: Sequence[LandmarkSet],
        units: Sequence[float],
        subjects: Sequence[str],
        labels: Sequence[str],
    ) -> Detected:
        """Of sets of landmarks; those found must be of a detector that is not calibrated.

        Raises:
            DatasetError: there are none.
        """
        if not found:
            raise DatasetError("There is no case to calibrate by; give some that did not train.")
        true = positions_of(truths, labels)
        d = true.shape[-1]
        nothing = np.full((d, d), np.nan)
        rows = [list(one.reordered(labels)) for one in found]
        return cls(
            tuple(labels),
            np.array([[np.full(d, np.nan) if m.position is None else m.position for m in row] for row in rows]),
            np.array([[nothing if m.covariance is None else m.covariance for m in row] for row in rows]),
            np.array([[np.nan if m.confidence is None else m.confidence for m in row] for row in rows]),
            np.array([float(one.info.get(MAP_SPREAD, np.nan)) for one in found]),
            true,
            np.asarray(units, dtype=float),
            tuple(subjects),
            found[0].unit,
        )

    @property
    def errors(self) -> np.ndarray:
        """(N, K) distances, NaN where not found or not annotated."""
        return np.linalg.norm(self.positions - self.truths, axis=-1)

    @property
    def deviation(self) -> np.ndarray:
        """(N, K) root of the mean variance over the axes."""
        return np.sqrt(np.trace(self.covariances, axis1=-2, axis2=-1) / self.positions.shape[-1])

    @property
    def predictions(self) -> Predictions:
        """As regions are made from."""
        return Predictions(self.positions, self.labels, self.covariances, unit=self.unit)

    def cases(self, which: np.ndarray) -> Detected:
        """The cases of this mask (N,)."""
        subjects = tuple(one for one, yes in zip(self.subjects, which, strict=True) if yes)
        return Detected(
            self.labels,
            self.positions[which],
            self.covariances[which],
            self.confidence[which],
            self.shown[which],
            self.truths[which],
            self.units[which],
            subjects,
            self.unit,
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """A sheet for the bundle, and the diagrams of its confidences on cases that did not calibrate them."""

    sheet: CalibrationSheet
    before: Reliability | None = None
    after: Reliability | None = None


def calibrate(
    detected: Detected,
    tolerance: float,
    protocol: str,
    *,
    level: float = LEVEL,
    test: np.ndarray | None = None,
) -> Calibration:
    """Calibrate confidences and regions.

    Args:
        detected: detections on cases that did not train.
        tolerance: within which a landmark counts as right, in view units.
        protocol: which cases these are, in words.
        level: of the regions.
        test: (N,) bool, cases that are only judged. By default all calibrate, and what is measured is by halves: each
            half of the subjects judged by a calibration on the other; where a half is too few for regions, each
            subject by a calibration on all others.
    """
    fitting = detected if test is None else detected.cases(~test)
    subjects = len(set(fitting.subjects))
    notices = []
    confidence, regions = None, None
    few = _too_few(fitting)
    if few:
        notices.append(f"{few} to calibrate confidences; they are the model's own belief.")
    else:
        confidence = _confidence(fitting, tolerance)
    if np.isfinite(fitting.errors).any():
        regions, told = _regions(fitting, level)
        notices += told
    parts = [test] if test is not None else _judged_in_turn(detected.subjects, level)
    before, after, measured = _measured(detected, tolerance, level, parts)
    sheet = CalibrationSheet(
        protocol=protocol,
        cases=len(fitting.subjects),
        subjects=subjects,
        confidence=confidence,
        regions=regions,
        measured=measured,
        notices=notices,
    )
    return Calibration(sheet, before, after)


def model_of(settings: ConfidenceSettings) -> ConfidenceModel:
    """The model that a sheet describes."""
    return ConfidenceModel(settings.intercept, settings.spread, settings.belief, settings.image, settings.offsets)


def _too_few(detected: Detected) -> str:
    """What is too little to calibrate confidences by, the beginning of a sentence; empty where there is enough."""
    subjects = len(set(detected.subjects))
    if subjects < LEAST:
        return f"{subjects} subjects are too few"
    known = int(np.isfinite(detected.errors).sum())
    return f"{known} landmarks are too few" if known < KNOWN else ""


def _confidence(detected: Detected, tolerance: float) -> ConfidenceSettings:
    lengths = (tolerance * detected.units)[:, None]
    model = fit_confidence(
        detected.labels, detected.confidence, detected.deviation, detected.errors, lengths, detected.shown[:, None]
    )
    return ConfidenceSettings(
        tolerance=tolerance,
        intercept=model.intercept,
        spread=model.spread,
        belief=model.belief,
        image=model.image,
        offsets=dict(model.offsets),
    )


def _regions(detected: Detected, level: float) -> tuple[RegionSettings, list[str]]:
    """The radii; every landmark its own where there are subjects enough, else one for all, else none.

    One for all is what is to be expected of subjects like these: among so few, what is promised of any other is nearly
    the worst that any of them showed.
    """
    subjects = len(set(detected.subjects))
    pooled = subjects < EACH_BY_ITSELF
    method = build_region_method("ellipsoidal")
    owners = list(detected.subjects)
    calibrated = method.calibrate(detected.predictions, detected.truths, level, pooled=pooled, subjects=owners)
    bounds = calibrated.bounds[:, 0]
    if pooled and np.isfinite(bounds).all():
        scores = method.scores(detected.predictions, detected.truths)[..., 0]
        expected = left_out_quantile(scores.ravel(), level, np.repeat(owners, scores.shape[1]).tolist())
        bounds = np.minimum(bounds, expected)
    radii = {
        label: round(bound, 6) if np.isfinite(bound) and bound > 0 else None
        for label, bound in zip(detected.labels, bounds.tolist(), strict=True)
    }
    notices = list(dict.fromkeys(calibrated.notices)) if any(radius is None for radius in radii.values()) else []
    if subjects < subjects_needed(level) and not notices:
        notices = [f"{subjects} subjects are few for regions at {100 * level:g} %: their true coverage may differ."]
    return RegionSettings(level=level, pooled=pooled, radii=radii, subjects=subjects), notices


def _measured(
    detected: Detected, tolerance: float, level: float, parts: Sequence[np.ndarray]
) -> tuple[Reliability | None, Reliability | None, dict[str, float | None]]:
    """Each part (N,) judged by a calibration on all other cases; confidences that it leaves alone as they are.

    Where it states no region, none is judged.
    """
    errors, lengths = detected.errors, (tolerance * detected.units)[:, None]
    stated, held = np.full(errors.shape, np.nan), np.full(errors.shape, np.nan)
    for judged in parts:
        fitting, judging = detected.cases(~judged), detected.cases(judged)
        if not judged.any() or len(set(fitting.subjects)) < LEAST or not np.isfinite(fitting.errors).any():
            continue
        stated[judged] = judging.confidence
        if not _too_few(fitting):
            model = model_of(_confidence(fitting, tolerance))
            told = (judging.confidence, judging.deviation, lengths[judged], judging.shown[:, None])
            stated[judged] = model(detected.labels, *told)
        regions, _ = _regions(fitting, level)
        scores = build_region_method("ellipsoidal").scores(judging.predictions, judging.truths)[..., 0]
        # A region that is not stated, for the others are too few, has held nothing.
        radii = np.array([regions.radii[label] or np.nan for label in detected.labels])
        held[judged] = np.where(np.isnan(scores + radii), np.nan, scores <= radii)
    if not np.isfinite(stated).any():
        return None, None, {}
    judged_rows = np.isfinite(stated)
    before = reliability(np.where(judged_rows, detected.confidence, np.nan), errors, lengths)
    after = reliability(stated, errors, lengths)
    figures: dict[str, float | None] = {
        f"regions at {100 * level:g} %, held": float(np.nanmean(held)) if np.isfinite(held).any() else None,
        "confidence, off by, before": before.expected_error,
        "confidence, off by": after.expected_error,
        "confidence, Brier score, before": before.brier,
        "confidence, Brier score": after.brier,
        "confidence, area under the ROC curve": after.auc,
        f"the same for errors beyond {GROSS:g} times the median": _auc_of_gross(
            stated, errors / detected.units[:, None]
        ),
        "largest errors found in the first 20 % of rows": found_first(1 - stated, errors),
        "landmarks judged": float(np.isfinite(stated + errors).sum()),
        "landmarks beyond the tolerance": float(after.wrong),
    }
    return before, after, {key: _plain(value) for key, value in figures.items()}


def _auc_of_gross(stated: np.ndarray, errors: np.ndarray) -> float:
    known = np.isfinite(stated) & np.isfinite(errors)
    return roc_auc(-stated[known], errors[known] > GROSS * np.median(errors[known]))


def _judged_in_turn(subjects: Sequence[str], level: float) -> list[np.ndarray]:
    """The parts (N,) in which the cases are judged: halves of the subjects, or where these are few each by itself."""
    order = sorted(set(subjects), key=lambda one: hashlib.sha256(one.encode("utf-8")).hexdigest())
    middle = (len(order) + 1) // 2
    parts = [order[:middle], order[middle:]] if len(order) - middle >= subjects_needed(level) else [[s] for s in order]
    return [np.isin(subjects, part) for part in parts]


def _plain(value: Any) -> float | None:
    return round(float(value), 6) if value is not None and np.isfinite(value) else None
