"""Confidence and covariance of landmarks as a markup's measurements, which 3D Slicer keeps when it saves.

Slicer drops keys that it does not know, unit and dimension included, but keeps measurements with one value a control
point (``controlPointValues``). These are used:

- ``confidence``: in [0, 1], or -1 where nobody said, since JSON has no NaN;
- ``covariance xx`` and so on, in LPS axes whatever the coordinate system of the positions, since Slicer may change that
  and leaves measurements alone; all -1 where nobody said, which no covariance can be;
- ``landmark detector``: its value is the number of dimensions and its unit that of the positions. Its description lists
  id and label of each control point, as JSON, in the order of the values: in Slicer a person may delete a point and
  place another, and the values stay behind as they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkSet

_MARKER = "landmark detector"
_CONFIDENCE = "confidence"
_UNKNOWN = -1.0
_AXES = {2: ("xx", "xy", "yy"), 3: ("xx", "xy", "xz", "yy", "yz", "zz")}
_PLACES = {"xx": (0, 0), "xy": (0, 1), "xz": (0, 2), "yy": (1, 1), "yz": (1, 2), "zz": (2, 2)}

Key = tuple[str, str]
"""A control point's id and label."""


@dataclass
class Certainty:
    """What a markup's measurements say of its control points.

    Args:
        confidence: by control point.
        covariance: by control point, (d, d).
        dimension: 2 or 3, or ``None`` where nothing is said.
        unit: ``"mm"`` or ``"px"``, or ``None`` where nothing is said.
        foreign: the measurements of others, as they were.
        lost: which values found no control point, or the reverse, in words, or ``None``.
    """

    confidence: dict[Key, float] = field(default_factory=dict)
    covariance: dict[Key, np.ndarray] = field(default_factory=dict)
    dimension: int | None = None
    unit: str | None = None
    foreign: list[Any] = field(default_factory=list)
    lost: str | None = None


def tells_confidence(description: str) -> bool:
    """Whether a description is what :func:`spoken` makes: formats without a place for confidence keep only that."""
    own = r"(confidence [01]\.\d\d|standard deviation \S+ (mm|px)|\S+ % lie within \S+ (mm|px))(,|$)"
    return re.match(own, description) is not None


def spoken(landmark: Landmark, unit: str, region: tuple[float, float] | None = None) -> str:
    """Confidence, and how far away the landmark may lie, for a person to read; empty without any.

    Args:
        landmark: confidence and covariance are taken.
        unit: of its position.
        region: level and radius in standard deviations of a region that was calibrated; its reach along the longest
            axis is said then, and the standard deviation along it, as the networks believe, where there is none.
    """
    parts = [] if landmark.confidence is None else [f"confidence {landmark.confidence:.2f}"]
    if landmark.covariance is not None:
        deviation = max(float(np.linalg.eigvalsh(landmark.covariance)[-1]), 0.0) ** 0.5
        if region is None:
            parts.append(f"standard deviation {deviation:.2g} {unit}")
        else:
            level, radius = region
            parts.append(f"{100 * level:g} % lie within {radius * deviation:.2g} {unit}")
    return ", ".join(parts)


def as_measurements(landmarks: LandmarkSet, keys: Sequence[Key]) -> list[dict[str, Any]]:
    """The measurements to be written; none where everything is as Slicer would take it anyway.

    Args:
        landmarks: the set.
        keys: id and label of each landmark's control point, in order.
    """
    dimension = landmarks.dimension or 3
    has_confidence = any(mark.confidence is not None for mark in landmarks)
    has_covariance = any(mark.covariance is not None for mark in landmarks)
    if not (has_confidence or has_covariance or dimension == 2 or landmarks.unit != "mm"):
        return []
    entries = [_measurement(_MARKER, landmarks.unit, json.dumps(keys, ensure_ascii=False), value=dimension)]
    if has_confidence:
        values = [_UNKNOWN if mark.confidence is None else mark.confidence for mark in landmarks]
        text = "probability that the position is right, -1 where unknown"
        entries.append(_measurement(_CONFIDENCE, None, text, controlPointValues=values))
    if has_covariance:
        for axes in _AXES[dimension]:
            values = [_UNKNOWN if m.covariance is None else float(m.covariance[_PLACES[axes]]) for m in landmarks]
            text = "covariance of the position in LPS axes, -1 in all where unknown"
            entries.append(_measurement(f"covariance {axes}", f"{landmarks.unit}2", text, controlPointValues=values))
    return entries


