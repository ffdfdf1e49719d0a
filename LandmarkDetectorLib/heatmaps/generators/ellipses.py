"""Maps of a distribution whose level sets are ellipses of any orientation, drawn where they are not zero.

With the Cholesky factor L of the covariance in the order of the grid, z before y before x, and W = L⁻¹, which is lower
triangular, the squared Mahalanobis distance is a sum of squares of which only the last knows x: a plane, a line and
one pass over the voxels, never the coordinates of all voxels. It is computed in double precision, a piece of
the size of a cache at a time, and only in the box beyond which the type of the maps has nothing but zero. The gradient
computes the pieces again, so that training a spread costs no more memory than making the maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_VOXELS = 1 << 18
"""Voxels in double precision that a processor keeps at hand while it passes over them several times."""

CHUNK_VOXELS_CUDA = 1 << 24
"""A GPU would rather be called seldom."""

Profile = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Drawing:
    """What does not depend on the landmarks.

    Args:
        shape: ([Z, ]Y, X) of one map.
        profile: value at a squared Mahalanobis distance, 1 at zero and nowhere rising.
        add: whether instances are added; otherwise the highest counts.
        dtype: floating-point type of the maps.
    """

    shape: tuple[int, ...]
    profile: Profile
    add: bool
    dtype: torch.dtype


def draw(drawing: Drawing, centres: Tensor, covariance: Tensor, present: Tensor) -> Tensor:
    """Maps of a distribution around centres, with gradients for the centres and the covariance.

    Args:
        drawing: the grid and the distribution.
        centres: (B, K, N, D) finite index coordinates x, y[, z] of N instances, in the precision in which to compute.
        covariance: (B, K, D, D) in voxel², of that type, positive definite.
        present: (B, K, N) bool; an instance for which it is False leaves no trace.

    Returns:
        (B, K, [Z, ]Y, X). Where two instances are equally high, the gradient goes to the first. There are no second
        derivatives.
    """
    in_grid_order = covariance.flip(-1, -2)
    factor = torch.linalg.cholesky(in_grid_order)
    whitening = torch.linalg.solve_triangular(factor, torch.eye(len(drawing.shape)).to(factor), upper=False)
    radius = reach(drawing.profile, drawing.dtype) * in_grid_order.detach().diagonal(dim1=-1, dim2=-2).sqrt()
    maps = _Draw.apply(
        drawing,
        centres.flip(-1).flatten(0, 1),
        whitening.flatten(0, 1),
        radius.flatten(0, 1),
        present.flatten(0, 1),
    )
    return maps.unflatten(0, covariance.shape[:2])


def reach(profile: Profile, dtype: torch.dtype) -> float:
    """Mahalanobis distance beyond which the type has only zero for the profile's value; infinite for heavy tails."""
    squared = torch.logspace(-2, 9, 1101, dtype=torch.float64)
    beyond = (profile(squared).to(dtype) == 0).tolist()
    return math.sqrt(squared[beyond.index(True)].item()) if beyond[-1] else math.inf


@dataclass(frozen=True)
class _Piece:
    """Boxes of one size in several maps.

    Args:
        rows: (R,) which maps.
        offsets: per axis [z, ]y, x the steps (R, n) of the box's voxels from the centre.
        slices: R boxes in the grid.
    """

    rows: Tensor
    offsets: list[Tensor]
    slices: list[tuple[int | slice, ...]]


def _squared_distance(offsets: Sequence[Tensor], whitening: Tensor) -> Tensor:
    """Squared Mahalanobis distance (R, [z, ]y, x) of offsets, per axis (R, n), with whitening matrices (R, D, D)."""
    total = offsets[0].new_zeros(())
    for i in range(len(offsets)):
        shift = offsets[0].new_zeros(())
        for j in range(i + 1):
            step = whitening[:, i, j, None] * offsets[j]
            shift = shift + step.reshape(len(step), *[-1 if axis == j else 1 for axis in range(i + 1)])
        total = torch.addcmul(total[..., None], shift, shift)
    return total


