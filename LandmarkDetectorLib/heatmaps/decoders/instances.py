"""Several landmarks of a class in one map: the peaks by non-maximum suppression, each read by any decoder."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.decode import Decoded, decode
from LandmarkDetectorLib.heatmaps.layout import coordinates_of
from LandmarkDetectorLib.heatmaps.peaks import find_peaks

SMALLEST_REACH = 10
"""Voxels; in a smaller crop a peak leaves hardly any background to see."""


def decode_instances(
    heatmaps: Tensor,
    count: int,
    *,
    radius: int = 3,
    threshold: float | None = None,
    method: str = "gaussian_fit",
    reach: int | None = None,
    **options: Any,
) -> Decoded:
    """Reads position, form and height of up to ``count`` separate peaks of each heatmap, highest first.

    The peaks are those of :func:`~LandmarkDetectorLib.heatmaps.find_peaks`. Around each the map is cut out, without the
    voxels that are nearer to another peak or higher than this one, and given to a decoder, which finds or refuses it
    as it does a map of that size.

    Args:
        heatmaps: (B, K, [Z, ]Y, X), floating point of any width.
        count: the most peaks per map, at least 1.
        radius: voxels along each axis within which only the highest peak stays, at least 1; about half the distance of
            the nearest two landmarks.
        threshold: peaks whose voxel is below it are dropped.
        method: the decoder that reads each peak; see :func:`~LandmarkDetectorLib.heatmaps.decode`.
        reach: voxels from a peak to the sides of what is cut out; without it, four times the radius, at least 10. It
            should show background beside the peak.
        options: what the decoder takes.

    Returns:
        Tensors (B, K, count, ...) with what the decoder read; where there are fewer peaks, or one was refused, found is
        False, and positions and covariance are NaN. The peak is NaN where there was none.

    Raises:
        LandmarkDetectorError: what ``find_peaks`` and ``decode`` refuse.
    """
    peaks = find_peaks(heatmaps.masked_fill(~heatmaps.detach().isfinite(), torch.nan), count, radius, threshold)
    batch, landmarks, shape = *heatmaps.shape[:2], tuple(heatmaps.shape[2:])
    there = peaks.positions.isfinite().all(-1).flatten(0, 1)  # (N, count)
    most = int(there.sum(-1).max()) if there.numel() else 0  # crops for those alone that some map has
    there, at = there[:, :most], peaks.positions.nan_to_num().long().flatten(0, 1)[:, :most]  # (N, most, D)
    size = torch.tensor(shape[::-1], device=heatmaps.device)
    reach = max(SMALLEST_REACH, 4 * radius) if reach is None else max(int(reach), 1)
    width = size.clamp(max=2 * reach + 1)
    corner = torch.minimum((at - reach).clamp(min=0), size - width)
    crops = _crops(heatmaps.flatten(0, 1), at, there, corner, tuple(width.flip(0).tolist()))
    out = decode(crops, method, **options)
    found = out.found & there
    missing = ~found[..., None]

    def full(values: Tensor, empty: float) -> Tensor:
        """With what no map has added again, (B, K, count, ...)."""
        rest = values.new_full((values.shape[0], count - most, *values.shape[2:]), empty)
        return torch.cat([values, rest], 1).unflatten(0, (batch, landmarks))

    return Decoded(
        positions=full((out.positions + corner).masked_fill(missing, torch.nan), torch.nan),
        covariance=full(out.covariance.masked_fill(missing[..., None], torch.nan), torch.nan),
        peak=full(out.peak.masked_fill(~there, torch.nan), torch.nan),
        found=full(found, False),
    )


def _crops(maps: Tensor, at: Tensor, there: Tensor, corner: Tensor, width: tuple[int, ...]) -> Tensor:
    """What belongs to each peak (N, count, *width), NaN elsewhere; ``at`` and ``corner`` (N, count, D) are x, y[, z].

    Without ``there`` (N, count) a crop is NaN all over.
    """
    rows, count = at.shape[:2]
    points = coordinates_of(torch.arange(math.prod(width), device=maps.device), width)  # (P, D)
    place = corner[:, :, None] + points  # (N, count, P, D)
    row = torch.arange(rows, device=maps.device)[:, None, None]
    values = maps[tuple([row, *place.flip(-1).unbind(-1)])]  # (N, count, P)
    own = (place - at[:, :, None]).square().sum(-1)
    mine = there[:, :, None].expand_as(own).clone()
    for other in range(count):  # one after the other, so that memory stays at that of the crops
        far = (place - at[:, None, None, other]).square().sum(-1)
        mine &= (own <= far) | ~there[:, None, None, other]
    top = maps[tuple([row[..., 0], *at.flip(-1).unbind(-1)])].detach()
    mine &= ~(values.detach() > top[..., None])
    return torch.where(mine, values, torch.nan).unflatten(-1, width)
