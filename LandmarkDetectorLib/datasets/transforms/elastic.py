"""Elastic deformation that cannot fold, with the landmarks moved by the exact inverse of what moves the voxels.

The displacement is a uniform cubic B-spline on a lattice of control points (Rueckert et al., IEEE TMI 18, 1999,
https://doi.org/10.1109/42.796284): smooth, and known in closed form between the voxels too. A deformation by control
points that move less than 1/2.046 (2D) or 1/2.479 (3D) of the lattice's spacing along each axis is injective (Choi and
Lee, Graphical Models 62, 2000, https://doi.org/10.1006/gmod.2000.0531), and no larger one is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, RandomizableTransform
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, LANDMARKS, Sample, index_affine
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform
from LandmarkDetectorLib.datasets.transforms.resample import (
    MODES,
    PADDING_MODES,
    index_grid,
    one_per_key,
    same_voxels,
    sample_at,
)

INJECTIVE = {2: 1 / 2.046392675, 3: 1 / 2.479472335}
"""Largest movement of a control point, as a fraction of the lattice's spacing, that never folds."""

TOLERANCE = 1e-4
"""To how many voxels the inverse is solved."""

CHUNK = 20_000
"""Positions looked at together; each has 4^D control points about it."""


@dataclass(frozen=True, eq=False)
class SplineField:
    """A displacement of positions in index coordinates x, y[, z].

    Args:
        control: float64 (D, [mz, ]my, mx), displacement in voxels along x, y[, z] at each control point.
        step: float64 (D,), voxels between control points along x, y[, z].
        origin: float64 (D,), index of the first control point.
    """

    control: Tensor
    step: Tensor
    origin: Tensor

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement (N, D) and its derivatives (N, D, D; row: component, column: axis) at positions (N, D)."""
        parts = [self._at(part) for part in index.split(CHUNK)] if len(index) else [self._at(index)]
        return torch.cat([value for value, _ in parts]), torch.cat([slope for _, slope in parts])

    def _at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        d = len(self.step)
        neighbours = torch.arange(-1, 3, device=index.device)
        weights, slopes, rows = [], [], []
        for axis in range(d):
            count = self.control.shape[-1 - axis]
            place = (index[:, axis] - self.origin[axis]) / self.step[axis]
            row = place.floor().clamp(-3, count + 2).long()[:, None] + neighbours
            # Beyond the lattice there is nothing that moves: far away the displacement is zero.
            there = (row >= 0) & (row < count)
            weights.append(_bspline(place[:, None] - row) * there)
            slopes.append(_bspline_slope(place[:, None] - row) * there / self.step[axis])
            view = [len(index), *[1] * d]
            view[-1 - axis] = 4
            rows.append(row.clamp(0, count - 1).view(view))
        around = self.control.movedim(0, -1)[tuple(reversed(rows))]  # (N, [4, ]4, 4, D)
        product = "nx,ny,nyxd->nd" if d == 2 else "nx,ny,nz,nzyxd->nd"
        value = torch.einsum(product, *weights, around)
        jacobian = [
            torch.einsum(product, *[slopes[a] if a == axis else weights[a] for a in range(d)], around)
            for axis in range(d)
        ]
        return value, torch.stack(jacobian, dim=-1)

    def dense(self, shape: Sequence[int]) -> Tensor:
        """The displacement at every voxel of a grid, float32 ([Z, ]Y, X, D)."""
        out = self.control
        for axis, size in enumerate(reversed(shape)):
            steps = torch.arange(size, dtype=torch.float64, device=out.device)
            place = (steps - self.origin[axis]) / self.step[axis]
            count = self.control.shape[-1 - axis]
            weight = _bspline(place[:, None] - torch.arange(count, dtype=torch.float64, device=out.device))
            out = torch.movedim(
                torch.tensordot(weight.to(out.dtype), out, dims=([1], [out.ndim - 1 - axis])), 0, -1 - axis
            )
            out = out.float()  # small until here; the last axes make it large
        return torch.movedim(out, 0, -1)

    def inverse(self, places: Tensor, iterations: int = 60) -> Tensor:
        """Positions u (N, D) with u + displacement(u) = places (N, D), by Newton's method with shortened steps."""
        guess = places - self.at(places)[0]
        value, jacobian = self.at(guess)
        rest = guess + value - places
        identity = torch.eye(places.shape[1], dtype=places.dtype, device=places.device)
        for _ in range(iterations):
            length = rest.norm(dim=1)
            if bool((length < TOLERANCE / 10).all()):
                break
            step = torch.linalg.solve(identity + jacobian, rest)
            share = torch.ones_like(length)
            for _ in range(20):
                trial = guess - share[:, None] * step
                value, jacobian = self.at(trial)
                rest_there = trial + value - places
                worse = rest_there.norm(dim=1) > length * (1 - 1e-4 * share)
                if not bool((worse & (length >= TOLERANCE / 10)).any()):
                    break
                share = torch.where(worse, share / 2, share)
            guess, rest = trial, rest_there
        return guess

    def dense_inverse(self, shape: Sequence[int]) -> Tensor:
        """What to add at every voxel of a grid to find where it went, float32 ([Z, ]Y, X, D).

        Solved on a coarser grid, four times finer than the control points, and linear between its places: right to
        about a hundredth of the distance that control points may move.
        """
        counts = [max(2, int(np.ceil(4 * n / float(s))) + 1) for n, s in zip(shape, self.step.flip(0), strict=True)]
        axes = [
            torch.linspace(-0.5, n - 0.5, count, dtype=torch.float64) for n, count in zip(shape, counts, strict=True)
        ]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1).reshape(-1, len(shape))
        coarse = (self.inverse(places) - places).T.reshape(len(shape), *counts).float()
        # The coarse grid begins and ends at the outer borders of the fine one.
        scale = torch.tensor([(c - 1) / n for n, c in zip(reversed(shape), reversed(counts), strict=True)])
        return sample_at(coarse, (index_grid(shape) + 0.5) * scale, padding="border").movedim(0, -1)


