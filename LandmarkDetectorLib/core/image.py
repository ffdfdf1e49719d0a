"""An image: voxel values and the grid on which they stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LandmarkDetectorLib.core.errors import ImageError
from LandmarkDetectorLib.core.grid import Grid


@dataclass(frozen=True, eq=False)
class Image:
    """Voxel values on a grid.

    Args:
        array: values, channel first: (C, [Z, ]Y, X), of any real number type; kept as it is, never copied.
        grid: where the voxels lie.
        name: a word for messages and file names; never a path.

    Raises:
        ImageError: the array is not of real numbers, or its shape does not fit the grid.
    """

    array: np.ndarray
    grid: Grid
    name: str = "image"

    def __post_init__(self) -> None:
        if self.array.dtype.kind not in "buif":
            raise ImageError(f"{self.name}: values of type {self.array.dtype} are not real numbers.")
        if self.array.shape[1:] != self.grid.shape or self.array.ndim != self.grid.dimension + 1:
            raise ImageError(
                f"{self.name}: an array of shape {self.array.shape} does not fit a grid of size {self.grid.size}; "
                f"expected (channels, {', '.join(map(str, self.grid.shape))})."
            )
        if self.array.shape[0] < 1:
            raise ImageError(f"{self.name}: the image has no channel.")

    @property
    def channels(self) -> int:
        """Number of channels: 1 for a scan, 3 for a colour photograph."""
        return int(self.array.shape[0])

    @property
    def dimension(self) -> int:
        """2 or 3 spatial axes."""
        return self.grid.dimension

    @classmethod
    def from_array(cls, array, spacing=1.0, *, channels: bool = False, unit: str = "mm", name: str = "image") -> Image:
        """An axis-aligned image from an array ([Z, ]Y, X), or (C, [Z, ]Y, X) with ``channels=True``."""
        array = np.asarray(array)
        if not channels:
            array = array[None]
        return cls(array, Grid.regular(array.shape[:0:-1], spacing, unit), name)
