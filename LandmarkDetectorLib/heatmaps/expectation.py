"""The spatial softmax read as a probability over voxels: its mean and its covariance.

Mean (soft-arg-max, DSNT): Nibali et al. 2018, arXiv:1801.07372. The expectation minimises the expected squared error
under the map, so it is the right reading of one mode and the wrong one of two: find the mode first, then take its
window.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Mass (N,), mean (N, D) in x, y[, z] voxel index and covariance (N, D, D) in voxel², in double precision."""

    mass: Tensor
    mean: Tensor
    covariance: Tensor


class Expectation(NamedTuple):
    """Mean (B, K, D) in x, y[, z] voxel index; covariance (B, K, D, D) in voxel²."""

    mean: Tensor
    covariance: Tensor


def spatial_softmax(logits: Tensor) -> Tensor:
    """Probabilities over the voxels of each map, (B, K, [Z, ]Y, X), computed in single precision or better."""
    flat = logits.flatten(2)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    return flat.softmax(-1).view(logits.shape)


def spatial_expectation(probability: Tensor) -> Expectation:
    """Mean and covariance of maps (B, K, [Z, ]Y, X) that are non-negative and sum to one."""
    moments = spatial_moments(probability.flatten(0, 1))
    mean, covariance = (m.to(probability).unflatten(0, probability.shape[:2]) for m in moments[1:])
    return Expectation(mean, covariance)


def spatial_moments(weights: Tensor) -> Moments:
    """The moments of weights (N, [Z, ]Y, X), in single precision or better; without mass the mean is zero.

    Works on sums along the axes, never on a grid of coordinates: voxels are added and, in 2D alone, multiplied once;
    what is small is then weighed in double precision (on MPS, which has none, in single), about the mean itself.
    """
    exact = torch.float32 if weights.device.type == "mps" else torch.float64
    dimension = weights.ndim - 1
    places = [torch.arange(n, dtype=exact, device=weights.device) for n in reversed(weights.shape[1:])]
    if dimension == 2:
        lines = [weights.sum(1).to(exact), weights.sum(2).to(exact)]
    else:  # each plane is the sum along one axis; array order is z, y, x
        plane = {(0, 1): weights.sum(1).to(exact), (0, 2): weights.sum(2).to(exact), (1, 2): weights.sum(3).to(exact)}
        lines = [plane[0, 1].sum(1), plane[0, 1].sum(2), plane[0, 2].sum(2)]
    mass = lines[0].sum(-1)
    share = 1 / torch.where(mass == 0, 1, mass)
    mean = torch.stack([line @ place for line, place in zip(lines, places, strict=True)], -1) * share[:, None]
    centred = [place - mean[:, i, None] for i, place in enumerate(places)]
    second = torch.diag_embed(torch.stack([(line * c**2).sum(-1) for line, c in zip(lines, centred, strict=True)], -1))
    for i, j in itertools.combinations(range(dimension), 2):
        if dimension == 2:
            tilted = (weights * centred[0].to(weights)[:, None]).sum(-1).to(exact)
        else:
            tilted = (plane[i, j] * centred[i][:, None]).sum(-1)
        entry = torch.zeros(dimension, dimension, dtype=exact, device=weights.device)
        entry[i, j] = entry[j, i] = 1
        second = second + (tilted * centred[j]).sum(-1)[:, None, None] * entry
    return Moments(mass, mean, second * share[:, None, None])
