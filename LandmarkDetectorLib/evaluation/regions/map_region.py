"""Regions of any form, cut out of a heatmap: sets of voxels, and sets between voxels. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from LandmarkDetectorLib.evaluation.regions.region import Region

FINE = {2: 8, 3: 4}
"""A voxel that the border of a level set passes through is measured at so many places along each axis."""
AT_ONCE = 1 << 20
"""So many of these places stand in memory together."""


@dataclass(frozen=True, eq=False)
class MapRegion(Region):
    """Of one heatmap, in its voxel indices.

    Args:
        field: ([Z, ]Y, X) one number for each voxel, on the heatmap's device: strangeness, or density below zero.
        bound: the region is where the field is not above it, and the voxel of the prediction in any case.
    """

    field: Tensor
    bound: float

    @property
    def unbounded(self) -> bool:
        """Whether the bound is infinite; the region then reaches beyond the map."""
        return bool(np.isposinf(self.bound))

    @property
    def own(self) -> np.ndarray:
        """The voxel (D,) of the prediction."""
        return voxel_of(self.centre)

    def mask(self) -> Tensor:
        """The voxels of the map whose centres are in the region, ([Z, ]Y, X) bool on the map's device."""
        mask = self.field <= self.bound
        if _within(self.own[None], self.field.shape)[0]:
            mask[tuple(self.own[::-1])] = True
        return mask

    def _outside(self) -> int:
        """1 where the voxel of the prediction lies beside the map, and has to be counted by itself."""
        return int(not _within(self.own[None], self.field.shape)[0])


@dataclass(frozen=True, eq=False)
class VoxelRegion(MapRegion):
    """Whole voxels of a heatmap."""

    def _contains(self, positions: np.ndarray) -> np.ndarray:
        return (at_voxels(self.field[None], positions[None])[0] <= self.bound) | (voxel_of(positions) == self.own).all(
            -1
        )

    def _volume(self) -> float:
        return float((int(self.mask().sum()) + self._outside()) * np.prod(self.spacing))


@dataclass(frozen=True, eq=False)
class LevelSetRegion(MapRegion):
    """All places where the field, interpolated linearly between the centres of voxels, is not above the bound."""

    def _contains(self, positions: np.ndarray) -> np.ndarray:
        return (interpolated(self.field[None], positions[None])[0] <= self.bound) | (
            voxel_of(positions) == self.own
        ).all(-1)

    def _volume(self) -> float:
        """Measured at places within the voxels that the border passes through; of the other voxels exact."""
        low, high = _extremes(self.field)
        whole = high <= self.bound
        cut = (low <= self.bound) & ~whole
        own = tuple(self.own[::-1])
        if not self._outside():  # the voxel of the prediction is in, whatever its values
            whole[own], cut[own] = True, False
        fine = FINE[self.dimension]
        steps = (np.arange(fine) + 0.5) / fine - 0.5
        within = np.array(list(product(steps, repeat=self.dimension)))
        places = cut.nonzero().flip(-1).cpu().numpy()
        total = 0.0
        at_once = max(1, AT_ONCE // len(within))
        for start in range(0, len(places), at_once):
            part = places[start : start + at_once, None] + within
            values = interpolated(self.field[None], part.reshape(1, -1, self.dimension))
            total += (values <= self.bound).sum() / len(within)
        return float((int(whole.sum()) + total + self._outside()) * np.prod(self.spacing))


def voxel_of(positions: np.ndarray) -> np.ndarray:
    """The voxels (..., D), x, y[, z], that positions (..., D) lie in."""
    return np.floor(np.asarray(positions) + 0.5).astype(np.int64)


def at_voxels(fields: Tensor, positions: np.ndarray) -> np.ndarray:
    """Values (K, M) of fields (K, [Z, ]Y, X) at the voxels of positions (K, M, D); ``inf`` beside the map."""
    voxels = voxel_of(positions)
    within = _within(voxels, fields.shape[1:])
    values = _taken(fields, np.where(within[..., None], voxels, 0))
    return np.where(within, values.cpu().double().numpy(), np.inf)


def interpolated(fields: Tensor, positions: np.ndarray) -> np.ndarray:
    """Values (K, M) of fields (K, [Z, ]Y, X) at positions (K, M, D), linear between the centres of voxels.

    Over the outer half of the outermost voxels the field goes on as it is at their centres; beside the map it is
    ``inf``.
    """
    sizes = np.array(fields.shape[:0:-1])
    within = _within(voxel_of(positions), fields.shape[1:])
    clamped = np.clip(np.where(within[..., None], positions, 0), 0, sizes - 1)
    low = np.floor(clamped).astype(np.int64)
    share = clamped - low
    total = torch.zeros(positions.shape[:-1], dtype=fields.dtype, device=fields.device)
    for corner in product((0, 1), repeat=len(sizes)):
        weight = np.where(corner, share, 1 - share).prod(-1)
        values = _taken(fields, np.minimum(low + corner, sizes - 1))
        total += torch.as_tensor(weight, dtype=fields.dtype, device=fields.device) * values
    return np.where(within, total.cpu().double().numpy(), np.inf)


def _taken(fields: Tensor, voxels: np.ndarray) -> Tensor:
    """Values (K, M) at voxels (K, M, D), which must lie in the map."""
    places = np.ravel_multi_index(tuple(np.moveaxis(voxels, -1, 0)[::-1]), tuple(fields.shape[1:]))
    return fields.flatten(1).gather(1, torch.as_tensor(places, device=fields.device))


def _within(voxels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.all((voxels >= 0) & (voxels < np.array(shape[::-1])), axis=-1)


def _extremes(field: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value that linear interpolation can reach within each voxel, at least."""
    pool = F.max_pool2d if field.ndim == 2 else F.max_pool3d
    padded = F.pad(field[None, None], [1] * (2 * field.ndim), mode="replicate")
    return -pool(-padded, 3, 1)[0, 0], pool(padded, 3, 1)[0, 0]
