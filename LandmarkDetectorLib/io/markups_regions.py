"""Regions with a stated coverage in a markup's measurements, which 3D Slicer keeps when it saves.

A detection by a calibrated bundle says in ``info["regions"]`` how far around its landmarks the truth lies:
``{"level": 0.9, "method": "ellipsoidal", "radii": {label: radius or None}, "cases": 77, "subjects": 64}``. A radius is
in standard deviations of the landmark's covariance; ``None`` where too few cases could promise any. ``cases`` and
``subjects`` calibrated them.

The measurement ``region radius`` has one radius a control point, -1 where there is none, and all of the above as JSON
in its description. That is read back, by label: in Slicer a person may delete a point, and the values stay behind.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

REGIONS = "regions"
"""Where regions stand in ``LandmarkSet.info``."""

RADIUS = "region radius"
"""The name of the measurement."""

_NONE = -1.0


def regions_measurement(said: Any, labels: Sequence[str]) -> dict[str, Any] | None:
    """The measurement to be written; ``None`` where no regions are stated.

    Args:
        said: what stands in ``info["regions"]``.
        labels: of the control points, in order.
    """
    regions = checked_regions(said)
    if regions is None:
        return None
    values = [_NONE if regions["radii"].get(label) is None else regions["radii"][label] for label in labels]
    text = json.dumps(regions, ensure_ascii=False, separators=(",", ":"))
    return {"name": RADIUS, "enabled": False, "description": text, "controlPointValues": values}


def split_regions(measurements: Sequence[Any]) -> tuple[dict[str, Any] | None, list[Any]]:
    """What the measurements of a markup say of regions, if they do, and the other measurements."""
    found, others = None, []
    for entry in measurements:
        regions = _read(entry) if isinstance(entry, Mapping) and entry.get("name") == RADIUS else None
        if regions is None:
            others.append(entry)
        else:
            found = regions
    return found, others


def checked_regions(said: Any) -> dict[str, Any] | None:
    """What stands in ``info["regions"]``, if it is of that form: files come from anywhere.

    Returns:
        ``level`` in (0, 1), ``method``, ``radii`` with positive numbers or ``None`` by label, and ``cases`` and
        ``subjects`` where they are said; else ``None``.
    """
    if not isinstance(said, Mapping) or not isinstance(said.get("radii"), Mapping):
        return None
    level, method = said.get("level"), said.get("method")
    if not _is_number(level) or not 0 < level < 1 or not isinstance(method, str):
        return None
    radii = {}
    for label, radius in said["radii"].items():
        if not isinstance(label, str) or not (radius is None or (_is_number(radius) and radius > 0)):
            return None
        radii[label] = None if radius is None else float(radius)
    counts = {key: said[key] for key in ("cases", "subjects") if type(said.get(key)) is int and said[key] >= 0}
    return {"level": float(level), "method": method, "radii": radii, **counts}


def region_of(regions: Mapping[str, Any] | None, label: str) -> tuple[float, float] | None:
    """Level and radius of a landmark's region, out of checked regions; ``None`` where none of its form is stated."""
    if regions is None or regions["method"] != "ellipsoidal" or regions["radii"].get(label) is None:
        return None
    return regions["level"], regions["radii"][label]


def _read(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """``None`` where somebody else chose the same name."""
    try:
        return checked_regions(json.loads(entry["description"]))
    except (KeyError, TypeError, ValueError):
        return None


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value)
