"""The spatial softmax read as a probability over voxels: its mean and its covariance.

Mean (soft-arg-max, DSNT): Nibali et al. 2018, arXiv:1801.07372. The expectation minimises the expected squared error
under
the map, so it is the right reading of one mode and the wrong one of two: find the mode first, then take its window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
    """Mean and covariance of maps (B, K, [Z, ]Y, X) that are non-negative and sum to one.

    Works on the marginals, never on a grid of coordinates: memory stays at that of the maps.
    """
    dimension = probability.ndim - 2
    axes = [
        torch.arange(n, dtype=probability.dtype, device=probability.device) for n in reversed(probability.shape[2:])
    ]
    spatial = list(range(2, probability.ndim))[::-1]  # array axis of x, y[, z]
    marginals = [probability.sum([a for a in spatial if a != axis]) for axis in spatial]
    mean = torch.stack([(m * c).sum(-1) for m, c in zip(marginals, axes, strict=True)], -1)
    centred = [c - mean[..., i, None] for i, c in enumerate(axes)]
    rows = []
    for i in range(dimension):
        for j in range(dimension):
            if i == j:
                rows.append((marginals[i] * centred[i] ** 2).sum(-1))
            elif j < i:
                rows.append(rows[j * dimension + i])
            else:  # array order is z, y, x: axis j stands before axis i in the joint marginal
                joint = (
                    probability.sum([a for a in spatial if a not in (spatial[i], spatial[j])])
                    if dimension > 2
                    else probability
                )
                rows.append(torch.einsum("bkji,bki,bkj->bk", joint, centred[i], centred[j]))
    covariance = torch.stack(rows, -1).unflatten(-1, (dimension, dimension))
    return Expectation(mean, covariance)
