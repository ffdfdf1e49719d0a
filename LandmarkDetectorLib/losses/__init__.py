"""What training minimises. Every loss takes a mask of the landmarks that count.

Two functions, and a family of modules with one interface, ``loss(prediction, target, valid, weights)``: see
``LandmarkLoss``. Recipes name them: ``build_loss("star", omega=1)``.
"""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.losses.central import CentralLoss
from LandmarkDetectorLib.losses.euclidean import EuclideanLoss, EuclideanVarianceLoss
from LandmarkDetectorLib.losses.gaussian_nll import GaussianNLLLoss
from LandmarkDetectorLib.losses.heatmap_regression import (
    HeatmapCrossEntropyLoss,
    HeatmapL1Loss,
    HeatmapL2Loss,
    HeatmapSmoothL1Loss,
)
from LandmarkDetectorLib.losses.jensen_shannon import JensenShannonLoss
from LandmarkDetectorLib.losses.learnt_spread import GaussianHeatmapLoss, GeneralisedNormalHeatmapLoss
from LandmarkDetectorLib.losses.loss import HeatmapLoss, LandmarkLoss
from LandmarkDetectorLib.losses.radial_distance import radial_distance
from LandmarkDetectorLib.losses.registry import build_loss, loss_names, register_loss
from LandmarkDetectorLib.losses.spatial_cross_entropy import SpatialCrossEntropyLoss, spatial_cross_entropy
from LandmarkDetectorLib.losses.stacked import StackedLoss
from LandmarkDetectorLib.losses.star import STARLoss
from LandmarkDetectorLib.losses.weighted_centre import ExponentialWeightedCentreLoss
from LandmarkDetectorLib.losses.wing import AdaptiveWingLoss, WingLoss

__all__ = [
    "AdaptiveWingLoss",
    "CentralLoss",
    "EuclideanLoss",
    "EuclideanVarianceLoss",
    "ExponentialWeightedCentreLoss",
    "GaussianHeatmapLoss",
    "GaussianNLLLoss",
    "GeneralisedNormalHeatmapLoss",
    "HeatmapCrossEntropyLoss",
    "HeatmapL1Loss",
    "HeatmapL2Loss",
    "HeatmapLoss",
    "HeatmapSmoothL1Loss",
    "JensenShannonLoss",
    "LandmarkLoss",
    "STARLoss",
    "SpatialCrossEntropyLoss",
    "StackedLoss",
    "WingLoss",
    "build_loss",
    "loss_names",
    "radial_distance",
    "register_loss",
    "spatial_cross_entropy",
]

import_parts(__name__, __path__)
