"""What the methods that cut regions out of heatmaps share: a map as a distribution over its voxels. Needs torch."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.regions.map_region import MapRegion, VoxelRegion, at_voxels, voxel_of
from LandmarkDetectorLib.evaluation.regions.method import RegionMethod
from LandmarkDetectorLib.evaluation.regions.predictions import Predictions

ACTIVATIONS = ("relu", "sigmoid", "softmax")


class HeatmapMethod(RegionMethod):
    """The score of a place is read from a field that is made of the landmark's heatmap.

    Positions and truths are voxel indices x, y[, z] of the maps. The voxel that holds the prediction is always in the
    region: it is the least strange one of all. A truth beside the map is infinitely strange.

    Args:
        activation: how values become mass: ``"relu"`` for heatmaps (below zero counts as zero), ``"sigmoid"`` and
            ``"softmax"`` for logits. Voxels that are not finite have no mass; a map without any has no region.
    """

    kind: ClassVar[type[MapRegion]] = VoxelRegion

    def __init__(self, activation: str = "relu") -> None:
        if activation not in ACTIVATIONS:
            raise LandmarkError(f"There is no activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}.")
        self.activation = activation

    @abstractmethod
    def field(self, mass: Tensor, centres: np.ndarray, spacing: np.ndarray) -> Tensor:
        """Strangeness of every place (K, [Z, ]Y, X).

        Args:
            mass: (K, [Z, ]Y, X) doubles, each map with the sum 1.
            centres: (K, D) the predictions.
            spacing: (D,) of the voxels.
        """

    def read(self, field: Tensor, positions: np.ndarray) -> np.ndarray:
        """The field (K, [Z, ]Y, X) at positions (K, D), (K,)."""
        return at_voxels(field, positions[:, None])[:, 0]

    def scores(self, predictions: Predictions, truths: np.ndarray) -> np.ndarray:
        """Strangeness (N, K, 1); case by case, so that memory holds the fields of one."""
        scores = np.full((*predictions.found.shape, 1), np.nan)
        known = predictions.found & np.isfinite(truths).all(-1)
        for case in range(len(predictions)):
            chosen = np.flatnonzero(known[case])
            if not len(chosen):
                continue
            mass, usable = self.mass(predictions, case, chosen)
            chosen, centres = chosen[usable], predictions.positions[case, chosen[usable]]
            if not len(chosen):
                continue
            places = truths[case, chosen]
            values = self.read(self.field(mass, centres, predictions.spacing[case]), places)
            own = (voxel_of(places) == voxel_of(centres)).all(-1)
            scores[case, chosen, 0] = np.where(own, -np.inf, values)
        return scores

    def region(self, predictions: Predictions, case: int, landmark: int, bounds: np.ndarray) -> MapRegion | None:
        """The region of one landmark."""
        if not predictions.found[case, landmark]:
            return None
        mass, usable = self.mass(predictions, case, np.array([landmark]))
        if not usable[0]:
            return None
        centre, spacing = predictions.positions[case, landmark], predictions.spacing[case]
        field = self.field(mass, centre[None], spacing)[0]
        return self.kind(predictions.labels[landmark], centre, spacing, predictions.unit, field, float(bounds[0]))

    def mass(self, predictions: Predictions, case: int, landmarks: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """The distributions of those of some landmarks (k,) that have any mass, and which of them do, (k,) bool.

        Raises:
            LandmarkError: there are no heatmaps, or they do not fit the positions.
        """
        if predictions.heatmaps is None:
            raise LandmarkError(f"The region method {self.name!r} needs heatmaps; give them with the predictions.")
        maps = predictions.heatmaps[case]
        if maps.ndim != predictions.dimension + 1 or len(maps) != len(predictions.labels):
            raise LandmarkError(
                f"Heatmaps of shape {tuple(maps.shape)} do not fit {len(predictions.labels)} landmarks in "
                f"{predictions.dimension} dimensions; give (landmarks, [Z, ]Y, X) for each case."
            )
        wide = torch.float32 if maps.device.type == "mps" else torch.float64  # MPS has no double precision
        maps = maps.detach()[torch.as_tensor(landmarks, device=maps.device)].to(wide)
        finite = maps.isfinite()
        if self.activation == "softmax":
            flat = maps.masked_fill(~finite, -torch.inf).flatten(1)
            weight = (flat - flat.amax(-1, keepdim=True)).exp().nan_to_num(0).view_as(maps)
        else:
            weight = maps.sigmoid() if self.activation == "sigmoid" else maps.clamp(min=0)
            weight = torch.where(finite, weight, 0)
        highest = weight.flatten(1).amax(-1)
        usable = highest > 0
        weight = weight[usable] / highest[usable].view(-1, *[1] * (maps.ndim - 1))
        total = weight.flatten(1).sum(-1).view(-1, *[1] * (maps.ndim - 1))
        return weight / total, usable.cpu().numpy()
