"""A parabola fitted to the logarithm of the voxels around the highest one: a Gaussian's form without any search.

Weighted linear least squares in one solve per map, after Guo 2011 (doi:10.1109/MSP.2011.941846): the logarithm of a
value v scatters as 1/v, so that it weighs v², with v from the fit before. Quicker than ``gaussian_fit`` and as exact on
a Gaussian; but the background is taken from the map, not fitted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.gaussian_model import Monomials
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import Windows, exact_device, gather_windows, groups_of_windows

SMALLEST_RADIUS = 2.0
"""Voxels; a smaller window has fewer voxels than a parabola has parameters."""

LOWEST = 0.02
"""Share of the height below which a logarithm tells more of the noise than of the peak."""

ROUNDS = 3
"""How often the weights are taken from the fit before; the first fit takes them from the voxels."""

WIDEST = 4.0
"""Standard deviation in radii of the window beyond which the window shows a slope and no peak."""


@decoder("log_quadratic")
def log_quadratic(maps: Tensor, window: float = 2.0) -> Decoded:
    """Fits a parabola of any form to the logarithm of what rises above the background around the highest voxel.

    Voxels beyond the border, not finite, or not above the background are left out rather than made up, so that a
    border does not pull. Found is whatever rises above the map's median by more than rounding, bends down on all sides
    within the window and has its centre near the highest voxel and in the view (-0.5 to size - 0.5); the tail of a
    landmark beyond the border may pass. A map needs three voxels along each axis: in a single slice read as 3D nothing
    is found.

    Args:
        maps: (N, [Z, ]Y, X). Positions and covariance carry their gradient.
        window: radius of the window in standard deviations, as the peak's width at half height tells them.

    Raises:
        LandmarkDetectorError: a window that is not positive.
    """
    if not 0 < window < float("inf"):
        raise LandmarkDetectorError(f"A window of {window} standard deviations is not positive; mend the option.")
    summits = find_summits(maps)
    home = exact_device(maps)
    size = torch.tensor(maps.shape[:0:-1], device=home)
    at, base = summits.at.to(home), summits.base.to(home, torch.float64)
    height = (summits.value.detach() - summits.base).to(home, torch.float64)
    radius = torch.minimum((window * summits.sigma.to(home, torch.float64)).clamp(min=SMALLEST_RADIUS), size)
    means = torch.zeros_like(radius)
    forms = torch.diag_embed(means)
    bends = torch.zeros_like(base, dtype=torch.bool)
    for rows in groups_of_windows(summits.rises.to(home).nonzero()[:, 0], radius):
        windows = gather_windows(maps, rows, at[rows], radius[rows].amax(0))
        rise = (windows.values - base[rows, None]) / height[rows, None]
        mean, form, good = _fit(windows, rise, radius[rows])
        means, forms = means.index_copy(0, rows, mean), forms.index_copy(0, rows, form)
        near = (mean.detach().abs() <= 1.5 + radius[rows] / window).all(-1)
        bends[rows] = good & near
    positions = at + means
    found = bends & ((positions >= -0.5) & (positions <= size - 0.5)).all(-1)
    return Decoded(
        positions.to(summits.base), forms.to(summits.base), summits.value, summits.rises & found.to(maps.device)
    )


def _fit(windows: Windows, rise: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre (N, D) from the window's middle, covariance (N, D, D), and whether it is a peak (N,)."""
    scale = radius.amax(0)
    basis = Monomials(windows.points / scale)
    within = (radius**-2) @ (windows.points**2).T <= 1 + 1e-9
    used = within & (rise.detach() > LOWEST)  # NaN is not
    rise = torch.where(used, rise, 1)
    logs = rise.log()
    weight = rise.detach() ** 2 * used
    unit = torch.eye(basis.count).to(rise)
    for number in range(1 + ROUNDS):
        normal = (weight @ basis.double)[:, basis.table]
        solvable = (torch.linalg.cholesky_ex(normal - 1e-12 * unit * weight.sum(-1)[:, None, None]).info == 0) & (
            used.sum(-1) >= basis.count
        )
        normal = torch.where(solvable[:, None, None], normal, unit)
        model = torch.linalg.solve_ex(normal, ((weight * logs) @ basis.single)[..., None]).result[..., 0]
        if number < ROUNDS:
            fitted = (model.detach() @ basis.single.T).clamp(max=0.5)
            weight = torch.where(solvable[:, None], (2 * fitted).exp() * used, weight)
    precision = basis.precision(model)
    flattest = torch.diag((scale / (WIDEST * scale.amax())) ** 2)
    good = solvable & (torch.linalg.cholesky_ex(precision.detach() - flattest).info == 0)
    precision = torch.where(good[:, None, None], precision, torch.eye(basis.dimension).to(rise))
    form = torch.linalg.inv_ex(precision).inverse
    mean = (form @ model[:, 1 : 1 + basis.dimension, None])[..., 0]
    return mean * scale, form * scale[:, None] * scale, good
