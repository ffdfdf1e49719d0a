"""Samples with heatmaps to learn from, made when they are asked for and after every transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.cases import Dataset
from LandmarkDetectorLib.datasets.landmark_dataset import Samples, SampleView
from LandmarkDetectorLib.datasets.samples import (
    IMAGE,
    LABELLED,
    LANDMARKS,
    LOADED_AFFINE,
    PRESENT,
    Sample,
    check_scale,
    inside,
    linear_part,
)

HEATMAPS, VALID = "heatmaps", "valid"

Generator = Callable[..., tuple[Tensor, Tensor]]
"""As :mod:`LandmarkDetectorLib.heatmaps` has them: of landmarks (1, K[, N], D), a shape, ``spacing`` and ``affine``."""


class HeatmapDataset(SampleView):
    """The samples of another data set with two more entries, made when a sample is asked for.

    ``heatmaps`` (K, [Z, ]Y, X) or with more channels, as the generator makes them, of the landmarks as they lie after
    the transforms: sharp whatever the image went through, and held by nobody.

    ``valid`` bool (K,): what may be learnt from. A landmark that nobody labelled is not valid. One that is absent, or
    that a transform has moved out of the view, has an empty map or the tail that still reaches the view, and is valid
    (there is nothing to be seen, which a network must learn too) unless ``absent`` or ``outside`` says otherwise.

    Args:
        samples: as of :class:`~landmark_dataset.LandmarkDataset`, or of patches; or a :class:`~cases.Dataset`.
        generator: makes heatmaps of landmarks, as ``GaussianHeatmaps(K, D, sigma)`` or any function that takes
            landmarks (1, K, D) or (1, K, N, D) and a shape, and the keywords ``spacing`` (D,), ``affine`` (D, D) and
            ``dtype`` where the following ask for them.
        unit: of the generator's widths, ``voxel`` or ``mm``; the generator's own, or voxels where it has none.
        absent: ``"empty"`` or ``"ignore"``, for landmarks that are not there.
        outside: ``"empty"`` or ``"ignore"``, for landmarks out of the view.
        deform: give the generator the linear part of what the image went through, so that the covariance follows it.
        dtype: of the maps; ``None`` for the generator's own.

    Raises:
        DatasetError: there is no sample, or a word that is not one of the two; when asked for a sample, a width in mm
            for an image that has no scale.
    """

    def __init__(
        self,
        samples: Samples | Dataset,
        generator: Generator,
        *,
        unit: str | None = None,
        absent: str = "empty",
        outside: str = "empty",
        deform: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(samples)
        for word in (absent, outside):
            if word not in ("empty", "ignore"):
                raise DatasetError(f"A landmark that is not seen is 'empty' or 'ignore', not {word!r}.")
        self.make_heatmaps = generator
        self.unit = unit or str(getattr(generator, "unit", "voxel"))
        if self.unit not in ("voxel", "mm"):
            raise DatasetError(f"The width of a heatmap is in voxel or mm, not in {self.unit!r}.")
        self.absent, self.outside, self.deform, self.dtype = absent, outside, deform, dtype

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        return {**sample, HEATMAPS: self.heatmaps(sample), VALID: self.valid(sample)}

    def heatmaps(self, sample: Sample) -> Tensor:
        """The heatmaps of a sample as it is now."""
        asked: dict[str, Any] = {} if self.dtype is None else {"dtype": self.dtype}
        if self.deform:
            asked["affine"] = linear_part(sample)
        if self.unit == "mm":
            check_scale(sample, "width")
            # A width that follows the image is one in the voxels that were loaded; otherwise, in those that are there.
            affine = sample[LOADED_AFFINE] if self.deform else sample[IMAGE].affine
            asked["spacing"] = torch.linalg.norm(affine[:-1, :-1].double(), dim=0).flip(0)
        with torch.no_grad():
            maps, _ = self.make_heatmaps(sample[LANDMARKS][None], tuple(sample[IMAGE].shape[1:]), **asked)
        return maps[0]

    def valid(self, sample: Sample) -> Tensor:
        """What of a sample may be learnt from, bool (K,)."""
        valid = sample[LABELLED].clone()
        present, seen = sample[PRESENT], inside(sample)
        if present.ndim == 2:
            present, seen = present.any(1), seen.any(1)
        if self.absent == "ignore":
            valid &= present
        if self.outside == "ignore":
            valid &= seen | ~present
        return valid
