"""The spread of landmarks: how far each one's heatmap reaches and where to, fixed, set from outside or learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.heatmaps.generate import Sigma, computing_type, sigma_in_voxels
from LandmarkDetectorLib.heatmaps.generators.principal_axes import covariance_of, log_of, sigma_of, take_apart

Numbers = float | Sequence[float] | Sequence[Sequence[float]] | Tensor


class Spread(nn.Module):
    """A covariance per landmark, as sigma along principal axes and the turn of these axes.

    What is learnable is a parameter, ``log_sigma`` (K, D) or ``rotation`` (K, 1) or (K, 3), and a buffer otherwise. It
    stays the same object whatever is set, so that an optimiser made before or after moves it.

    Args:
        landmarks: K.
        dimension: D, 2 or 3.
        sigma: see ``HeatmapGenerator``, as for the rest.
        unit: ``"voxel"`` or ``"mm"``.
        rotation: radians.
        covariance: in the place of sigma and rotation.
        learnable: True, ``"sigma"``, ``"rotation"`` or False.

    Raises:
        LandmarkError: the arguments do not fit each other, or a spread is not positive and finite.
    """

    log_sigma: Tensor
    rotation: Tensor

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
    ) -> None:
        super().__init__()
        if dimension not in (2, 3) or landmarks < 1:
            raise LandmarkError(f"{landmarks} landmarks in {dimension} dimensions; give one or more in 2 or 3.")
        if unit not in ("voxel", "mm"):
            raise LandmarkError(f"The unit of a heatmap generator is {unit!r}; choose 'voxel' or 'mm'.")
        if learnable not in (True, False, "sigma", "rotation"):
            raise LandmarkError(f"What is learnable is {learnable!r}; choose True, False, 'sigma' or 'rotation'.")
        if covariance is not None and (sigma is not None or rotation is not None):
            raise LandmarkError("A heatmap generator got a covariance and a sigma or rotation; give one or the other.")
        self.landmarks, self.dimension, self.unit = landmarks, dimension, unit
        given = covariance if covariance is not None else sigma
        double = isinstance(given, Tensor) and given.dtype == torch.float64
        dtype = torch.float64 if double else torch.get_default_dtype()
        for name, axes in (("log_sigma", dimension), ("rotation", 1 if dimension == 2 else 3)):
            start = torch.zeros(landmarks, axes, dtype=dtype)
            if learnable is True or (learnable and name.endswith(learnable)):
                self.register_parameter(name, nn.Parameter(start))
            else:
                self.register_buffer(name, start)
        if covariance is not None:
            self.set_covariance(covariance)
        else:
            self.set_sigma(1.0 if sigma is None else sigma)
            self.set_rotation(0.0 if rotation is None else rotation)

    @property
    def sigma(self) -> Tensor:
        """Standard deviations (K, D) along the principal axes, in the generator's unit, with their gradient."""
        return sigma_of(self.log_sigma)

    @property
    def covariance(self) -> Tensor:
        """Covariances (K, D, D) in the generator's unit squared, axes x, y[, z], with their gradient."""
        return covariance_of(self.sigma, self.rotation)

    @torch.no_grad()
    def set_sigma(self, sigma: Sigma) -> None:
        """Set sigma, said as to the constructor, in place and without gradient; the rotation stays.

        Raises:
            LandmarkError: it does not fit the landmarks and axes, or is not positive and finite.
        """
        self.log_sigma.copy_(log_of(sigma_in_voxels(sigma, None, self.log_sigma[None])[0]))

    @torch.no_grad()
    def set_rotation(self, rotation: Numbers) -> None:
        """Set the rotation, said as to the constructor, in place and without gradient.

        Raises:
            LandmarkError: it does not fit the landmarks and dimension, or is not finite.
        """
        turn = torch.as_tensor(rotation).to(self.rotation)
        if self.dimension == 2 and turn.ndim == 1:
            turn = turn[:, None]
        try:
            turn = turn.expand(self.rotation.shape)
        except RuntimeError:
            raise LandmarkError(
                f"A rotation of shape {tuple(turn.shape)} does not fit {self.landmarks} landmarks in {self.dimension} "
                "dimensions; give an angle for each in 2D, a rotation vector of three numbers for each in 3D."
            ) from None
        if not turn.isfinite().all():
            raise LandmarkError("A rotation of a heatmap generator is not finite; give angles in radians.")
        self.rotation.copy_(turn)

    @torch.no_grad()
    def set_covariance(self, covariance: Numbers) -> None:
        """Set sigma and rotation to those of covariances (D, D) or (K, D, D) in unit², in place, without gradient.

        Raises:
            LandmarkError: they do not fit, or are not symmetric and positive definite.
        """
        form = torch.as_tensor(covariance).to(self.log_sigma.device)
        form = form.to(computing_type(form.device))
        size = (self.landmarks, self.dimension, self.dimension)
        if form.shape not in (size, size[1:]):
            raise LandmarkError(f"The covariance has the shape {tuple(form.shape)}; give {size[1:]} or {size}.")
        form = _checked(form.expand(size))
        sigma, rotation = take_apart(form)
        self.log_sigma.copy_(log_of(sigma))
        self.rotation.copy_(rotation)

    def in_voxels(
        self,
        like: Tensor,
        spacing: Sequence[float] | Tensor | None,
        affine: Tensor | None,
        covariance: Tensor | None,
    ) -> tuple[Tensor, bool]:
        """Covariances in voxel², and whether they are diagonal and have no gradient that is not.

        Args:
            like: (B, K, D), of the precision and on the device in which to compute.
            spacing: see ``HeatmapGenerator.forward``, as for the rest.
            affine: (D, D) or (B, D, D).
            covariance: (K, D, D) or (B, K, D, D) in the place of those kept here.

        Returns:
            (B, K, D, D) and a bool.

        Raises:
            LandmarkError: what is given does not fit.
        """
        batch, count, d = like.shape
        rotation = self.rotation.to(like)
        form = covariance_of(sigma_of(self.log_sigma.to(like)), rotation)
        if covariance is not None:
            if covariance.shape not in ((count, d, d), (batch, count, d, d)):
                raise LandmarkError(
                    f"The covariance has the shape {tuple(covariance.shape)}; give {(count, d, d)} or "
                    f"{(batch, count, d, d)}."
                )
            form = _checked(covariance.to(like))
        if (self.unit == "mm") != (spacing is not None):
            raise LandmarkError(
                "The sigma of the heatmap generator is in mm and no spacing came with the images; give it."
                if spacing is None
                else "A spacing came to a heatmap generator whose sigma is in voxels; build it with unit='mm'."
            )
        form = form.expand(batch, count, d, d)
        if spacing is not None:
            # What one mm is in voxels, by the same checks as a sigma goes through.
            steps = sigma_in_voxels(1.0, spacing, like)
            form = form * steps[..., :, None] * steps[..., None, :]
        if affine is not None:
            if affine.shape not in ((d, d), (batch, d, d)):
                raise LandmarkError(
                    f"The affine has the shape {tuple(affine.shape)}; give its linear part, {(d, d)} or "
                    f"{(batch, d, d)}."
                )
            linear = affine.to(like)
            linear = linear if linear.ndim == 2 else linear[:, None]
            form = linear @ form @ linear.mT
            if bool(torch.linalg.cholesky_ex(form.detach()).info.any()):
                raise LandmarkError("The affine flattens the covariance of a landmark; give one that can be undone.")
        given = [each for each in (rotation if covariance is None else covariance, affine) if each is not None]
        turning = torch.is_grad_enabled() and any(each.requires_grad for each in given)
        beside = form.masked_fill(torch.eye(d, dtype=torch.bool, device=form.device), 0)
        return form, not turning and not bool(beside.any())


def _checked(covariance: Tensor) -> Tensor:
    """The covariances, symmetric to the last bit, if they are covariances."""
    symmetric = (covariance + covariance.mT) / 2
    apart = (covariance - symmetric).abs().amax((-1, -2)) > 1e-4 * symmetric.abs().amax((-1, -2))
    if bool(apart.any()) or bool(torch.linalg.cholesky_ex(symmetric.detach()).info.any()):
        raise LandmarkError("A covariance is not symmetric and positive definite; mend where it comes from.")
    return symmetric