class Elastic(LandmarkTransform, RandomizableTransform, InvertibleTransform):
    """A random elastic deformation of the images of a sample; the landmarks go where the voxels go.

    The image stays on its grid, so its affine stays. Its inverse brings the landmarks back exactly; the image comes
    back but for what two interpolations blur and what had left the view.

    Args:
        spacing: distance between control points, in the image's unit (mm); large is smooth.
        magnitude: largest movement of a control point along each axis, in the same unit.
        prob: how often a sample is deformed.
        keys: images to deform; the landmarks follow ``image``.
        mode: ``bilinear`` or ``nearest``, for all keys or for each.
        padding: what lies outside of the image: ``zeros``, ``border`` or ``reflection``, for all keys or for each.

    Raises:
        DatasetError: a magnitude with which the image could fold (see the head of this file), or a setting that does
            not fit the keys.
    """

    def __init__(
        self,
        spacing: float,
        magnitude: float,
        *,
        prob: float = 1.0,
        keys: Sequence[str] = (IMAGE,),
        mode: str | Sequence[str] = "bilinear",
        padding: str | Sequence[str] = "zeros",
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        self.spacing, self.magnitude = float(spacing), float(magnitude)
        if not (self.spacing > 0 and self.magnitude >= 0 and np.isfinite([self.spacing, self.magnitude]).all()):
            raise DatasetError(f"Elastic: spacing {spacing} and magnitude {magnitude} must be positive numbers.")
        self._check(2)
        self.keys = tuple(keys)
        self.mode = one_per_key(mode, self.keys, MODES)
        self.padding = one_per_key(padding, self.keys, PADDING_MODES)

    def __call__(self, sample: Sample) -> Sample:
        """Deform the images and move the landmarks."""
        self.randomize(None)
        out = dict(sample)
        field = self._drawn(sample[IMAGE]) if self._do_transform else None
        if field is not None and IMAGE in self.keys:
            _move(out, field.inverse)
        for key, mode, padding in zip(self.keys, self.mode, self.padding, strict=True):
            info = {} if field is None else {name: getattr(field, name).tolist() for name in _PARTS}
            out[key] = same_voxels(sample[key]) if field is None else _deformed(sample[key], field, mode, padding)
            self.push_transform(out[key], extra_info=info)
        return out

    def inverse(self, sample: Sample) -> Sample:
        """The images as they were, and the landmarks with them."""
        out = dict(sample)
        for key, mode, padding in zip(self.keys, self.mode, self.padding, strict=True):
            image = same_voxels(sample[key])
            info = self.pop_transform(image)["extra_info"]
            out[key] = image
            if not info:
                continue
            field = SplineField(*(torch.tensor(info[name], dtype=torch.float64) for name in _PARTS))
            index = index_grid(image.shape[1:]) + field.dense_inverse(image.shape[1:])
            values = sample_at(image, index.to(image.device), mode, padding)
            out[key] = MetaTensor(values).copy_meta_from(image)
            if key == IMAGE:
                _move(out, lambda places, field=field: places + field.at(places)[0])  # type: ignore[misc]
        return out

    def _check(self, dimension: int) -> None:
        limit = INJECTIVE[dimension] * self.spacing
        if self.magnitude > limit:
            raise DatasetError(
                f"Elastic: control points {self.spacing:g} apart may move by {limit:.3g} in {dimension}D without "
                f"folding the image, not by {self.magnitude:g}; take a smaller magnitude or a larger spacing."
            )

    def _drawn(self, image: MetaTensor) -> SplineField:
        steps = torch.linalg.norm(index_affine(image)[:-1, :-1], dim=0).numpy()
        self._check(len(steps))
        size = np.array(image.shape[:0:-1])
        step = self.spacing / steps
        # The lattice lies evenly about the image and reaches beyond it on every side.
        count = np.ceil(size / step).astype(int) + 3
        origin = (size - 1) / 2 - step * (count - 1) / 2
        draws = self.R.uniform(-self.magnitude, self.magnitude, (len(size), *count[::-1]))
        control = draws / steps.reshape(-1, *[1] * len(size))
        return SplineField(*(torch.from_numpy(part) for part in (control, step, origin)))


_PARTS = ("control", "step", "origin")


def _move(sample: Sample, way) -> None:
    """Move the landmarks that have a place by a function of positions (N, D), in the dictionary given."""
    places = sample[LANDMARKS]
    known = places.isfinite().all(-1)
    if bool(known.any()):
        moved = places.clone()
        moved[known] = way(places[known].to("cpu", torch.float64)).to(places)
        sample[LANDMARKS] = moved


def _deformed(image: MetaTensor, field: SplineField, mode: str, padding: str) -> MetaTensor:
    shape = image.shape[1:]
    index = (index_grid(shape) + field.dense(shape)).to(image.device)
    return MetaTensor(sample_at(image, index, mode, padding)).copy_meta_from(image)


def _bspline(offset: Tensor) -> Tensor:
    """The cubic B-spline at a distance from its control point, in spacings of the lattice."""
    t = offset.abs()
    near = 2 / 3 - t**2 + t**3 / 2
    return torch.where(t < 1, near, (2 - t).clamp_min(0) ** 3 / 6)


def _bspline_slope(offset: Tensor) -> Tensor:
    t = offset.abs()
    return torch.sign(offset) * torch.where(t < 1, -2 * t + 1.5 * t**2, -((2 - t).clamp_min(0) ** 2) / 2)