def _pieces(drawing: Drawing, centres: Tensor, radius: Tensor, present: Tensor) -> Iterator[_Piece]:
    """The boxes to fill for one instance of every map: centres (M, D) in grid order, radius (M, D), present (M,)."""
    rows = present.nonzero()[:, 0]
    if not len(rows):
        return
    size = torch.tensor(drawing.shape, dtype=centres.dtype, device=centres.device)
    low = (centres - radius)[rows].ceil().clamp(min=0).minimum(size)
    high = ((centres + radius)[rows].floor() + 1).minimum(size).clamp(min=0)
    extent = (high - low).amax(0).clamp(min=1).long().tolist()  # boxes of one size are computed together
    start = low.minimum(size - torch.tensor(extent).to(size)).long()
    most = CHUNK_VOXELS_CUDA if centres.is_cuda else CHUNK_VOXELS
    together = max(1, most // math.prod(extent))
    depth = max(1, most // math.prod(extent[1:])) if together == 1 else extent[0]
    starts, names = start.tolist(), rows.tolist()
    for first in range(0, len(names), together):
        part = slice(first, first + together)
        offsets = [
            start[part, axis, None] + torch.arange(n, device=centres.device) - centres[rows[part], axis, None]
            for axis, n in enumerate(extent)
        ]
        for top in range(0, extent[0], depth):
            bottom = min(top + depth, extent[0])
            slices = [
                (
                    name,
                    slice(at[0] + top, at[0] + bottom),
                    *(slice(a, a + n) for a, n in zip(at[1:], extent[1:], strict=True)),
                )
                for name, at in zip(names[part], starts[part], strict=True)
            ]
            yield _Piece(rows[part], [offsets[0][:, top:bottom], *offsets[1:]], slices)


class _Draw(torch.autograd.Function):
    """From M maps' centres (M, N, D), whitening (M, D, D), radius (M, D), present (M, N), to maps (M, [Z, ]Y, X)."""

    @staticmethod
    def forward(
        ctx: Any, drawing: Drawing, centres: Tensor, whitening: Tensor, radius: Tensor, present: Tensor
    ) -> Tensor:
        maps = torch.zeros(len(centres), *drawing.shape, dtype=drawing.dtype, device=centres.device)
        for instance in range(centres.shape[1]):
            for piece in _pieces(drawing, centres[:, instance], radius, present[:, instance]):
                squared = _squared_distance(piece.offsets, whitening[piece.rows])
                for place, values in zip(piece.slices, drawing.profile(squared), strict=True):
                    if instance == 0:
                        maps[place].copy_(values)
                    elif drawing.add:
                        maps[place].add_(values)
                    else:
                        there = maps[place]
                        torch.maximum(there, values.to(drawing.dtype), out=there)
        ctx.drawing = drawing
        several = centres.shape[1] > 1 and not drawing.add
        ctx.save_for_backward(centres, whitening, radius, present, *([maps] if several else []))
        return maps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        centres, whitening, radius, present, *highest = ctx.saved_tensors
        drawing: Drawing = ctx.drawing
        to_centres, to_whitening = torch.zeros_like(centres), torch.zeros_like(whitening)
        taken = torch.zeros_like(highest[0], dtype=torch.bool) if highest else None
        for instance in range(centres.shape[1]):
            for piece in _pieces(drawing, centres[:, instance], radius, present[:, instance]):
                weights = torch.stack([upstream[place] for place in piece.slices]).to(centres.dtype)
                with torch.enable_grad():
                    moved = torch.zeros_like(centres[piece.rows, instance]).requires_grad_()
                    form = whitening[piece.rows].requires_grad_()
                    offsets = [steps - moved[:, axis, None] for axis, steps in enumerate(piece.offsets)]
                    values = drawing.profile(_squared_distance(offsets, form))
                if taken is not None:
                    for place, value, weight in zip(piece.slices, values.detach(), weights, strict=True):
                        wins = (value.to(drawing.dtype) == highest[0][place]) & ~taken[place]
                        taken[place] |= wins
                        weight *= wins
                by_centre, by_form = torch.autograd.grad(values, (moved, form), weights)
                to_centres[:, instance].index_add_(0, piece.rows, by_centre)
                to_whitening.index_add_(0, piece.rows, by_form)
        return None, to_centres, to_whitening, None, None
