"""Images with landmarks, one by one from disk, through transforms, for torch's and MONAI's loaders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from monai.transforms import InvertibleTransform, Randomizable
from torch.utils.data import Dataset as TorchDataset

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.datasets.samples import CASE, Sample, load_sample
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform, carry

MAX_SEED = 2**32


class Samples(Protocol):
    """Whatever hands out samples by number: the data sets here, ``monai.data.CacheDataset``, a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Draws:
    """Draws that are the same in whichever process a sample is made.

    Args:
        seed: with a number, sample *i* of epoch *e* is always the same; without, draws follow ``torch.manual_seed``,
            in each worker of a loader its own.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        # In shared memory: a worker that outlives an epoch learns of the next one.
        self.epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def generator(self, index: int) -> np.random.Generator:
        """Where the draws for a sample come from."""
        if self.seed is None:
            return np.random.default_rng(int(torch.randint(2**62, ())))
        return np.random.default_rng([self.seed, int(self.epoch[0]), index])


class LandmarkDataset(TorchDataset[Sample]):
    """A data set of annotated images as samples (see :mod:`~LandmarkDetectorLib.datasets.samples`).

    An image is read when its sample is asked for and held by nobody afterwards; what is held for each image is its
    path and its landmarks. Nothing that is given is changed. For a cache, give the data set without random transforms
    to ``monai.data.CacheDataset`` with the random ones, made by :func:`~transforms.carry`, as its transform; or the
    list :meth:`listing` to ``PersistentDataset`` with :class:`LoadSample` first.

    Args:
        dataset: the cases and their labels.
        transform: MONAI's dictionary transforms, ours or a mix, one or a sequence; :func:`~transforms.carry` makes them
            take the landmarks along, and refuses those with which that cannot be.
        instances: places for instances of each class; see :func:`~samples.make_sample`.
        seed: see :class:`Draws` and :meth:`set_epoch`.

    Raises:
        DatasetError: there is no case, or a transform that landmarks cannot follow.
    """

    def __init__(
        self,
        dataset: Dataset,
        transform: Any = None,
        *,
        instances: int | None = None,
        seed: int | None = None,
    ) -> None:
        if not dataset.cases:
            raise DatasetError(f"{dataset.name}: there is no case in the data set; give one that has some.")
        self.dataset = dataset
        self.instances = instances
        self.transform = None if transform is None else carry(transform)
        self.draws = Draws(seed)

    def __len__(self) -> int:
        return len(self.dataset.cases)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.dataset.name} has {len(self)} cases, none with number {index}")
        return self.transformed(self.load(index), index % len(self))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the landmarks' rows."""
        return self.dataset.labels

    def set_epoch(self, epoch: int) -> None:
        """Draw anew in the next epoch; with a seed, the same as every time in this epoch."""
        self.draws.epoch[0] = int(epoch)

    def load(self, index: int) -> Sample:
        """The sample as it is on disk.

        Raises:
            ImageError: the image cannot be read.
            IndexError: there is no such sample.
        """
        return load_sample(self.dataset.cases[index], self.labels, self.instances)

    def transformed(self, sample: Sample, index: int) -> Sample:
        """A sample after the transforms."""
        if self.transform is None:
            return sample
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(seed=int(self.draws.generator(index).integers(MAX_SEED)))
        out = self.transform(sample)
        if not isinstance(out, dict):
            raise DatasetError(f"{sample[CASE]['name']}: a transform made {type(out).__name__} of a sample, not one.")
        return out

    def inverse(self, sample: Sample) -> Sample:
        """A sample as it was before the transforms, its landmarks in the image as it was loaded.

        Raises:
            DatasetError: the transform has no inverse.
        """
        if self.transform is None:
            return sample
        if not isinstance(self.transform, InvertibleTransform):
            raise DatasetError(f"{type(self.transform).__name__} has no inverse; leave it out of what is undone.")
        return self.transform.inverse(sample)

    def listing(self) -> list[dict[str, Case]]:
        """The cases as MONAI's caching data sets take them: ``{"case": Case}`` each, small enough to be hashed."""
        return [{CASE: case} for case in self.dataset.cases]


class LoadSample(LandmarkTransform):
    """Makes a sample of ``{"case": Case}``, as the first transform of one of MONAI's caching data sets.

    ``PersistentDataset`` needs ``track_meta=True, weights_only=False`` with it, or the affine is lost on disk.

    Args:
        labels: which landmarks, in which order.
        instances: places for instances of each class.
    """

    def __init__(self, labels: Sequence[str], instances: int | None = None) -> None:
        self.labels = tuple(labels)
        self.instances = instances

    def __call__(self, item: dict[str, Case]) -> Sample:
        """Read the case from disk."""
        return load_sample(item[CASE], self.labels, self.instances)


class SampleView(TorchDataset[Sample]):
    """Samples of another data set, with something made of each.

    Args:
        samples: what hands them out; a :class:`~cases.Dataset` is read without transforms.

    Raises:
        DatasetError: there is no sample.
    """

    def __init__(self, samples: Samples | Dataset) -> None:
        self.samples: Samples = LandmarkDataset(samples) if isinstance(samples, Dataset) else samples
        if not len(self.samples):
            raise DatasetError("There is no sample in the data set given; give one that has some.")

    def __len__(self) -> int:
        return len(self.samples)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew in the next epoch."""
        if hasattr(self.samples, "set_epoch"):
            self.samples.set_epoch(epoch)
