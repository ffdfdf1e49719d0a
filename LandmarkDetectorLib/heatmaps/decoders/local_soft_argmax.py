"""The mean of the voxels around the highest one, weighted by their exponentials: local soft-arg-max.

A window around the highest voxel draws the mean to that voxel, and one that the border cuts draws it inwards. Here the
window follows the mean by fractions of a voxel, and reaches no further on one side than the border lets it on the
other: the answer is the place about which its window is balanced. What a border leaves is a tenth or two of a voxel
within its outermost two voxels; only for a peak wide beside that (standard deviation 5) is it more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.summits import find_summits
from LandmarkDetectorLib.heatmaps.surroundings import Windows, exact_device, gather_windows, groups_of_windows

MOST_SHARPNESS = 100.0
"""Beyond it even a wide peak is one voxel, and the answer an arg-max."""

ROUNDS = 20
"""How often, at most, the window is moved to where it would be balanced."""

STILL = 1e-4
"""Voxels; a window that moves by less stays."""

NUDGE = 0.05
"""Voxels by which the window is moved to see how its balance follows."""


@decoder("local_soft_argmax")
def local_soft_argmax(maps: Tensor, window: float | None = None, sharpness: float = 2.0) -> Decoded:
    """Takes the place about which the softmax of the map is balanced in a window.

    Weights are exp(sharpness * h), where h is the height above the background as a share of the peak's: heatmaps of
    height 1 and logits of ±100 are read alike, and nothing overflows. What the background weighs is taken off, so that
    it draws nothing. Sharpness narrows a peak to about its standard deviation / √sharpness: less is made of a second
    peak in the window, until (below half a voxel) the voxels are too few to tell the fraction. Found is whatever rises
    above the map's median by more than rounding and has its centre in the view (-0.5 to size - 0.5); a slope that ends
    at the border may pass. Voxels that are not finite weigh nothing. The covariance is that of the weights in the
    window, narrower than the peak.

    Args:
        maps: (N, [Z, ]Y, X). Positions and covariance carry their gradient.
        window: width in voxels, odd, even or broken, more than 1; without it, four standard deviations of the peak as
            its width at half height tells them, at least 3. A window narrower than that is less exact in noise.
        sharpness: inverse of a softmax's temperature, for a peak of height 1.

    Raises:
        LandmarkDetectorError: a window that is not above 1, a sharpness that is not from 0 to 100.
    """
    if window is not None and not 1 < window < float("inf"):
        raise LandmarkDetectorError(f"A window of {window} voxels holds no neighbour; give a number above 1.")
    if not 0 < sharpness <= MOST_SHARPNESS:
        raise LandmarkDetectorError(f"A sharpness of {sharpness} is not between 0 and {MOST_SHARPNESS}; mend it.")
    summits = find_summits(maps)
    home = exact_device(maps)
    size = torch.tensor(maps.shape[:0:-1], device=home)
    at, base, widths = summits.at.to(home), summits.base.to(home, torch.float64), summits.sigma.to(home, torch.float64)
    height = (summits.value.detach() - summits.base).to(base)
    reach = (2 * widths).clamp(min=1.5) if window is None else torch.full_like(widths, window / 2)
    reach = torch.minimum(reach, size.to(base))
    room = 1.5 * reach + 1  # for the window to move in
    means = torch.zeros_like(widths)
    forms = torch.diag_embed(means)
    for rows in groups_of_windows(summits.rises.to(home).nonzero()[:, 0], room):
        windows = gather_windows(maps, rows, at[rows], room[rows].amax(0))
        share = (windows.values - base[rows, None]) / height[rows, None]
        share = torch.where(share.isfinite(), share.clamp(min=0), 0)
        low, high = -0.5 - at[rows], size - 0.5 - at[rows]
        balance = _Balance(
            windows, torch.expm1(sharpness * share) / sharpness, reach[rows], low.to(base), high.to(base)
        )
        mean = balance.place(widths[rows] ** 2 * -math.expm1(-sharpness) / sharpness, room[rows] - reach[rows])
        shift, form = balance.about(mean)
        means, forms = means.index_copy(0, rows, mean + shift), forms.index_copy(0, rows, form)
    positions = at + means
    found = ((positions >= -0.5) & (positions <= size - 0.5)).all(-1).to(maps.device)
    return Decoded(positions.to(summits.base), forms.to(summits.base), summits.value, summits.rises & found)


class _Balance:
    """Weights (N, P) seen through windows of half-widths ``reach`` (N, D) that stay within ``low`` and ``high``."""

    def __init__(self, windows: Windows, weight: Tensor, reach: Tensor, low: Tensor, high: Tensor):
        self.windows, self.weight, self.reach, self.low, self.high = windows, weight, reach, low, high

    def about(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        """How far the mean (N, D) in a window about this place lies from it, and the covariance (N, D, D) about it.

        The shift carries the derivative of the balanced place, on condition that the place is balanced.
        """
        shift, form = self._moments(self.weight, mean)
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return torch.zeros_like(shift), form
        with torch.no_grad():
            slope = torch.empty_like(form)
            for axis in range(mean.shape[1]):
                step = torch.zeros_like(mean)
                step[:, axis] = NUDGE
                after, before = self._moments(self.weight, mean + step)[0], self._moments(self.weight, mean - step)[0]
                slope[:, :, axis] = (before - after) / (2 * NUDGE)
            gain = torch.linalg.inv_ex(slope).inverse
            unit = torch.eye(mean.shape[1]).to(slope)
            sound = gain.isfinite().all(-1).all(-1) & (gain.abs().amax((1, 2)) < 1e3)
            gain = torch.where(sound[:, None, None], gain, unit)
        return (gain @ (shift - shift.detach())[..., None])[..., 0], form

    @torch.no_grad()
    def place(self, variance: Tensor, room: Tensor) -> Tensor:
        """The balanced place (N, D) from the middle on, within ``room`` (N, D); ``variance`` guesses the peak's."""
        mean = torch.zeros_like(variance)
        moving = torch.ones_like(mean[:, :1], dtype=torch.bool)
        for number in range(ROUNDS):
            shift, form = self._moments(self.weight, mean)
            spread = form.diagonal(dim1=1, dim2=2) - shift**2
            step = shift * (variance / spread.clamp(min=1e-6)).clamp(1, 100)
            late = max(0, number - ROUNDS // 3)
            step = step / 2 if late else step
            longest = 0.5**late  # what swings to and fro, as it does where few voxels weigh, closes in on the balance
            new = torch.maximum(torch.minimum(mean + step.clamp(-longest, longest), room), -room)
            new = torch.maximum(torch.minimum(new, self.high), self.low)
            still = ((new - mean).abs() < STILL).all(-1, keepdim=True)
            mean = torch.where(moving, new, mean)
            moving &= ~still
            if not moving.any():
                break
        return mean

    def _moments(self, weight: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (N, D) and second moments (N, D, D) from this place on."""
        points = self.windows.points
        step = self.windows.step
        least = torch.where(step > 1, 2 * step, 0.5)  # a cell that the border cuts is lost, the next one is not
        reach = torch.minimum(self.reach, torch.maximum(torch.minimum(mean - self.low, self.high - mean), least))
        for axis in range(mean.shape[1]):
            away = (points[:, axis] - mean[:, axis, None]).abs()
            weight = weight * ((reach[:, axis, None] - away) / step[axis] + 0.5).clamp(0, 1)
        mass = weight.sum(-1, keepdim=True).clamp(min=1e-6)  # the peak's voxel weighs 1 or more
        first = weight @ points / mass
        second = (weight @ (points[:, :, None] * points[:, None]).flatten(1) / mass).unflatten(-1, (mean.shape[1],) * 2)
        shift = first - mean
        form = second - first[:, :, None] * first[:, None] + shift[:, :, None] * shift[:, None]
        return shift, form
