"""The mean of the voxels around the highest one, weighted by what they rise above the background."""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import Windows, exact_device, gather_windows, groups_of_windows

ROUNDS = 25
"""How often, at most, the box is moved onto the centre that it gave; away from the border four times are enough."""

STILL = 1e-3
"""Voxels; a box that moves by less stays."""


@decoder("local_mean")
def local_mean(maps: Tensor, radius: float | None = None) -> Decoded:
    """Takes the weighted mean in a box around the highest voxel.

    The box follows the mean by fractions of a voxel, so that the highest voxel does not pull. What a Gaussian would
    lose beyond the box and the border is made up for: centre and widths are those with which a Gaussian has, over the
    same voxels, the mean and the mean squares along the axes that the map has. Within the view that is the plain mean.
    Scattered background in the box adds to the covariance. Found is whatever rises above the map's median by more than
    rounding and has its centre in the view (-0.5 to size - 0.5); a slope that ends at the border may pass.

    Args:
        maps: (N, [Z, ]Y, X). Positions and covariance carry their gradient, the box held still.
        radius: voxels from the middle of the box to its sides; without it, two and a half standard deviations of
            the peak as its width at half height tells them.

    Raises:
        LandmarkDetectorError: a radius that is not positive.
    """
    if radius is not None and not radius > 0:
        raise LandmarkDetectorError(f"A box of radius {radius} holds no voxel; give a positive radius.")
    summits = find_summits(maps)
    home = exact_device(maps)
    at, base, widths = summits.at.to(home), summits.base.to(home, torch.float64), summits.sigma.to(home, torch.float64)
    size = torch.tensor(maps.shape[:0:-1], device=home)
    reach = 2.5 * widths if radius is None else torch.full_like(widths, radius)
    reach = torch.minimum(reach.clamp(min=1), size)
    means = torch.zeros_like(widths)
    forms = torch.diag_embed(means)
    room = 1.2 * reach + 1  # for the box to move in
    for rows in groups_of_windows(summits.rises.to(home).nonzero()[:, 0], room):
        windows = gather_windows(maps, rows, at[rows], room[rows].amax(0))
        rise = windows.values - base[rows, None]
        rise = torch.where(rise.isfinite(), rise.clamp(min=0), 0)
        box = _Box(windows, reach[rows], room[rows])
        with torch.no_grad():
            mean, sigma = torch.zeros_like(reach[rows]), widths[rows]
            moving = torch.ones_like(mean[:, :1], dtype=torch.bool)
            for _ in range(ROUNDS):
                new_mean, new_sigma, _ = box.match(rise, mean, sigma)
                still = ((new_mean - mean).abs() < STILL).all(-1, keepdim=True)
                mean, sigma = torch.where(moving, new_mean, mean), torch.where(moving, new_sigma, sigma)
                moving &= ~still
                if not moving.any():
                    break
        mean, _, form = box.match(rise, mean, sigma)
        means, forms = means.index_copy(0, rows, mean), forms.index_copy(0, rows, form)
    positions = at + means
    in_view = ((positions >= -0.5) & (positions <= size - 0.5)).all(-1).to(maps.device)
    return Decoded(positions.to(summits.base), forms.to(summits.base), summits.value, summits.rises & in_view)


class _Box:
    """A box of half-widths ``reach`` (N, D) that moves in its window, of which each map has what is within ``room``."""

    def __init__(self, windows: Windows, reach: Tensor, room: Tensor):
        self.windows, self.reach, self.room = windows, reach, room

    def share(self, axis: int, along: Tensor, mean: Tensor) -> Tensor:
        """Share of each cell, from 0 to 1, that lies between the two sides of the box across an axis."""
        step = self.windows.step[axis]
        share = ((self.reach[:, axis, None] - (along - mean[:, axis, None]).abs()) / step + 0.5).clamp(0, 1)
        return share * (along.abs() <= self.room[:, axis, None])

    def match(self, rise: Tensor, mean: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A better centre (N, D), better widths (N, D), and the covariance (N, D, D) about the centre given."""
        points, dimension = self.windows.points, mean.shape[1]
        for axis in range(dimension):
            rise = rise * self.share(axis, points[:, axis], mean)
        mass = rise.sum(-1, keepdim=True).clamp(min=torch.finfo(rise.dtype).tiny)
        first = rise @ points / mass
        second = (rise @ (points[:, :, None] * points[:, None]).flatten(1) / mass).unflatten(-1, (dimension, dimension))
        shift = first - mean
        form = second - first[:, :, None] * first[:, None] + shift[:, :, None] * shift[:, None]
        expected_shift, expected_square = self.expected(mean, sigma)
        slope = (expected_square - expected_shift**2) / sigma**2
        limit = self.windows.step + self.reach
        better = (mean + (shift - expected_shift) / slope.clamp(min=0.1)).clamp(-limit, limit)
        growth = (form.diagonal(dim1=1, dim2=2) / expected_square).clamp(0.5, 2).sqrt()
        scale = sigma / form.diagonal(dim1=1, dim2=2).clamp(min=1e-12).sqrt() * growth
        return better, sigma * growth.detach(), form * scale[:, :, None] * scale[:, None]

    def expected(self, mean: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and mean square from ``mean`` that a Gaussian of these widths has over the box within the view."""
        shifts, squares = [], []
        for axis, along in enumerate(self.windows.axes):
            offset = along - mean[:, axis, None]
            bell = (
                torch.exp(-0.5 * (offset / sigma[:, axis, None]) ** 2)
                * self.share(axis, along, mean)
                * self.windows.inside[axis]
            )
            mass = bell.sum(-1).clamp(min=torch.finfo(bell.dtype).tiny)
            shifts.append((bell * offset).sum(-1) / mass)
            squares.append((bell * offset**2).sum(-1) / mass)
        return torch.stack(shifts, -1), torch.stack(squares, -1).clamp(min=1e-12)
