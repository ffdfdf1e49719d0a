"""What every loss does alike: which landmarks count, how much each counts, and what becomes of the values.

A family only says what one landmark costs; the mask, the weights and the reduction are here, once. What is not valid
is taken out before anything is computed, in the prediction as in the target, so that a NaN in it reaches neither the
value nor the gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

Reduction = Literal["mean", "sum", "none"]
Space = Literal["mean", "sum", "mass"]
Tensors: TypeAlias = tuple[Tensor, ...]


class LandmarkLoss(nn.Module, ABC):
    """A loss over landmarks.

    Args:
        reduction: "none" gives (B, K), a value for each landmark and 0 where it is not valid; "sum" their sum; "mean"
            their sum divided by the number of valid landmarks, and 0 with a gradient of zeros when none is valid.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise ValueError(f"the reduction is {reduction!r}; choose one of {', '.join(get_args(Reduction))}")
        self.reduction = reduction

    def forward(
        self,
        prediction: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        valid: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The loss, in float32 for half precision and in the inputs' precision otherwise.

        Args:
            prediction: what the family says: a tensor (B, K, ...), or several.
            target: what the family says; anything, NaN included, is allowed where not valid. A NaN in a valid landmark
                is a fault of the data and stays one: the loss is NaN.
            valid: (B, K) bool, False for an absent or unlabelled landmark; None if all count.
            weights: (K,), what each landmark's value is multiplied by; the divisor of "mean" does not change, so
                weights with a mean of one keep the scale.

        Returns:
            (B, K) for "none", a scalar otherwise.

        Raises:
            ValueError: the shapes do not fit each other.
        """
        predictions, targets = _several(prediction), _several(target)
        self.check(predictions, targets)
        batch, count = predictions[0].shape[:2]
        if weights is not None and weights.shape != (count,):
            raise ValueError(
                f"the weights have the shape {tuple(weights.shape)}; give one for each landmark, ({count},)"
            )
        if valid is None:
            valid = torch.ones(batch, count, dtype=torch.bool, device=predictions[0].device)
        else:
            if valid.shape != (batch, count) or valid.dtype != torch.bool:
                raise ValueError(f"valid is {valid.dtype} {tuple(valid.shape)}; give booleans ({batch}, {count})")
            predictions, targets = self.hide(predictions, targets, valid)
        # Sums over a map of a million voxels, logarithms and inverses have no place in half precision.
        with torch.autocast(predictions[0].device.type, enabled=False):
            values = self.per_landmark(tuple(map(_wide, predictions)), tuple(map(_wide, targets)))
            counted = self.countable(targets)
            valid = valid if counted is None else valid & counted
            values = torch.where(valid, values, torch.zeros_like(values))
            if weights is not None:
                values = values * weights.to(values)
            if self.reduction == "none":
                return values
            return values.sum() if self.reduction == "sum" else values.sum() / valid.sum().clamp_min(1)

    @abstractmethod
    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each landmark costs, (B, K); called with float32 or float64, with the invalid landmarks neutral."""

    def check(self, prediction: Tensors, target: Tensors) -> None:
        """Whether the shapes fit: here, one tensor each, of one shape.

        Raises:
            ValueError: they do not.
        """
        if len(prediction) != 1 or len(target) != 1:
            raise ValueError(f"{type(self).__name__} takes one tensor as prediction and one as target")
        same_shape(prediction[0], target[0])

    def hide(self, prediction: Tensors, target: Tensors, valid: Tensor) -> tuple[Tensors, Tensors]:
        """The same tensors with something harmless in the place of what is not valid."""
        return tuple(hidden(part, valid) for part in prediction), tuple(hidden(part, valid) for part in target)

    def countable(self, target: Tensors) -> Tensor | None:
        """(B, K) bool: landmarks that the target itself leaves out, as False; None if it leaves out none."""
        return None


class HeatmapLoss(LandmarkLoss):
    """A loss that is a value for each voxel: prediction and target are maps (B, K, [Z, ]Y, X).

    Args:
        space: what becomes of a map's values: their "mean", their "sum", or the sum divided by the target's "mass",
            its sum (an empty target divides by one).
        reduction: over landmarks, see ``LandmarkLoss``.

    Attributes:
        logits: whether the prediction is logits; otherwise it is maps as high as the target.
    """

    logits = False

    def __init__(self, space: Space = "mean", reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if space not in get_args(Space):
            raise ValueError(f"the space is {space!r}; choose one of {', '.join(get_args(Space))}")
        self.space = space

    @abstractmethod
    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs, in the shape of the maps."""

    def check(self, prediction: Tensors, target: Tensors) -> None:
        """See ``LandmarkLoss``; maps have two or three axes of space."""
        super().check(prediction, target)
        if prediction[0].ndim not in (4, 5):
            raise ValueError(f"the maps have the shape {tuple(prediction[0].shape)}; give (B, K, [Z, ]Y, X)")

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each map costs, (B, K)."""
        values = self.per_voxel(prediction[0], target[0]).flatten(2)
        if self.space == "mean":
            return values.mean(-1)
        if self.space == "sum":
            return values.sum(-1)
        mass = target[0].flatten(2).sum(-1)
        return values.sum(-1) / torch.where(mass > 0, mass, torch.ones_like(mass))


def same_shape(prediction: Tensor, target: Tensor) -> None:
    """Raises ValueError if a prediction and its target differ in shape, or are less than (B, K, something)."""
    if prediction.shape != target.shape or prediction.ndim < 3:
        raise ValueError(
            f"the prediction has the shape {tuple(prediction.shape)} and the target {tuple(target.shape)}; "
            "give (B, K, ...), the same for both"
        )


def hidden(tensor: Tensor, valid: Tensor, matrices: bool = False) -> Tensor:
    """(B, K, ...) with zeros where not valid, or unit matrices: their gradient is exactly zero there, never NaN."""
    mask = valid.reshape(valid.shape + (1,) * (tensor.ndim - 2))
    neutral = torch.zeros((), dtype=tensor.dtype, device=tensor.device)
    if matrices:
        neutral = torch.eye(tensor.shape[-1], dtype=tensor.dtype, device=tensor.device)
    return torch.where(mask, tensor, neutral)


def _several(tensors: Tensor | Sequence[Tensor]) -> Tensors:
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
