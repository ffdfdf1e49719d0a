"""What a review has come to, landmark by landmark: plain values, and their form as JSON.

Positions and covariances are in LPS and in the node's own coordinates, as the control points are stored, so that a
parent transform that moves leaves them right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

UNREVIEWED, CONFIRMED, CORRECTED, ABSENT, NOT_FOUND = STATUSES = (
    "unreviewed",
    "confirmed",
    "corrected",
    "absent",
    "not found",
)
"""Nobody has looked yet; the proposal is right; a person placed it; it is not in the image; nothing was found."""

REVIEWED = (CONFIRMED, CORRECTED, ABSENT)

_VERSION = 1
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Proposal:
    """What the detector said of one landmark.

    Args:
        label: the landmark's name in the bundle.
        position: (3,), or ``None`` where it was not found.
        confidence: in [0, 1], or ``None``.
        covariance: row by row, (9,), or ``None``.
        source: which of :attr:`State.sources` said so.
    """

    label: str
    position: Numbers | None = None
    confidence: float | None = None
    covariance: Numbers | None = None
    source: int = 0

    @property
    def status(self) -> str:
        """The status of a landmark that nobody has looked at."""
        return NOT_FOUND if self.position is None else UNREVIEWED

    def as_json(self) -> dict[str, Any]:
        """The values that are not their defaults."""
        record = {key: value for key, value in vars(self).items() if value is not None}
        return record if self.source else {key: value for key, value in record.items() if key != "source"}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Proposal:
        """The reverse of :meth:`as_json`; ``ValueError``, ``TypeError`` or ``KeyError`` where it is none."""
        confidence = record.get("confidence")
        return cls(
            str(record["label"]),
            _numbers(record.get("position"), 3),
            None if confidence is None else float(confidence),
            _numbers(record.get("covariance"), 9),
            int(record.get("source", 0)),
        )


@dataclass(frozen=True)
class Entry:
    """One control point in review.

    Args:
        status: one of :data:`STATUSES`.
        label: the control point's label when it was last looked at.
        at: where it was then, (3,), or ``None`` where it had no position.
        proposal: what the detector said, or ``None`` for a landmark that a person added.
    """

    status: str
    label: str
    at: Numbers | None
    proposal: Proposal | None = None

    @classmethod
    def proposed(cls, proposal: Proposal) -> Entry:
        """A landmark as the detector left it."""
        return cls(proposal.status, proposal.label, proposal.position, proposal)

    @property
    def reviewed(self) -> bool:
        """Whether a person has said something about it."""
        return self.status in REVIEWED

    @property
    def touched(self) -> bool:
        """Whether a person reviewed, added or renamed it, so that no detection may replace it."""
        return self.reviewed or self.proposal is None or self.label != self.proposal.label

    @property
    def believed(self) -> Proposal | None:
        """The proposal whose confidence and covariance speak of the position that stands there, if it does."""
        return None if self.status in (CORRECTED, ABSENT) else self.proposal


@dataclass(frozen=True)
class State:
    """The whole review of one result.

    Args:
        points: by control point id, in no particular order.
        unit: ``"mm"`` or ``"px"``.
        dimension: 2 where the detector worked on a flat image, else 3.
        sources: bundle, version and fingerprint of each detection that a proposal came from, and the regions that it
            stated, if it did.
    """

    points: dict[str, Entry] = field(default_factory=dict)
    unit: str = "mm"
    dimension: int = 3
    sources: tuple[dict[str, Any], ...] = ()

    def with_points(self, points: dict[str, Entry]) -> State:
        """The same with other points."""
        return replace(self, points=points)

    def as_json(self) -> str:
        """The state as text; what can be told from the proposal is left out."""
        points = {}
        for key, entry in self.points.items():
            record: dict[str, Any] = {"status": entry.status}
            proposal = entry.proposal
            if proposal is not None:
                record["proposal"] = proposal.as_json()
            if proposal is None or entry.label != proposal.label:
                record["label"] = entry.label
            if proposal is None or entry.at != proposal.position:
                record["at"] = entry.at
            points[key] = record
        document = {"version": _VERSION, "unit": self.unit, "dimension": self.dimension, "sources": self.sources}
        return json.dumps({**document, "points": points}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> State:
        """The reverse of :meth:`as_json`.

        Raises:
            ValueError: it is not such a text.
        """
        try:
            document = json.loads(text)
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']}")
            points = {key: _entry(record) for key, record in document["points"].items()}
            sources = tuple(dict(source) for source in document["sources"])
            return cls(points, str(document["unit"]), int(document["dimension"]), sources)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None


def _entry(record: dict[str, Any]) -> Entry:
    if record["status"] not in STATUSES:
        raise ValueError(f"status {record['status']}")
    proposal = Proposal.from_json(record["proposal"]) if "proposal" in record else None
    label = record["label"] if proposal is None else record.get("label", proposal.label)
    at = record["at"] if proposal is None else record.get("at", proposal.position)
    return Entry(record["status"], str(label), _numbers(at, 3), proposal)


def _numbers(values: Any, count: int) -> Numbers | None:
    if values is None:
        return None
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers instead of {count}")
    return tuple(float(value) for value in values)
