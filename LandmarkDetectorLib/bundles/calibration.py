"""``configs/calibration.json``: what a bundle's confidences and covariances are worth, on cases that did not train.

A bundle need not have one; its confidences are then its own belief, and it states no regions. What is in it are plain
numbers, checked here. A region of a landmark is all places whose distance from it, in standard deviations of its
covariance, is at most the radius; ``null`` where too few cases could promise any.

A calibration belongs to the weights and settings that it was made for and names them by their checksum. Beside others
it is worth nothing, and :meth:`LandmarkDetectorLib.bundles.bundle.Bundle.calibration` does not give it out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from LandmarkDetectorLib.bundles.card import Line, Text, first_problem
from LandmarkDetectorLib.bundles.strict_json import parse_object, to_bytes
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.core.errors import BundleError
from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions

FILE = "configs/calibration.json"
PICTURE = "docs/reliability.png"
"""The reliability diagram: stated confidence against the share of landmarks that kept it."""
INFO = REGIONS
"""Where regions stand in a set's ``info``; what they say is told in :mod:`LandmarkDetectorLib.io.markups_regions`."""

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

    ``detector``: for which weights and settings, by :attr:`LandmarkDetectorLib.bundles.bundle.Bundle.detecting`;
    ``protocol``: which cases, in words; ``measured``: figures on cases that did not calibrate either; ``notices``: what
    a person should know.
    """

    format: Literal[1] = 1
    detector: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
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
    said = {"level": regions.level, "method": regions.method, "radii": dict(regions.radii)}
    return {INFO: {**said, "cases": sheet.cases, "subjects": regions.subjects}}


def region_radius(landmarks: LandmarkSet, label: str) -> float | None:
    """The radius of a landmark's region, in standard deviations of its covariance; ``None`` where none is stated."""
    said = checked_regions(landmarks.info.get(INFO))
    return None if said is None else said["radii"].get(label)


def worth(sheet: CalibrationSheet | None, problem: str = "") -> list[str]:
    """What a bundle's confidences and regions are worth, in sentences for a card.

    Args:
        sheet: the calibration that belongs to the bundle, if it has one.
        problem: why one that is there does not count.
    """
    if sheet is None:
        return [
            *([problem] if problem else []),
            "Confidences are not calibrated: they are what the networks believe of themselves, and nobody has measured "
            "how often they are right. No region is stated in which a landmark lies with a known probability.",
        ]
    lines = [sheet.protocol]
    lines.append(_of_confidence(sheet))
    if sheet.regions is not None:
        lines.append(_of_regions(sheet, sheet.regions))
    return [*lines, *sheet.notices]


def _of_confidence(sheet: CalibrationSheet) -> str:
    gap, judged = sheet.measured.get("confidence, off by"), sheet.measured.get("landmarks judged")
    text = f"Confidences are calibrated on {sheet.cases} held-out cases"
    if sheet.confidence is None:
        text = "Confidences are not calibrated: they are what the networks believe of themselves"
    if gap is None or judged is None:
        return f"{text}; how well they keep their word was not measured."
    differ = f"the stated share within the tolerance and the measured one differ by {100 * gap:.1f} points"
    return f"{text}; of {judged:g} landmarks on others, {differ}."


def _of_regions(sheet: CalibrationSheet, regions: RegionSettings) -> str:
    stated = [label for label, radius in regions.radii.items() if radius is not None]
    level = f"{100 * regions.level:g} %"
    if not stated:
        return f"No regions are stated: {regions.subjects} subjects are too few to promise {level}."
    text = (
        f"Regions at {level} are calibrated on {sheet.cases} held-out cases of {regions.subjects} subjects or families"
    )
    if len(stated) < len(regions.radii):
        text += f", for {len(stated)} of {len(regions.radii)} landmarks"
    held = sheet.measured.get(f"regions at {level}, held")
    return f"{text}; on others they held {100 * held:.1f} %." if held is not None else f"{text}."
