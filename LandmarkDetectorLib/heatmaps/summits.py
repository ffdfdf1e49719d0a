"""The highest voxel of each map and the background it stands on: what every decoder starts from.

Voxels that are not finite count as not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.layout import coordinates_of

HALF_WIDTH = 1.1774100225154747
"""Distance in standard deviations at which a Gaussian has fallen to half: sqrt(2 ln 2)."""

SAMPLE = 1024
"""About as many voxels of a map tell its background."""


@dataclass(frozen=True, eq=False)
class Summits:
    """The highest voxel of each of N maps, and the background that it stands on.

    Args:
        at: (N, D) index x, y[, z] of the highest voxel; of equal voxels the first in the array.
        value: (N,) what stands there; NaN where a map has no finite voxel. It carries the gradient of the maps.
        base: (N,) level of the background: the median over a coarse grid of voxels.
        rises: (N,) bool, whether the value exceeds the base by more than rounding; False for a flat map and without a
            finite voxel.
        maps: (N, [Z, ]Y, X) of which they are.
        coarse: (N, S) the voxels that told the base; NaN for one that is not finite.
    """

    at: Tensor
    value: Tensor
    base: Tensor
    rises: Tensor
    maps: Tensor
    coarse: Tensor

    @cached_property
    @torch.no_grad()
    def noise(self) -> Tensor:
        """Standard deviation (N,) of the background, from the median absolute deviation over the coarse grid."""
        return 1.4826 * (self.coarse - self.base[:, None]).abs().nanmedian(-1).values

    @cached_property
    @torch.no_grad()
    def sigma(self) -> Tensor:
        """Standard deviation (N, D) in voxels of a Gaussian that falls to half where the map does, half or more.

        Along the axes through the summit.
        """
        return _sigma_along_axes(self.maps, self.at, (self.value + self.base) / 2)


def find_summits(maps: Tensor) -> Summits:
    """The summits of maps (N, [Z, ]Y, X), their values in single precision or better."""
    wide = torch.promote_types(maps.dtype, torch.float32)
    with torch.no_grad():
        at = _highest_voxel(maps)
        coarse = _coarse(maps, wide)
        base = coarse.nanmedian(-1).values
    place = (torch.arange(len(maps), device=maps.device), *reversed(at.unbind(-1)))
    value = maps[place].to(wide)
    value = torch.where(value.isfinite(), value, torch.nan)
    rises = value.detach() - base > 4 * torch.finfo(maps.dtype).eps * value.detach().abs()
    return Summits(at, value, base, rises, maps.detach(), coarse)


def _highest_voxel(maps: Tensor) -> Tensor:
    # The maximum of each row by a vectorised reduction, then of the rows: several times as quick as one arg-max.
    rows = maps.amax(-1).flatten(1)
    spoilt = ~(rows < torch.inf).all(-1)  # NaN and +inf come through a maximum, so that looking for them costs nothing
    if spoilt.any():
        maps = maps.clone()
        maps[spoilt] = torch.where(maps[spoilt].isfinite(), maps[spoilt], -torch.inf)
        rows = maps.amax(-1).flatten(1)
    row = rows.argmax(-1)
    column = maps.flatten(1, -2)[torch.arange(len(maps), device=maps.device), row].argmax(-1)
    return coordinates_of(row * maps.shape[-1] + column, maps.shape[1:])


def _coarse(maps: Tensor, wide: torch.dtype) -> Tensor:
    """Voxels (N, S) of a coarse grid."""
    dimension = maps.ndim - 1
    step = max(1, int((maps.shape[1:].numel() / SAMPLE) ** (1 / dimension)))
    every = (slice(None), *[slice(None, None, step)] * dimension)
    coarse = maps[every].flatten(1).to(wide)
    return torch.where(coarse.isfinite(), coarse, torch.nan)


def _sigma_along_axes(maps: Tensor, at: Tensor, half: Tensor) -> Tensor:
    widths = []
    for axis in range(at.shape[1]):
        size = maps.shape[maps.ndim - 1 - axis]
        steps = torch.arange(size, device=maps.device) - at[:, axis, None]  # (N, size) from the summit
        index = [at[:, a, None] for a in range(at.shape[1])]
        index[axis] = torch.arange(size, device=maps.device)[None]
        place = (torch.arange(len(maps), device=maps.device)[:, None], *reversed(index))
        line = maps[place]
        below = ~(line >= half[:, None])
        after = torch.where(below & (steps > 0), steps, size).amin(-1)
        before = torch.where(below & (steps < 0), -steps, size).amin(-1)
        first, second = torch.minimum(after, before), torch.maximum(after, before)
        # Where one side runs into the border, the other tells; where both do, the map is as wide as it can be.
        reach = torch.where(second < size, (first + second) / 2, first.to(half.dtype))
        widths.append(((reach - 0.5) / HALF_WIDTH).clamp(min=0.5))
    return torch.stack(widths, -1).to(half.dtype)
