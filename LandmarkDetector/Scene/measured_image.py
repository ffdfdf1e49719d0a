"""The image in which landmarks were measured, in the very coordinates in which they were: the world, or its plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from .control_points import to_world
from .plane import plane_of
from .volume_image import image_of_volume

_BENT = "{name}: it stands under a transform that bends it; harden the transform, and export again."


def measured_image(volume: Any, dimension: int) -> Any:
    """A volume as ``core.Image`` where landmarks that are measured lie, with the transforms above it applied.

    Args:
        volume: the volume node in which the landmarks were found.
        dimension: 2 for landmarks in the plane of the picture, as :meth:`.measured.Measured.landmarks` gives them; 3
            for those in the world.

    Raises:
        ImageError: the volume holds no image, is bent or slanted by a transform, or is no picture for landmarks of one.
    """
    from LandmarkDetectorLib.core import Grid, Image, ImageError

    image = image_of_volume(volume)
    parent, grid = volume.GetParentTransformNode(), image.grid
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise ImageError(_BENT.format(name=image.name))
    corners = grid.to_world(np.concatenate([np.zeros((1, 3)), np.eye(3)]))
    corners = to_world(volume)(corners)[0]
    origin, steps = corners[0], (corners[1:] - corners[0]).T
    array, size = image.array, grid.size
    if dimension == 2:
        plane = plane_of(volume)
        if plane is None:
            raise ImageError(f"{image.name}: it has {size[2]} slices and is no picture; measure in the volume.")
        origin, steps = plane.axes @ origin, (plane.axes @ steps)[:, :2]
        array, size = array[:, 0], size[:2]
    spacing = np.linalg.norm(steps, axis=0)
    return Image(array, Grid(size, tuple(spacing), tuple(origin), steps / spacing, grid.unit), image.name)
