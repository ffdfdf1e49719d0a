"""LabelMe's annotations, ``.json``: one file a picture, read only.

A landmark is a shape of the type ``point``; several shapes of one label are several instances. Shapes of other types
(polygon, rectangle, circle, line, linestrip, mask) are no landmarks: they are left out, with a notice.

LabelMe divides the mouse's place on its canvas by the zoom and draws the picture from (0, 0) on, so it counts from the
corner of the first pixel (labelme, ``widgets/canvas.py``, ``transformPos``): half a pixel is taken away here. It turns
a picture as its EXIF note asks before it shows it; this library does not, so turn such pictures for good beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.json_files import finite, read_json
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.pixels import file_name, offset_of, scale_of

LABELME = "labelme"
"""Where in ``LandmarkSet.info`` the picture's name and size are kept."""


def is_labelme(document: Any) -> bool:
    """Whether a JSON document is of LabelMe's form."""
    return isinstance(document, dict) and isinstance(document.get("shapes"), list)


def read_labelme(path: Path, *, spacing: Sequence[float] | None = None) -> LandmarkSet:
    """The landmarks of a file, in its order, in px, or in mm where ``spacing`` (mm along x and y) is given.

    ``info["labelme"]`` holds the picture's name and, where the file says it, its size.

    Raises:
        LandmarkFileError: it is not such a file, is damaged, or a shape holds something impossible, with its number
            counted from 1.
    """
    name = shown(path)
    document = read_json(path)
    if not is_labelme(document):
        raise LandmarkFileError(f"{name}: it has no list of shapes; save the annotation from LabelMe.")
    scale, unit = scale_of(spacing, name)
    landmarks, others = [], Counter[str]()
    for number, shape in enumerate(document["shapes"], 1):
        place = f"{name}: shape {number}"
        points = shape.get("points") if isinstance(shape, dict) else None
        if not isinstance(points, list) or not isinstance(shape.get("label"), str):
            raise LandmarkFileError(f"{place} has no label or no points; save the annotation from LabelMe again.")
        # Early files say no type where it is a polygon, and a polygon of one point is none.
        kind = shape.get("shape_type") or ("point" if len(points) == 1 else "polygon")
        if kind != "point":
            others[str(kind)[:20]] += 1
            continue
        landmarks.append(_landmark(shape, points, scale, place))
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        notice(f"{name}: shapes that are no points were left out ({kinds}).")
    about = {"image": document.get("imagePath"), "width": document.get("imageWidth")}
    about["height"] = document.get("imageHeight")
    if isinstance(about["image"], str):
        about["image"] = file_name(about["image"])
    return LandmarkSet(tuple(landmarks), unit, stem_of(path), {LABELME: {k: v for k, v in about.items() if v}})


def _landmark(shape: dict[str, Any], points: list[Any], scale: np.ndarray, place: str) -> Landmark:
    if len(points) != 1 or not isinstance(points[0], list) or len(points[0]) != 2:
        raise LandmarkFileError(f"{place} is a point without one pair of coordinates; place it again.")
    corner = np.array([finite(value, place) for value in points[0]])
    description = shape.get("description")
    return Landmark(
        shape["label"],
        (corner - offset_of("corner", place)) * scale,
        description=description if isinstance(description, str) else "",
    )
