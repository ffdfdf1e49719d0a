"""Boxes along the axes: errors along each, in standard deviations where covariances are there and as they are else."""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.evaluation.regions.method import RegionMethod
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions
from LandmarkDetectorLib.evaluation.regions.region import BoxRegion
from LandmarkDetectorLib.evaluation.regions.registry import register_region_method


class BoxMethod(RegionMethod):
    """A box whose widths follow the standard deviations along the axes, or are the same for all cases without any."""

    def region(self, predictions: Predictions, case: int, landmark: int, bounds: np.ndarray) -> BoxRegion | None:
        """The box of one landmark."""
        if not predictions.found[case, landmark]:
            return None
        return BoxRegion(
            predictions.labels[landmark],
            predictions.positions[case, landmark],
            predictions.spacing[case],
            predictions.unit,
            bounds * deviations(predictions)[case, landmark],
        )

    def volumes(self, predictions: Predictions, bounds: np.ndarray) -> np.ndarray:
        """Volumes (N, K)."""
        widths = 2 * bounds * deviations(predictions) * predictions.spacing[:, None]
        everywhere = np.isinf(bounds).any(-1)
        volumes = np.where(everywhere, np.inf, np.where(np.isinf(widths), 0, widths).prod(-1))
        return np.where(predictions.found, volumes, np.nan)


@register_region_method("max-nonconformity")
class MaxNonconformityMethod(BoxMethod):
    """The largest error along any axis (Diquigiovanni, Fontana & Vantini 2022, doi:10.1016/j.jmva.2021.104879)."""

    def scores(self, predictions: Predictions, truths: np.ndarray) -> np.ndarray:
        """Errors (N, K, 1)."""
        return _errors(predictions, truths).max(-1, keepdims=True)


@register_region_method("bonferroni")
class BonferroniMethod(BoxMethod):
    """The error along each axis by itself, each with its share (1 - level)/D of what may fail."""

    def scores(self, predictions: Predictions, truths: np.ndarray) -> np.ndarray:
        """Errors (N, K, D)."""
        return _errors(predictions, truths)


def deviations(predictions: Predictions) -> np.ndarray:
    """Standard deviations (N, K, D) along the axes; 1 without covariances."""
    if predictions.covariances is None:
        return np.ones_like(predictions.positions)
    return np.sqrt(np.diagonal(predictions.covariances, axis1=-2, axis2=-1))


def _errors(predictions: Predictions, truths: np.ndarray) -> np.ndarray:
    errors = np.abs(truths - predictions.positions) / deviations(predictions)
    return np.where(np.isfinite(errors).all(-1, keepdims=True), errors, np.nan)
