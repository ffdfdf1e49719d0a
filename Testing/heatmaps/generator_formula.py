"""The distributions as they are written in books, on a grid of coordinates, in double precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, LaplaceHeatmaps

SHAPES = {2: (23, 31), 3: (13, 18, 21)}
BOTH = (GaussianHeatmaps, LaplaceHeatmaps)
TURN = {2: 0.7, 3: (0.5, -0.3, 0.8)}


def quadratic_form(landmarks: Tensor, shape: tuple[int, ...], covariance: Tensor) -> Tensor:
    """Squared Mahalanobis distances (B, K, [Z, ]Y, X) of landmarks (B, K, D), covariance (K, D, D) or (B, K, D, D)."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")
    offsets = torch.stack(axes[::-1], -1) - landmarks.double().reshape(*landmarks.shape[:2], *[1] * len(shape), -1)
    precision = torch.linalg.inv(covariance.double()).expand(*landmarks.shape[:2], -1, -1)
    return torch.einsum("bk...i,bkij,bk...j->bk...", offsets, precision, offsets)


def formula(kind: type, landmarks: Tensor, shape: tuple[int, ...], covariance: Tensor) -> Tensor:
    """What a generator of this class must make, peak 1."""
    squared = quadratic_form(landmarks, shape, covariance)
    if kind is GaussianHeatmaps:
        return torch.exp(-squared / 2)
    return torch.exp(-((len(shape) + 1) * squared).clamp(min=0).sqrt())


def peak(kind: type, gamma: float, covariance: Tensor) -> Tensor:
    """How high the map of this mass is."""
    d = covariance.shape[-1]
    mass = (2 * math.pi) ** (d / 2) if kind is GaussianHeatmaps else {2: 2 * math.pi / 3, 3: math.pi}[d]
    return gamma / (mass * torch.linalg.det(covariance.double()).sqrt())


def somewhere(dimension: int, batch: int = 2, count: int = 3, seed: int = 0) -> Tensor:
    """Landmarks (batch, count, D) in double precision, in the view or a little outside."""
    size = torch.tensor(SHAPES[dimension][::-1], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, count, dimension, generator=generator, dtype=torch.float64) * (size + 4) - 2


def covariances(dimension: int, count: int = 3, seed: int = 0) -> Tensor:
    """Covariances (count, D, D) in double precision, eigenvalues above a half."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(count, dimension, dimension, generator=generator, dtype=torch.float64)
    return 1.5 * root @ root.mT + 0.5 * torch.eye(dimension, dtype=torch.float64)
