"""Slicer's older point lists, ``.fcsv``: read in all versions, written as Slicer 5 does.

The format knows neither unit (it is mm), nor two dimensions (z = 0), nor line breaks, nor confidence or covariance,
which are put into words in the description. Orientation is neither read nor written: versions disagree on its coding.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.markups import COORDINATE_SYSTEMS, KEPT, kept_points
from LandmarkDetectorLib.io.markups_certainty import spoken
from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions, region_of
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.tables import check_text, number
from LandmarkDetectorLib.io.text_files import read_text, write_text

_COLUMNS = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID"]
_SYSTEMS = {"LPS": "LPS", "1": "LPS", "RAS": "RAS", "0": "RAS"}
_STATUSES = ("undefined", "preview", "defined", "missing")  # by the number in the column that Slicer 5 adds
_FLAGS = {"vis": "visibility", "sel": "selected", "lock": "locked"}
_SIGNS = {"LPS": np.array([1.0, 1.0, 1.0]), "RAS": np.array([-1.0, -1.0, 1.0])}


def read_fcsv(path: Path) -> LandmarkSet:
    """The landmarks of an ``.fcsv`` file, in LPS mm.

    Raises:
        LandmarkFileError: it does not say whether it is LPS or RAS, or a line is wrong, with its number.
    """
    name = shown(path)
    lines = [(i, line) for i, line in enumerate(re.split(r"\r\n|\n|\r", read_text(path)), 1) if line.strip()]
    header = dict(_setting(line) for _, line in lines if line.startswith("#") and "=" in line)
    system = _SYSTEMS.get(header.get("CoordinateSystem", "").upper())
    if system is None:
        said = header.get("CoordinateSystem")
        cause = f"says {said[:20]!r} for" if said else "does not say"
        raise LandmarkFileError(
            f"{name}: it {cause} its coordinate system; write '# CoordinateSystem = LPS' (or RAS) into its head."
        )
    columns = [column.strip() for column in header["columns"].split(",")] if "columns" in header else _COLUMNS
    landmarks, kept = [], []
    for at, line in lines:
        if not line.startswith("#"):
            mark, extra = _landmark(line, columns, _SIGNS[system], f"{name}: line {at}")
            landmarks.append(mark)
            kept.append({"label": mark.label, **extra})
    return LandmarkSet(tuple(landmarks), "mm", stem_of(path), {KEPT: {"controlPoints": kept}})


def write_fcsv(landmarks: LandmarkSet, path: Path, *, coordinate_system: str = "LPS") -> None:
    """Write an ``.fcsv`` file, whole or not at all.

    Landmarks without a position are left out, with a warning: most programs would take the zeros in their place for a
    position.

    Raises:
        LandmarkFileError: a set in px, an unknown coordinate system, a label that a line cannot hold, or a file that
            cannot be written.
    """
    name = shown(path)
    if coordinate_system not in COORDINATE_SYSTEMS:
        raise LandmarkFileError(f"{name}: {coordinate_system!r} is no coordinate system; use LPS or RAS.")
    if landmarks.unit != "mm":
        raise LandmarkFileError(f"{name}: .fcsv is in mm and these landmarks are in px; save .mrk.json or .csv.")
    text = io.StringIO()
    text.write("# Markups fiducial file version = 5.0\n")
    text.write(f"# CoordinateSystem = {coordinate_system}\n")
    text.write(f"# columns = {','.join(_COLUMNS)}\n")
    writer = csv.writer(text, lineterminator="\n")
    left_out = 0
    stated = checked_regions(landmarks.info.get(REGIONS))
    for number_, (mark, extra) in enumerate(zip(landmarks, kept_points(landmarks), strict=True), 1):
        if mark.position is None:
            left_out += 1
            continue
        check_text(mark.label + mark.description, path)
        if re.search(r"[\r\n]", mark.label):
            raise LandmarkFileError(f"{name}: the label {mark.label!r} has two lines; save .mrk.json instead.")
        words = mark.description or spoken(mark, landmarks.unit, region_of(stated, mark.label))
        description = re.sub(r"[\r\n]+", " ", words)
        position = np.append(mark.position, np.zeros(3 - mark.position.size)) * _SIGNS[coordinate_system]
        flags = [int(extra.get(flag, flag != "locked")) for flag in _FLAGS.values()]
        status = _STATUSES.index(mark.status or "defined")
        node = extra.get("associatedNodeID", "")
        key = extra.get("id") or str(number_)
        writer.writerow([key, *position.tolist(), 0, 0, 0, 1, *flags, mark.label, description, node, status, 0])
    if left_out:
        notice(f"{name}: {left_out} landmarks without a position were left out, which .fcsv cannot say; use .mrk.json.")
    write_text(path, text.getvalue())


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line[1:].partition("=")
    return key.strip(), value.strip()


def _landmark(line: str, columns: list[str], signs: np.ndarray, place: str) -> tuple[Landmark, dict[str, Any]]:
    try:
        cells = next(csv.reader([line]))
    except csv.Error as error:
        raise LandmarkFileError(f"{place} cannot be split into columns ({error}); mend the line.") from None
    named = dict(zip(columns, cells, strict=False))
    if not {"x", "y", "z"} <= set(named):
        raise LandmarkFileError(f"{place} has {len(cells)} columns and no x, y and z among them; mend the line.")
    extra: dict[str, Any] = {key: named[key] for key in ("id", "associatedNodeID") if named.get(key)}
    for flag, key in _FLAGS.items():
        if named.get(flag, "").strip():
            extra[key] = number(named[flag], place) != 0
    status = "defined"
    code = cells[len(_COLUMNS)].strip() if columns == _COLUMNS and len(cells) > len(_COLUMNS) else ""
    if code:
        if code not in ("0", "1", "2", "3"):
            raise LandmarkFileError(f"{place} has {code[:20]!r} for the position's status; mend the line.")
        status = _STATUSES[int(code)]
    placed = status in ("defined", "preview")
    position = signs * [number(named[axis], place) for axis in "xyz"] if placed else None
    try:
        return Landmark(named.get("label", ""), position, status, description=named.get("desc", "")), extra
    except LandmarkError as error:
        raise LandmarkFileError(f"{place}: {error}") from None
