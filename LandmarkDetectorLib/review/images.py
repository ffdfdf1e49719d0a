"""Images of a store: what identifies them, and what is kept of them.

An image is known by its voxels and its grid, not by its file, so that it is the same case under whatever name it comes
again, and another one when a voxel has changed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Image, ImageError
from LandmarkDetectorLib.io import load_image

_PLACES = 4
"""Decimals of the grid's matrix that count: NIfTI's single precision and Slicer's matrices agree on these."""


def digest(image: Image) -> str:
    """SHA-256 of an image's voxels and grid, 64 hexadecimal digits.

    Values count in single precision, so that it makes no difference in which number type a program holds them; the
    matrix from index to world counts to 1e-4. About 1 s for 512×512×512 voxels.
    """
    grid = image.grid
    total = hashlib.sha256(f"{image.array.shape} {grid.unit}".encode("ascii"))
    total.update((np.round(grid.matrix, _PLACES) + 0.0).astype("<f8").tobytes())  # + 0.0: no negative zero
    for channel in image.array:
        for slab in channel:
            total.update(np.ascontiguousarray(slab, dtype="<f4").tobytes())
    return total.hexdigest()


def description(image: Image) -> dict[str, Any]:
    """What a case says of its image: checksum, size and grid; no name."""
    grid = image.grid
    return {
        "sha256": digest(image),
        "size": list(grid.size),
        "spacing": list(grid.spacing),
        "origin": list(grid.origin),
        "direction": grid.direction.tolist(),
        "unit": grid.unit,
        "channels": image.channels,
        "type": str(image.array.dtype),
    }


def code_of(sha256: str) -> str:
    """A subject of whom only the image is known, by the image's checksum, in sets of one's own."""
    return f"image-{sha256[:12]}"


def load(path: Path, reference: dict[str, Any], place: dict[str, Any], case: str) -> Image:
    """The image of a case, when it is still the one that was reviewed.

    Args:
        path: where it lies.
        reference: what :func:`description` said of it.
        place: ``spacing`` and ``series`` with which it is read.
        case: the case's id, for messages, which do not repeat file names.

    Raises:
        ImageError: it cannot be read, or is another image now.
    """
    if not os.path.exists(path):
        raise ImageError(f"{case}: its image is not where it was; add it again from its new place.")
    spacing = place.get("spacing")
    try:
        image = load_image(path, spacing=None if spacing is None else tuple(spacing), series=place.get("series"))
    except ImageError as error:
        # What the error itself says names the file, and so perhaps a patient.
        raise ImageError(f"{case}: its image cannot be read any more; put the reviewed one back.") from error
    image = Image(image.array, image.grid, case)
    if digest(image) != reference["sha256"]:
        raise ImageError(f"{case}: its image was changed since it was reviewed; put the reviewed one back.")
    return image
