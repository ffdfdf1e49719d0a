"""The sample: what a data set hands out and what transforms change, a plain dictionary as MONAI's transforms take it.

==================  ===================================================================================================
``image``           MetaTensor (C, [Z, ]Y, X), float32; its affine takes the array's index ([z, ]y, x) to the world
                    (x, y[, z] in LPS, in the image's unit), so that MONAI's own transforms keep it right
``landmarks``       float32 (K, D), or (K, N, D) where a class has several instances: index x, y[, z] in the image as it
                    is now, 0 at the first voxel's centre; NaN where there is none
``present``         bool (K,) or (K, N): the landmark has a place, within the view or not (see :func:`inside`)
``labelled``        bool (K,): somebody looked. A landmark is *absent* where labelled and not present; where it is not
                    labelled nobody knows, and nothing may be learnt from it
``labels``          the K labels, a tuple
``loaded_affine``   float64 (D+1, D+1), the affine that the image had when it was loaded
``subject``         the subject's name
``case``            what else is known: the image's ``name`` and ``unit``, ``family`` and ``origin``
==================  ===================================================================================================

A dictionary is never changed by what is given it: transforms return another one. Places are computed in double
precision, on the CPU or a CUDA device; the image's own transforms run where the image is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import SpaceKeys
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError, Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case

Sample = dict[str, Any]

IMAGE, LANDMARKS, PRESENT, LABELLED = "image", "landmarks", "present", "labelled"
LABELS, LOADED_AFFINE, SUBJECT, CASE = "labels", "loaded_affine", "subject", "case"


def make_sample(
    image: Image,
    landmarks: LandmarkSet,
    labels: Sequence[str] | None = None,
    *,
    instances: int | None = None,
    subject: str = "",
    **known: Any,
) -> Sample:
    """A sample from an image and its landmarks.

    Args:
        image: the image; its voxels become float32.
        landmarks: in the image's world and unit. The same label may stand several times: the instances of a class. A
            status ``missing`` means absent, ``undefined`` means that nobody looked.
        labels: which landmarks, in which order; those of the set by default. One that the set lacks is not labelled.
        instances: places for instances of each class, N. Without it a label that stands twice gives as many places
            as the most frequent has, and labels that stand once give landmarks (K, D).
        subject: the subject's name.
        known: what else belongs into ``case``.

    Raises:
        DatasetError: landmarks and image differ in unit or dimension, or a class has more than ``instances``.
    """
    d = image.dimension
    landmarks = landmarks.to_plane() if d == 2 else landmarks
    if landmarks.dimension not in (None, d):
        raise DatasetError(f"{image.name}: landmarks in {landmarks.dimension}D do not fit an image in {d}D.")
    if landmarks.dimension is not None and landmarks.unit != image.grid.unit:
        raise DatasetError(
            f"{image.name}: its landmarks are in {landmarks.unit} and its grid in {image.grid.unit}; give the spacing."
        )
    chosen = tuple(dict.fromkeys(landmarks.labels)) if labels is None else tuple(labels)
    found = [[mark for mark in landmarks if mark.label == label] for label in chosen]
    placed = [[mark.position for mark in marks if mark.position is not None] for marks in found]
    most = max((len(marks) for marks in found), default=1)
    places = (most if most > 1 else None) if instances is None else int(instances)
    crowded = [label for label, marks in zip(chosen, placed, strict=True) if len(marks) > (places or 1)]
    if crowded:
        raise DatasetError(
            f"{image.name}: {crowded[0]!r} has more than {places or 1} instances; give a larger number of instances."
        )
    world = np.full((len(chosen), places or 1, d), np.nan)
    for row, marks in enumerate(placed):
        world[row, : len(marks)] = np.reshape(marks, (-1, d))
    index = image.grid.to_index(world)
    index = index if places else index[:, 0]
    # Nobody has looked where every entry of a class is still to be placed, or where there is no entry.
    labelled = [any(mark.status != "undefined" for mark in marks) for marks in found]
    affine = array_affine(image.grid)
    return {
        IMAGE: MetaTensor(
            # A copy even where the voxels are float32 already: transforms may work in place, and the file is another's.
            torch.from_numpy(np.array(image.array, dtype=np.float32)),
            affine=affine.clone(),
            meta={"space": SpaceKeys.LPS, "unit": image.grid.unit},
        ),
        LANDMARKS: torch.from_numpy(index.astype(np.float32)),
        PRESENT: torch.from_numpy(np.isfinite(index).all(-1)),
        LABELLED: torch.tensor(labelled, dtype=torch.bool),
        LABELS: chosen,
        LOADED_AFFINE: affine,
        SUBJECT: subject,
        CASE: {"name": image.name, "unit": image.grid.unit, **known},
    }


def load_sample(case: Case, labels: Sequence[str], instances: int | None = None) -> Sample:
    """Read a case from disk; see :func:`make_sample`.

    Raises:
        ImageError: the image cannot be read.
        DatasetError: landmarks and image do not belong together.
    """
    return make_sample(
        case.image(),
        case.landmarks,
        labels,
        instances=instances,
        subject=case.subject,
        family=case.family,
        origin=case.origin,
    )


def check_scale(sample: Mapping[str, Any], length: str) -> None:
    """Refuse a ``length`` in mm, as a message calls it, for a sample whose image has no physical scale.

    Raises:
        DatasetError: the image's unit is px.
    """
    if sample[IMAGE].meta.get("unit") == "px":
        raise DatasetError(
            f"{sample[CASE]['name']}: the image has no scale for a {length} in mm; give unit='voxel', or its spacing."
        )


def array_affine(grid: Grid) -> Tensor:
    """The float64 matrix (D+1, D+1) from the array's index ([z, ]y, x) to the world (x, y[, z]), as MONAI holds it."""
    matrix = grid.matrix
    matrix[:, :-1] = matrix[:, -2::-1]
    return torch.from_numpy(matrix)


