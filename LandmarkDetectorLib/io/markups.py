"""3D Slicer's markups, ``.mrk.json``, schema 1.x.

What the file says beyond landmarks (display, unknown keys, other markups in the file) travels in
``LandmarkSet.info["markups"]`` and is written back, so that reading and writing a file changes nothing but landmarks.
Confidence and covariance go into measurements, see :mod:`LandmarkDetectorLib.io.markups_certainty`, and so do regions
with a stated coverage, see :mod:`LandmarkDetectorLib.io.markups_regions`.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.json_files import parse_json
from LandmarkDetectorLib.io.markups_certainty import Certainty, Key, as_measurements, from_measurements, spoken
from LandmarkDetectorLib.io.markups_regions import (
    REGIONS,
    checked_regions,
    region_of,
    regions_measurement,
    split_regions,
)
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.text_files import read_text, write_text

KEPT = "markups"
"""Where in ``LandmarkSet.info`` the rest of a file is kept."""
COORDINATE_SYSTEMS = ("LPS", "RAS")

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_KNOWN_SCHEMA = re.compile(r".*markups-schema-v1\.\d+\.\d+\.json#*", re.IGNORECASE)
_INFO = "landmarkDetector"
_STATUSES = ("undefined", "preview", "defined", "missing")
_UNITS = {"mm": ("mm", 1.0), "px": ("px", 1.0), "um": ("mm", 1e-3), "µm": ("mm", 1e-3)}
_OWN = ("type", "name", "coordinateSystem", "coordinateUnits", "controlPoints", "measurements")
_POINT_OWN = ("label", "description", "position", "positionStatus")
_POINT_TYPES = {"id": str, "associatedNodeID": str, "selected": bool, "locked": bool, "visibility": bool}
_UPRIGHT = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]  # the identity of Slicer, whose world is RAS, in LPS
_PLANE_TOLERANCE = 1e-3


def read_markups(path: Path) -> LandmarkSet:
    """The first point list (``Fiducial``) of a file.

    Positions are turned to LPS. A control point without a position is ``missing`` or ``undefined``, as its status says.
    A file that a 2D set was written to is read as a 2D set again.

    Raises:
        LandmarkFileError: it is not such a file, is damaged, or holds something impossible, with the control point's
            number counted from 1.
    """
    name = shown(path)
    document, odd_numbers = _document(read_text(path), name)
    markups = document["markups"]
    index = next((i for i, markup in enumerate(markups) if markup.get("type") == "Fiducial"), None)
    if index is None:
        kinds = ", ".join(sorted({str(markup.get("type")) for markup in markups})) or "nothing"
        raise LandmarkFileError(f"{name}: it holds {kinds} and no point list (Fiducial); save one from Slicer.")
    if len(markups) > 1:
        notice(f"{name}: it holds {len(markups)} markups; the first point list was read.")
    markup = markups[index]
    flip = _flip(markup, name)
    unit, scale = _unit(markup, name)
    points = markup.get("controlPoints", [])
    if not isinstance(points, list):
        raise LandmarkFileError(f"{name}: its controlPoints are no list; save it again from Slicer.")
    raw = [_Point(point, number, name, flip * scale, flip) for number, point in enumerate(points, 1)]
    if odd_numbers:
        raise LandmarkFileError(f"{name}: it holds {odd_numbers[0][:20]}, which JSON does not have; mend the file.")
    measurements = markup.get("measurements", [])
    if not isinstance(measurements, list):
        raise LandmarkFileError(f"{name}: its measurements are no list; save it again from Slicer.")
    regions, others = split_regions(measurements)
    known = from_measurements(others, [point.key for point in raw])
    unit = known.unit or unit
    if known.lost:
        notice(f"{name}: {known.lost}.")
    dimension = _dimension(raw, known, name)
    rest = {key: value for key, value in markup.items() if key not in _OWN}
    kept = {
        "document": {key: value for key, value in document.items() if key not in ("markups", _INFO)},
        "markup": {**rest, "measurements": known.foreign} if known.foreign else rest,
        "controlPoints": [{"label": point.label, **point.rest} for point in raw],
        "before": markups[:index],
        "after": markups[index + 1 :],
    }
    title = markup.get("name", "") or stem_of(path)
    if not isinstance(title, str):
        raise LandmarkFileError(f"{name}: the name of its markup is not text; save it again from Slicer.")
    said = document.get(_INFO, {})
    info = dict(said) if isinstance(said, dict) else {}
    if regions is not None and checked_regions(info.get(REGIONS)) is None:
        info[REGIONS] = regions  # Slicer saved it, which drops what the file says outside of its markups
    stated = checked_regions(info.get(REGIONS))
    landmarks = tuple(point.landmark(known, dimension, unit, name, region_of(stated, point.label)) for point in raw)
    return LandmarkSet(landmarks, unit, title, {**info, KEPT: kept})


def write_markups(landmarks: LandmarkSet, path: Path, *, coordinate_system: str = "LPS") -> None:
    """Write a point list that Slicer opens: unlocked, visible, in order; whole or not at all.

    A 2D set stands at z = 0. The unit is written as it is; Slicer reads ``px``, calls it mm when it saves, and leaves
    our measurement that remembers it. Confidence is put into words in the description of landmarks that have none.
    What :func:`read_markups` kept of a file is written back, matched by label.

    Raises:
        LandmarkFileError: an unknown coordinate system, ``info`` that is not JSON, or the file cannot be written.
    """
    if coordinate_system not in COORDINATE_SYSTEMS:
        raise LandmarkFileError(f"{shown(path)}: {coordinate_system!r} is no coordinate system; use LPS or RAS.")
    flip = 1.0 if coordinate_system == "LPS" else -1.0
    kept = landmarks.info.get(KEPT, {})
    extras = kept_points(landmarks)
    keys = _keys(landmarks, extras)
    parts = zip(landmarks, keys, extras, strict=True)
    stated = checked_regions(landmarks.info.get(REGIONS))
    points = [
        _written(mark, key, extra, flip, spoken(mark, landmarks.unit, region_of(stated, mark.label)))
        for mark, key, extra in parts
    ]
    rest = dict(kept.get("markup", {}))
    measurements = as_measurements(landmarks, keys)
    regions = regions_measurement(landmarks.info.get(REGIONS), landmarks.labels)
    measurements += [] if regions is None else [regions]
    ours = {entry["name"] for entry in measurements}
    foreign = [m for m in rest.pop("measurements", []) if not (isinstance(m, Mapping) and m.get("name") in ours)]
    markup = {
        "type": "Fiducial",
        "name": landmarks.name,
        "coordinateSystem": coordinate_system,
        "coordinateUnits": landmarks.unit,
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        **rest,
        "controlPoints": points,
        "measurements": [*foreign, *measurements],
    }
    info = {key: value for key, value in landmarks.info.items() if key != KEPT}
    document = {"@schema": _SCHEMA, **kept.get("document", {}), **({_INFO: info} if info else {})}
    document["markups"] = [*kept.get("before", []), markup, *kept.get("after", [])]
    try:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LandmarkFileError(
            f"{shown(path)}: the landmarks' info holds what JSON cannot ({error}); keep numbers and text there."
        ) from None
    write_text(path, text + "\n")


def kept_points(landmarks: LandmarkSet) -> list[dict[str, Any]]:
    """What a file said of each landmark beside itself, matched by label and, among equals, by order."""
    by_label: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for point in landmarks.info.get(KEPT, {}).get("controlPoints", []):
        by_label[point["label"]].append({key: value for key, value in point.items() if key != "label"})
    return [by_label[mark.label].popleft() if by_label[mark.label] else {} for mark in landmarks]


class _Point:
    """One control point of a file, checked; its position in LPS and the set's unit."""

    def __init__(self, point: Any, number: int, name: str, scale: np.ndarray, flip: np.ndarray) -> None:
        self.place = f"{name}: control point {number}"
        if not isinstance(point, dict):
            raise self.wrong("is no object")
        for key in ("label", "description", "positionStatus"):
            if not isinstance(point.get(key, ""), str):
                raise self.wrong(f"has a {key} that is not text")
        for key, kind in _POINT_TYPES.items():
            if key in point and not isinstance(point[key], kind):
                raise self.wrong(f"has the value {str(point[key])[:40]!r} for {key}")
        self.label: str = point.get("label", "")
        self.description: str = point.get("description", "")
        self.rest = {key: value for key, value in point.items() if key not in _POINT_OWN}
        self.key: Key = (point.get("id") or f"#{number}", self.label)
        given = point.get("position", "")
        self.position = None if given in ("", None) else self.numbers(given, 3, "position") * scale
        self.status = point.get("positionStatus", "undefined" if self.position is None else "defined")
        if self.status not in _STATUSES:
            raise self.wrong(f"has the status {self.status[:40]!r}, none of {', '.join(_STATUSES)}")
        if self.status in ("undefined", "missing"):
            self.position = None
        elif self.position is None:
            if self.status == "defined":
                notice(f"{self.place} is defined but has no position; it was read as undefined.")
            self.status = "undefined"
        if "orientation" in point:
            rows = self.numbers(point["orientation"], 9, "orientation").reshape(3, 3) * flip[:, None]
            self.rest["orientation"] = rows.ravel().tolist()

    def numbers(self, values: Any, count: int, what: str) -> np.ndarray:
        if not isinstance(values, list) or len(values) != count or not all(type(v) in (int, float) for v in values):
            raise self.wrong(f"has a {what} that is not {count} numbers")
        try:
            array = np.array([float(value) for value in values])
        except OverflowError:
            array = np.array([math.inf])
        if not np.all(np.isfinite(array)):
            raise self.wrong(f"has a {what} that is not finite")
        return array

    def wrong(self, what: str) -> LandmarkFileError:
        return LandmarkFileError(f"{self.place} {what}; mend the file, or save it again from Slicer.")

    def landmark(
        self, known: Certainty, dimension: int, unit: str, name: str, region: tuple[float, float] | None
    ) -> Landmark:
        position = None if self.position is None else self.position[:dimension]
        covariance = known.covariance.get(self.key)
        if position is None or (covariance is not None and len(covariance) != dimension):
            covariance = None
        try:
            mark = Landmark(self.label, position, self.status, known.confidence.get(self.key), covariance)
        except LandmarkError as error:
            raise LandmarkFileError(f"{name}: {error}") from None
        # Earlier versions said the standard deviation whether or not there was a region.
        if self.description in ("", spoken(mark, unit, region), spoken(mark, unit)):
            return mark
        return replace(mark, description=self.description)


