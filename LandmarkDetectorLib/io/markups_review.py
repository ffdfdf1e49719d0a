"""What the panel saved of a review in a markups file: the status of each landmark.

The panel keeps it in a measurement called ``review``: a code a control point in its values, and in its description, as
JSON, what the codes mean and which control points they belong to.
"""

from __future__ import annotations

import json

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.io.markups import KEPT, kept_points

STATUSES = ("unreviewed", "confirmed", "corrected", "absent", "not found")
"""Nobody has looked yet; the proposal is right; a person placed it; it is not in the image; nothing was found."""

_REVIEW = "review"
_PLACED_SINCE = "corrected"


def review_statuses(landmarks: LandmarkSet) -> list[str] | None:
    """The status of each landmark as the panel saved it, or ``None`` where it did not.

    A landmark that it did not know was placed by a person since.
    """
    measurements = landmarks.info.get(KEPT, {}).get("markup", {}).get("measurements", [])
    entry = next((one for one in measurements if isinstance(one, dict) and one.get("name") == _REVIEW), None)
    if entry is None:
        return None
    try:
        document = json.loads(entry["description"])
        keys = [tuple(key) for key in document["points"]]
        codes = [int(code) for code in entry["controlPointValues"]]
        statuses = dict(zip(keys, (document["statuses"][code] for code in codes), strict=False))
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    ids = [(extra.get("id", ""), mark.label) for extra, mark in zip(kept_points(landmarks), landmarks, strict=True)]
    found = [statuses.get(key, _PLACED_SINCE) for key in ids]
    return found if all(status in STATUSES for status in found) else None


def known_statuses(landmarks: LandmarkSet) -> list[str] | None:
    """The status of each landmark, also of a detector's that nobody has looked at; ``None`` where nobody can say."""
    saved = review_statuses(landmarks)
    if saved is not None or "fingerprint" not in landmarks.info:
        return saved
    return ["not found" if mark.position is None else "unreviewed" for mark in landmarks]
