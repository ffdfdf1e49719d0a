"""The centre and the covariance of a Gaussian fitted to the voxels around the highest one: the default decoder.

Least squares is the maximum-likelihood estimate under independent noise, so the position comes as close as the noise
allows: in 2D about 0.02 px at a noise of 0.02 of the height, whatever the width. Height, background, width and form
are fitted along, and voxels beyond the border are left out rather than made up, so nothing pulls the centre inwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.gaussian_model import Gaussians, fit_gaussians
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import Windows, exact_device, gather_windows, groups_of_windows

SMALLEST_RADIUS = 3
"""Voxels; a smaller window has hardly more voxels than the model has parameters."""

REFITS = 2
"""How often a window that proves too small or too large is drawn anew."""

SIGNIFICANCE = 3.0
"""By how many standard deviations a peak must stand above the highest that pure noise is expected to have."""


@decoder("gaussian_fit")
def gaussian_fit(
    maps: Tensor,
    sigma: float | Sequence[float] | None = None,
    window: float = 2.5,
    height: float | None = None,
) -> Decoded:
    """Fits a Gaussian of free height, width, orientation and background around the highest voxel of each map.

    Found is a peak that stands out of the background as white noise of the map's own scatter would not, and whose
    fitted centre lies in the view (-0.5 to size - 0.5) near the highest voxel; if that voxel is at the border, the
    centre must also be known to a voxel or to half the peak's width. So a flat map, pure noise, a slope and the tail of
    a landmark beyond the border are not found; but a tail of a narrow peak looks like a still narrower one at the
    border, which only a known ``sigma`` or a ``threshold`` can tell. Smooth structure is not noise: whether a low bump
    is a landmark, ``threshold`` or a calibrated confidence must say. Voxels that are not finite are left out; a window
    must keep more voxels than the model has parameters (7 in 2D, 11 in 3D), and a map needs three voxels
    along each axis: in a single slice read as 3D nothing is found.

    Args:
        maps: (N, [Z, ]Y, X). The positions carry their gradient.
        sigma: the peaks' standard deviation in voxels where it is known, one number or D along x, y[, z]; the form is
            then not fitted, which steadies peaks at the border.
        window: radius of the window in standard deviations.
        height: the peaks' height over an empty background where it is known, such as 1; neither is then fitted, which
            makes the form more exact, and wrong where the height is another.

    Raises:
        LandmarkDetectorError: a sigma, a window or a height that is not positive and finite.
    """
    dimension = maps.ndim - 1
    known = None if sigma is None else torch.as_tensor(sigma, dtype=torch.float64)
    if known is not None and (
        known.shape not in ((), (dimension,)) or not bool(((known > 0) & known.isfinite()).all())
    ):
        raise LandmarkDetectorError(
            f"A sigma of {sigma} is not one or {dimension} positive finite numbers; mend the option."
        )
    if not 0 < window < math.inf:
        raise LandmarkDetectorError(
            f"A window of {window} standard deviations is not positive and finite; mend the option."
        )
    if height is not None and not 0 < height < math.inf:
        raise LandmarkDetectorError(f"A height of {height} is not positive and finite; mend the option.")
    summits = find_summits(maps)
    home = exact_device(maps)
    tallness = (summits.value.detach() - summits.base).to(home, torch.float64)
    base = summits.base.to(home, torch.float64)
    if height is not None:
        tallness, base = torch.full_like(tallness, height), torch.zeros_like(base)
    size = torch.tensor(maps.shape[:0:-1], device=home)
    start = summits.sigma if known is None else known.expand(len(maps), dimension)
    fits = Gaussians.guess(start.to(home, torch.float64))
    radius = _radius(fits, window, size)
    rows = summits.rises.to(home).nonzero()[:, 0]
    for attempt in range(1 + REFITS):
        for group in groups_of_windows(rows, radius):
            windows = gather_windows(maps, group, summits.at[group.to(maps.device)], radius[group].amax(0))
            windows = replace(windows, values=(windows.values - base[group, None]) / tallness[group, None])
            fits = fits.with_rows(
                group, _fit(windows, radius[group], fits.at(group), known is not None, height is not None)
            )
        wanted = torch.minimum(_radius(fits, window, size), 3 * radius)
        change = (wanted / radius)[rows]
        rows = rows[((change < 0.7) | (change > 1.4)).any(-1)]
        if len(rows) == 0 or attempt == REFITS:
            break
        radius[rows] = wanted[rows]
    at = summits.at.to(home)
    expected = math.sqrt(2 * math.log(maps.shape[1:].numel()))  # of so many normal numbers, the highest
    significant = fits.energy.sqrt() * tallness >= (expected + SIGNIFICANCE) * summits.noise.to(home)
    found = summits.rises.to(home) & significant & _is_landmark(fits, at, size, radius / window)
    positions, covariance = (at + fits.mean).to(summits.base), fits.covariance.to(summits.base)
    return Decoded(positions, covariance, summits.value, found.to(maps.device))


def _is_landmark(fits: Gaussians, at: Tensor, size: Tensor, sigma: Tensor) -> Tensor:
    """Whether the centre is in view, near the highest voxel and, at the border, well known, (N,); NaN is none of it."""
    mean = fits.mean.detach()
    in_view = ((at + mean >= -0.5) & (at + mean <= size - 0.5)).all(-1)
    near = (mean.abs() <= 1.5 + sigma).all(-1)
    error = fits.mean_error.diagonal(dim1=1, dim2=2).sum(-1).sqrt()
    inner = ((at > 0) & (at < size - 1)).all(-1)  # has lower voxels on every side
    well_known = inner | (error <= (sigma.amax(-1) / 2).clamp(min=1))
    return in_view & near & well_known & (fits.freedom > 0)


def _radius(fits: Gaussians, window: float, size: Tensor) -> Tensor:
    """Radii (N, D) of windows that fit these Gaussians, in voxels."""
    sigma = fits.covariance.detach().diagonal(dim1=1, dim2=2).sqrt()
    return torch.minimum((window * sigma).clamp(min=SMALLEST_RADIUS), size)


def _fit(windows: Windows, radius: Tensor, start: Gaussians, fixed_form: bool, fixed_height: bool) -> Gaussians:
    """Fits within ellipsoids of these radii (N, D)."""
    weights = (radius**-2) @ (windows.points**2).T <= 1 + 1e-9
    reached = weights.any(0)  # in 3D half of the box
    weights, values = weights[:, reached], windows.values[:, reached]
    weights &= values.detach().isfinite()
    values = torch.where(weights, values, 0)
    blur = torch.diag(windows.blur)
    blurred = start.covariance + blur
    if fixed_height:  # cells that are means of voxels are lower than the peak
        start = replace(start, log_height=(torch.logdet(start.covariance) - torch.logdet(blurred)) / 2)
    start = replace(start, covariance=blurred)
    fit = fit_gaussians(
        values,
        weights.to(values),
        windows.points[reached],
        start,
        fixed_form=fixed_form,
        fixed_height=fixed_height,
    )
    # Far narrower than the cells, it cannot be told from their blur; a refit in a smaller window will tell.
    sharp = fit.covariance - blur
    told = (torch.linalg.cholesky_ex(sharp.detach()).info == 0)[:, None, None]
    return replace(
        fit, covariance=torch.where(told, sharp, fit.covariance), energy=fit.energy * windows.voxels_per_value
    )
