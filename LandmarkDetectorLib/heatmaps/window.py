"""What a probability map says in a window around a place: how much of it lies there, where, and how spread.

The expectation of a whole map lies between its modes, where nothing is; within a window around one mode it is the best
single answer, and its covariance an honest start for the uncertainty.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class WindowMoments(NamedTuple):
    """``mass`` (B, K, P); ``mean`` (B, K, P, D) in x, y[, z] voxel index; ``covariance`` (B, K, P, D, D) in voxel²."""

    mass: Tensor
    mean: Tensor
    covariance: Tensor


def window_moments(maps: Tensor, centres: Tensor, radius: int, log_sum: Tensor | None = None) -> WindowMoments:
    """Moments of maps in cubic windows of 2·radius+1 voxels a side, in single precision or better.

    Args:
        maps: (B, K, [Z, ]Y, X) of non-negative values, or of logits when ``log_sum`` is given. Windows may reach
            beyond the border, where there is nothing.
        centres: (B, K, P, D) x, y[, z], rounded to the nearest voxel; NaN gives zero mass and NaN moments.
        radius: in voxels.
        log_sum: (B, K) log-sum-exp of each map: the values are then exp(maps - log_sum), computed in the windows alone.
    """
    shape = maps.shape[2:]
    d = len(shape)
    steps = torch.arange(-radius, radius + 1, device=maps.device)
    middle = centres.nan_to_num().round().long()
    flat = torch.zeros((*middle.shape[:-1], *[1] * d), dtype=torch.long, device=maps.device)
    inside = torch.isfinite(centres).all(-1).view(*middle.shape[:-1], *[1] * d)
    for axis in range(d):  # x, y[, z]; the window's own axes run [z, ]y, x
        view = [1] * d
        view[-1 - axis] = len(steps)
        index = middle[..., axis].view(*middle.shape[:-1], *[1] * d) + steps.view(view)
        inside = inside & (index >= 0) & (index < shape[-1 - axis])
        stride = 1
        for n in shape[d - axis :]:
            stride *= n
        flat = flat + index.clamp(0, shape[-1 - axis] - 1) * stride
    batch, count, peaks = middle.shape[:3]
    values = maps.flatten(2).gather(2, flat.view(batch, count, -1))
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if log_sum is not None:
        values = (values - log_sum[..., None]).exp()
    values = values.view(flat.shape) * inside
    mass = values.flatten(3).sum(-1)
    share = values.flatten(3) / mass.clamp_min(torch.finfo(mass.dtype).tiny)[..., None]
    grids = torch.meshgrid(*[steps.to(share.dtype)] * d, indexing="ij")
    offsets = torch.stack([g.flatten() for g in reversed(grids)], -1)
    with torch.autocast(maps.device.type, enabled=False):  # half precision would cost the fraction of the voxel
        mean = share @ offsets
        second = (share @ (offsets[:, :, None] * offsets[:, None]).flatten(1)).unflatten(-1, (d, d))
    covariance = second - mean[..., :, None] * mean[..., None, :]
    empty = (mass <= 0)[..., None]
    return WindowMoments(
        mass,
        torch.where(empty, torch.nan, mean + middle),
        torch.where(empty[..., None], torch.nan, covariance),
    )
