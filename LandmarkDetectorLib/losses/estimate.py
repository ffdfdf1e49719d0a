"""Losses of a position that comes with its covariance, as the expectation of a heatmap does."""

from __future__ import annotations

from torch import Tensor

from LandmarkDetectorLib.losses.loss import LandmarkLoss, Tensors, hidden, same_shape


class EstimateLoss(LandmarkLoss):
    """A loss whose prediction is (positions (B, K, D), covariances (B, K, D, D)) and whose target is (B, K, D).

    All in one unit (voxels or mm) and its square; D is 2 or 3.
    """

    def check(self, prediction: Tensors, target: Tensors) -> None:
        """See ``LandmarkLoss``."""
        if len(prediction) != 2 or len(target) != 1:
            raise ValueError(f"{type(self).__name__} takes (positions, covariances) and positions")
        positions, covariances = prediction
        same_shape(positions, target[0])
        if covariances.shape != positions.shape + positions.shape[-1:]:
            raise ValueError(
                f"the covariances have the shape {tuple(covariances.shape)}; "
                f"give {tuple(positions.shape + positions.shape[-1:])}"
            )

    def hide(self, prediction: Tensors, target: Tensors, valid: Tensor) -> tuple[Tensors, Tensors]:
        """Zeros for positions, unit covariances."""
        positions, covariances = prediction
        return (hidden(positions, valid), hidden(covariances, valid, matrices=True)), (hidden(target[0], valid),)
