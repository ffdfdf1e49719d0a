"""Sample an image in any frame: an oriented, scaled grid laid into the world.

A frame is a (d+1)×(d+1) matrix from frame index (x, y[, z]) to world. The image stands behind it as a pyramid of
box-averaged levels, so that a coarse frame sees averages rather than single voxels (no aliasing) and a volume is never
held in floating point as a whole.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from LandmarkDetectorLib.core import Grid, Image
from LandmarkDetectorLib.datasets.intensity import Intensity

SLAB_BYTES = 64 << 20
"""How much of a volume is turned into floating point at a time."""


class Level(NamedTuple):
    """One level of the pyramid: values (C, [Z, ]Y, X) in [0, 1], and the matrix from its index to world."""

    values: Tensor
    to_world: np.ndarray


class Pyramid:
    """An image at several resolutions, made when they are asked for and kept.

    Args:
        image: the image; its array is referred to, not copied.
        intensity: how voxel values become numbers around [0, 1]; outside of the image lies 0.
    """

    def __init__(self, image: Image, intensity: Intensity) -> None:
        self.grid = image.grid
        self._array = image.array
        self._scale = intensity.scale(image.array)
        self._levels: dict[tuple[int, ...], Level] = {}

    def factors(self, spacing: float) -> tuple[int, ...]:
        """How many voxels along x, y[, z] a level for sampling at this spacing averages."""
        return tuple(
            max(1, min(n, round(spacing / s - 0.25))) for n, s in zip(self.grid.size, self.grid.spacing, strict=True)
        )

    def level(self, spacing: float) -> Level:
        """The level to sample at this spacing (in the grid's unit)."""
        factors = self.factors(spacing)
        if factors not in self._levels:
            steps = np.asarray(factors, dtype=np.float64)
            shift = np.eye(self.grid.dimension + 1)
            shift[:-1, :-1] = np.diag(steps)
            shift[:-1, -1] = (steps - 1) / 2
            self._levels[factors] = Level(self._pooled(factors[::-1]), self.grid.matrix @ shift)
        return self._levels[factors]

    def around(self, world: np.ndarray) -> Pyramid:
        """The part of the image that holds positions (N, d), as a pyramid of its own: what is far away costs nothing.

        Values keep the scale of the whole image; a part that lies outside of it is left out, at least one voxel stays.
        """
        index = self.grid.to_index(world)
        size = np.asarray(self.grid.size)
        low = np.clip(np.floor(index.min(0)).astype(int), 0, size - 1)
        high = np.clip(np.ceil(index.max(0)).astype(int) + 1, low + 1, size)
        part = copy(self)
        part.grid = Grid(
            tuple(int(n) for n in high - low),
            self.grid.spacing,
            tuple(self.grid.to_world(low)),
            self.grid.direction,
            self.grid.unit,
        )
        spans = [slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)]
        part._array = self._array[tuple([slice(None), *spans])]
        part._levels = {}
        return part

    def _pooled(self, factors: tuple[int, ...]) -> Tensor:
        """Box averages by these factors in array order; the last box is averaged over what is there."""
        depth = self._array.shape[1]
        row_bytes = 4 * max(1, self._array[:, :1].size)
        step = max(1, SLAB_BYTES // row_bytes // factors[0]) * factors[0]
        # Slabs of whole boxes; what is left over at the end, less than a box, goes with the last of them.
        starts = list(range(0, max(1, depth - factors[0] + 1), step))
        slabs = []
        for start, stop in zip(starts, [*starts[1:], depth], strict=True):
            slab = torch.from_numpy(np.ascontiguousarray(self._array[:, start:stop], dtype=np.float32))
            slab = self._scale(slab)
            if any(f > 1 for f in factors):
                slab = _box_average(slab, factors)
            slabs.append(slab)
        return slabs[0] if len(slabs) == 1 else torch.cat(slabs, 1)


def _box_average(values: Tensor, factors: tuple[int, ...]) -> Tensor:
    pool = F.avg_pool2d if values.ndim == 3 else F.avg_pool3d
    return pool(values[None], factors, ceil_mode=True, count_include_pad=False)[0]


def frame_spacing(frame: np.ndarray) -> float:
    """The mean distance between neighbouring samples of a frame, in world units."""
    return float(abs(np.linalg.det(frame[:-1, :-1])) ** (1 / (len(frame) - 1)))


class HasLevels(Protocol):
    """What can be sampled from: a pyramid, or what stands for one."""

    def level(self, spacing: float) -> Level:
        """The level to sample at this spacing (in the grid's unit)."""


def sample(
    pyramid: HasLevels, frames: np.ndarray, shape: tuple[int, ...], device: torch.device | str = "cpu"
) -> Tensor:
    """Values of an image on frames, by linear interpolation.

    Args:
        pyramid: the image.
        frames: (N, d+1, d+1) matrices from frame index to world, of about equal spacing.
        shape: of each frame in array order, ([Z, ]Y, X).
        device: where the result shall be.

    Returns:
        (N, C, [Z, ]Y, X) in [0, 1], 0 outside of the image.
    """
    level = pyramid.level(float(np.mean([frame_spacing(f) for f in frames])))
    to_level = np.linalg.inv(level.to_world) @ frames
    size_in = np.asarray(level.values.shape[:0:-1], dtype=np.float64)
    size_out = np.asarray(shape[::-1], dtype=np.float64)
    # The region of the level that the frames touch: a patch of a large volume must not cost the whole volume.
    corners = _corners(size_out) @ np.swapaxes(to_level[:, :-1, :-1], 1, 2) + to_level[:, None, :-1, -1]
    low = np.clip(np.floor(corners.min((0, 1))).astype(int) - 1, 0, None)
    high = np.clip(np.ceil(corners.max((0, 1))).astype(int) + 2, None, size_in.astype(int))
    channels = level.values.shape[0]
    if np.any(low >= high):
        return torch.zeros((len(frames), channels, *shape), device=device)
    window = (slice(None), *(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)))
    values = level.values[window].to(device)
    extent = (high - low).astype(np.float64)
    # affine_grid works in coordinates that run from -1 to 1 over the voxels' borders (align_corners=False).
    d = len(extent)
    theta = np.zeros((len(frames), d, d + 1))
    linear, offset = to_level[:, :-1, :-1], to_level[:, :-1, -1] - low
    theta[:, :, :d] = linear * size_out / extent[:, None]
    theta[:, :, d] = (2 * (offset + linear @ ((size_out - 1) / 2)) + 1) / extent - 1
    grid = F.affine_grid(
        torch.from_numpy(theta).float().to(device), [len(frames), channels, *shape], align_corners=False
    )
    # One volume, many frames: laid one behind the other along the first spatial axis, the volume is never repeated.
    stacked = grid.flatten(0, 1)[None]
    out = F.grid_sample(values[None], stacked, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    return out.unflatten(1, (len(frames), shape[0])).transpose(0, 1).contiguous()


def _corners(size: np.ndarray) -> np.ndarray:
    """Indices of the corners of a grid of this size, (2^d, d)."""
    d = len(size)
    return np.array([[(size[i] - 1) * ((n >> i) & 1) for i in range(d)] for n in range(2**d)])
