"""Direction cosines that a program has rounded, made orthonormal again; the library's grids are strict."""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.io.notices import notice

STRICT = 1e-4
"""How far a grid's own directions may be from orthonormal: what single precision leaves."""
ROUNDED = 1e-2
"""How far rounding may bring them; beyond it they are sheared, and voxels on them stand on no regular grid."""


def deviation(direction: np.ndarray) -> float:
    """How far the columns of a square matrix are from orthonormal: the largest entry of DᵀD − 1."""
    return float(np.abs(direction.T @ direction - np.eye(len(direction))).max())


def orthonormal(direction: np.ndarray, name: str) -> np.ndarray:
    """The directions as they stand, or the nearest orthonormal ones, said aloud, where they were rounded.

    The nearest is the polar factor (Higham 1986, https://doi.org/10.1137/0907079), of the same handedness. What is off
    by more than rounding is given back as it is, for the grid to refuse.

    Args:
        direction: d×d; column *i* is the direction of index axis *i*.
        name: the file's name, for the notice.
    """
    direction = np.asarray(direction, dtype=np.float64)
    off = deviation(direction)
    if not STRICT < off <= ROUNDED:
        return direction
    notice(
        f"{name}: its direction cosines are off from orthonormal by {off:.1g}, as rounded ones are; "
        "the nearest orthonormal ones were taken."
    )
    left, _, right = np.linalg.svd(direction)
    return left @ right
