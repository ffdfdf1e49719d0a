"""The highest separate peaks of each heatmap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.layout import check_heatmaps, coordinates_of

CHUNK_VOXELS = 1 << 20
"""On the CPU as many maps are searched at once as fit this; more leaves the cache and costs fresh memory."""


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
    heatmaps = heatmaps.as_subclass(Tensor)
    try:
        count, radius = index(count), index(radius)
    except TypeError:
        raise LandmarkDetectorError(
            f"A count of {count} and a radius of {radius} are not whole numbers; give such."
        ) from None
    if count < 1 or radius < 1:
        raise LandmarkDetectorError(
            f"Peaks cannot be found with count {count} and radius {radius}; give 1 or more for both."
        )
    batch, landmarks = heatmaps.shape[:2]
    flat = heatmaps.flatten(2)
    with torch.no_grad():
        maps = heatmaps.detach().reshape(batch * landmarks, *shape)
        step = len(maps) if maps.is_cuda else CHUNK_VOXELS // maps.shape[1:].numel()
        parts = [_peaks_of_maps(part, count, radius, threshold) for part in maps.split(max(step, 1))]
        chosen = torch.cat(parts).reshape(batch, landmarks, count)
        positions = coordinates_of(chosen, shape).to(torch.float32)
        positions[chosen < 0] = torch.nan
    values = flat.gather(2, chosen.clamp(min=0)).masked_fill(chosen < 0, -torch.inf)
    return Peaks(positions, values)


def _peaks_of_maps(maps: Tensor, count: int, radius: int, threshold: float | None) -> Tensor:
    """Places (N, count) in the flattened maps (N, [Z, ]Y, X) of their highest peaks; -1 where there are no more."""
    maps = torch.where(maps.isnan(), -torch.inf, maps)
    dims = tuple(range(1, maps.ndim))
    floor = maps.masked_fill(maps == -torch.inf, torch.inf).amin(dims, keepdim=True)
    around = _neighbour_max(maps)
    highest = (maps >= around) & (maps > floor)
    if threshold is not None:
        highest &= maps >= threshold
    if radius > 1:
        highest &= maps >= _window_max(maps, radius)
    row, place = highest.flatten(1).nonzero(as_tuple=True)
    values = maps.flatten(1)[row, place]
    tied = values == around.flatten(1)[row, place]
    keep = ~tied
    keep[tied] = _first_of_plateaus(maps, row[tied], place[tied], values[tied])
    return _select(row[keep], place[keep], values[keep], maps.shape, count, radius)


def _first_of_plateaus(maps: Tensor, row: Tensor, place: Tensor, values: Tensor) -> Tensor:
    """Which of these voxels, in the order of the array, each equal to a neighbour, stand for a plateau that is a peak.

    A plateau is found by handing the lowest number from voxel to voxel. It is no peak when one of its voxels is not
    among those given, since that one has something higher beside it.
    """
    size = len(row)
    numbers = torch.arange(size, device=row.device)
    if size == 0:
        return numbers.bool()
    shape = maps.shape[1:]
    at = coordinates_of(place, shape)
    extent = torch.tensor(shape[::-1], device=row.device)
    stride = torch.cumprod(torch.tensor([1, *shape[:0:-1]], device=row.device), 0)
    voxels, flat = maps[0].numel(), maps.flatten()
    keys = row * voxels + place
    links, shoulder = [], torch.zeros(size, dtype=torch.bool, device=row.device)
    for offset in itertools.product((-1, 0, 1), repeat=len(shape)):
        if not any(offset):
            continue
        step = torch.tensor(offset, device=row.device)
        inside = ((at + step >= 0) & (at + step < extent)).all(-1)
        key = torch.where(inside, keys + (step * stride).sum(), keys)
        equal = flat[key] == values
        slot = torch.searchsorted(keys, key).clamp(max=size - 1)
        known = keys[slot] == key
        shoulder |= equal & ~known
        links.append(torch.where(equal & known, slot, numbers))
    neighbours, label = torch.stack(links, -1), numbers
    while True:
        lower = torch.minimum(label, label[neighbours].amin(-1))
        lower = lower[lower]
        if torch.equal(lower, label):
            break
        label = lower
    is_shoulder = torch.zeros_like(shoulder)
    is_shoulder[label[shoulder]] = True
    return (label == numbers) & ~is_shoulder


def _select(row: Tensor, place: Tensor, values: Tensor, shape: Sequence[int], count: int, radius: int) -> Tensor:
    """Places (N, count) of the highest per row, none within ``radius`` of a higher or earlier one; -1 for none."""
    rows = torch.arange(shape[0], device=row.device)
    first = torch.searchsorted(row, rows)
    rank = torch.arange(len(row), device=row.device) - first[row]
    width = int(rank.max()) + 1 if len(row) else 1
    table = torch.full((shape[0], width), -1, dtype=torch.long, device=row.device)
    table[row, rank] = place
    height = torch.full((shape[0], width), -torch.inf, dtype=values.dtype, device=row.device)
    height[row, rank] = values
    at = coordinates_of(table, shape[1:])
    chosen = torch.full((shape[0], count), -1, dtype=torch.long, device=row.device)
    for number in range(min(count, width)):
        best = height.argmax(-1)
        found = height[rows, best] > -torch.inf
        chosen[:, number] = torch.where(found, table[rows, best], -1)
        near = ((at - at[rows, best][:, None]).abs() <= radius).all(-1)
        height.masked_fill_(near, -torch.inf)
    return chosen


def _neighbour_max(maps: Tensor) -> Tensor:
    """The maximum over the 3**D - 1 neighbours of each voxel of maps (N, [Z, ]Y, X), without the voxel itself."""
    around, line = torch.full_like(maps, -torch.inf), maps
    for dim in range(maps.ndim - 1, 0, -1):
        size = maps.shape[dim]
        if size > 1:
            low, high = around.narrow(dim, 0, size - 1), around.narrow(dim, 1, size - 1)
            torch.maximum(low, line.narrow(dim, 1, size - 1), out=low)
            torch.maximum(high, line.narrow(dim, 0, size - 1), out=high)
        if dim > 1:
            line = torch.maximum(around, maps)  # all of the neighbourhood so far, the voxel included
    return around


def _window_max(maps: Tensor, radius: int) -> Tensor:
    """The maximum over the cube of ``2 * radius + 1`` voxels around each voxel, cut at the borders."""
    for dim in range(1, maps.ndim):
        size, source = maps.shape[dim], maps
        maps = source.clone()
        for step in range(1, min(radius, size - 1) + 1):
            low, high = maps.narrow(dim, 0, size - step), maps.narrow(dim, step, size - step)
            torch.maximum(low, source.narrow(dim, step, size - step), out=low)
            torch.maximum(high, source.narrow(dim, 0, size - step), out=high)
    return maps
