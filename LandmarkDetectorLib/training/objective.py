"""What a stage is trained for: a loss on its maps, the distance of what is read from them, and presence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from LandmarkDetectorLib.bundles.pipeline import FrameStage, ImageStage, PatchStage, WholeStage
from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps, spatial_expectation, spatial_softmax
from LandmarkDetectorLib.losses import (
    GaussianHeatmapLoss,
    HeatmapLoss,
    SpatialCrossEntropyLoss,
    build_loss,
    radial_distance,
)
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training.adaptive import AdaptiveTargets, Gather
from LandmarkDetectorLib.training.recipe import LearntTargets, StageTraining, widths_cannot_be_learnt


class Parts(NamedTuple):
    """The terms of an objective before their weights, each a scalar."""

    maps: Tensor
    distance: Tensor
    presence: Tensor


class Objective(nn.Module):
    """The loss of a stage, and the error that its curve shows; with targets that adapt, their widths too.

    Args:
        training: names the loss and weighs its terms.
        stage: says how maps are read; a coarse one, or one without a decoder, by the mean of their softmax.
        landmarks: that the stage's network draws, auxiliary ones included; needed where targets adapt.
        dimension: 2 or 3; needed where targets adapt.

    Raises:
        RecipeError: the loss is not one on maps or not one number, or the distance of a softmax is asked for where
            there is none.
    """

    def __init__(
        self,
        training: StageTraining,
        stage: WholeStage | ImageStage | FrameStage | PatchStage,
        landmarks: int = 1,
        dimension: int = 2,
    ) -> None:
        super().__init__()
        self.settings = training
        self.decoder = None if isinstance(stage, WholeStage) else stage.decoder
        self.squash = not isinstance(stage, WholeStage) and stage.activation == "sigmoid"
        named = training.loss
        loss: nn.Module = SpatialCrossEntropyLoss() if named is None else build_loss(named.name, **named.arguments)
        refused = widths_cannot_be_learnt(stage, training)
        if refused:
            raise RecipeError(f"{refused[0].upper()}{refused[1:]}.")
        if not isinstance(loss, HeatmapLoss | SpatialCrossEntropyLoss):
            raise RecipeError(f"The loss {named.name if named else loss!r} is not one on heatmaps; choose another.")
        if loss.reduction == "none":
            raise RecipeError("A loss with reduction none is no one number to minimise; let it be mean or sum.")
        if training.distance and self.decoder is not None:
            raise RecipeError("distance needs maps that are densities; leave out the stage's decoder, or the distance.")
        self.adaptive: AdaptiveTargets | None = None
        if training.adaptive is not None:
            self.adaptive = AdaptiveTargets(training.adaptive, training.sigma, landmarks, dimension)
        if isinstance(training.adaptive, LearntTargets):
            loss = GaussianHeatmapLoss(training.adaptive.alpha)
        self.loss: Any = loss
        # A copy, because the loss itself is also looked at while batches are prepared.
        self.each: Any = copy(loss)
        self.each.reduction = "none"

    def forward(
        self,
        output: HeatmapOutput,
        landmarks: Tensor,
        known: Tensor,
        present: Tensor,
        weights: tuple[float, ...] = (1.0, 1.0, 1.0),
        which: Tensor | None = None,
        strides: Sequence[int] = (),
    ) -> tuple[Tensor, Parts]:
        """The loss, and its terms.

        Args:
            output: of the network.
            landmarks: (B, K, D) in x, y[, z] samples of the frame.
            known: (B, K) bool, whether somebody looked for it, so that its presence counts.
            present: (B, K) bool, whether it is there.
            weights: of the terms, where the batch is a piece of a larger one; see :meth:`weights`.
            which: (B,) the landmark of each row, where a row shows one only.
            strides: of the network's earlier heads; the sizes of their maps do not tell, for they are rounded up.
        """
        maps = self._of_maps(output.heatmaps, landmarks, known, present, which)
        if self.adaptive is not None and self.training:
            self._note(output.heatmaps, landmarks, present, which)
        for earlier, stride in zip(output.auxiliary, strides, strict=True):
            # Voxels of the smaller map are blocks of the larger: their borders meet, not their centres.
            here = (landmarks + 0.5) / stride - 0.5
            maps = maps + self.settings.supervision * self._of_maps(earlier, here, known, present, which)
        distance = maps.new_zeros(())
        if self.settings.distance:
            distance = radial_distance(self.read(output.heatmaps), landmarks, present)
        presence = F.binary_cross_entropy_with_logits(output.presence, present.float(), reduction="none")
        presence = (presence * known).sum() / known.sum().clamp_min(1)
        maps, distance, presence = (w * t for w, t in zip(weights, (maps, distance, presence), strict=True))
        total = maps + self.settings.distance * distance + self.settings.presence * presence
        return total, Parts(maps.detach(), distance.detach(), presence.detach())

    def weights(self, known: Tensor, present: Tensor, rows: range, pieces: int) -> tuple[float, ...]:
        """What the terms of some rows of a batch count, so that their mean over all pieces is the whole batch's.

        Each term is a mean over landmarks, and a piece with few of them must count less; ``known`` and ``present``
        (B, K) are of the whole batch.
        """
        counted = present if isinstance(self.loss, SpatialCrossEntropyLoss) else known | present
        piece = slice(rows.start, rows.stop)
        shares = [float(mask[piece].sum()) / max(1.0, float(mask.sum())) for mask in (counted, present, known)]
        if self.loss.reduction == "sum":
            shares[0] = 1.0
        return tuple(pieces * share for share in shares)

    def read(self, maps: Tensor) -> Tensor:
        """Positions (B, K, D) of maps (B, K, [Z, ]Y, X); NaN where a decoder finds nothing."""
        if self.decoder is not None:
            return decode(maps.sigmoid() if self.squash else maps, self.decoder).positions
        return spatial_expectation(spatial_softmax(maps)).mean

    @property
    def sigma(self) -> float | None:
        """The width of the targets as it is now, in samples; ``None`` where it is the recipe's."""
        return None if self.adaptive is None else self.adaptive.sigma

    def learnt(self) -> list[dict[str, Any]]:
        """What the optimiser moves beside the network: groups of parameters, ``times`` as fast as its own."""
        parameters = list(self.parameters())
        if not parameters or not isinstance(self.settings.adaptive, LearntTargets):
            return []
        # Decay would draw every width towards 1.
        return [{"params": parameters, "weight_decay": 0.0, "times": self.settings.adaptive.rate}]

    def after(self, step: int, gather: Gather) -> None:
        """After a step of the optimiser, in every process of a team: the targets may adapt."""
        if self.adaptive is not None:
            self.adaptive.after(step, gather)

    def agree(self, gather: Gather) -> None:
        """Before a checkpoint of the first process stands for those of all."""
        if self.adaptive is not None:
            self.adaptive.agree(gather)

    @torch.no_grad()
    def _note(self, maps: Tensor, landmarks: Tensor, present: Tensor, which: Tensor | None) -> None:
        """Tell AdaLoss what each landmark costs."""
        assert self.adaptive is not None
        if self.adaptive.schedule is None:
            return
        targets, _ = self.adaptive(landmarks, tuple(maps.shape[2:]), present, which)
        self.adaptive.note(self.each(maps.detach(), targets, present), present, which)

    def _of_maps(self, maps: Tensor, landmarks: Tensor, known: Tensor, present: Tensor, which: Tensor | None) -> Tensor:
        # The map of a landmark that is known to be absent shall be empty; of one that nobody looked for, nothing is
        # asked. The cross-entropy has nothing to say of an empty map and leaves it out.
        shape = tuple(maps.shape[2:])
        if self.adaptive is None:
            targets, _ = gaussian_heatmaps(landmarks, shape, self.settings.sigma, valid=present)
            return self.loss(maps, targets, known | present)
        targets, covariance = self.adaptive(landmarks, shape, present, which)
        if not isinstance(self.settings.adaptive, LearntTargets):
            return self.loss(maps, targets, known | present)
        # The loss is a mean over the map and the cost of a width is not: without this, it would count for more in a
        # larger map.
        loss = GaussianHeatmapLoss(self.settings.adaptive.alpha / math.prod(shape))
        return loss(maps, (targets, covariance), known | present)
