"""M-R2CCP: a heatmap as a density, and all places that are dense enough. Needs torch."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from LandmarkDetectorLib.evaluation.regions.heatmap_method import HeatmapMethod
from LandmarkDetectorLib.evaluation.regions.map_region import LevelSetRegion, interpolated
from LandmarkDetectorLib.evaluation.regions.registry import register_region_method


@register_region_method("m-r2ccp")
class DensityMethod(HeatmapMethod):
    """Multi-output regression as classification: the density at the truth, linear between voxels.

    The region is a highest density set, of any form and in any number of parts (Jonkers et al. 2025, arXiv:2503.14106,
    after Guha et al. 2024, arXiv:2404.08168).
    """

    kind = LevelSetRegion

    def field(self, mass: Tensor, centres: np.ndarray, spacing: np.ndarray) -> Tensor:
        """Minus the density, in parts of the mass per unit of area or volume."""
        return -mass / float(np.prod(spacing))

    def read(self, field: Tensor, positions: np.ndarray) -> np.ndarray:
        """Between voxels."""
        return interpolated(field, positions[:, None])[:, 0]
