"""The base of all heatmap generators: the spread, the landmarks, and what becomes of the maps.

A new distribution is a subclass with one function, and a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.heatmaps.generate import Sigma, computing_type, separable_heatmaps
from LandmarkDetectorLib.heatmaps.generators.ellipses import Drawing, draw
from LandmarkDetectorLib.heatmaps.generators.spread import Numbers, Spread


class HeatmapGenerator(Spread):
    """Heatmaps of landmarks, with a spread that is fixed, set from outside or learnt.

    A subclass gives ``profile``, the value at a squared Mahalanobis distance; ``separable``, where the profile of a sum
    is the product of the profiles; and ``mass``, if it is to know ``gamma``. It takes the arguments below and no
    parameters of its own: the gradient reaches landmarks and spread.

    The call is ``generator(landmarks, shape, spacing, valid=, affine=, covariance=, dtype=)``; see :meth:`forward`.

    Learnable sigma and rotation are the parameters ``log_sigma`` (K, D) and ``rotation`` (K, 1) or (K, 3), which stay
    the same objects whatever is set, so that an optimiser made before or after moves them. Learnt widths of targets
    need something that keeps them from growing: see ``losses.GaussianHeatmapLoss``. Payer et al. 2019,
    https://doi.org/10.1016/j.media.2019.03.007; rotation and axes: Thaler et al. 2021, arXiv:2109.09533.

    Args:
        landmarks: K, how many landmarks there are (classes, where a landmark has several instances).
        dimension: D, 2 or 3.
        sigma: standard deviation along the principal axes, x, y[, z] before they are turned: a number, K numbers (per
            landmark), D numbers (per axis), K rows of D, or a tensor that broadcasts to (K, D). Single precision, or
            double where a tensor of doubles is given.
        unit: of sigma, ``"voxel"`` or ``"mm"``; with mm every call needs the spacing.
        rotation: radians. In 2D the angle from x towards y, one or K; in 3D a rotation vector x, y, z (axis times
            angle), one or K. It turns the principal axes in the space of the unit.
        covariance: (D, D) or (K, D, D) in unit², instead of sigma and rotation; it is kept as these two.
        learnable: what is a parameter: True (both), ``"sigma"``, ``"rotation"`` or False (neither; both are buffers).
        gamma: the integral of one instance's map over all space, in voxels: its peak is gamma / (mass · √det S), for a
            Gaussian gamma / ((2π)^(D/2) √det S), with S in voxel². None: the peak is 1.
        background: add a channel with 1 minus the highest of the landmarks' maps.
        all_landmarks: add a channel with the highest of the landmarks' maps.
            Both stand after the landmarks, this one first. Both are made of maps whose peak is 1, whatever gamma says,
            and lie in [0, 1].
        instances: how the instances of a landmark become one map: ``"maximum"``, which is never above the peak of one,
            or ``"sum"``, which is where they overlap, and is added in the type of the maps.

    Raises:
        LandmarkError: the arguments do not fit each other or are not positive where they must be.
    """

    separable = False

    def __init__(
        self,
        landmarks: int,
        dimension: int,
        sigma: Sigma | None = None,
        *,
        unit: Literal["voxel", "mm"] = "voxel",
        rotation: Numbers | None = None,
        covariance: Numbers | None = None,
        learnable: bool | Literal["sigma", "rotation"] = False,
        gamma: float | None = None,
        background: bool = False,
        all_landmarks: bool = False,
        instances: Literal["maximum", "sum"] = "maximum",
    ) -> None:
        super().__init__(
            landmarks, dimension, sigma, unit=unit, rotation=rotation, covariance=covariance, learnable=learnable
        )
        if gamma is not None and not 0 < gamma < float("inf"):
            raise LandmarkError(f"The gamma of a heatmap generator is {gamma}; give a positive number or None.")
        if instances not in ("maximum", "sum"):
            raise LandmarkError(f"Instances are joined by {instances!r}; choose 'maximum' or 'sum'.")
        self.gamma, self.background, self.all_landmarks, self.instances = gamma, background, all_landmarks, instances

    def profile(self, squared: Tensor) -> Tensor:
        """The value at squared Mahalanobis distances, elementwise: 1 at zero, nowhere rising, with finite gradient."""
        raise NotImplementedError

    def mass(self) -> float:
        """The integral of the profile over space, for the unit covariance."""
        raise LandmarkError(f"{type(self).__name__} has no finite mass; leave its gamma out.")

    def forward(
        self,
        landmarks: Tensor,
        shape: Sequence[int],
        spacing: Sequence[float] | Tensor | None = None,
        *,
        valid: Tensor | None = None,
        affine: Tensor | None = None,
        covariance: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """Heatmaps, and for which landmarks there is one.

        Args:
            landmarks: (B, K, D) index coordinates x, y[, z], or (B, K, N, D) for up to N instances of each; NaN where
                there is none.
            shape: ([Z, ]Y, X) of one map.
            spacing: mm per voxel of these images along x, y[, z], D numbers or (B, D); with the unit mm alone.
            valid: bool (B, K) or (B, K, N); False: there is none.
            affine: (D, D) or (B, D, D), the linear part A of what was done to the images and to these landmarks, in
                voxels x, y[, z]: S becomes A S Aᵀ.
            covariance: (K, D, D) or (B, K, D, D) in unit², for this call in the place of the generator's own, such as a
                network's estimate; it gets its gradient.
            dtype: floating-point type of the maps; they are computed in double precision and rounded.

        Returns:
            The maps (B, K + extra, [Z, ]Y, X) on the landmarks' device, and a mask (B, K) that is True where a landmark
            has an instance, in the view or outside. Where the mask is False the map is zero, and the mask does not say
            why: of a landmark that is absent the empty map is the truth and may be learnt; of one that nobody has
            labelled it is not, and a loss must leave it out. Whoever has read the labels knows which, and tells the
            loss: this mask leaves out both.

        Raises:
            LandmarkError: what is given does not fit each other or the generator.
        """
        with torch.autocast(landmarks.device.type, enabled=False):
            shape = tuple(int(n) for n in shape)
            centres, present = self._placed(landmarks, shape, valid)
            each = centres.new_empty((*centres.shape[:2], self.dimension))  # a landmark may have no instance to look at
            form, upright = self.in_voxels(each, spacing, affine, covariance)
            if self.separable and upright and centres.shape[2] == 1:
                widths = form.diagonal(dim1=-1, dim2=-2).sqrt()
                maps = separable_heatmaps(centres[:, :, 0], widths, present[:, :, 0], shape, self.profile, dtype)
            else:
                maps = draw(Drawing(shape, self.profile, self.instances == "sum", dtype), centres, form, present)
            return self._finished(maps, form), present.any(-1)

    def _placed(self, landmarks: Tensor, shape: tuple[int, ...], valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Finite centres (B, K, N, D) in the precision in which to compute, and which of them are there (B, K, N)."""
        d = self.dimension
        if landmarks.ndim not in (3, 4) or landmarks.shape[1] != self.landmarks or landmarks.shape[-1] != d:
            raise LandmarkError(
                f"Landmarks of shape {tuple(landmarks.shape)} do not fit the generator; give (batch, {self.landmarks}, "
                f"{d}) or (batch, {self.landmarks}, instances, {d})."
            )
        if len(shape) != d or min(shape) < 1:
            raise LandmarkError(f"Maps of shape {shape} do not fit landmarks in {d} dimensions; give {d} sizes.")
        if landmarks.ndim == 3:
            landmarks = landmarks[:, :, None]
        present = landmarks.isfinite().all(-1)
        if valid is not None:
            if valid.dtype != torch.bool or valid.shape not in (present.shape, present.shape[:2]):
                raise LandmarkError(
                    f"The mask of valid landmarks is {valid.dtype} of shape {tuple(valid.shape)}; give bool of shape "
                    f"{tuple(present.shape[:2])} or {tuple(present.shape)}."
                )
            valid = valid.to(present.device)
            present = present & (valid if valid.ndim == 3 else valid[..., None])
        return torch.where(present[..., None], landmarks, 0).to(computing_type(landmarks.device)), present

    def _finished(self, maps: Tensor, form: Tensor) -> Tensor:
        """The extra channels, made of maps whose peak is 1, after the maps, which then take their height."""
        extra = []
        if self.all_landmarks or self.background:
            highest = maps.amax(1, keepdim=True).clamp(max=1)  # sums of instances can be higher
            extra = [highest] * self.all_landmarks + [1 - highest] * self.background
        if self.gamma is not None:
            height = self.gamma / (self.mass() * torch.linalg.det(form).sqrt())
            height = height.reshape(*height.shape, *[1] * self.dimension).to(maps.dtype)
            needs = torch.is_grad_enabled() and (maps.requires_grad or height.requires_grad)
            maps = maps * height if needs else maps.mul_(height)
        return torch.cat([maps, *extra], 1) if extra else maps