def index_affine(image: MetaTensor) -> Tensor:
    """The float64 matrix (D+1, D+1) from index x, y[, z] to the world of an image as it is now.

    Raises:
        DatasetError: the affine is not of the image's dimension.
    """
    affine = image.peek_pending_affine()
    if affine.shape != (image.ndim, image.ndim):
        raise DatasetError(
            f"An image of shape {tuple(image.shape)} has an affine of shape {tuple(affine.shape)}; make its sample "
            "with make_sample."
        )
    return _reversed_axes(affine)


def _reversed_axes(affine: Tensor) -> Tensor:
    affine = affine.detach().to("cpu", torch.float64)
    return torch.cat([affine[:, :-1].flip(1), affine[:, -1:]], 1)


def grid_of(image: MetaTensor) -> Grid:
    """The grid of an image as it is now.

    Raises:
        ImageError: its axes are sheared, so that no grid describes it; :func:`index_affine` still does.
    """
    matrix = index_affine(image).numpy()
    steps = np.linalg.norm(matrix[:-1, :-1], axis=0)
    size = tuple(int(n) for n in reversed(image.shape[1:]))
    unit = str(image.meta.get("unit", "mm"))
    return Grid(size, tuple(steps), tuple(matrix[:-1, -1]), matrix[:-1, :-1] / steps, unit)


def world(sample: Mapping[str, Any]) -> Tensor:
    """World positions, float64, of the landmarks of a sample, shaped as they are; NaN where there is none.

    They are the loaded ones after every transform that moves the grid alone. After an elastic one they are places of
    the deformed image, which lies on the same grid.
    """
    matrix = index_affine(sample[IMAGE]).to(sample[LANDMARKS].device)
    return apply_matrix(matrix, sample[LANDMARKS].to(torch.float64))


def inside(sample: Mapping[str, Any]) -> Tensor:
    """Whether each landmark lies within the borders of the image's voxels, bool, shaped as ``present``.

    A landmark that a transform has moved out of the view stays present: it exists, one does not see it.
    """
    places = sample[LANDMARKS]
    size = torch.tensor(list(reversed(sample[IMAGE].shape[1:])), device=places.device)
    return ((places >= -0.5) & (places <= size - 0.5)).all(-1) & sample[PRESENT]


def linear_part(sample: Mapping[str, Any]) -> Tensor:
    """The linear part (D, D), float64, in x, y[, z], of all that the image went through since it was loaded.

    A covariance Σ in voxels of the loaded image becomes A Σ Aᵀ in voxels of the image as it is now. Elastic transforms,
    which have no one linear part, are left out of it.
    """
    loaded, now = _reversed_axes(sample[LOADED_AFFINE]), index_affine(sample[IMAGE])
    return torch.linalg.solve(now[:-1, :-1], loaded[:-1, :-1])


def move_landmarks(sample: Sample, matrix: Tensor) -> None:
    """Move the landmarks of a sample by a matrix (D+1, D+1) in index x, y[, z], in the dictionary given."""
    places = sample[LANDMARKS]
    moved = apply_matrix(matrix.to(places.device, torch.float64), places.to(torch.float64))
    sample[LANDMARKS] = moved.to(places.dtype)


def apply_matrix(matrix: Tensor, places: Tensor) -> Tensor:
    """Positions (..., D) moved by a homogeneous matrix (D+1, D+1)."""
    return places @ matrix[:-1, :-1].T + matrix[:-1, -1]
