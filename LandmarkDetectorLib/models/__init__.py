"""Networks by name, and the shape prior that stands behind them."""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.models.network import HeatmapNetwork, HeatmapOutput
from LandmarkDetectorLib.models.registry import build_model, model_names, register_model
from LandmarkDetectorLib.models.robust_pose import RobustPose, find_pose
from LandmarkDetectorLib.models.shape_prior import ShapePrior, learn_shape_prior, mirror_matrix

__all__ = [
    "HeatmapNetwork",
    "HeatmapOutput",
    "RobustPose",
    "ShapePrior",
    "build_model",
    "find_pose",
    "learn_shape_prior",
    "mirror_matrix",
    "model_names",
    "register_model",
]

import_parts(__name__, __path__)
