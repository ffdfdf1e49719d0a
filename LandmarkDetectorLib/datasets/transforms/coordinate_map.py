"""MONAI's elastic transforms, with the landmarks found again in a picture of the coordinates.

They tell nothing of where the voxels went. So the same draw is applied a second time, to an image whose values are its
own index coordinates: afterwards each voxel says where it came from, and a landmark stands where the interpolated
coordinates are its own.
"""

from __future__ import annotations

import itertools
from copy import deepcopy
from typing import Any

import monai.transforms as mt
import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, Randomizable
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, LANDMARKS, Sample
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform
from LandmarkDetectorLib.datasets.transforms.resample import index_grid

MAPPED = (mt.GridDistortiond, mt.Rand2DElasticd, mt.Rand3DElasticd, mt.RandGridDistortiond, mt.RandSmoothDeformd)
"""The transforms that this is for: of the image's size to the image's size, by a map of coordinates."""

CLOSE = 0.05
"""To how many voxels the coordinates found must be the landmark's own."""

SOUND = 0.05
"""The least volume of a cell of the image, in the cells of what it came from, on which a landmark is sought."""

FAR = 5.0
"""Voxels between two places of the same landmark that make it stand at several places."""


class CarryByCoordinates(LandmarkTransform, InvertibleTransform, Randomizable):
    """One of MONAI's elastic transforms, which the landmarks follow. :class:`Elastic` is better: exact and invertible.

    Twice the time of the transform. A landmark that has left the view is placed by going on from the border in a
    straight line, which is rough; it is outside in any case.

    Args:
        transform: one of :data:`MAPPED`.

    Raises:
        DatasetError: another transform, or one that does not interpolate linearly; when called, an image that folds at
            a landmark, which is then at no one place.
    """

    def __init__(self, transform: Any) -> None:
        super().__init__()
        name = type(transform).__name__
        if type(transform) not in MAPPED:
            raise DatasetError(f"{name}: only {', '.join(t.__name__ for t in MAPPED)} have a map of coordinates.")
        if IMAGE not in transform.keys or _mode_of(transform) != "bilinear":
            raise DatasetError(f"{name}: give it the key 'image' with mode 'bilinear', or nothing can be followed.")
        field = {str(getattr(mode, "value", mode)) for mode in getattr(transform, "field_mode", ())}
        if field & {"area", "nearest"}:
            raise DatasetError(
                f"{name}: its field has steps that tear the image; give field_mode 'bilinear' or the like."
            )
        self.transform = deepcopy(transform)

    def __call__(self, sample: Sample) -> Sample:
        """Transform the images, and find the landmarks again."""
        seed = int(self.R.randint(2**32, dtype=np.uint64))
        shape = tuple(sample[IMAGE].shape[1:])
        places = index_grid(shape).movedim(-1, 0)
        picture = MetaTensor(torch.cat([places, torch.ones_like(places[:1])]), affine=sample[IMAGE].affine)
        out = dict(self._same_draw(seed, sample))
        keys = {key: picture if key == IMAGE else picture[-1:] for key in self.transform.keys}
        came_from = self._same_draw(seed, keys)[IMAGE].as_tensor().to("cpu", torch.float64)
        marks = sample[LANDMARKS]
        known = marks.isfinite().all(-1)
        if bool(known.any()):
            moved = marks.clone()
            moved[known] = find_again(came_from[:-1], came_from[-1], marks[known].cpu().double()).to(marks)
            out[LANDMARKS] = moved
        return out

    def inverse(self, sample: Sample) -> Sample:
        """There is none.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{type(self.transform).__name__} has no inverse; use Elastic, which has.")

    def _same_draw(self, seed: int, sample: Sample) -> Sample:
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(seed)
        return self.transform(dict(sample))


def find_again(came_from: Tensor, seen: Tensor, places: Tensor) -> Tensor:
    """Where positions stand in an image whose voxels say where they came from.

    Args:
        came_from: (D, [Z, ]Y, X), index coordinates x, y[, z].
        seen: ([Z, ]Y, X), 1 where these are of the image and less where it ends.
        places: (N, D).

    Returns:
        (N, D).

    Raises:
        DatasetError: the image is folded at one of the places, or nothing of it is left.
    """
    d = len(came_from)
    cells = (seen > 0.999).double()[None, None]
    # A cell of the grid counts where all of its corners are of the image.
    pool = F.max_pool2d if d == 2 else F.max_pool3d
    whole = -pool(-cells, 2, stride=1)[0, 0] > 0
    if not bool(whole.any()):
        raise DatasetError("The transform has moved all of the image out of the view; take a smaller magnitude.")
    corners = whole.nonzero()
    middles = _linear(came_from, corners, torch.full((len(corners), d), 0.5, dtype=torch.float64))[0]
    return torch.stack([_found(came_from, whole, corners, middles, place) for place in places])


def _found(came_from: Tensor, whole: Tensor, corners: Tensor, middles: Tensor, place: Tensor) -> Tensor:
    """Where one position (D,) stands, by Newton's method from cell to cell."""
    d = len(place)
    away = (middles - place).abs().amax(1)
    near = (away < 1.5).nonzero()[:, 0]
    if not len(near):
        near = away.topk(min(32, len(away)), largest=False).indices
    slopes = _linear(came_from, corners[near], torch.full((len(near), d), 0.5, dtype=torch.float64))[1]
    # Where the image shows a voxel twice, as GridDistortion does at its seams, a cell has no extent; where the padding
    # mirrors it or the transform folds it, a cell is turned over.
    sound = near[torch.linalg.det(slopes) > SOUND]
    if not len(sound):
        raise DatasetError("The transform folds the image at a landmark; take a smaller magnitude.")
    corner = corners[sound[away[sound].argmin()]]
    within = torch.full((d,), 0.5, dtype=torch.float64)  # in the cell, x, y[, z]
    rest = torch.full_like(place, torch.inf)
    for _ in range(50):
        value, slope = (part[0] for part in _linear(came_from, corner[None], within[None]))
        rest = value - place
        if float(rest.norm()) < CLOSE / 100 or not bool(torch.linalg.det(slope) > SOUND / 10):
            break
        within = within - torch.linalg.solve(slope, rest)
        there = corner + within.flip(0).floor().long()
        if bool((there >= 0).all() and (there < torch.tensor(whole.shape)).all()) and bool(whole[tuple(there)]):
            middle = torch.full((1, d), 0.5, dtype=torch.float64)
            if bool(torch.linalg.det(_linear(came_from, there[None], middle)[1][0]) > SOUND):
                within = within - (there - corner).flip(0)
                corner = there
    found = corner.flip(0) + within
    again = sound[away[sound] < 0.75]
    if float(rest.norm()) > CLOSE or bool(((corners[again].flip(1) + 0.5 - found).abs().amax(1) > FAR).any()):
        raise DatasetError("The transform shows a landmark at several places or at none; take a smaller magnitude.")
    return found


