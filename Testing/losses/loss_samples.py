"""For each loss by name: how it is built for a test, and inputs that suit it."""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.losses import LandmarkLoss, build_loss, loss_names

B, K = 2, 3
NAMES = loss_names()
POSITIONS = {"wing", "euclidean"}
ESTIMATES = {"euclidean_variance", "gaussian_nll", "star"}
LEARNT = {"gaussian_heatmap_l2", "generalised_normal_heatmap_l2"}

Inputs = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def build(name: str, reduction: str = "mean") -> LandmarkLoss:
    arguments = {"foreground": 10.0} if name == "adaptive_wing" else {}
    return build_loss(name, reduction=reduction, **arguments)


def inputs(name: str, dimension: int, dtype: torch.dtype = torch.float64, batch: int = B, seed: int = 11) -> Inputs:
    """Prediction and target of a loss, each as a tuple, always the same ones for a seed."""
    generator = torch.Generator().manual_seed(seed + dimension)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    space = (5, 4, 3)[-dimension:]
    positions, landmarks = 3 * noise(batch, K, dimension), 3 * noise(batch, K, dimension)
    roots = noise(batch, K, dimension, dimension).double()
    covariances = (roots @ roots.mT + torch.eye(dimension)).to(dtype)
    maps, goals = noise(batch, K, *space), noise(batch, K, *space).sigmoid()
    if name in POSITIONS:
        return (positions,), (landmarks,)
    if name in ESTIMATES:
        return (positions, covariances), (landmarks,)
    if name in LEARNT:
        return (maps,), (goals, covariances)
    if name == "jensen_shannon":
        return (positions, maps.flatten(2).softmax(-1).view_as(maps)), (landmarks, goals)
    return (maps,), (goals,)


def right(name: str, dimension: int, dtype: torch.dtype = torch.float64) -> Inputs:
    """Inputs where prediction and target are equal wherever they can be."""
    prediction, target = inputs(name, dimension, dtype)
    if name in ESTIMATES:
        return prediction, (prediction[0].clone(),)
    if name == "jensen_shannon":
        return prediction, tuple(part.clone() for part in prediction)
    return (target[0].clone(),), target


def leaves(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.detach().clone().requires_grad_() for part in tensors)
