"""The highest place of the map enlarged by cubic interpolation: an arg-max with finer steps.

Only what lies around the highest voxel is enlarged. Pixels are areas, as in resizing a picture: place j of a map
enlarged f times lies at (j + 1/2) / f - 1/2 of the map, not at j / f, which would be off by up to half a voxel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import exact_device, gather_windows

REACH = 3
"""Voxels from the highest to the end of its window: one for the place to move, two more for the cubic."""

LARGEST_FACTOR = 32

CHUNK_VALUES = 1 << 22
"""Maps are enlarged together up to about this number of values."""


@decoder("enlarged_argmax")
def enlarged_argmax(maps: Tensor, factor: int = 8) -> Decoded:
    """Takes the highest place of the map enlarged ``factor`` times, within a voxel of the highest voxel.

    Keys' cubic (1981) passes through the voxels and rises between them; linear interpolation never does. Beyond the
    border the map goes on as a parabola (Keys' own rule), so that a border pulls hardly; a voxel that is not finite is
    filled likewise. Found is whatever rises above the map's median by more than rounding. No form is read: the
    covariance is NaN. No gradient comes to the positions.

    Args:
        maps: (N, [Z, ]Y, X).
        factor: new voxels for one, along each axis; even or odd, 2 to 32.

    Raises:
        LandmarkDetectorError: a factor that is not a whole number from 2 to 32.
    """
    if int(factor) != factor or not 2 <= factor <= LARGEST_FACTOR:
        raise LandmarkDetectorError(f"A factor of {factor} is not a whole number from 2 to {LARGEST_FACTOR}; mend it.")
    summits = find_summits(maps)
    dimension = maps.ndim - 1
    size = torch.tensor(maps.shape[:0:-1], device=maps.device)
    home = exact_device(maps)
    places = torch.arange(-factor, 2 * factor, dtype=torch.float64, device=home)
    places = (places + 0.5) / factor - 0.5
    places = places[places.abs() <= 1]
    cubic = _keys(places[:, None] - torch.arange(-REACH, REACH + 1, device=home))
    shifts = torch.zeros_like(summits.at, dtype=torch.float64, device=home)
    with torch.no_grad():
        radius = torch.full((dimension,), REACH)
        for rows in summits.rises.nonzero()[:, 0].split(max(1, CHUNK_VALUES // len(places) ** dimension)):
            if len(rows) == 0:
                continue
            windows = gather_windows(maps, rows, summits.at[rows], radius)
            values = windows.values.unflatten(-1, [2 * REACH + 1] * dimension)
            values = _filled(values - summits.value[rows].to(values).view(-1, *[1] * dimension))
            for axis in range(1, dimension + 1):
                values = (values.movedim(axis, -1) @ cubic.T).movedim(-1, axis)
            for axis in range(dimension):
                along = summits.at[rows, axis].to(home)[:, None] + places
                out = (along < -0.5) | (along > size[axis].to(home) - 0.5)
                values = values.masked_fill(out.view(len(rows), *_line(dimension, axis, len(places))), -torch.inf)
            best = values.flatten(1).argmax(-1)
            for axis in range(dimension):
                shifts[rows.to(home), axis] = places[best % len(places)]
                best = torch.div(best, len(places), rounding_mode="floor")
    shifts = torch.where(size.to(home) > 1, shifts, 0)  # one voxel says nothing of where in it
    positions = (summits.at.to(home) + shifts).to(summits.base)
    form = summits.base.new_full((*summits.at.shape, dimension), torch.nan)
    return Decoded(positions, form, summits.value, summits.rises)


def _line(dimension: int, axis: int, count: int) -> list[int]:
    """Form that lets ``count`` numbers along x, y[, z] stand in arrays of [z, ]y, x."""
    form = [1] * dimension
    form[-1 - axis] = count
    return form


def _filled(values: Tensor) -> Tensor:
    """Windows (N, [Z, ]Y, X) with a number in every voxel: gaps are filled along x, then y, then z, from either side.

    Of three neighbours in line the parabola is taken, of fewer the nearest.
    """
    for axis in range(values.ndim - 1, 0, -1):
        for _ in range(values.shape[axis] - 1):
            gaps = ~values.isfinite()
            if not gaps.any():
                return values
            for sign in (-1, 1):
                a, b, c = (_shifted(values, sign * step, axis) for step in (1, 2, 3))
                parabola = 3 * a - 3 * b + c
                guess = torch.where(parabola.isfinite(), parabola, a)
                values = torch.where(gaps & ~values.isfinite() & guess.isfinite(), guess, values)
    return values


def _shifted(values: Tensor, step: int, axis: int) -> Tensor:
    """What stands ``step`` voxels further along an axis; NaN where the window ends."""
    size = values.shape[axis]
    out = torch.full_like(values, torch.nan)
    source = values.narrow(axis, max(step, 0), size - abs(step))
    out.narrow(axis, max(-step, 0), size - abs(step)).copy_(source)
    return out


def _keys(offset: Tensor) -> Tensor:
    """Weight of a voxel at this distance: Keys' cubic convolution kernel of third order."""
    x = offset.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0))
