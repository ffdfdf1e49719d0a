"""Discs around landmarks, and landmarks in the middle of discs: masks both ways, exact to a fraction of a voxel."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError, Image, Landmark, LandmarkDetectorWarning, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.datasets.transforms.resample import index_grid
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.io.names import stem_of

File = str | PathLike[str]


def discs(
    landmarks: Tensor, shape: Sequence[int], radius: float | Sequence[float], matrix: Tensor, *, soft: bool = False
) -> Tensor:
    """A disc or ball around each landmark, (K, [Z, ]Y, X) float32.

    A voxel belongs to it when its centre is no farther away than the radius, and the voxel nearest to the landmark
    does in any case. Nothing is rounded beforehand, so that the middle of a disc is the landmark, on average exactly;
    of a soft one each time, to some hundredths of a voxel.

    Args:
        landmarks: (K, D) or (K, N, D) index x, y[, z]; NaN where there is none. A class's instances share a mask.
        shape: ([Z, ]Y, X).
        radius: one for all or one per class, in the unit of ``matrix``.
        matrix: (D, D) from a step in voxels x, y[, z] to one in that unit; the identity for a radius in voxels.
        soft: 1 inside and 0 outside, and in between the share of about one voxel's width that the edge passes.

    Raises:
        DatasetError: a radius that is negative or not finite, or not one per class.
    """
    count, d = landmarks.shape[0], landmarks.shape[-1]
    radii = np.asarray(radius, dtype=np.float64)
    radii = np.full(count, radii) if radii.ndim == 0 else radii
    if radii.shape != (count,) or not (np.isfinite(radii) & (radii >= 0)).all():
        raise DatasetError(f"The radius {radius!r} is not one number, or {count} of them, of at least 0.")
    out = torch.zeros((count, *shape), device=landmarks.device)
    matrix = matrix.to(landmarks.device, torch.float64)
    metric = matrix.T @ matrix
    reach = torch.linalg.inv(metric).diagonal().sqrt()  # voxels along each axis for a radius of 1
    step = float(torch.linalg.det(matrix).abs() ** (1 / d))
    size = torch.tensor(list(reversed(shape)), device=landmarks.device)
    for row in range(count):
        for place in landmarks[row].reshape(-1, d).double():
            if not bool(place.isfinite().all()):
                continue
            margin = float(radii[row]) * reach + 1
            low = (place - margin).floor().long().clamp_min(0)
            high = torch.minimum((place + margin).ceil().long() + 1, size)
            if bool((low >= high).any()):
                continue
            offset = index_grid((high - low).flip(0).tolist(), landmarks.device).double() + low - place
            away = torch.einsum("...i,ij,...j->...", offset, metric, offset).sqrt()
            values = ((float(radii[row]) - away) / step + 0.5).clamp(0, 1) if soft else (away <= float(radii[row]))
            spans = [slice(int(a), int(b)) for a, b in zip(low.flip(0), high.flip(0), strict=True)]
            part = out[row][tuple(spans)]
            torch.maximum(part, values.to(part), out=part)
            nearest = place.round().long()
            if not soft and bool(((nearest >= 0) & (nearest < size)).all()):
                out[row][tuple(nearest.flip(0).tolist())] = 1
    return out


def landmarks_of_mask(
    mask: Image, classes: Mapping[str, int] | Sequence[str], *, instances: bool = False, name: str = "landmarks"
) -> LandmarkSet:
    """The middle of each class of a mask, in the world.

    Args:
        mask: of one channel whose values name the classes, or with a channel for each class (anything but 0 is in it).
        classes: label and value; or labels, for the values 1, 2, ... or the channels in turn.
        instances: each connected part of a class (by edge or corner) is a landmark of its own, in the order in which
            they are met along z, y, x. Otherwise a class has one landmark, the middle of all of it.
        name: of the set.

    Returns:
        The landmarks; a label stands as often as its class has instances, and a class without a voxel is missing.

    Raises:
        DatasetError: the channels do not fit the classes.
    """
    if mask.channels > 1 and (isinstance(classes, Mapping) or len(classes) != mask.channels):
        raise DatasetError(
            f"{mask.name}: {mask.channels} channels are not the masks of {len(classes)} classes; give a label for each."
        )
    marks = []
    for label, members in zip(classes, class_masks(mask, classes), strict=True):
        if not members.any():
            marks.append(Landmark(label, status="missing"))
            continue
        if instances:
            parts, count = ndimage.label(members, np.ones((3,) * members.ndim))
            middles = ndimage.center_of_mass(members, parts, range(1, count + 1))
        else:
            middles = [ndimage.center_of_mass(members)]
        marks += [Landmark(label, mask.grid.to_world(np.array(middle)[::-1])) for middle in middles]
    return LandmarkSet(tuple(marks), mask.grid.unit, name)


def load_mask(path: File, spacing: Sequence[float] | None = None) -> Image:
    """A mask from a file; one without a class is no fault of it, as it would be of an image.

    Raises:
        ImageError: it cannot be read.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*: every voxel has the value", LandmarkDetectorWarning)
        return load_image(path, spacing=spacing)


def class_masks(mask: Image, classes: Mapping[str, int] | Sequence[str]) -> np.ndarray:
    """Which voxels belong to each class, bool (K, [Z, ]Y, X); see :func:`landmarks_of_mask`."""
    if mask.channels > 1:
        return mask.array != 0
    values = classes.values() if isinstance(classes, Mapping) else range(1, len(classes) + 1)
    if len(classes) == 1 and not isinstance(classes, Mapping):
        return mask.array != 0  # one class: whatever value its file was saved with
    return np.stack([mask.array[0] == value for value in values])


def dataset_from_masks(
    images: Sequence[File],
    masks: Sequence[File],
    classes: Mapping[str, int] | Sequence[str],
    *,
    instances: bool = False,
    spacing: Sequence[float] | None = None,
    subjects: Sequence[str] | None = None,
    name: str = "masks",
) -> Dataset:
    """A data set whose landmarks are the middles of masks; each mask is read once, and its voxels forgotten.

    Args:
        images: files, one per case.
        masks: files, one per case.
        classes: see :func:`landmarks_of_mask`.
        instances: see :func:`landmarks_of_mask`.
        spacing: in mm along x, y[, z], for pictures, which have none.
        subjects: names; the images' own by default.
        name: of the data set.

    Raises:
        DatasetError: the numbers of images, masks and subjects differ.
        ImageError: a mask cannot be read.
    """
    images, masks = list(images), list(masks)
    names = [stem_of(path) for path in images] if subjects is None else list(subjects)
    if not len(images) == len(masks) == len(names):
        raise DatasetError(f"{name}: {len(images)} images, {len(masks)} masks and {len(names)} subjects do not pair.")
    steps = None if spacing is None else tuple(float(s) for s in spacing)
    cases = []
    for image, mask, subject in zip(images, masks, names, strict=True):
        marks = landmarks_of_mask(load_mask(mask, steps), classes, instances=instances, name=subject)
        cases.append(
            Case(subject, Path(image), marks, subject, origin="mask", spacing=steps, extra={"mask": str(mask)})
        )
    return Dataset(name, tuple(classes), tuple(cases))