def _document(text: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """The file's object, and the numbers in it that are not finite; the caller may know their place."""
    odd_numbers: list[str] = []
    document = parse_json(text, name, odd_numbers)
    schema = document.get("@schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not _KNOWN_SCHEMA.fullmatch(schema):
        raise LandmarkFileError(f"{name}: it is not of the schema markups 1.x; save the point list from Slicer.")
    markups = document.get("markups")
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise LandmarkFileError(f"{name}: it has no list of markups; save the point list from Slicer again.")
    return document, odd_numbers


def _flip(markup: Mapping[str, Any], name: str) -> np.ndarray:
    system = markup.get("coordinateSystem", "LPS")
    if system not in COORDINATE_SYSTEMS:
        raise LandmarkFileError(f"{name}: its coordinate system {str(system)[:40]!r} is neither LPS nor RAS; mend it.")
    return np.array([1.0, 1.0, 1.0] if system == "LPS" else [-1.0, -1.0, 1.0])


def _unit(markup: Mapping[str, Any], name: str) -> tuple[str, float]:
    """The set's unit, and what the positions must be multiplied with; a coded entry is [code, scheme, meaning]."""
    units = markup.get("coordinateUnits", "mm")
    code = units[0] if isinstance(units, list) and units else units
    if not isinstance(code, str) or code not in _UNITS:
        raise LandmarkFileError(f"{name}: its unit {str(code)[:40]!r} is none of mm, um, px; save it in mm.")
    return _UNITS[code]


def _dimension(points: Sequence[_Point], known: Certainty, name: str) -> int:
    if known.dimension != 2:
        return 3
    if all(point.position is None or abs(point.position[2]) <= _PLANE_TOLERANCE for point in points):
        return 2
    notice(f"{name}: it was written for a 2D image, but landmarks left its plane; they were read in three dimensions.")
    return 3


def _keys(landmarks: LandmarkSet, extras: Sequence[Mapping[str, Any]]) -> list[Key]:
    """An id for each control point, unlike the others: the one that it had, else the next free number."""
    taken = {extra["id"] for extra in extras if "id" in extra}
    used: set[str] = set()
    keys: list[Key] = []
    number = 0
    for mark, extra in zip(landmarks, extras, strict=True):
        key = extra.get("id", "")
        if not key or key in used:
            number += 1
            while str(number) in taken or str(number) in used:
                number += 1
            key = str(number)
        used.add(key)
        keys.append((key, mark.label))
    return keys


def _written(mark: Landmark, key: Key, extra: Mapping[str, Any], flip: float, certainty: str) -> dict[str, Any]:
    orientation = extra.get("orientation", _UPRIGHT)
    turned = [flip * value for value in orientation[:6]] + list(orientation[6:])
    position: str | list[float] = ""
    if mark.position is not None:
        x, y, *z = mark.position.tolist()
        position = [flip * x, flip * y, z[0] if z else 0.0]
    return {
        "id": key[0],
        "label": mark.label,
        "description": mark.description or certainty,
        "associatedNodeID": "",
        "position": position,
        "orientation": turned,
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": mark.status,
        **{name: value for name, value in extra.items() if name not in ("id", "orientation")},
    }
