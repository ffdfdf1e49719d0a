"""Images in which a landmark can be seen: a blob, whose centre of mass a spatial transform must take with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets.samples import Sample, make_sample

EVEN = {2: (48, 46), 3: (40, 38, 36)}
ODD = {2: (45, 47), 3: (37, 39, 41)}


def oblique_grid(shape: tuple[int, ...]) -> Grid:
    """Anisotropic, turned, away from the origin."""
    d = len(shape)
    turn = Rotation.from_euler("z", 0.3).as_matrix()[:d, :d]
    return Grid(shape[::-1], (0.8, 1.3, 1.1)[:d], (40.0, -60.0, 10.0)[:d], turn)


def blob_sample(shape: tuple[int, ...], place: Any = None, width: float = 2.5) -> Sample:
    """A sample with one blob off the centre, and a landmark in the middle of it; index x, y[, z]."""
    d = len(shape)
    grid = oblique_grid(shape)
    if place is None:
        place = (np.array(grid.size) - 1) / 2 + np.array([4.3, -3.6, 3.8])[:d]
    steps = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)[..., ::-1]
    values = 1000 * np.exp(-((steps - place) ** 2).sum(-1) / (2 * width**2))
    marks = LandmarkSet.from_positions(["blob", "hidden"], [grid.to_world(place), np.full(d, np.nan)])
    return make_sample(Image(values[None].astype(np.float32), grid, "blob"), marks)


def middle(image: Any) -> np.ndarray:
    """The centre of mass of an image's first channel, in index x, y[, z]."""
    values = np.asarray(image[0], dtype=np.float64)
    values = np.where(values > 1, values, 0)
    steps = np.meshgrid(*[np.arange(n) for n in values.shape], indexing="ij")
    return np.array([(s * values).sum() for s in reversed(steps)]) / values.sum()


def error(sample: Sample) -> float:
    """How many voxels the landmark and the middle of its blob are apart, along the worst axis."""
    return float(np.abs(sample["landmarks"][0].numpy() - middle(sample["image"])).max())


def same(sample: Sample, other: Sample, tolerance: float = 1e-3) -> None:
    """Landmarks, size and affine are those of the other."""
    assert sample["image"].shape == other["image"].shape
    torch.testing.assert_close(sample["image"].affine, other["image"].affine, atol=1e-4, rtol=0)
    torch.testing.assert_close(sample["landmarks"], other["landmarks"], atol=tolerance, rtol=0, equal_nan=True)
    for key in ("present", "labelled"):
        assert sample[key].equal(other[key])
