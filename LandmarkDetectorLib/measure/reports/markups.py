"""Measurements as 3D Slicer's markups: the landmarks with the numbers, and the constructions as nodes of their kinds.

A file begins with the point list of the landmarks, as :mod:`LandmarkDetectorLib.io.markups` writes it; every number is
in its ``measurements``, which Slicer keeps. Then come Line, Angle and Plane markups, where such nodes exist: Slicer
itself computes the length of a line and the angle of three points. The angle between two lines, an ellipse and a ratio
are no nodes; their lines stand there, and the number with the point list. Constructions are locked: they are drawn from
the landmarks and do not follow when these are moved; measure again then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.io.markups import KEPT, write_markups
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.subject import Measured
from LandmarkDetectorLib.measure.values import Shape

UNITS = {"degrees": "deg", "ratio": "", "mm²": "mm2", "px²": "px2"}
"""What Slicer and UCUM call units that we write otherwise."""

KINDS = {"line": "Line", "angle": "Angle", "plane": "Plane"}
"""The nodes that shapes become; others have none."""

REVIEW = {True: "reviewed", False: "not reviewed"}
_DESCRIBED = re.compile(r"; measured (2D|3D|mid-sagittal); of .+; (not )?reviewed$", re.DOTALL)
_COUNTED = re.compile(r" \(\d+\)$")
_UPRIGHT = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]
_SAME = 1e-9


def write_measured_markups(measured: Measured, path: Path) -> None:
    """Write the landmarks with their measurements and constructions; whole or not at all.

    Numbers and constructions that an earlier measuring left in the file go, since they are of landmarks as they were.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    kept = dict(measured.landmarks.info.get(KEPT, {}))
    markup = dict(kept.get("markup", {}))
    before = markup.get("measurements", [])
    others = [entry for entry in before if not _is_number(entry)]
    left = {entry["name"] for entry in before if _is_number(entry)}
    after = [node for node in kept.get("after", []) if not _is_construction(node, left)]
    numbers = [_number(measured, result) for result in measured.computed]
    kept |= {
        "markup": {**markup, "measurements": [*others, *numbers]},
        "after": [*after, *construction_nodes(measured)],
    }
    write_markups(replace(measured.landmarks, info={**measured.landmarks.info, KEPT: kept}), path)


def _number(measured: Measured, result: Result) -> dict[str, Any]:
    """A result as a measurement that Slicer keeps and does not compute again."""
    said = [result.text.removesuffix("°"), result.title, f"measured {result.view}"]
    said += [f"of {', '.join(result.needs)}", REVIEW[measured.is_reviewed(result)]]
    return {
        "name": full_name(measured, result),
        "enabled": True,
        "value": result.value,
        "units": UNITS.get(result.unit, result.unit),
        "printFormat": "%.2f%s" if result.unit == "ratio" else "%.1f%s",
        "description": "; ".join(said),
    }


def _is_number(entry: Any) -> bool:
    """Whether :func:`_number` wrote this measurement of a file."""
    said = entry.get("description") if isinstance(entry, dict) and "name" in entry else None
    return isinstance(said, str) and bool(_DESCRIBED.search(said))


def _is_construction(node: dict[str, Any], numbers: Collection[str]) -> bool:
    """Whether :func:`_node` wrote this markup of a file, for a measuring that gave these numbers."""
    points = node.get("controlPoints") or ()
    joined = "-".join(str(point.get("label")) for point in points if isinstance(point, dict))
    name = _COUNTED.sub("", str(node.get("name")))
    return node.get("type") in KINDS.values() and node.get("locked") is True and name in {joined, *numbers}


def full_name(measured: Measured, result: Result) -> str:
    """The result's name, with set, view and side where there are several."""
    words = [result.name] if len(measured.sets) == 1 else [f"{result.set_name}: {result.name}"]
    words += [result.view] if len({each.view for each in measured.results}) > 1 else []
    words += [result.side] if result.side else []
    return ", ".join(words)


