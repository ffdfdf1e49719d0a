"""MONAI's own dictionary transforms, with the landmarks carried along.

A transform of MONAI's that moves the grid writes it into the image's affine, A. The world has not moved, so a landmark
at index p stands afterwards at A'⁻¹ A p: nothing needs to be known of the transform. That holds where the affine says
exactly what became of the voxels. Measured (centre of mass of a blob off the centre, 2D and 3D, odd and even sizes,
MONAI 1.6): so it is to 0.01 voxel for all of :data:`EXACT`, with the exceptions that :func:`_fault` names.
(Orientationd alone was not measured: it needs nibabel. It permutes and turns axes round; Reorient does so without.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy, deepcopy
from typing import Any

import monai.transforms as mt
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, InvertibleTransform, Randomizable, Transform

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, Sample, index_affine, move_landmarks
from LandmarkDetectorLib.datasets.transforms.resample import same_voxels

EXACT = (
    mt.Affined,
    mt.BorderPadd,
    mt.CenterScaleCropd,
    mt.CenterSpatialCropd,
    mt.CropForegroundd,
    mt.DivisiblePadd,
    mt.Flipd,
    mt.Orientationd,
    mt.RandAffined,
    mt.RandAxisFlipd,
    mt.RandFlipd,
    mt.RandRotate90d,
    mt.RandRotated,
    mt.RandScaleCropd,
    mt.RandSpatialCropd,
    mt.RandZoomd,
    mt.Resized,
    mt.ResizeWithPadOrCropd,
    mt.Rotate90d,
    mt.Rotated,
    mt.Spacingd,
    mt.SpatialCropd,
    mt.SpatialPadd,
    mt.Zoomd,
)
"""Spatial transforms of MONAI's whose affine is exact to 0.01 voxel, with linear interpolation."""

STILL = (
    mt.CastToTyped,
    mt.CopyItemsd,
    mt.DeleteItemsd,
    mt.EnsureTyped,
    mt.Identityd,
    mt.SelectItemsd,
    mt.ToDeviced,
)
"""Transforms outside of ``monai.transforms.intensity`` that leave the grid alone."""

CHOOSING = (mt.OneOf, mt.RandomOrder, mt.SomeOf)
"""Compositions that choose among their transforms."""


class LandmarkTransform(Transform):
    """What knows of landmarks itself, so that it is not carried."""


def carry(transform: Any) -> Any:
    """The same transform, made to carry the landmarks of a sample along.

    Args:
        transform: a dictionary transform of MONAI's, one of ours, a composition of them (``Compose``, ``OneOf``,
            ``SomeOf``, ``RandomOrder``), or a sequence, which becomes a ``Compose``. What is given is not changed:
            the result holds copies.

    Returns:
        A transform from sample to sample; it has an ``inverse`` where the one given has.

    Raises:
        DatasetError: a transform that moves the image in a way that its affine does not tell, or that is unknown.
    """
    carried = _carried(transform)
    # By itself a lazy transform would leave the voxels to somebody who comes after, and move the landmarks now.
    alone = isinstance(carried, Carried) and getattr(carried.transform, "lazy", False)
    return Compose([carried]) if alone else carried


def _carried(transform: Any) -> Any:
    """See :func:`carry`; of a composition, or a part of one."""
    if isinstance(transform, Compose):
        return _composition(transform)
    if isinstance(transform, Sequence):
        return Compose([_carried(part) for part in transform])
    if isinstance(transform, LandmarkTransform):
        return deepcopy(transform)
    if type(transform) in STILL or _is_intensity(transform):
        return deepcopy(transform)
    fault = _fault(transform)
    if fault:
        raise DatasetError(fault)
    return RandomCarried(deepcopy(transform)) if isinstance(transform, Randomizable) else Carried(deepcopy(transform))


