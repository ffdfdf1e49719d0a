"""Wing losses: steep for small errors, so that the last voxel of precision is still worth something."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d

from LandmarkDetectorLib.losses.loss import HeatmapLoss, LandmarkLoss, Reduction, Space, Tensors
from LandmarkDetectorLib.losses.registry import register_loss


@register_loss("wing")
class WingLoss(LandmarkLoss):
    """w ln(1 + |x| / ε) where |x| < w, |x| - C elsewhere, with C = w - w ln(1 + w / ε); summed over the axes.

    x is an error of one coordinate. Prediction and target are positions (B, K, D), the widths in their unit.
    Feng et al. 2018, arXiv:1711.06753.

    Args:
        width: w, up to where the loss is a logarithm.
        curvature: ε, how narrow the wing's bend is.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(self, width: float = 10.0, curvature: float = 2.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not (width > 0 and curvature > 0):
            raise ValueError(f"width and curvature are {width} and {curvature}; give positive numbers")
        self.width = width
        self.curvature = curvature

    def per_landmark(self, prediction: Tensors, target: Tensors) -> Tensor:
        """What each position costs, (B, K)."""
        error = (prediction[0] - target[0]).abs()
        offset = self.width - self.width * math.log1p(self.width / self.curvature)
        near = self.width * torch.log1p(error / self.curvature)
        return torch.where(error < self.width, near, error - offset).sum(-1)


@register_loss("adaptive_wing")
class AdaptiveWingLoss(HeatmapLoss):
    """ω ln(1 + |x / ε|^(α - y)) where |x| < θ, A |x| - C elsewhere, with x = y - p; A and C join the two smoothly.

    A = ω / (1 + (θ/ε)^(α-y)) · (α - y) (θ/ε)^(α-y-1) / ε and C = θ A - ω ln(1 + (θ/ε)^(α-y)). Maps in [0, 1], in two
    or three dimensions. Wang et al. 2019, arXiv:1904.07399.

    Args:
        omega: ω, the height of the loss.
        theta: θ, the error from which it is a line.
        epsilon: ε, how narrow its bend is.
        alpha: α > 2, so that the exponent stays above 1 and the gradient is finite at zero error.
        foreground: W of the paper's weighted map, by which voxels near the landmark count 1 + W times; 10 there.
        space: over voxels, see ``HeatmapLoss``.
        reduction: over landmarks, see ``LandmarkLoss``.
    """

    def __init__(
        self,
        omega: float = 14.0,
        theta: float = 0.5,
        epsilon: float = 1.0,
        alpha: float = 2.1,
        foreground: float = 0.0,
        space: Space = "mean",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(space, reduction)
        if not (omega > 0 and theta > 0 and epsilon > 0 and alpha > 2 and foreground >= 0):
            raise ValueError("omega, theta and epsilon must be positive, alpha above 2 and foreground not negative")
        self.omega, self.theta, self.epsilon, self.alpha, self.foreground = omega, theta, epsilon, alpha, foreground

    def per_voxel(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What each voxel costs."""
        error = (target - prediction).abs()
        exponent = self.alpha - target
        ratio = self.theta / self.epsilon
        bend = ratio**exponent
        slope = self.omega / (1 + bend) * exponent * ratio ** (exponent - 1) / self.epsilon
        offset = self.theta * slope - self.omega * torch.log1p(bend)
        # The branch that is not taken must stay finite too: its gradient of zero times infinity would be NaN.
        near = self.omega * torch.log1p((error.clamp_max(self.theta) / self.epsilon) ** exponent)
        values = torch.where(error < self.theta, near, slope * error - offset)
        return values * (1 + self.foreground * _near_landmark(target)) if self.foreground else values


def _near_landmark(target: Tensor) -> Tensor:
    """1 where the map, dilated by one voxel, reaches 0.2; 0 elsewhere."""
    pool = max_pool2d if target.ndim == 4 else max_pool3d
    return (pool(target.detach(), 3, stride=1, padding=1) >= 0.2).to(target)