def _linear(values: Tensor, corner: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, C) and slopes (N, C, D) of an image (C, [Z, ]Y, X), linear in each cell and going on beyond it.

    ``corner`` (N, D) is a cell's first voxel in array order, ``within`` (N, D) the place in it along x, y[, z].
    """
    d = within.shape[1]
    value = torch.zeros((len(within), len(values)), dtype=values.dtype)
    slope = torch.zeros((*value.shape, d), dtype=values.dtype)
    for bits in itertools.product((0, 1), repeat=d):  # along x, y[, z]
        place = [corner[:, d - 1 - a] + bits[a] for a in reversed(range(d))]
        voxel = values.movedim(0, -1)[tuple(place)]
        share = [within[:, a] if bits[a] else 1 - within[:, a] for a in range(d)]
        value += voxel * torch.stack(share).prod(0)[:, None]
        for axis in range(d):
            others = torch.stack([torch.ones_like(s) if a == axis else s for a, s in enumerate(share)]).prod(0)
            slope[..., axis] += voxel * others[:, None] * (1 if bits[axis] else -1)
    return value, slope


def _mode_of(transform: Any) -> str:
    modes = transform.grid_mode if isinstance(transform, mt.RandSmoothDeformd) else transform.mode
    mode = modes[transform.keys.index(IMAGE)]
    return str(getattr(mode, "value", mode))
