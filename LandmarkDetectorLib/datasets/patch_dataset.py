"""Parts of images: around landmarks, anywhere, or side by side over all of one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import Randomizable

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.cases import Dataset
from LandmarkDetectorLib.datasets.landmark_dataset import MAX_SEED, Draws, Samples, SampleView
from LandmarkDetectorLib.datasets.samples import IMAGE, LABELS, LANDMARKS, Sample, inside
from LandmarkDetectorLib.datasets.transforms.carry import carry

PATCH_START, PATCH_OF = "patch_start", "patch_of"
PLACES = ("landmarks", "anywhere")
PADDING = {"zeros": "constant", "border": "replicate"}


class PatchDataset(SampleView):
    """Patches of the samples of another data set, of one size, cut along whole voxels.

    Sample *i* is patch ``i % per_image`` of image ``i // per_image``. Its affine is the patch's, its landmarks are
    those of the whole image in the patch's index; the ones that lie in it are told by :func:`~samples.inside`. Two more
    entries: ``patch_start`` int64 (D,), index x, y[, z] of its first voxel in the image, negative where the patch
    reaches beyond the border; ``patch_of``, the row of the landmark around which it was cut, -1 for none.

    Each patch reads its image; around a cache (``PatchDataset(CacheDataset(...), ...)``) it does not.

    Args:
        samples: as of :class:`~landmark_dataset.LandmarkDataset`; or a :class:`~cases.Dataset`.
        size: of a patch in voxels, ([Z, ]Y, X).
        at: ``landmarks``, around one of them drawn at random among those in the view (anywhere, where there is none);
            or ``anywhere``, where the patch fits into the image if it does.
        labels: the landmarks around which to cut; all by default.
        jitter: largest distance in voxels along each axis between landmark and middle of the patch.
        per_image: patches of each image in an epoch.
        padding: what lies beyond the border: ``zeros``, or the ``border``'s value.
        transform: of the patch, as for :class:`~landmark_dataset.LandmarkDataset`.
        seed: see :class:`~landmark_dataset.Draws`; the samples have one of their own.

    Raises:
        DatasetError: there is no sample, or a setting that is none; when asked for a sample, a size that does not fit
            the image's dimension, or a label that it does not have.
    """

    def __init__(
        self,
        samples: Samples | Dataset,
        size: Sequence[int],
        *,
        at: str = "landmarks",
        labels: Sequence[str] | None = None,
        jitter: float = 0.0,
        per_image: int = 1,
        padding: str = "zeros",
        transform: Any = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(samples)
        self.size = tuple(int(n) for n in size)
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise DatasetError(f"{tuple(size)} is not the size of a patch; give (Y, X) or (Z, Y, X) in voxels.")
        if at not in PLACES or padding not in PADDING or per_image < 1 or not jitter >= 0:
            raise DatasetError(
                f"at={at!r}, padding={padding!r}, per_image={per_image}, jitter={jitter}: patches are cut at one of "
                f"{', '.join(PLACES)}, padded with {' or '.join(PADDING)}, one or more an image, with a jitter from 0."
            )
        self.at, self.jitter, self.per_image, self.padding = at, float(jitter), int(per_image), padding
        self.chosen = None if labels is None else tuple(labels)
        self.transform = None if transform is None else carry(transform)
        self.draws = Draws(seed)

    def __len__(self) -> int:
        return len(self.samples) * self.per_image

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} patches, none with number {index}")
        index %= len(self)
        rng = self.draws.generator(index)
        sample = self.samples[index // self.per_image]
        start, row = self._place(sample, rng)
        patch = {**cut_patch(sample, start, self.size, self.padding), PATCH_OF: row}
        if self.transform is not None:
            if isinstance(self.transform, Randomizable):
                self.transform.set_random_state(seed=int(rng.integers(MAX_SEED)))
            patch = self.transform(patch)
        return patch

    def set_epoch(self, epoch: int) -> None:
        """Draw anew in the next epoch; with a seed, the same as every time in this epoch."""
        super().set_epoch(epoch)
        self.draws.epoch[0] = int(epoch)

    def _place(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """The first voxel x, y[, z] of a patch, and the row of its landmark."""
        _check_size(sample, self.size)
        size, patch = np.array(sample[IMAGE].shape[:0:-1]), np.array(self.size[::-1])
        rows = self._rows(sample)
        if len(rows):
            chosen = rows[int(rng.integers(len(rows)))]
            middle = sample[LANDMARKS][tuple(chosen)].double().cpu().numpy()
            middle = np.clip(middle + rng.uniform(-self.jitter, self.jitter, len(size)), 0, size - 1)
            # The voxel whose place in the patch is nearest to the middle of the patch.
            return np.floor(middle - (patch - 1) / 2 + 0.5).astype(np.int64), int(chosen[0])
        low, high = np.minimum(0, size - patch), np.maximum(0, size - patch)
        start = rng.integers(low, high + 1)
        short = size < patch  # a patch larger than the image lies evenly about it
        return np.where(short, -((patch - size) // 2), start), -1

    def _rows(self, sample: Sample) -> np.ndarray:
        """Where in ``landmarks`` (K,) or (K, N) those stand around which may be cut, (M, 1) or (M, 2)."""
        if self.at != "landmarks":
            return np.zeros((0, 1), dtype=np.int64)
        seen = inside(sample).cpu().numpy().copy()
        if self.chosen is not None:
            known = list(sample[LABELS])
            unknown = [label for label in self.chosen if label not in known]
            if unknown:
                raise DatasetError(f"There is no landmark {unknown[0]!r}; the labels are {', '.join(known)}.")
            seen[[row for row, label in enumerate(known) if label not in self.chosen]] = False
        return np.argwhere(seen)


def cut_patch(sample: Sample, start: Sequence[int] | np.ndarray, size: Sequence[int], padding: str = "zeros") -> Sample:
    """A part of a sample's image, with its landmarks in the part's index.

    Args:
        sample: it is not changed, and the part shares no memory with it.
        start: index x, y[, z] of the part's first voxel; it may be negative.
        size: of the part, ([Z, ]Y, X); it may reach beyond the image, but not lie beside it.
        padding: what lies beyond the border: ``zeros``, or the ``border``'s value.

    Raises:
        DatasetError: a size of another dimension, or a part beside the image.
    """
    _check_size(sample, size)
    image: MetaTensor = sample[IMAGE]
    first = [int(n) for n in start]
    low = [max(0, a) for a in reversed(first)]
    high = [min(n, a + w) for n, a, w in zip(image.shape[1:], reversed(first), size, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise DatasetError(
            f"A patch of size {tuple(size)} at {first} lies beside the image of {tuple(image.shape[1:])}."
        )
    spans = [slice(a, b) for a, b in zip(low, high, strict=True)]
    values = image.as_tensor()[tuple([slice(None), *spans])]
    margin = []
    for axis in range(len(first)):  # x, y[, z], as torch pads
        place = len(first) - 1 - axis
        margin += [low[place] - first[axis], first[axis] + int(size[place]) - high[place]]
    padded = F.pad(values[None], margin, mode=PADDING[padding])[0]
    part = MetaTensor(padded.clone() if padded.data_ptr() == values.data_ptr() else padded).copy_meta_from(image)
    shift = torch.eye(len(first) + 1, dtype=torch.float64)
    shift[:-1, -1] = torch.tensor(first[::-1], dtype=torch.float64)
    part.affine = image.affine.to(torch.float64) @ shift
    part.applied_operations = []  # they were done to the whole image and cannot be undone in a part of it
    corner = torch.tensor(first, dtype=torch.int64)
    moved = sample[LANDMARKS] - corner.to(sample[LANDMARKS])
    return {**sample, IMAGE: part, LANDMARKS: moved, PATCH_START: corner}


def grid_patches(sample: Sample, size: Sequence[int], overlap: float = 0.5, padding: str = "zeros") -> Iterator[Sample]:
    """The patches that cover a sample's image side by side, one after the other, as inference goes over it.

    Args:
        sample: of any data set.
        size: of a patch in voxels, ([Z, ]Y, X).
        overlap: share of a patch, from 0 up to 1, by which neighbours overlap at least; they lie evenly.
        padding: as in :func:`cut_patch`, where the image is smaller than a patch.

    Raises:
        DatasetError: a size of another dimension, or an overlap that is none.
    """
    _check_size(sample, size)
    if not 0 <= overlap < 1:
        raise DatasetError(f"An overlap of {overlap} is not from 0 up to 1.")
    ways = []
    for n, w in zip(reversed(sample[IMAGE].shape[1:]), reversed(list(size)), strict=True):
        count = 1 + int(np.ceil(max(0, n - w) / max(1.0, w * (1 - overlap))))
        ways.append(np.round(np.linspace(0, n - w, count)).astype(int) if count > 1 else [-((w - n) // 2)])
    for start in itertools.product(*reversed(ways)):
        yield cut_patch(sample, start[::-1], size, padding)


def _check_size(sample: Sample, size: Sequence[int]) -> None:
    d = sample[IMAGE].ndim - 1
    if len(size) != d or min(size) < 1:
        raise DatasetError(f"Patches of size {tuple(size)} cannot be cut out of an image in {d}D.")
