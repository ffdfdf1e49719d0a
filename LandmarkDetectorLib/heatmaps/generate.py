"""Heatmaps to learn from: one Gaussian per landmark, as the product of its profiles along the axes.

The Gaussian of a diagonal covariance is separable, so a map costs one multiplication per voxel and no memory beside
itself; coordinates of voxels are never laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkError

CHUNK_VOXELS = 1 << 20
"""Half-precision maps on the CPU are rounded from single precision in pieces of this size."""

Sigma = float | Sequence[float] | Sequence[Sequence[float]] | Tensor


def gaussian_heatmaps(
    landmarks: Tensor,
    shape: Sequence[int],
    sigma: Sigma,
    spacing: Sequence[float] | Tensor | None = None,
    *,
    valid: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Gaussian heatmaps with the value 1 at each landmark's position, which need not be a voxel's centre.

    Args:
        landmarks: (B, K, D) index coordinates x, y[, z]; a landmark with a coordinate that is not finite is absent.
        shape: ([Z, ]Y, X) of one map.
        sigma: standard deviation in voxels, or in mm when ``spacing`` is given. One number; a sequence of K numbers
            (one per landmark), of D numbers (one per axis x, y[, z]) or of K rows of D numbers; or a tensor that
            broadcasts to (B, K, D).
        spacing: mm per voxel along x, y[, z]: D numbers, or (B, D) where the images differ.
        valid: (B, K) bool; False marks an absent landmark.
        dtype: floating-point type of the maps; the profiles are computed in double precision whatever it is.

    Returns:
        The maps (B, K, [Z, ]Y, X) on the landmarks' device, and a mask (B, K) that is False where a landmark is absent.
        The map of an absent landmark is zero. A landmark outside the view is not absent: it keeps its mask, and as
        much of its Gaussian's tail as reaches the view. The maps carry the gradients of ``landmarks`` and ``sigma``.

    Raises:
        LandmarkError: landmarks, shape, sigma, spacing or valid do not fit each other, or a sigma or a spacing is not
            positive and finite.
    """
    shape = tuple(int(n) for n in shape)
    if landmarks.ndim != 3 or landmarks.shape[-1] != len(shape) or len(shape) not in (2, 3) or min(shape) < 1:
        raise LandmarkError(
            f"Landmarks of shape {tuple(landmarks.shape)} do not fit maps of shape {shape}; give (batch, landmarks, 2) "
            "for (Y, X) or (batch, landmarks, 3) for (Z, Y, X)."
        )
    mask = landmarks.isfinite().all(-1)
    if valid is not None:
        if valid.shape != mask.shape or valid.dtype != torch.bool:
            raise LandmarkError(
                f"The mask of valid landmarks is {valid.dtype} of shape {tuple(valid.shape)}; give bool of shape "
                f"{tuple(mask.shape)}."
            )
        mask = mask & valid.to(mask.device)
    centres = torch.where(mask[..., None], landmarks, 0).to(computing_type(landmarks.device))
    widths = sigma_in_voxels(sigma, spacing, centres)
    return separable_heatmaps(centres, widths, mask, shape, lambda squared: torch.exp(-0.5 * squared), dtype), mask


def separable_heatmaps(
    centres: Tensor,
    widths: Tensor,
    mask: Tensor,
    shape: Sequence[int],
    profile: Callable[[Tensor], Tensor],
    dtype: torch.dtype,
) -> Tensor:
    """Products of one profile per axis.

    Args:
        centres: (B, K, D) finite index coordinates x, y[, z], in the precision in which to compute.
        widths: (B, K, D) standard deviations in voxels.
        mask: (B, K) bool; where it is False the map is zero.
        shape: ([Z, ]Y, X) of one map.
        profile: value at a squared distance in standard deviations; that of a sum is the product of the values.
        dtype: floating-point type of the maps.

    Returns:
        Maps (B, K, [Z, ]Y, X).
    """
    narrow = torch.promote_types(dtype, torch.float32)
    profiles = []
    for axis, size in enumerate(reversed(shape)):
        steps = torch.arange(size, dtype=centres.dtype, device=centres.device) - centres[..., axis, None]
        profiles.append(profile((steps / widths[..., axis, None]) ** 2).to(narrow))
    profiles[-1] = profiles[-1] * mask[..., None]  # an absent landmark's map is zero
    return _product([p.flatten(0, 1) for p in profiles], dtype).reshape(*mask.shape, *shape)


def computing_type(device: torch.device) -> torch.dtype:
    """The widest precision that a device computes in."""
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no double precision


def sigma_in_voxels(sigma: Sigma, spacing: Sequence[float] | Tensor | None, centres: Tensor) -> Tensor:
    """Sigma in voxels (B, K, D), of the type and on the device of the centres (B, K, D)."""
    batch, landmarks, dimension = centres.shape
    widths = torch.as_tensor(sigma).to(centres)
    if not isinstance(sigma, Tensor) and widths.ndim == 1:
        if len(widths) == landmarks == dimension:
            raise LandmarkError(
                f"A sigma of {dimension} numbers could go by landmark or by axis; give a tensor of shape "
                f"({landmarks}, 1) or (1, {dimension})."
            )
        if len(widths) == landmarks:
            widths = widths[:, None]
    try:
        widths = widths.expand(batch, landmarks, dimension)
    except RuntimeError:
        raise LandmarkError(
            f"A sigma of shape {tuple(widths.shape)} does not fit {landmarks} landmarks in {dimension} dimensions; "
            "give one number, or one per landmark, per axis or per both."
        ) from None
    if spacing is not None:
        steps = torch.as_tensor(spacing).to(centres)
        if steps.shape not in ((dimension,), (batch, dimension)) or not _positive(steps):
            raise LandmarkError(
                f"The spacing {steps.tolist()} is not {dimension} positive numbers, or that for each of {batch} "
                "images; mend the image's header."
            )
        widths = widths / (steps if steps.ndim == 1 else steps[:, None])
    if not _positive(widths):
        raise LandmarkError("A sigma is not positive and finite; give every landmark and axis a width above zero.")
    return widths


def _positive(numbers: Tensor) -> bool:
    return bool(((numbers > 0) & numbers.isfinite()).all())


def _product(profiles: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Outer product (N, [Z, ]Y, X) of profiles (N, X), (N, Y)[, (N, Z)]."""
    x, y = profiles[:2]
    left, right = y[:, :, None], x[:, None, :]
    if len(profiles) == 3:
        # The plane is small; one product of its pixels with z then fills the volume in the order of its memory.
        left, right = profiles[2][:, :, None], (left * right).flatten(1)[:, None, :]
    if torch.is_grad_enabled() and (left.requires_grad or right.requires_grad):
        return (left * right).to(dtype)
    maps = torch.empty(len(left), left.shape[1], right.shape[2], dtype=dtype, device=left.device)
    # The CPU would hold all of a product in single precision to round it to half; a GPU rounds each number on its way.
    rounded_whole = dtype == left.dtype or left.is_cuda
    step = max(1, len(maps) if rounded_whole else CHUNK_VOXELS // max(1, maps[:1].numel()))
    for first in range(0, len(maps), step):
        torch.mul(left[first : first + step], right[first : first + step], out=maps[first : first + step])
    return maps
