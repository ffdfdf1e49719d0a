"""What a stage is trained for: a loss on its maps, the distance of what is read from them, and presence."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from LandmarkDetectorLib.bundles.pipeline import FrameStage, ImageStage, PatchStage, WholeStage
from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps, spatial_expectation, spatial_softmax
from LandmarkDetectorLib.losses import HeatmapLoss, SpatialCrossEntropyLoss, build_loss, radial_distance
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training.recipe import StageTraining


class Parts(NamedTuple):
    """The terms of an objective before their weights, each a scalar."""

    maps: Tensor
    distance: Tensor
    presence: Tensor


class Objective:
    """The loss of a stage, and the error that its curve shows.

    Args:
        training: names the loss and weighs its terms.
        stage: says how maps are read; a coarse one, or one without a decoder, by the mean of their softmax.

    Raises:
        RecipeError: the loss is not one on maps, or the distance of a softmax is asked for where there is none.
    """

    def __init__(self, training: StageTraining, stage: WholeStage | ImageStage | FrameStage | PatchStage) -> None:
        self.training = training
        self.decoder = None if isinstance(stage, WholeStage) else stage.decoder
        self.squash = not isinstance(stage, WholeStage) and stage.activation == "sigmoid"
        named = training.loss
        loss = SpatialCrossEntropyLoss() if named is None else build_loss(named.name, **named.arguments)
        if not isinstance(loss, HeatmapLoss | SpatialCrossEntropyLoss):
            raise RecipeError(f"The loss {named.name if named else loss!r} is not one on heatmaps; choose another.")
        if training.distance and self.decoder is not None:
            raise RecipeError("distance needs maps that are densities; leave out the stage's decoder, or the distance.")
        self.loss = loss

    def __call__(
        self,
        output: HeatmapOutput,
        landmarks: Tensor,
        known: Tensor,
        present: Tensor,
        weights: tuple[float, ...] = (1.0, 1.0, 1.0),
    ) -> tuple[Tensor, Parts]:
        """The loss, and its terms.

        Args:
            output: of the network.
            landmarks: (B, K, D) in x, y[, z] samples of the frame.
            known: (B, K) bool, whether somebody looked for it, so that its presence counts.
            present: (B, K) bool, whether it is there.
            weights: of the terms, where the batch is a piece of a larger one; see :meth:`weights`.
        """
        maps = self._of_maps(output.heatmaps, landmarks, known, present)
        for earlier in output.auxiliary:
            size = output.heatmaps.shape[:1:-1]
            scale = landmarks.new_tensor([small / full for small, full in zip(earlier.shape[:1:-1], size, strict=True)])
            # Voxels of the smaller map are blocks of the larger: their borders meet, not their centres.
            here = (landmarks + 0.5) * scale - 0.5
            maps = maps + self.training.supervision * self._of_maps(earlier, here, known, present)
        distance = maps.new_zeros(())
        if self.training.distance:
            distance = radial_distance(self.read(output.heatmaps), landmarks, present)
        presence = F.binary_cross_entropy_with_logits(output.presence, present.float(), reduction="none")
        presence = (presence * known).sum() / known.sum().clamp_min(1)
        maps, distance, presence = (w * t for w, t in zip(weights, (maps, distance, presence), strict=True))
        total = maps + self.training.distance * distance + self.training.presence * presence
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

    def _of_maps(self, maps: Tensor, landmarks: Tensor, known: Tensor, present: Tensor) -> Tensor:
        # The map of a landmark that is known to be absent shall be empty; of one that nobody looked for, nothing is
        # asked. The cross-entropy has nothing to say of an empty map and leaves it out.
        targets, _ = gaussian_heatmaps(landmarks, tuple(maps.shape[2:]), self.training.sigma, valid=present)
        return self.loss(maps, targets, known | present)
