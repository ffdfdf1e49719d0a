"""Labels after a mirror: the left hand of a mirrored picture is a right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import InvertibleTransform, Randomizable

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, LABELLED, LABELS, LANDMARKS, PRESENT, Sample, index_affine
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform, carry


class SwapOnMirror(LandmarkTransform, InvertibleTransform, Randomizable):
    """Augmentations that may mirror the picture, after which landmarks change places within their pairs.

    A transform mirrors where its linear part has a negative determinant, along whichever axis; two mirrors are a turn
    by 180 degrees and change no label. The rule is for augmentation, which makes another patient of the picture. What
    brings volumes into one orientation (Reorient, Orientationd, Spacingd) shows the same patient: leave it outside.

    Args:
        transform: what :func:`carry` takes.
        pairs: labels that belong together, as ("left", "right"). Landmarks without a counterpart keep their labels.

    Raises:
        DatasetError: a label stands in two pairs; when called, a label that the sample does not have.
    """

    def __init__(self, transform: Any, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        names = [name for pair in pairs for name in pair]
        if len(set(names)) != len(names) or any(len(pair) != 2 for pair in pairs):
            raise DatasetError(f"The pairs {list(pairs)} are not pairs of different labels, each label in one pair.")
        self.transform = carry(transform)
        self.pairs = tuple((str(a), str(b)) for a, b in pairs)

    def __call__(self, sample: Sample) -> Sample:
        """Transform, and swap where that mirrored."""
        return self._swapped_if_mirrored(sample, self.transform)

    def inverse(self, sample: Sample) -> Sample:
        """Transform back, and swap back where that mirrors."""
        return self._swapped_if_mirrored(sample, self.transform.inverse)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> SwapOnMirror:
        """Seed the transforms inside."""
        if isinstance(self.transform, Randomizable):
            self.transform.set_random_state(seed, state)
        return self

    def _swapped_if_mirrored(self, sample: Sample, step: Any) -> Sample:
        before = index_affine(sample[IMAGE])
        out = step(sample)
        linear = torch.linalg.solve(index_affine(out[IMAGE])[:-1, :-1], before[:-1, :-1])
        return swap_labels(out, self.pairs) if torch.linalg.det(linear) < 0 else out


def swap_labels(sample: Sample, pairs: Sequence[tuple[str, str]]) -> Sample:
    """The sample with the rows of each pair of labels exchanged: landmarks, present and labelled.

    Raises:
        DatasetError: a label that the sample does not have.
    """
    labels = list(sample[LABELS])
    unknown = [name for pair in pairs for name in pair if name not in labels]
    if unknown:
        raise DatasetError(f"There is no landmark {unknown[0]!r} to swap; the labels are {', '.join(labels)}.")
    order = list(range(len(labels)))
    for a, b in pairs:
        i, j = labels.index(a), labels.index(b)
        order[i], order[j] = j, i
    return reorder_rows(sample, order)


def reorder_rows(sample: Sample, order: Sequence[int]) -> Sample:
    """The sample with row ``order[k]`` of landmarks, present and labelled in place k; labels stay where they are."""
    rows = list(order)
    return {**sample, **{key: sample[key][rows] for key in (LANDMARKS, PRESENT, LABELLED)}}
