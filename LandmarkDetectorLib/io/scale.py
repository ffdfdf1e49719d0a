"""What NRRD and MetaImage headers say of the physical scale, and ITK does not hand on.

ITK takes 1 for a voxel size that is missing, and every number for millimetres, in silence. Fields are those of
https://teem.sourceforge.net/nrrd/format.html and of https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.io.notices import notice

_MILLIMETRES = {
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-6),
    **dict.fromkeys(("um", "µm", "μm", "micron", "micrometer", "micrometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("m", "meter", "metre"), 1000.0),
}
_UNSAID = ("", "?", "none", "???")
_SPATIAL = ("domain", "space", "time", *_UNSAID)  # kinds of axes; others hold channels
_LIMIT = 1 << 20  # bytes; a header that is longer says its scale before


def scaled(grid: Grid, path: Path, kind: str, name: str) -> Grid:
    """The grid in mm, or in px where the header gives no voxel size; origin and directions stay the file's own.

    Args:
        grid: as ITK has it.
        path: the file with the header.
        kind: ``"NRRD"`` or ``"MetaImage"``.
        name: the file's name, for messages.

    Raises:
        ImageError: lengths in a unit that is none, or in several.
    """
    sizes, units = (_of_nrrd if kind == "NRRD" else _of_meta_image)(_fields(path, kind), grid.dimension)
    if sizes < grid.dimension:
        if sizes:
            notice(f"{name}: its header gives a voxel size for {sizes} of {grid.dimension} axes; its unit is px.")
        return replace(grid, spacing=(1.0,) * grid.dimension, unit="px")
    factor = _factor(units, name)
    if factor == 1:
        return grid
    spacing, origin = (tuple(factor * step for step in part) for part in (grid.spacing, grid.origin))
    return replace(grid, spacing=spacing, origin=origin)


def _fields(path: Path, kind: str) -> dict[str, str]:
    """The fields of a header; NRRD's names in lower case, since it alone takes them in any."""
    nrrd = kind == "NRRD"
    mark = re.compile(r"([^:=]+?)\s*:\s+(.*)" if nrrd else r"(\w+)\s*[:=]\s*(.*)")
    fields: dict[str, str] = {}
    with open(path, "rb") as stream:
        while stream.tell() < _LIMIT and (line := stream.readline(_LIMIT)):
            text = line.decode("utf-8", "replace").strip()
            if nrrd and not text:  # the values begin
                break
            if found := mark.match(text):
                fields[found[1].lower() if nrrd else found[1]] = found[2]
            if "ElementDataFile" in fields:
                break
    return fields


def _of_nrrd(fields: dict[str, str], dimension: int) -> tuple[int, list[str]]:
    """Along how many of the spatial axes a voxel size is given, and the units of the lengths."""
    if "space directions" in fields:
        vectors = re.findall(r"\(([^)]*)\)", fields["space directions"])
        given = [vector for vector in vectors if all(_is_number(part) for part in vector.split(","))]
        return len(given), _quoted(fields.get("space units", ""))
    sizes, units = fields.get("spacings", "").split(), _quoted(fields.get("units", ""))
    kinds = fields.get("kinds", "").lower().split()
    axes = [i for i in range(len(sizes)) if i >= len(kinds) or kinds[i] in _SPATIAL][:dimension]
    lengths = [i for i in axes if _is_number(sizes[i])]
    return len(lengths), [units[i] for i in lengths if i < len(units)]


def _of_meta_image(fields: dict[str, str], dimension: int) -> tuple[int, list[str]]:
    sizes = fields.get("ElementSpacing", fields.get("ElementSize", "")).split()
    return len(sizes[:dimension]), [fields.get("DistanceUnits", "")]


def _quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]*)"', text)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _factor(units: Iterable[str], name: str) -> float:
    """How many millimetres the unit of length is; one that is not said is a millimetre, as programs take it."""
    said = {unit.strip() for unit in units} - set(_UNSAID)
    factors = {_MILLIMETRES.get(unit if unit == "m" else unit.lower().removesuffix("s")) for unit in said}
    if None in factors or len(factors) > 1:
        listed = ", ".join(repr(unit) for unit in sorted(said))
        raise ImageError(f"{name}: its header gives lengths in {listed}; give one unit that is known, such as 'mm'.")
    return next(iter(factors), None) or 1.0
