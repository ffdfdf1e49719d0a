"""Proposals as documents: what a detector said, kept for good, every number of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions
from LandmarkDetectorLib.review.documents import read_document, write_document
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.state import Proposal

PREFIX = "proposal-"
_STAMP = "%Y%m%dT%H%M%S%f"
_ABOUT = ("bundle", "version", "fingerprint")


def now() -> str:
    """The time, UTC, ISO 8601 to the microsecond; later is greater as text too."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def in_grid(landmarks: LandmarkSet, reference: Mapping[str, Any], case: str) -> LandmarkSet:
    """Landmarks in the unit and the dimension of a case's image.

    Raises:
        ReviewError: they are of another unit or dimension, or a label stands there twice or is empty.
    """
    labels = landmarks.labels
    if len(set(labels)) < len(labels) or not all(labels):
        raise ReviewError(f"{case}: labels of landmarks are empty or stand twice; give each landmark its own.")
    if landmarks.dimension is None:
        return landmarks
    if landmarks.unit != reference["unit"]:
        raise ReviewError(
            f"{case}: the landmarks are in {landmarks.unit} and the image in {reference['unit']}; "
            "give the image's spacing, or landmarks in its unit."
        )
    try:
        flat = landmarks.to_plane() if len(reference["size"]) == 2 else landmarks
    except LandmarkError as error:
        raise ReviewError(f"{case}: {error}") from None
    if flat.dimension != len(reference["size"]):
        raise ReviewError(f"{case}: landmarks in {flat.dimension}D do not fit its image; give those of this image.")
    return flat


def write_proposal(
    folder: Path,
    case: str,
    reference: Mapping[str, Any],
    landmarks: LandmarkSet,
    about: Mapping[str, str] | None,
    differences: Sequence[str],
) -> str:
    """Store a proposal in the folder of a case; returns its id.

    Raises:
        ReviewError: the landmarks do not fit the image, or the disk refuses.
    """
    said = {key: str((about or landmarks.info).get(key, "")) for key in _ABOUT}
    regions = checked_regions(landmarks.info.get(REGIONS))
    at = now()
    name = f"{_stamp(folder, at)}-{secrets.token_hex(4)}"
    content = {
        "proposal": name,
        "case": case,
        "at": at,
        "software": __version__,
        **said,
        **({} if regions is None else {REGIONS: regions}),
        "image_sha256": reference["sha256"],
        "unit": reference["unit"],
        "differences": list(differences),
        "landmarks": [_record(mark) for mark in in_grid(landmarks, reference, case)],
    }
    write_document(folder / f"{PREFIX}{name}.json", "proposal", content, f"{case}: the proposal")
    return name


def _stamp(folder: Path, at: str) -> str:
    """The time as a word by which proposals are ordered: behind all that are there, also when the clock went back."""
    stamp = at[:26].replace("-", "").replace(":", "").replace(".", "")
    names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(PREFIX)]
    last = max((name[len(PREFIX) :].split("-")[0] for name in names), default="")
    if stamp > last:
        return stamp
    return (datetime.strptime(last, _STAMP) + timedelta(microseconds=1)).strftime(_STAMP)


def read_proposals(folder: Path, case: str) -> tuple[list[Proposal], list[str]]:
    """The proposals of a case, oldest first, and what is wrong with those that were left out, one sentence each.

    Raises:
        ReviewError: one is of a newer format: what it says would be missed.
    """
    found: list[Proposal] = []
    problems: list[str] = []
    for name in sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(PREFIX)):
        what = f"{case}: proposal {name[len(PREFIX) : -len('.json')]}"
        try:
            document = read_document(folder / name, "proposal", what)
        except ReviewError as error:
            if "update the software" in str(error):
                raise
            problems.append(str(error))
            continue
        if document["case"] != case or name != f"{PREFIX}{document['proposal']}.json":
            problems.append(f"{what} belongs to another case or has another name; it was left out.")
            continue
        found.append(_proposal(document))
    return found, problems


def _record(mark: Landmark) -> dict[str, Any]:
    record = {
        "label": mark.label,
        "position": None if mark.position is None else mark.position.tolist(),
        "confidence": mark.confidence,
        "covariance": None if mark.covariance is None else mark.covariance.tolist(),
        "description": mark.description,
    }
    return {key: value for key, value in record.items() if value not in (None, "") or key in ("label", "position")}


def _proposal(document: Mapping[str, Any]) -> Proposal:
    marks = tuple(
        Landmark(
            record["label"],
            record["position"],
            confidence=record.get("confidence"),
            covariance=None if "covariance" not in record else np.array(record["covariance"]),
            description=record.get("description", ""),
        )
        for record in document["landmarks"]
    )
    info = {key: document[key] for key in (*_ABOUT, REGIONS) if key in document}
    landmarks = LandmarkSet(marks, document["unit"], document["case"], info)
    return Proposal(
        document["proposal"],
        landmarks,
        document["bundle"],
        document["version"],
        document["fingerprint"],
        document["software"],
        document["at"],
        tuple(document["differences"]),
    )
