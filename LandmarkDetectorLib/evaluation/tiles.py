"""A small strip of sections through one landmark, quick enough for every landmark of a report."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

from LandmarkDetectorLib.core import Image, Landmark, LandmarkError
from LandmarkDetectorLib.evaluation.paint import confidence_colour, painted, round_length
from LandmarkDetectorLib.evaluation.views import View, crop_view, planes_of, slice_views

TILE = 192
"""Rows and columns of a section in 3D."""

PICTURE = 280
"""Rows and columns of the part of a 2D picture."""

_GAP = 4


def tile_width(image: Image) -> float:
    """Side of the square that is shown around a landmark, in the image's unit: a third of the image's longest side.

    It is never less than 24 of the finest voxels, nor more than the whole image.
    """
    longest = float(image.grid.extent.max())
    return min(longest, max(0.35 * longest, 24 * min(image.grid.spacing)))


def landmark_views(image: Image, position: np.ndarray) -> list[View]:
    """The sections through a world position: one for each plane of a 3D image, the picture around it in 2D."""
    if image.dimension == 2:
        return [crop_view(image, position, tile_width(image), PICTURE)]
    return slice_views(image, position, tile_width(image), TILE)


def strip_size(image: Image) -> tuple[int, int]:
    """Width and height in pixels of the strips of this image."""
    if image.dimension == 2:
        return PICTURE, PICTURE
    count = len(planes_of(image.grid))
    return count * TILE + (count - 1) * _GAP, TILE


def landmark_strip(image: Image, landmark: Landmark, window: tuple[float, float]) -> bytes:
    """The sections through a landmark side by side, with a cross at its place, letters and a scale bar.

    Args:
        image: where the landmark was found.
        landmark: with a position.
        window: the values shown as black and white, by ``window_of``.

    Returns:
        A JPEG of :func:`strip_size`.

    Raises:
        LandmarkError: the landmark has no position.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    position = landmark.position
    if position is None:
        raise LandmarkError(f"Landmark {landmark.label!r} has no position, so no section goes through it.")

    strip = Pillow.new("RGB", strip_size(image), "white")
    views = landmark_views(image, position)
    for number, view in enumerate(views):
        tile = Pillow.fromarray(painted(view, window))
        draw = ImageDraw.Draw(tile)
        _cross(draw, view.place(position), confidence_colour(landmark.confidence))
        _letters(draw, view, tile.size)
        if number == len(views) - 1 and image.grid.unit == "mm":
            _bar(draw, view, tile.size)
        strip.paste(tile, (number * (tile.width + _GAP), 0))
    buffer = io.BytesIO()
    strip.save(buffer, "JPEG", quality=80, subsampling=0)
    return buffer.getvalue()


def _cross(draw, place: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Four strokes that leave the landmark itself in sight."""
    x, y = (round(float(value)) for value in place)
    for ink, wide in (((0, 0, 0), 4), (colour, 2)):
        edge = (wide - 2) // 2
        for near, far in ((6 - edge, 18 + edge), (-18 - edge, -6 + edge)):
            draw.line((x + near, y, x + far, y), fill=ink, width=wide)
            draw.line((x, y + near, x, y + far), fill=ink, width=wide)


def _letters(draw, view: View, size: tuple[int, int]) -> None:
    if view.letters is None:
        return
    width, height = size
    places = ((3, height / 2, "lm"), (width - 3, height / 2, "rm"), (width / 2, 2, "ma"), (width / 2, height - 2, "md"))
    for letters, (x, y, anchor) in zip(view.letters, places, strict=True):
        draw.text((x, y), letters, fill=(255, 210, 127), anchor=anchor, font=_font(13), **_HALO)


def _bar(draw, view: View, size: tuple[int, int]) -> None:
    length = round_length(view.extent[0])
    x, y = 6, size[1] - 7
    draw.line((x - 1, y, x + length / view.pixel[0] + 1, y), fill=(0, 0, 0), width=5)
    draw.line((x, y, x + length / view.pixel[0], y), fill=(255, 255, 255), width=3)
    draw.text((x, y - 4), f"{length:g} mm", fill=(255, 255, 255), anchor="ld", font=_font(12), **_HALO)


@lru_cache(maxsize=4)
def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)


_HALO = {"stroke_width": 1, "stroke_fill": (0, 0, 0)}
