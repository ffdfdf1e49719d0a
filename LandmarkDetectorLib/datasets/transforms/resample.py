"""What transforms of ours share: an image on a grid of another size, by a matrix in index coordinates x, y[, z]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError

MODES = ("bilinear", "nearest")
PADDING_MODES = ("zeros", "border", "reflection")


def one_per_key(value: str | Sequence[str], keys: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """A setting for each key: one for all, or as many as there are keys.

    Raises:
        DatasetError: too few or too many, or one that is not allowed.
    """
    values = (value,) * len(keys) if isinstance(value, str) else tuple(value)
    if len(values) != len(keys) or not set(values) <= set(allowed):
        raise DatasetError(f"{value!r} does not fit the keys {tuple(keys)}: give one of {', '.join(allowed)} for each.")
    return values


def index_grid(shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Index coordinates ([Z, ]Y, X, D) in x, y[, z] of every voxel of a grid of this shape, float32."""
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def sample_at(values: Tensor, index: Tensor, mode: str = "bilinear", padding: str = "zeros") -> Tensor:
    """Values (C, [Z, ]Y, X) at index coordinates (..., D) in x, y[, z], (C, ...), float32.

    Args:
        values: of any number type; 0 is the first voxel's centre.
        index: where, of as many axes as the values have in space, plus one.
        mode: ``bilinear`` (linear along every axis) or ``nearest``.
        padding: what lies outside, of :data:`PADDING_MODES`.
    """
    size = torch.tensor(list(reversed(values.shape[1:])), dtype=index.dtype, device=index.device)
    unit = (2 * index + 1) / size - 1  # grid_sample counts from -1 to 1 over the voxels' borders
    plain = values.as_tensor() if isinstance(values, MetaTensor) else values
    return F.grid_sample(plain[None].float(), unit[None].float(), mode, padding, align_corners=False)[0]


def resampled(
    values: Tensor, matrix: Tensor, shape: Sequence[int], mode: str = "bilinear", padding: str = "zeros"
) -> Tensor:
    """Values (C, [Z, ]Y, X) on a grid of another shape, (C, *shape), float32.

    Args:
        values: the image.
        matrix: (D+1, D+1) in x, y[, z], from the index in the new grid to the index in the image.
        shape: of the new grid, ([Z, ]Y, X).
        mode: ``bilinear`` or ``nearest``.
        padding: what lies outside, of :data:`PADDING_MODES`.
    """
    # The matrix is applied axis by axis in float64 before it is rounded: a large grid keeps its last voxels exact.
    index = index_grid(shape, values.device).double() @ matrix[:-1, :-1].T.to(values.device)
    return sample_at(values, (index + matrix[:-1, -1].to(values.device)).float(), mode, padding)


def in_array_order(matrix: Tensor) -> Tensor:
    """A matrix (D+1, D+1) between index coordinates x, y[, z], for array coordinates [z, ]y, x; its own inverse."""
    d = matrix.shape[0] - 1
    order = [*reversed(range(d)), d]
    return matrix[order][:, order]


def same_voxels(image: MetaTensor) -> MetaTensor:
    """The same voxels with a description of their own, so that what is noted there is noted for nobody else."""
    return MetaTensor(image.as_tensor()).copy_meta_from(image)
