"""Samples with masks to learn from: discs around landmarks, or masks that somebody drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.cases import Dataset
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset, Samples, SampleView
from LandmarkDetectorLib.datasets.masks import class_masks, discs, load_mask
from LandmarkDetectorLib.datasets.samples import CASE, IMAGE, LANDMARKS, Sample, check_scale, index_affine

MASK = "mask"
UNITS = ("mm", "voxel")


class MaskDataset(SampleView):
    """The samples of another data set with ``mask`` (K, [Z, ]Y, X) float32: a disc or ball around each landmark.

    Made of the landmarks as they lie after the transforms, when a sample is asked for; see :func:`~masks.discs`. An
    absent landmark has an empty mask; ``labelled`` says whether that is known.

    Args:
        samples: as of :class:`~landmark_dataset.LandmarkDataset`, or of patches; or a :class:`~cases.Dataset`.
        radius: one, or one per class. With 0 the voxel nearest to the landmark alone.
        unit: of the radius, ``mm`` or ``voxel``.
        soft: with an edge of about one voxel's width, which says where the middle is between voxels.

    Raises:
        DatasetError: there is no sample, or a unit that is none; when asked for a sample, a radius in mm for an image
            that has no scale.
    """

    def __init__(
        self, samples: Samples | Dataset, radius: float | Sequence[float], unit: str = "mm", *, soft: bool = False
    ) -> None:
        super().__init__(samples)
        if unit not in UNITS:
            raise DatasetError(f"A radius is in mm or voxel, not in {unit!r}.")
        self.radius, self.unit, self.soft = radius, unit, soft

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        return {**sample, MASK: self.masks(sample)}

    def masks(self, sample: Sample) -> Tensor:
        """The masks of a sample as it is now."""
        image = sample[IMAGE]
        if self.unit == "mm":
            check_scale(sample, "radius")
        d = image.ndim - 1
        matrix = index_affine(image)[:-1, :-1] if self.unit == "mm" else torch.eye(d, dtype=torch.float64)
        return discs(sample[LANDMARKS], tuple(image.shape[1:]), self.radius, matrix, soft=self.soft)


class MaskFileDataset(LandmarkDataset):
    """A :class:`~landmark_dataset.LandmarkDataset` that reads the masks too from which its landmarks come.

    ``mask`` (K, [Z, ]Y, X) is there before the transforms. Those that move the image must name it among their keys,
    with ``nearest`` (MONAI's that change sizes: ``nearest-exact``) as its mode.

    Args:
        dataset: made by :func:`~masks.dataset_from_masks`.
        classes: as they were given there; the data set's labels by default.
        transform: as for :class:`~landmark_dataset.LandmarkDataset`.
        instances: places for instances of each class.
        seed: see :class:`~landmark_dataset.Draws`.

    Raises:
        DatasetError: a case without a mask; when asked for a sample, a mask that is not on the image's grid, or that
            did not go through a transform with it.
    """

    def __init__(
        self,
        dataset: Dataset,
        classes: Mapping[str, int] | Sequence[str] | None = None,
        transform: Any = None,
        *,
        instances: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, transform, instances=instances, seed=seed)
        bare = [case.subject for case in dataset.cases if MASK not in case.extra]
        if bare:
            raise DatasetError(f"{dataset.name}: {bare[0]} has no mask; make the data set with dataset_from_masks.")
        self.classes = dataset.labels if classes is None else classes

    def load(self, index: int) -> Sample:
        """The sample as it is on disk, with its mask."""
        sample, case = super().load(index), self.dataset.cases[index]
        mask = load_mask(case.extra[MASK], case.spacing)
        image = sample[IMAGE]
        same = mask.grid.shape == tuple(image.shape[1:])
        if not same or not np.allclose(mask.grid.matrix, index_affine(image).numpy(), rtol=0, atol=1e-3):
            raise DatasetError(
                f"{case.subject}: the mask is not on the image's grid; resample it, or use MaskDataset with a radius."
            )
        members = torch.from_numpy(class_masks(mask, self.classes).astype(np.float32))
        return {**sample, MASK: MetaTensor(members, affine=image.affine.clone(), meta={"space": image.meta["space"]})}

    def transformed(self, sample: Sample, index: int) -> Sample:
        """A sample after the transforms, its mask still on the image's grid."""
        out = super().transformed(sample, index)
        image, mask = out[IMAGE], out[MASK]
        if image.shape[1:] != mask.shape[1:] or not torch.allclose(image.affine, mask.affine, rtol=0, atol=1e-4):
            raise DatasetError(
                f"{sample[CASE]['name']}: a transform moved the image and not its mask; give it keys=('image', 'mask')."
            )
        return out
