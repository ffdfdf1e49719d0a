"""The highest separate peaks of each heatmap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.layout import check_heatmaps, coordinates_of


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of heatmaps, highest first.

    Args:
        positions: (B, K, count, D) index coordinates x, y[, z], whole numbers in single precision; NaN where a map has
            fewer peaks.
        values: (B, K, count) of the heatmaps' type; -inf where a map has fewer peaks.
    """

    positions: Tensor
    values: Tensor


def find_peaks(heatmaps: Tensor, count: int, radius: int = 1, threshold: float | None = None) -> Peaks:
    """Find the local maxima of each map by non-maximum suppression.

    A peak is a voxel, or a connected plateau of equal voxels, that nothing within ``radius`` voxels along each axis
    exceeds; what lies at a border counts with the neighbours that it has. A plateau, and equal peaks within ``radius``
    of each other, give one peak: the one that comes first in the array. A voxel at the map's minimum is never a peak,
    so a flat map has none. NaN counts as lower than everything.

    Args:
        heatmaps: (B, K, [Z, ]Y, X), floating point of any width.
        count: how many peaks to return per map.
        radius: voxels along each axis within which only the highest peak stays; at least 1.
        threshold: peaks below it are dropped.

    Returns:
        The peaks; ``values`` carries the gradient of ``heatmaps``.

    Raises:
        LandmarkDetectorError: heatmaps of another shape or type, a count or a radius below 1.
    """
    shape = check_heatmaps(heatmaps)
    if count < 1 or radius < 1:
        raise LandmarkDetectorError(
            f"Peaks cannot be found with count {count} and radius {radius}; give 1 or more for both."
        )
    batch, landmarks = heatmaps.shape[:2]
    flat = heatmaps.flatten(2)
    with torch.no_grad():
        maps = heatmaps.detach()
        maps = torch.where(maps.isnan(), -torch.inf, maps)
        is_peak = _first_of_each_peak(maps, radius)
        if threshold is not None:
            is_peak &= maps >= threshold
        row, place = is_peak.reshape(batch * landmarks, -1).nonzero(as_tuple=True)
        values = maps.reshape(batch * landmarks, -1)[row, place]
        # Two stable sorts: by value within the order of the array, then by map.
        order = values.sort(descending=True, stable=True).indices
        order = order[row[order].sort(stable=True).indices]
        row, place = row[order], place[order]
        first = torch.searchsorted(row, torch.arange(batch * landmarks, device=row.device))
        rank = torch.arange(len(row), device=row.device) - first[row]
        row, place, rank = row[rank < count], place[rank < count], rank[rank < count]
        chosen = torch.full((batch * landmarks, count), -1, dtype=torch.long, device=row.device)
        chosen[row, rank] = place
        chosen = chosen.reshape(batch, landmarks, count)
        positions = coordinates_of(chosen, shape).to(torch.float32)
        positions[chosen < 0] = torch.nan
    values = flat.gather(2, chosen.clamp(min=0)).masked_fill(chosen < 0, -torch.inf)
    return Peaks(positions, values)


def _first_of_each_peak(maps: Tensor, radius: int) -> Tensor:
    """Mask (B, K, [Z, ]Y, X) with the first voxel of every peak; ``maps`` holds no NaN."""
    dims = tuple(range(2, maps.ndim))
    floor = torch.where(maps.isinf(), torch.inf, maps).amin(dims, keepdim=True)
    is_peak = (maps == _window_max(maps, radius)) & (maps > floor) & (maps > -torch.inf)
    # A plateau with one voxel beside something higher is a shoulder, not a peak: the news spreads from voxel to voxel.
    while True:
        rest = maps.masked_fill(is_peak, -torch.inf)
        shoulder = is_peak & (_window_max(rest, 1) == maps)
        if not shoulder.any():
            break
        is_peak &= ~shoulder
    # Peaks within the radius of each other are equal; all take the number of the first. Numbers fall along the array,
    # so that the first has the highest.
    voxels = maps[0, 0].numel()
    falling = torch.arange(voxels, 0, -1, dtype=torch.int32, device=maps.device).reshape(maps.shape[2:])
    number = torch.where(is_peak, falling, 0)
    spread = number
    while True:
        wider = torch.where(is_peak, _window_max(spread, radius), 0)
        if torch.equal(wider, spread):
            break
        spread = wider
    return is_peak & (spread == number)


def _window_max(maps: Tensor, radius: int) -> Tensor:
    """The maximum over the cube of ``2 * radius + 1`` voxels around each voxel, cut at the borders."""
    for dim in range(2, maps.ndim):
        size, source = maps.shape[dim], maps
        maps = source.clone()
        for step in range(1, min(radius, size - 1) + 1):
            low, high = maps.narrow(dim, 0, size - step), maps.narrow(dim, step, size - step)
            torch.maximum(low, source.narrow(dim, step, size - step), out=low)
            torch.maximum(high, source.narrow(dim, 0, size - step), out=high)
    return maps