def from_measurements(measurements: Sequence[Any], keys: Sequence[Key]) -> Certainty:
    """What measurements say; those of others, and those of ours that nothing can be made of, are passed on.

    Args:
        measurements: of one markup, as in the file.
        keys: id and label of each control point, in order.
    """
    found = Certainty()
    ours: dict[str, list[float]] = {}
    listed: list[Key] | None = None
    for entry in measurements:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            found.foreign.append(entry)
        elif name == _MARKER and (marker := _marker(entry)) is not None:
            listed, found.dimension, found.unit = marker
        elif _is_ours(name) and (values := _values(entry, name)) is not None:
            ours[name] = values
        else:
            found.foreign.append(entry)
    order = list(keys) if listed is None else listed
    for name in [name for name, values in ours.items() if len(values) != len(order)]:
        del ours[name]
        found.lost = f"the values of its measurement {name!r} do not fit its control points and were left out"
    present = set(keys)
    if listed is not None and ours and not present <= set(listed):
        found.lost = "control points that were added or renamed have no confidence or covariance"
    pairs = [(i, key) for i, key in enumerate(order) if key in present]
    if _CONFIDENCE in ours:
        found.confidence = {key: ours[_CONFIDENCE][i] for i, key in pairs if ours[_CONFIDENCE][i] != _UNKNOWN}
    found.covariance = _covariances(ours, pairs)
    return found


def _covariances(ours: Mapping[str, list[float]], pairs: Sequence[tuple[int, Key]]) -> dict[Key, np.ndarray]:
    dimension = next((d for d in (3, 2) if all(f"covariance {axes}" in ours for axes in _AXES[d])), None)
    if dimension is None:
        return {}
    columns = {axes: ours[f"covariance {axes}"] for axes in _AXES[dimension]}
    found: dict[Key, np.ndarray] = {}
    for i, key in pairs:
        if all(column[i] == _UNKNOWN for column in columns.values()):
            continue
        matrix = np.empty((dimension, dimension))
        for axes, column in columns.items():
            row, other = _PLACES[axes]
            matrix[row, other] = matrix[other, row] = column[i]
        found[key] = matrix
    return found


def _measurement(name: str, units: str | None, description: str, **values: Any) -> dict[str, Any]:
    entry = {"name": name, "enabled": False, "description": description, **values}
    return entry if units is None else {**entry, "units": units}


def _marker(entry: Mapping[str, Any]) -> tuple[list[Key], int, str] | None:
    """Control points in order, dimension and unit; ``None`` where somebody else chose the same name."""
    try:
        listed = [(str(key), str(label)) for key, label in json.loads(entry["description"])]
    except (KeyError, TypeError, ValueError):
        return None
    dimension, unit = entry.get("value"), entry.get("units")
    return (listed, int(dimension), unit) if dimension in (2, 3) and unit in ("mm", "px") else None


def _is_ours(name: Any) -> bool:
    return name == _CONFIDENCE or name in [f"covariance {axes}" for axes in _PLACES]


def _values(entry: Mapping[str, Any], name: str) -> list[float] | None:
    """One number a control point, or ``None`` where it is a measurement of another kind under the same name."""
    values = entry.get("controlPointValues")
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    values = [float(value) for value in values]
    if name == _CONFIDENCE and not all(value == _UNKNOWN or 0 <= value <= 1 for value in values):
        return None
    return values
