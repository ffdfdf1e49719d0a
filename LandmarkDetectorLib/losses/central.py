"""Central loss: cross-entropy weighted by how wrong a voxel is, so that neither background nor easy cases drown it.

Zhu et al. 2025 (CoorTransformer). The soft Gaussian label makes it aware of the position, |y - p|^γ of the sample. It
is the quality focal loss of Li et al. 2020, arXiv:2006.04388, with γ as its β.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from LandmarkDetectorLib.losses.loss import HeatmapLoss, Reduction, Space
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("central")
class CentralLoss(HeatmapLoss):
    """|y - σ(z)|^γ · (-y log σ(z) - (1 - y) log(1 - σ(z))), in nats, of logits z and soft labels y in [0, 1].

    Args:
        gamma: how much more a wrong voxel counts, in [1, 2]; below 1 the gradient is infinite at zero error.
        space: "mass" divides by the sum of the labels, "sum" leaves each landmark its sum; with ``reduction="sum"``
            the latter is the form that was published.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    logits = True

    def __init__(self, gamma: float = 1.0, space: Space = "sum", reduction: Reduction = "mean") -> None:
        super().__init__(space, reduction)
        if not 1 <= gamma <= 2:
            raise ValueError(f"gamma is {gamma}; give a number in [1, 2]")
        self.gamma = gamma

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        error = (target - prediction.sigmoid()).abs()
        return error**self.gamma * binary_cross_entropy_with_logits(prediction, target, reduction="none")
