"""An image and what a detector says of it, small enough to be made for every test."""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet

ABOUT = {"bundle": "toy", "version": "1.0.0", "fingerprint": "f" * 64}


def make_image(seed: int = 0, dimension: int = 3) -> Image:
    """A small image on an oblique, anisotropic grid."""
    turn = np.eye(dimension)
    turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    size = (9, 8, 7)[:dimension]
    grid = Grid(size, (0.5, 0.75, 1.25)[:dimension], (-10.0, 20.5, 300.25)[:dimension], turn)
    values = np.random.default_rng(seed).integers(0, 1000, (1, *grid.shape)).astype(np.int16)
    return Image(values, grid, "Doe^Jane")


def make_proposal(shift: float = 0.0) -> LandmarkSet:
    """Four landmarks, the last of which was not found."""
    marks = (
        Landmark("nasion", (1.0 + shift, 2.0, 3.0), confidence=0.9, covariance=np.eye(3) * 0.04),
        Landmark("basion", (4.0, 5.0 + shift, 6.0), confidence=0.2, covariance=np.eye(3)),
        Landmark("inion", (7.0, 8.0, 9.5), confidence=0.7),
        Landmark("bregma", None, "missing"),
    )
    return LandmarkSet(marks, "mm", "Doe^Jane", ABOUT)
