"""Where the voxels of an image lie in the world.

Coordinates are written x, y[, z] (an *index* or a *world* position); arrays are indexed in the reverse order, [z, ]y,
x. World is LPS (left, posterior, superior: the patient's axes of DICOM and ITK) in ``unit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from LandmarkDetectorLib.core.errors import ImageError

UNITS = ("mm", "px")


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxels, two- or three-dimensional.

    Args:
        size: number of voxels along x, y[, z].
        spacing: distance between voxel centres along x, y[, z], in ``unit``.
        origin: world position of the centre of voxel 0, 0[, 0].
        direction: orthonormal d×d matrix; column *i* is the world direction of index axis *i*.
        unit: ``"mm"``, or ``"px"`` for an image that has no physical scale.

    Raises:
        ImageError: sizes that are not positive, spacings that are not finite and positive, a direction that is not
            orthonormal (to 1e-4, what NIfTI's single precision allows).
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: np.ndarray = field(repr=False)
    unit: str = "mm"

    def __post_init__(self) -> None:
        dimension = len(self.size)
        if dimension not in (2, 3):
            raise ImageError(f"An image has {dimension} spatial axes; this library reads 2 or 3.")
        if len(self.spacing) != dimension or len(self.origin) != dimension:
            raise ImageError(
                f"Spacing {self.spacing} and origin {self.origin} do not fit an image of size {self.size}."
            )
        if any(n < 1 for n in self.size):
            raise ImageError(f"The image is empty: its size is {self.size}.")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing):
            raise ImageError(f"The voxel spacing {self.spacing} is not positive; mend the image's header.")
        if not all(np.isfinite(o) for o in self.origin):
            raise ImageError(f"The origin {self.origin} is not finite; mend the image's header.")
        if self.unit not in UNITS:
            raise ImageError(f"The unit {self.unit!r} is not one of {', '.join(UNITS)}.")
        direction = np.array(self.direction, dtype=np.float64).reshape(dimension, dimension)
        if not np.allclose(direction.T @ direction, np.eye(dimension), atol=1e-4):
            raise ImageError(
                f"The direction cosines {direction.tolist()} are not orthonormal; mend the image's header."
            )
        direction.setflags(write=False)
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing))
        object.__setattr__(self, "origin", tuple(float(o) for o in self.origin))
        object.__setattr__(self, "direction", direction)

    @classmethod
    def regular(cls, size: Sequence[int], spacing: float | Sequence[float] = 1.0, unit: str = "mm") -> Grid:
        """An axis-aligned grid whose first voxel lies at the world's origin."""
        dimension = len(size)
        steps = tuple(spacing) if isinstance(spacing, Sequence) else (float(spacing),) * dimension
        return cls(tuple(size), steps, (0.0,) * dimension, np.eye(dimension), unit)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size in array order, [z, ]y, x."""
        return self.size[::-1]

    @property
    def matrix(self) -> np.ndarray:
        """The (d+1)×(d+1) homogeneous matrix from index to world."""
        d = self.dimension
        matrix = np.eye(d + 1)
        matrix[:d, :d] = self.direction * np.asarray(self.spacing)
        matrix[:d, d] = self.origin
        return matrix

    @property
    def centre(self) -> np.ndarray:
        """World position of the middle of the grid, (d,)."""
        return self.to_world((np.asarray(self.size) - 1) / 2)

    @property
    def extent(self) -> np.ndarray:
        """Length of the grid along each index axis, voxel borders included, in ``unit``, (d,)."""
        return np.asarray(self.size) * np.asarray(self.spacing)

    def to_world(self, index) -> np.ndarray:
        """World positions (..., d) of continuous indices (..., d); 0 is the centre of the first voxel."""
        index = np.asarray(index, dtype=np.float64)
        return (index * np.asarray(self.spacing)) @ self.direction.T + np.asarray(self.origin)

    def to_index(self, world) -> np.ndarray:
        """Continuous indices (..., d) of world positions (..., d)."""
        offset = np.asarray(world, dtype=np.float64) - np.asarray(self.origin)
        return np.linalg.solve(self.direction, offset[..., None])[..., 0] / np.asarray(self.spacing)

    def contains(self, world) -> np.ndarray:
        """Whether world positions (..., d) lie within the voxels' borders, (...) bool; NaN lies outside."""
        index = self.to_index(world)
        return np.all((index >= -0.5) & (index <= np.asarray(self.size) - 0.5), axis=-1)

    def same_as(self, other: Grid, tolerance: float = 1e-6) -> bool:
        """Whether both grids have the same voxels at the same places."""
        return (
            self.size == other.size
            and self.unit == other.unit
            and bool(np.allclose(self.matrix, other.matrix, rtol=0, atol=tolerance))
        )
