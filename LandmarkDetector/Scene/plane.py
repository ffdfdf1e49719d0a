"""The plane of a picture: landmarks of one slice are measured in two dimensions, and drawn where the slice lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import vtk

from .control_points import to_world
from .volume_image import TO_LPS

_TOLERANCE = 1e-3
"""How far, in the world's unit, a landmark may lie off the plane."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of the world.

    Args:
        axes: unit vectors along rows and along columns of the picture, (2, 3), LPS.
        foot: the point of the plane that is nearest to the origin, (3,).
    """

    axes: np.ndarray
    foot: np.ndarray

    def flattened(self, mark: Any) -> Any:
        """A ``core.Landmark`` in the plane's own two coordinates, or ``None`` where it lies off the plane."""
        if mark.position is None:
            return mark
        if abs(float((mark.position - self.foot) @ np.cross(*self.axes))) > _TOLERANCE:
            return None
        covariance = mark.covariance
        if covariance is not None:
            covariance = self.axes @ covariance @ self.axes.T
            covariance = (covariance + covariance.T) / 2
        return replace(mark, position=self.axes @ mark.position, covariance=covariance)

    def lifted(self, positions: np.ndarray) -> np.ndarray:
        """Positions (M, 2) in the plane's coordinates back in the world, (M, 3)."""
        return np.asarray(positions @ self.axes + self.foot)


STANDARD = Plane(np.eye(3)[:2], np.zeros(3))
"""Where a picture lies by itself, and what is believed of landmarks whose image is not here: z = 0."""


def plane_of(volume: Any) -> Plane | None:
    """The plane of a volume of one slice in the world; ``None`` for other volumes, and for one that is bent.

    Without a volume it is :data:`STANDARD`, which counts for landmarks only if they lie in it.
    """
    if volume is None:
        return STANDARD
    data = volume.GetImageData()
    parent = volume.GetParentTransformNode()
    if data is None or data.GetDimensions()[2] != 1 or not (parent is None or parent.IsTransformToWorldLinear()):
        return None
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    columns = np.array([[matrix.GetElement(row, column) for row in range(3)] for column in (3, 0, 1)]) * TO_LPS
    corner, along, down = to_world(volume)(np.stack([columns[0], columns[0] + columns[1], columns[0] + columns[2]]))[0]
    first = (along - corner) / np.linalg.norm(along - corner)
    second = (down - corner) - ((down - corner) @ first) * first
    second /= np.linalg.norm(second)
    normal = np.cross(first, second)
    return Plane(np.stack([first, second]), (corner @ normal) * normal)


def same_plane(a: Plane | None, b: Plane | None) -> bool:
    """Whether both are the same place."""
    if a is None or b is None:
        return a is b
    return np.array_equal(a.axes, b.axes) and np.array_equal(a.foot, b.foot)
