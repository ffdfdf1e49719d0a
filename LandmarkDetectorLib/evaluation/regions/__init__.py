"""Regions that keep their promise: where a landmark is, with a probability that was measured and not assumed.

    predictions = Predictions.from_sets(found)
    method = build_region_method("ellipsoidal")
    calibrated = method.calibrate(predictions, positions_of(truths, predictions.labels), level=0.95)
    calibrated.region(Predictions.from_sets([new]), "nasion").volume()

Methods by name, :func:`region_method_names`. Those that cut regions out of heatmaps need torch.
"""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.evaluation.regions.box import BonferroniMethod, MaxNonconformityMethod
from LandmarkDetectorLib.evaluation.regions.coverage import (
    Coverage,
    CoverageReport,
    RegionSize,
    binomial_interval,
    coverage_report,
)
from LandmarkDetectorLib.evaluation.regions.density import DensityMethod
from LandmarkDetectorLib.evaluation.regions.ellipsoid import EllipsoidalMethod, NormalMethod
from LandmarkDetectorLib.evaluation.regions.map_region import LevelSetRegion, MapRegion, VoxelRegion
from LandmarkDetectorLib.evaluation.regions.method import Calibrated, RegionMethod
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions, positions_of
from LandmarkDetectorLib.evaluation.regions.quantile import conformal_quantile, left_out_quantile, subjects_needed
from LandmarkDetectorLib.evaluation.regions.region import BoxRegion, EllipsoidRegion, Region
from LandmarkDetectorLib.evaluation.regions.registry import (
    build_region_method,
    region_method_names,
    register_region_method,
)
from LandmarkDetectorLib.evaluation.regions.voxel_sets import ContourHuggingMethod, HeatmapMassMethod, VoxelSetMethod

__all__ = [
    "BonferroniMethod",
    "BoxRegion",
    "Calibrated",
    "ContourHuggingMethod",
    "Coverage",
    "CoverageReport",
    "DensityMethod",
    "EllipsoidRegion",
    "EllipsoidalMethod",
    "HeatmapMassMethod",
    "LevelSetRegion",
    "MapRegion",
    "MaxNonconformityMethod",
    "NormalMethod",
    "Predictions",
    "Region",
    "RegionMethod",
    "RegionSize",
    "VoxelRegion",
    "VoxelSetMethod",
    "binomial_interval",
    "build_region_method",
    "conformal_quantile",
    "coverage_report",
    "left_out_quantile",
    "positions_of",
    "region_method_names",
    "register_region_method",
    "subjects_needed",
]

import_parts(__name__, __path__)
