"""Sets of voxels: by their probability, by the mass above them, by their height beside the peak. Needs torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.regions.believed import BelievedMethod
from LandmarkDetectorLib.evaluation.regions.heatmap_method import HeatmapMethod
from LandmarkDetectorLib.evaluation.regions.registry import register_region_method


@register_region_method("contour-hugging")
class ContourHuggingMethod(HeatmapMethod):
    """The height of the map at the truth, as a part of its peak: the contour that hugs the heatmap, calibrated.

    Heatmaps trained on single voxels follow the edges of the anatomy, and so do their contours (McCouat & Voiculescu
    2022, doi:10.1109/CVPR52688.2022.02001, who calibrate by a temperature; here the contour's height is calibrated,
    and the promise is that of conformal prediction).
    """

    def field(self, mass: Tensor, centres: np.ndarray, spacing: np.ndarray) -> Tensor:
        """Minus the height, between -1 and 0."""
        return -mass / mass.flatten(1).amax(-1).view(-1, *[1] * (mass.ndim - 1))


@register_region_method("m-r2c2r")
class VoxelSetMethod(HeatmapMethod):
    """Multi-output regression to classification: each voxel is a class, and a prediction set of classes is a region.

    (Jonkers et al. 2025, arXiv:2503.14106.)

    Args:
        score: ``"aps"`` for adaptive prediction sets (Romano, Sesia & Candès 2020, arXiv:2006.02544): the mass of all
            voxels at least as probable as that of the truth; ``"probability"`` for the probability of its voxel.
        randomised: with ``"aps"``, takes a random part of the last voxel's mass, so that sets are not too large where
            few voxels hold the mass. The number is drawn from ``seed`` and the prediction: a case gets the same region
            whenever it is asked for.
        seed: of these numbers.
        activation: as for :class:`HeatmapMethod`.
    """

    def __init__(
        self, score: str = "aps", *, randomised: bool = False, seed: int = 0, activation: str = "relu"
    ) -> None:
        super().__init__(activation)
        if score not in ("aps", "probability"):
            raise LandmarkError(f"There is no score {score!r}; choose 'aps' or 'probability'.")
        if randomised and score != "aps":
            raise LandmarkError("Only the score 'aps' can be randomised; leave one of the two.")
        self.score, self.randomised, self.seed = score, randomised, seed

    def field(self, mass: Tensor, centres: np.ndarray, spacing: np.ndarray) -> Tensor:
        """The mass above each voxel and its own, or minus its own."""
        if self.score == "probability":
            return -mass
        above, own = cumulative_mass(mass)
        if not self.randomised:
            return above + own
        share = [np.random.default_rng([self.seed, *centre.view(np.uint32)]).random() for centre in centres]
        return above + own * torch.as_tensor(share).to(mass).view(-1, *[1] * (mass.ndim - 1))


@register_region_method("heatmap-mass")
class HeatmapMassMethod(BelievedMethod, VoxelSetMethod):
    """The fewest voxels that hold the level's part of the mass: the heatmap believed as it is, **not calibrated**.

    What the field calls contour hugging where nothing is calibrated. Nothing is promised; a yardstick.
    """

    condition = "the heatmaps are the distributions of the landmarks"

    def __init__(self, activation: str = "relu") -> None:
        super().__init__("aps", activation=activation)

    def bound(self, probability: float, dimension: int) -> float:
        """The probability itself."""
        return float(np.nextafter(probability, 0))  # a level that is reached needs no further voxel

    def field(self, mass: Tensor, centres: np.ndarray, spacing: np.ndarray) -> Tensor:
        """The mass above each voxel: the one that brings the mass to the level still belongs to the set."""
        return cumulative_mass(mass)[0]


def cumulative_mass(mass: Tensor) -> tuple[Tensor, Tensor]:
    """For every voxel of maps (K, [Z, ]Y, X): the mass of all more probable ones, and of all as probable as it."""
    flat = mass.flatten(1)
    # Voxels of one value are taken together: a set must not depend on the order in which a sort leaves them.
    values, order = flat.sort(dim=-1, descending=True)
    reached = values.cumsum(-1)
    first = torch.ones_like(values, dtype=torch.bool)
    first[:, 1:] = values[:, 1:] != values[:, :-1]
    before = torch.where(first, reached - values, 0).cummax(-1).values
    last = torch.ones_like(first)
    last[:, :-1] = first[:, 1:]
    # The end of a run, carried back to its beginning.
    after = torch.where(last, reached, torch.inf).flip(-1).cummin(-1).values.flip(-1)
    above = torch.empty_like(flat).scatter_(1, order, before)
    together = torch.empty_like(flat).scatter_(1, order, after - before)
    return above.view_as(mass), together.view_as(mass)
