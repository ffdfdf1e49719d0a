"""Ellipsoids: the spread that was predicted, scaled until it is honest, or believed as it is."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.regions.believed import BelievedMethod
from LandmarkDetectorLib.evaluation.regions.method import RegionMethod
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions
from LandmarkDetectorLib.evaluation.regions.region import EllipsoidRegion, ellipsoid_volume, mahalanobis
from LandmarkDetectorLib.evaluation.regions.registry import register_region_method


@register_region_method("ellipsoidal")
class EllipsoidalMethod(RegionMethod):
    """The Mahalanobis distance of the truth under the predicted covariance (Johnstone & Cox 2021, PMLR 152:72-90).

    Needs covariances.
    """

    def scores(self, predictions: Predictions, truths: np.ndarray) -> np.ndarray:
        """Distances (N, K, 1) in standard deviations."""
        difference = truths - predictions.positions
        known = np.isfinite(difference).all(-1)
        distance = mahalanobis(np.where(known[..., None], difference, 0), _covariances(self, predictions))
        return np.where(known, distance, np.nan)[..., None]

    def region(self, predictions: Predictions, case: int, landmark: int, bounds: np.ndarray) -> EllipsoidRegion | None:
        """The ellipsoid of one landmark."""
        if not predictions.found[case, landmark]:
            return None
        return EllipsoidRegion(
            predictions.labels[landmark],
            predictions.positions[case, landmark],
            predictions.spacing[case],
            predictions.unit,
            _covariances(self, predictions)[case, landmark],
            float(bounds[0]),
        )

    def volumes(self, predictions: Predictions, bounds: np.ndarray) -> np.ndarray:
        """Volumes (N, K)."""
        volumes = ellipsoid_volume(_covariances(self, predictions), bounds[:, 0])
        return np.where(predictions.found, volumes * predictions.spacing.prod(-1)[:, None], np.nan)


@register_region_method("normal")
class NormalMethod(BelievedMethod, EllipsoidalMethod):
    """The ellipsoid that would hold the truth if errors were normal with the predicted covariance: **not calibrated**.

    The radius is the root of the quantile of χ² with D degrees of freedom; jointly, each landmark gets its share of
    what may fail. Nothing is learnt from the truths, and nothing is promised: the yardstick for the others.
    """

    condition = "errors are normal with the covariances that were predicted"

    def bound(self, probability: float, dimension: int) -> float:
        """The root of the quantile of χ²."""
        return float(np.sqrt(2 * gammaincinv(dimension / 2, probability)))


def _covariances(method: RegionMethod, predictions: Predictions) -> np.ndarray:
    if predictions.covariances is None:
        raise LandmarkError(f"The region method {method.name!r} needs covariances; give them with the predictions.")
    return predictions.covariances
