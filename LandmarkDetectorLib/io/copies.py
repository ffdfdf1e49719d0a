"""Copies of images that hold voxels and grid, and nothing else that a file said: no name, no date, no tag."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Grid, Image
from LandmarkDetectorLib.io.images import save_image


def copy_suffix(image: Image, volume: str = ".nrrd") -> str:
    """The suffix under which an image is kept with its geometry and without anything else that its file said.

    Args:
        image: the image.
        volume: for volumes in mm; NRRD keeps the grid in double precision, NIfTI (``.nii.gz``) in single.
    """
    if image.grid.unit == "mm":
        return volume if image.dimension == 3 else ".mha"
    plain = image.dimension == 2 and image.grid.same_as(Grid.regular(image.grid.size, 1.0, "px"))
    picture = plain and image.channels in (1, 3) and image.array.dtype in (np.uint8, np.uint16)
    return ".png" if picture else ".npz"


def write_copy(image: Image, folder: Path, stem: str, volume: str = ".nrrd") -> Path:
    """Write voxels and grid of an image, and nothing else of it, into a folder.

    Raises:
        ImageError: no format holds it.
        LandmarkFileError: it cannot be written.
    """
    path = folder / f"{stem}{copy_suffix(image, volume)}"
    save_image(image, path)
    return path
