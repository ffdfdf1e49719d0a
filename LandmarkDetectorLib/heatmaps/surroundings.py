"""The voxels around one voxel of each map, for many maps at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_CELLS = {2: 16, 3: 13}
"""Cells from the middle of a window to its edge, by dimension; a wider window has cells of several voxels."""

CHUNK_VALUES = 1 << 21
"""Windows are handled together up to about this number of values."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one form, each around a voxel of a map.

    Args:
        values: (N, P) means over cells, in double precision; NaN for a cell that reaches beyond the border or
            has a voxel that is NaN. They carry the gradient of the maps.
        points: (P, D) the cells' middles in voxels from the window's middle, x, y[, z].
        axes: for x, y[, z] the (P_i,) coordinates that the points have there.
        inside: for x, y[, z] whether the cells there lie within the view along this axis, (N, P_i) bool.
        step: (D,) voxels from one cell to the next.
        blur: (D,) variance of the voxels of a cell, by which taking the mean widens what is there, voxel².
        voxels_per_value: voxels in the mean.
    """

    values: Tensor
    points: Tensor
    axes: list[Tensor]
    inside: list[Tensor]
    step: Tensor
    blur: Tensor
    voxels_per_value: int


def exact_device(maps: Tensor) -> torch.device:
    """Where windows of these maps are computed on in double precision: MPS has none, so there it is the CPU."""
    return torch.device("cpu") if maps.device.type == "mps" else maps.device


def groups_of_windows(rows: Tensor, radius: Tensor) -> Iterator[Tensor]:
    """Splits the maps number ``rows`` (N,) into groups whose windows can be gathered together.

    ``radius`` (M, D) is that of all maps, in voxels. The maps of a group have windows of like size and cells of the
    same size, so that no map is read otherwise in one company than in another.
    """
    dimension = radius.shape[1]
    level = (2 * radius[rows].amax(-1, keepdim=True).clamp(min=1).log2()).ceil()
    keys, key_of = torch.cat([level, _step(radius[rows].ceil(), dimension)], -1).unique(dim=0, return_inverse=True)
    for number, key in enumerate(keys.tolist()):
        width = min(2 * 2 ** (key[0] / 2) + 3, 3 * (2 * MOST_CELLS[dimension] + 1))
        yield from rows[key_of == number].split(max(1, int(CHUNK_VALUES / width**dimension)))


def _step(radius: Tensor, dimension: int) -> Tensor:
    """Width in voxels of the cells of windows that reach a whole number of voxels."""
    return torch.div(radius + MOST_CELLS[dimension] - 1, MOST_CELLS[dimension], rounding_mode="floor")


def gather_windows(maps: Tensor, rows: Tensor, at: Tensor, radius: Tensor) -> Windows:
    """Windows around the voxels ``at`` (N, D) of the maps number ``rows`` (N,).

    They reach ``radius`` (D,) voxels or a little more. Of a cell three voxels wide or wider, three along each axis
    stand for all: they tell its mean well enough. Coordinates are x, y[, z]; the maps are (M, [Z, ]Y, X). The windows
    lie on :func:`exact_device`.
    """
    home, rows, at = exact_device(maps), rows.to(maps.device), at.to(maps.device)
    dimension = at.shape[1]
    cells, within = [], []
    reaches = radius.ceil().long()
    for reach, step in zip(reaches.tolist(), _step(reaches, dimension).tolist(), strict=True):
        count = -(-reach // step)
        third = -(-step // 3)
        cells.append(torch.arange(-count, count + 1, device=maps.device) * step)
        within.append(torch.tensor(list(range(step)) if step < 3 else [-third, 0, third], device=maps.device))
    index, inside = [], []
    for axis in range(dimension):
        size = maps.shape[maps.ndim - 1 - axis]
        along = at[:, axis, None] + (cells[axis][:, None] + within[axis]).flatten()
        form = (len(at), *[1] * (dimension - 1 - axis), -1, *[1] * axis)  # x runs fastest, as it does in the array
        index.append(along.clamp(0, size - 1).reshape(form))
        inside.append(((along >= 0) & (along < size)).unflatten(-1, (-1, len(within[axis]))).all(-1))
    index.append(rows.reshape(-1, *[1] * dimension))
    values = maps[tuple(reversed(index))]
    values = values.to(home).to(torch.float64)
    inside = [i.to(home) for i in inside]
    for axis, cell in enumerate(within):
        if len(cell) > 1:
            values = values.unflatten(-1 - axis, (-1, len(cell))).mean(-1 - axis)
        form = (len(at), *[1] * (dimension - 1 - axis), -1, *[1] * axis)
        values = values.masked_fill(~inside[axis].reshape(form), torch.nan)
    axes = [(middles + cell.to(values).mean()).to(values) for middles, cell in zip(cells, within, strict=True)]
    points = torch.cartesian_prod(*axes[::-1]).flip(-1)
    step = torch.stack([middles[1] - middles[0] for middles in axes])
    blur = torch.stack([cell.to(values).var(correction=0) for cell in within])
    return Windows(values.flatten(1), points, axes, inside, step, blur, math.prod(len(cell) for cell in within))
