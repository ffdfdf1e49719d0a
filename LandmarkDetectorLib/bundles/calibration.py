"""``configs/calibration.json``: what a bundle's confidences and covariances are worth, on cases that did not train.

A bundle need not have one; its confidences are then its own belief, and it states no regions. What is in it are plain
numbers, checked here. A region of a landmark is all places whose distance from it, in standard deviations of its
covariance, is at most the radius; ``null`` where too few cases could promise any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from LandmarkDetectorLib.bundles.card import Line, Text, first_problem
from LandmarkDetectorLib.bundles.strict_json import parse_object, to_bytes
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.core.errors import BundleError

FILE = "configs/calibration.json"
INFO = "regions"
"""Where regions stand in a set's ``info``: ``{"level": 0.9, "method": "ellipsoidal", "radii": {label: radius}}``."""

Number = Annotated[float, Field(ge=-1e6, le=1e6)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ConfidenceSettings(_Part):
    """A :class:`LandmarkDetectorLib.evaluation.confidence.ConfidenceModel`: within ``tolerance`` (in view units)."""

    tolerance: Annotated[float, Field(gt=0)]
    intercept: Number
    spread: Annotated[float, Field(ge=0, le=1e3)]
    belief: Annotated[float, Field(ge=0, le=1e3)]
    image: Annotated[float, Field(ge=0, le=1e3)] = 0.0
    offsets: dict[Line, Number] = Field(default_factory=dict)


class RegionSettings(_Part):
    """Regions that hold their landmark with probability ``level``; ``subjects`` calibrated them."""

    level: Annotated[float, Field(gt=0, lt=1)]
    method: Literal["ellipsoidal"] = "ellipsoidal"
    pooled: bool
    radii: dict[Line, Annotated[float, Field(gt=0)] | None]
    subjects: Annotated[int, Field(ge=0)]


class CalibrationSheet(_Part):
    """All of it.

    ``protocol``: which cases, in words; ``measured``: figures on cases that did not calibrate either; ``notices``: what
    a person should know.
    """

    format: Literal[1] = 1
    protocol: Text
    cases: Annotated[int, Field(ge=0)]
    subjects: Annotated[int, Field(ge=0)]
    confidence: ConfidenceSettings | None = None
    regions: RegionSettings | None = None
    measured: dict[Line, float | None] = Field(default_factory=dict)
    notices: list[Text] = Field(default_factory=list)


def parse_calibration(data: bytes, labels: list[str], where: str) -> CalibrationSheet:
    """The sheet in the bytes of a ``calibration.json``.

    Raises:
        BundleError: it is not JSON, not such a sheet, or speaks of landmarks that the bundle does not find.
    """
    parse_object(data, where)
    try:
        sheet = CalibrationSheet.model_validate_json(data)
    except ValidationError as exc:
        raise BundleError(
            f"{where} is not a valid calibration ({first_problem(exc)}); write the bundle again."
        ) from exc
    named = set(sheet.confidence.offsets if sheet.confidence else ()) | set(
        sheet.regions.radii if sheet.regions else ()
    )
    if named - set(labels):
        raise BundleError(f"{where} speaks of {sorted(named - set(labels))[0]!r}, which the bundle does not find.")
    return sheet


def calibration_bytes(sheet: CalibrationSheet) -> bytes:
    """The bytes of ``calibration.json``."""
    return to_bytes(sheet.model_dump(mode="json"), FILE)


def regions_info(sheet: CalibrationSheet | None) -> dict[str, Any]:
    """What a detection says of regions, for the ``info`` of its set; nothing without a calibration."""
    if sheet is None or sheet.regions is None:
        return {}
    regions = sheet.regions
    return {INFO: {"level": regions.level, "method": regions.method, "radii": dict(regions.radii)}}


def region_radius(landmarks: LandmarkSet, label: str) -> float | None:
    """The radius of a landmark's region, in standard deviations of its covariance; ``None`` where none is stated."""
    said = landmarks.info.get(INFO)
    radius = said.get("radii", {}).get(label) if isinstance(said, Mapping) else None
    return float(radius) if isinstance(radius, (int, float)) and radius > 0 else None
