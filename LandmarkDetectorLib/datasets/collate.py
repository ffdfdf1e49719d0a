"""Samples into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import LABELS, LANDMARKS, PRESENT, Sample


def collate_samples(samples: Sequence[Sample]) -> dict[str, Any]:
    """A batch from samples, for a loader's ``collate_fn``.

    Tensors are stacked: ``image`` becomes (B, C, [Z, ]Y, X), a MetaTensor with the affines (B, D+1, D+1), ``landmarks``
    (B, K, D) or (B, K, N, D). Where samples have different numbers of instances the smaller are filled up with
    landmarks that are not there. ``labels`` are those of all; everything else becomes a list. What the transforms noted
    for their inverse stays behind: a sample is undone before it goes into a batch.

    Raises:
        DatasetError: there is no sample, images differ in shape, or samples have other keys or labels than the first.
    """
    if not samples:
        raise DatasetError("A batch of no samples cannot be made; give at least one.")
    first = samples[0]
    for sample in samples:
        if set(sample) != set(first) or sample.get(LABELS) != first.get(LABELS):
            raise DatasetError("The samples of a batch differ in their keys or labels; make them with one data set.")
    batch: dict[str, Any] = {}
    for key, value in first.items():
        values = [sample[key] for sample in samples]
        if key == LABELS:
            batch[key] = value
        elif isinstance(value, Tensor):
            batch[key] = _stacked(key, _filled_up(key, values))
        else:
            batch[key] = values
    return batch


def _filled_up(key: str, values: list[Tensor]) -> list[Tensor]:
    """Landmarks and what is told of each, with as many places for instances as the one with most has."""
    flat = {LANDMARKS: 2, PRESENT: 1}.get(key)
    if flat is None or len({tuple(value.shape) for value in values}) == 1:
        return values
    values = [value if value.ndim > flat else value.unsqueeze(1) for value in values]
    most = max(value.shape[1] for value in values)
    filled = []
    for value in values:
        more = value.new_full(
            (value.shape[0], most - value.shape[1], *value.shape[2:]), False if flat == 1 else torch.nan
        )
        filled.append(torch.cat([value, more], 1))
    return filled


def _stacked(key: str, values: list[Tensor]) -> Tensor:
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) > 1:
        raise DatasetError(
            f"The samples of a batch differ in the shape of {key!r}: {', '.join(map(str, sorted(shapes)))}; bring them "
            "to one with the transform Resize, cut patches with PatchDataset, or take batches of one."
        )
    if not isinstance(values[0], MetaTensor):
        return torch.stack(values)
    images = [value for value in values if isinstance(value, MetaTensor)]
    out = MetaTensor(torch.stack([image.as_tensor() for image in images]))
    out.affine = torch.stack([image.affine for image in images])
    out.meta["space"] = images[0].meta.get("space")
    out.meta["unit"] = images[0].meta.get("unit", "mm")
    out.is_batch = True
    return out