def construction_nodes(measured: Measured) -> list[dict[str, Any]]:
    """The Line, Angle and Plane markups of all results, each construction once, in LPS."""
    short = {label: name for label, name in zip(measured.used, _names(measured), strict=True)}
    places = [(short[m.label], m.position) for m in measured.landmarks if m.label in short]
    extent = float(np.ptp([position for _, position in places], axis=0).max()) if places else 1.0
    drawn: dict[tuple[str, bytes], dict[str, Any]] = {}
    for result in measured.computed:
        for shape in result.geometry:
            key = shape.kind, shape.positions.tobytes()
            own = _is_the_result(shape, result)
            if shape.kind in KINDS and (key not in drawn or own):
                drawn[key] = _node(measured, result, shape, own, places, extent)
    return _told_apart(list(drawn.values()))


def _names(measured: Measured) -> list[str]:
    from LandmarkDetectorLib.measure.reports.drawing import abbreviated

    return abbreviated(measured).labels


def _is_the_result(shape: Shape, result: Result) -> bool:
    """Whether Slicer's own measurement of the node is the result."""
    if result.value is None or len(result.geometry) != 1:
        return False
    if shape.kind == "line" and result.unit in ("mm", "px"):
        return bool(abs(float(np.linalg.norm(np.subtract(*shape.positions))) - result.value) < 1e-6)
    return shape.kind == "angle" and result.unit == "degrees"


def _node(
    measured: Measured, result: Result, shape: Shape, own: bool, places: list[tuple[str, np.ndarray]], extent: float
) -> dict[str, Any]:
    points, labels = shape.positions, [_label(place, places) for place in shape.positions]
    kind = KINDS[shape.kind]
    if shape.kind == "plane":
        kind, points = _plane(shape.positions, extent / 2)
        labels = [""] * len(points)
    joined = "-".join(labels)
    name = full_name(measured, result) if own or not all(labels) else joined
    measurement = {"Line": "length", "Angle": "angle", "Plane": "area"}[kind]
    units = {"Line": measured.landmarks.unit, "Angle": "deg", "Plane": "cm2"}[kind]
    node: dict[str, Any] = {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": measured.landmarks.unit,
        "locked": True,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": [
            _point(i, label, place) for i, (label, place) in enumerate(zip(labels, points, strict=True), 1)
        ],
        "measurements": [{"name": measurement, "enabled": own, "units": units}],
    }
    return node | ({"planeType": "threePoints", "sizeMode": "auto"} if kind == "Plane" else {})


def _plane(positions: np.ndarray, reach: float) -> tuple[str, np.ndarray]:
    """A plane by three points, or in a picture its line by two."""
    point, normal = positions[0], positions[1] - positions[0]
    if len(normal) == 2:
        along = np.array([-normal[1], normal[0]]) * reach
        return "Line", np.stack([point - along, point + along])
    first = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    first *= reach / np.linalg.norm(first)
    return "Plane", np.stack([point, point + first, point + np.cross(normal, first)])


def _label(place: np.ndarray, places: Sequence[tuple[str, np.ndarray]]) -> str:
    """The landmark that lies at a place, or nothing."""
    return next((name for name, position in places if np.linalg.norm(position - place) < _SAME), "")


def _point(number: int, label: str, place: np.ndarray) -> dict[str, Any]:
    x, y, *z = place.tolist()
    return {
        "id": str(number),
        "label": label,
        "description": "",
        "associatedNodeID": "",
        "position": [x, y, z[0] if z else 0.0],
        "orientation": _UPRIGHT,
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined",
    }


def _told_apart(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes with a number behind each name that several of them have."""
    names = [node["name"] for node in nodes]
    seen: dict[str, int] = {}
    for node, name in zip(nodes, names, strict=True):
        if names.count(name) > 1:
            seen[name] = seen.get(name, 0) + 1
            node["name"] = f"{name} ({seen[name]})"
    return nodes
