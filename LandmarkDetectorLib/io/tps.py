"""TPS files of geometric morphometrics (tpsDig and its relatives), many specimens a file, read only.

::

    LM=3
    290. 108.
    100. 179.
    -1 -1
    IMAGE=63001.jpg
    ID=0
    SCALE=0.025

tpsDig counts from the lower left corner of the picture, y upwards, so a position means nothing without the picture's
height: here y is turned, as ml-morph turns it (https://github.com/agporto/ml-morph), and half a pixel is taken away, so
that 0 is the centre of the first pixel of the first row. A landmark that could not be placed is written as NA or with
negative coordinates (geomorph's ``readland.tps``, argument ``negNA``;
https://rdrr.io/github/EmSherratt/geomorph/man/readland.tps.html). SCALE is a length a pixel, in a unit that no file
names. ``LM3=`` holds positions in space, for which the file names neither axes nor unit. CURVES and OUTLINES, each with
its POINTS, are semilandmarks along a line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import ImageError, Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.pixels import file_name, offset_of, picture_size, scale_of
from LandmarkDetectorLib.io.text_files import read_text
from LandmarkDetectorLib.io.tps_blocks import Specimen, specimens

TPS = "tps"
"""Where in ``LandmarkSet.info`` the ID, SCALE and comments of a specimen are kept."""

_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "inch": 25.4}
_SIGNS = {"LPS": np.array([1.0, 1.0, 1.0]), "RAS": np.array([-1.0, -1.0, 1.0])}


def read_tps(
    path: Path | str,
    *,
    heights: Mapping[str, int] | None = None,
    images: Path | str | None = None,
    spacing: Sequence[float] | None = None,
    scale_in: str | None = None,
    origin: str = "corner",
    curves: bool = False,
    coordinate_system: str | None = None,
) -> dict[str, LandmarkSet]:
    """The landmarks of each picture of a file, called ``1``, ``2`` and so on.

    Args:
        path: the file.
        heights: pixels from top to bottom of each picture, by its name.
        images: the folder of the pictures, whose heights are then read from them; that of the file unless given.
        spacing: mm a pixel along x and y, the same for all pictures.
        scale_in: the unit of SCALE (mm, cm, m, um, inch); each specimen's own is then its spacing. Without either,
            positions are in px.
        origin: ``"corner"`` where (0, 0) is the picture's lower left corner, ``"centre"`` where it is the centre of
            its lower left pixel.
        curves: whether the semilandmarks of curves and outlines are read too, as ``curve 1.1``, ``curve 1.2`` and so
            on; else they are left out, with a notice.
        coordinate_system: ``"LPS"`` or ``"RAS"``, for ``LM3=``, whose unit is then ``scale_in``, or mm.

    Returns:
        Name of the picture, else ID, else the specimen's number, to its landmarks; several specimens of one picture are
        several instances, with the same labels again. A landmark that could not be placed is ``missing``.

    Raises:
        LandmarkFileError: a line is wrong, with its number; a height is needed and not known; or a landmark lies above
            the picture.
    """
    path = Path(path)
    name = shown(path)
    if scale_in is not None and (scale_in not in _MM or spacing is not None):
        raise LandmarkFileError(f"{name}: give either a spacing or the unit of SCALE, one of {', '.join(_MM)}.")
    offset = offset_of(origin, name)
    sets: dict[str, LandmarkSet] = {}
    instances: defaultdict[str, list[Landmark]] = defaultdict(list)
    left_out = 0
    for number, specimen in enumerate(specimens(read_text(path), name), 1):
        picture = file_name(specimen.settings.get("IMAGE", ""))
        key = picture or specimen.settings.get("ID", "") or str(number)
        rows = specimen.labelled(curves)
        left_out += 0 if curves else sum(len(points) for points in specimen.curves)
        scale, unit = _scale(specimen, spacing, scale_in, name)
        if specimen.dimension == 3:
            marks = _in_space(rows, scale, unit, coordinate_system, specimen, name)
            unit = "mm"
        else:
            height = _height(picture, heights, Path(images) if images is not None else path.parent, specimen, name)
            marks = _in_plane(rows, height, offset, scale, name)
        about = {word.lower(): value for word, value in specimen.settings.items()}
        one = LandmarkSet(tuple(marks), unit, stem_of(key) if picture else key, {TPS: about})
        if key in sets and (sets[key].unit != unit or not picture):
            raise LandmarkFileError(f"{name}: line {specimen.line}: {key!r} stands there twice; rename one of them.")
        instances[key] += one.landmarks
        sets[key] = replace(sets.get(key, one), landmarks=tuple(instances[key]))
    if left_out:
        notice(f"{name}: {left_out} semilandmarks of its curves were left out; ask for curves to have them.")
    return sets


def read_single_tps(path: Path) -> LandmarkSet:
    """The landmarks of a file of one picture, which lies beside it, in px.

    Raises:
        LandmarkFileError: as :func:`read_tps` says, or it is a file of several pictures or none.
    """
    sets = read_tps(path)
    if len(sets) != 1:
        raise LandmarkFileError(
            f"{shown(path)}: it holds {len(sets)} pictures and one is needed; read it with read_tps, or split it."
        )
    return next(iter(sets.values()))


def _scale(
    specimen: Specimen, spacing: Sequence[float] | None, scale_in: str | None, name: str
) -> tuple[np.ndarray, str]:
    """Mm a pixel (2,) and the unit; (1, 1) and px where nobody knows."""
    if scale_in is None:
        return scale_of(spacing, name)
    place = f"{name}: line {specimen.line}"
    if "SCALE" not in specimen.settings:
        raise LandmarkFileError(f"{place}: the specimen has no SCALE; add it, or give the spacing.")
    step = specimen.number_of("SCALE", place) * _MM[scale_in]
    return scale_of((step, step), place)


def _height(picture: str, heights: Mapping[str, int] | None, folder: Path, specimen: Specimen, name: str) -> int:
    place = f"{name}: line {specimen.line}"
    if heights is not None and picture in heights:
        return int(heights[picture])
    if not picture:
        raise LandmarkFileError(f"{place}: the specimen names no IMAGE, and y counts from its lower edge; add IMAGE=.")
    try:
        return picture_size(folder / picture)[1]
    except ImageError as error:
        raise LandmarkFileError(
            f"{place}: y counts from the lower edge of {picture}, whose height is unknown ({str(error).rstrip('.')}); "
            "say where the pictures are, or give their heights."
        ) from None


def _in_plane(
    rows: Sequence[tuple[str, np.ndarray, int]],
    height: int,
    offset: float,
    scale: np.ndarray,
    name: str,
) -> list[Landmark]:
    marks = []
    for label, (x, y), line in rows:
        if np.isnan(x) or x < 0 or y < 0:
            marks.append(Landmark(label, status="missing"))
            continue
        if y > height:
            raise LandmarkFileError(
                f"{name}: line {line}: y = {y:g} is above the {height} pixels of the picture; give the one that was "
                "digitised."
            )
        first_row = height - 1 + offset  # y of its centre, as the file counts
        marks.append(Landmark(label, np.array([x - offset, first_row - y]) * scale))
    return marks


def _in_space(
    rows: Sequence[tuple[str, np.ndarray, int]],
    scale: np.ndarray,
    unit: str,
    system: str | None,
    specimen: Specimen,
    name: str,
) -> list[Landmark]:
    if system not in _SIGNS:
        raise LandmarkFileError(
            f"{name}: line {specimen.line}: LM3 does not say its axes; give coordinate_system LPS or RAS."
        )
    turned = _SIGNS[system] * (scale[0] if unit == "mm" else 1.0)
    return [Landmark(label, None if np.isnan(at).any() else at * turned) for label, at, _ in rows]