class Carried(LandmarkTransform, InvertibleTransform):
    """A transform of MONAI's in which the landmarks follow the image's affine; made by :func:`carry`.

    Args:
        transform: what moves the image and writes it into its affine.
    """

    def __init__(self, transform: Any) -> None:
        super().__init__()
        self.transform = transform

    def __call__(self, sample: Sample) -> Sample:
        """Transform the image and move the landmarks."""
        return self._follow(sample, self.transform)

    def inverse(self, sample: Sample) -> Sample:
        """Transform the image back, and the landmarks with it.

        Raises:
            DatasetError: the transform has no inverse.
        """
        if not isinstance(self.transform, InvertibleTransform):
            raise DatasetError(f"{type(self.transform).__name__} has no inverse; leave it out of what is undone.")
        # MONAI's inverses take their note, and some the affine, off the image that they are given.
        own = {key: same_voxels(part) if isinstance(part, MetaTensor) else part for key, part in sample.items()}
        return self._follow(own, self.transform.inverse)

    @staticmethod
    def _follow(sample: Sample, step: Callable[[Sample], Sample]) -> Sample:
        before = index_affine(sample[IMAGE])
        out = dict(step(dict(sample)))
        move_landmarks(out, torch.linalg.solve(index_affine(out[IMAGE]), before))
        return out


class RandomCarried(Carried, Randomizable):
    """A :class:`Carried` transform that draws; its seed is that of the transform inside."""

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandomCarried:
        """Seed the transform inside."""
        self.transform.set_random_state(seed, state)
        return self


def _composition(transform: Compose) -> Compose:
    if type(transform) is not Compose and type(transform) not in CHOOSING:
        raise DatasetError(f"{type(transform).__name__}: a composition that is not known; give a Compose of its parts.")
    carried = copy(transform)
    carried.transforms = tuple(_carried(part) for part in transform.transforms)
    carried.R = deepcopy(transform.R)
    return carried


def _is_intensity(transform: Any) -> bool:
    return type(transform).__module__.startswith("monai.transforms.intensity.")


def _fault(transform: Any) -> str | None:
    """Why the landmarks cannot follow this transform, a sentence that says what to use; ``None`` where they can."""
    kind = type(transform)
    if kind not in EXACT:
        instead = _INSTEAD.get(kind.__name__, "use one of those in EXACT, or write it as a LandmarkTransform")
        return (
            f"{kind.__name__}: landmarks cannot follow it, since the image's affine does not tell its way; {instead}."
        )
    modes = {str(getattr(mode, "value", mode)) for mode in _listed(getattr(transform, "mode", ()))}
    if kind in (mt.Resized, mt.Zoomd, mt.RandZoomd) and modes & {"area", "nearest"}:
        mode = sorted(modes & {"area", "nearest"})[0]
        return (
            f"{kind.__name__}: with mode {mode!r} it moves the image against its affine (area by up to 0.2 voxel, "
            "nearest by 0.5); give mode='bilinear' or 'trilinear', 'nearest-exact' for a mask, or use Resize."
        )
    if kind is mt.Affined and transform.affine.resampler.align_corners:
        return "Affined: with align_corners=True it scales the image against its affine; leave align_corners out."
    return None


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (tuple, list)) else (value,)


_COORDINATES = "wrap it in CarryByCoordinates, or use Elastic"
_INSTEAD = {
    "Rand2DElasticd": _COORDINATES,
    "Rand3DElasticd": _COORDINATES,
    "RandGridDistortiond": _COORDINATES,
    "GridDistortiond": _COORDINATES,
    "RandSmoothDeformd": _COORDINATES,
    "RandSimulateLowResolutiond": "it moves the image by 0.7 voxel; use Resize down and up again",
    "Transposed": "use Reorient",
    "RandSpatialCropSamplesd": "use PatchDataset",
    "RandCropByPosNegLabeld": "use PatchDataset",
    "RandCropByLabelClassesd": "use PatchDataset",
    "RandWeightedCropd": "use PatchDataset",
}
