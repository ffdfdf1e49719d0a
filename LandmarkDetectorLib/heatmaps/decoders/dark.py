"""Distribution-aware reading (DARK): one Newton step on the logarithm of the blurred map, Zhang et al. 2020.

The logarithm of a Gaussian is a parabola, whose top one step reaches from anywhere near (arXiv:1910.06278). The blur is
a Gaussian, so that gradient and Hessian of the blurred map's logarithm are its first and second moments under the
blur's weights: exact derivatives, where differences between voxels are approximate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.gaussian_model import Monomials
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import exact_device, gather_windows, groups_of_windows

REACH = 4.0
"""Standard deviations of the blur to the end of its window."""

NARROWEST = 0.6
"""Voxels; the samples of a narrower blur are one voxel and nothing else."""


@decoder("dark")
def dark(maps: Tensor, blur: float | None = None) -> Decoded:
    """Takes the highest voxel and one Newton step on the logarithm of the map blurred there.

    Beyond the border there is nothing to blur, which pulls inwards: therefore the blur narrows towards the border, and
    what is left of the pull is a tenth or two of a voxel in the outermost two voxels and hundredths further in. Found
    is whatever rises above the map's median by more than rounding, bends down on all sides and has its centre in the
    view (-0.5 to size - 0.5); a slope that ends at the border may pass. Voxels that are not finite are left out.

    Args:
        maps: (N, [Z, ]Y, X). The positions carry their gradient; the covariance, which has no negative width, carries
            none.
        blur: standard deviation of the blur in voxels; the paper's is the one that the maps were made with. Without
            it, that of the peak as its width at half height tells it, one voxel or more.

    Raises:
        LandmarkDetectorError: a blur that is not positive.
    """
    if blur is not None and not 0 < blur < float("inf"):
        raise LandmarkDetectorError(f"A blur of {blur} voxels is not a positive number; mend the option.")
    summits = find_summits(maps)
    home = exact_device(maps)
    size = torch.tensor(maps.shape[:0:-1], device=home)
    at, base = summits.at.to(home), summits.base.to(home, torch.float64)
    height = (summits.value.detach() - summits.base).to(home, torch.float64)
    sigma = summits.sigma.to(base).clamp(min=1) if blur is None else torch.full_like(at, blur, dtype=base.dtype)
    depth = torch.minimum(at, size - 1 - at).to(base)
    sigma = torch.minimum(sigma, (depth / 3).clamp(min=NARROWEST))
    radius = torch.minimum((REACH * sigma).clamp(min=2), size)
    steps = torch.zeros_like(sigma)
    forms = torch.diag_embed(steps)
    bends = torch.zeros_like(base, dtype=torch.bool)
    for rows in groups_of_windows(summits.rises.to(home).nonzero()[:, 0], radius):
        windows = gather_windows(maps, rows, at[rows], radius[rows].amax(0))
        rise = (windows.values - base[rows, None]) / height[rows, None]
        there = rise.detach().isfinite()
        rise = torch.where(there, rise, 0)
        precision = 1 / sigma[rows] ** 2
        weight = torch.exp(-0.5 * precision @ (windows.points**2).T)
        weight = weight * ((radius[rows] ** -2) @ (windows.points**2).T <= 1 + 1e-9)
        basis = Monomials(windows.points)
        seen, slope, bend = _moments(weight * rise, basis)
        slope = slope * precision
        curved = torch.diag_embed(precision) - precision[:, :, None] * bend * precision[:, None]
        good = (torch.linalg.cholesky_ex(curved.detach()).info == 0) & (seen > 0)
        curved = torch.where(good[:, None, None], curved, torch.eye(at.shape[1]).to(curved))
        inverse = torch.linalg.inv_ex(curved).inverse
        step = (inverse @ torch.where(good[:, None], slope, 0)[..., None])[..., 0]
        with torch.no_grad():  # the derivative of eigenvectors is not finite for a round peak
            width, axes = torch.linalg.eigh(inverse - torch.diag_embed(sigma[rows] ** 2) - torch.diag(windows.blur))
            form = axes @ (width.clamp(min=0)[..., None] * axes.mT)
        steps, forms = steps.index_copy(0, rows, step), forms.index_copy(0, rows, form)
        bends[rows] = good & (step.detach().abs() <= radius[rows] + 1).all(-1)
    positions = at + steps
    found = bends & ((positions >= -0.5) & (positions <= size - 0.5)).all(-1)
    return Decoded(
        positions.to(summits.base), forms.to(summits.base), summits.value, summits.rises & found.to(maps.device)
    )


def _moments(weight: Tensor, basis: Monomials) -> tuple[Tensor, Tensor, Tensor]:
    """Sum (N,), mean (N, D) and covariance (N, D, D) of weights (N, P) over a window; finite whatever the weights."""
    d = basis.dimension
    sums = weight @ basis.single
    mass = sums[:, 0]
    moments = sums[:, 1:] / torch.where(mass > 0, mass, 1)[:, None]
    mean = moments[:, :d]
    second = torch.diag_embed(moments[:, d : 2 * d])
    for column, (i, j) in enumerate(basis.cross, start=2 * d):
        entry = torch.zeros_like(second[0])
        entry[i, j] = entry[j, i] = 1
        second = second + moments[:, column, None, None] * entry
    return mass, mean, second - mean[:, :, None] * mean[:, None]
