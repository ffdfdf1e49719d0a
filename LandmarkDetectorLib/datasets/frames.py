"""The frames in which an image is looked at: the whole of it, the pose-normalised box, a patch around a landmark.

A frame is a matrix from frame index (x, y[, z]) to world, and a shape in array order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from LandmarkDetectorLib.core import Grid


class Frame(NamedTuple):
    """``matrix`` (d+1, d+1) from frame index to world (or to the canonical frame), ``shape`` in array order."""

    matrix: np.ndarray
    shape: tuple[int, ...]


def whole_frame(grid: Grid, spacing: float, multiple: int, rotation: np.ndarray | None = None) -> Frame:
    """The box that holds the whole grid, its axes along the world's or turned by ``rotation`` about the grid's centre.

    Its axes do not follow the grid's: a copy of the volume with permuted or flipped axes is seen just the same.
    """
    d = grid.dimension
    turn = np.eye(d) if rotation is None else rotation
    half = np.abs(turn.T @ grid.direction) @ (grid.extent / 2)
    size = np.maximum(multiple, np.ceil(2 * half / spacing / multiple - 1e-6) * multiple).astype(int)
    matrix = np.eye(d + 1)
    matrix[:d, :d] = turn * spacing
    matrix[:d, d] = grid.centre - matrix[:d, :d] @ ((size - 1) / 2)
    return Frame(matrix, tuple(int(n) for n in size[::-1]))


def image_frame(grid: Grid, spacing: float, size: Sequence[int], multiple: int = 1) -> Frame:
    """The box of ``size`` samples along x, y[, z] with the grid in its middle; larger where the grid does not fit."""
    needed = whole_frame(grid, spacing, multiple)
    shape = tuple(max(a, b) for a, b in zip(needed.shape, tuple(size)[::-1], strict=True))
    matrix = needed.matrix.copy()
    matrix[:-1, -1] = grid.centre - matrix[:-1, :-1] @ ((np.asarray(shape[::-1]) - 1) / 2)
    return Frame(matrix, shape)


def canonical_box(mean: np.ndarray, spacing: float, margin: float, multiple: int) -> Frame:
    """The box around a mean shape (K, d) with a margin, in the canonical frame."""
    low, high = mean.min(0) - margin, mean.max(0) + margin
    size = (np.ceil((high - low) / spacing / multiple) * multiple).astype(int)
    matrix = np.eye(len(low) + 1)
    matrix[:-1, :-1] *= spacing
    matrix[:-1, -1] = (low + high) / 2 - spacing * (size - 1) / 2
    return Frame(matrix, tuple(int(n) for n in size[::-1]))


def patch_boxes(centres: np.ndarray, spacing: float, size: int) -> np.ndarray:
    """(N, d+1, d+1) matrices of patches of ``size`` samples a side around centres (N, d) in the canonical frame."""
    count, d = centres.shape
    matrices = np.tile(np.eye(d + 1), (count, 1, 1))
    matrices[:, :d, :d] *= spacing
    matrices[:, :d, d] = centres - spacing * (size - 1) / 2
    return matrices
