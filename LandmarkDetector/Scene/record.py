"""Where the state of a review is kept: in an attribute of the result node, and in measurements that files carry.

The attribute is what counts; the scene saves it, and undo restores it. Files of control points know no attributes, so
the same is put into measurements whenever it changes: confidence and covariance as the library's files have them, and
``review`` with a code a control point and, as JSON, the proposals that differ from what stands there. A node that was
read from such a file gets its attribute from them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from .control_points import Frame, Key, is_placed, keys_of, measurements_of, position_of, set_measurements, to_world
from .regions import regions_of, stated_regions
from .state import ABSENT, CORRECTED, NOT_FOUND, STATUSES, Entry, Proposal, State

ATTRIBUTE = "LandmarkDetector.review"
REVIEW = "review"
_AXES = ("xx", "xy", "xz", "yy", "yz", "zz")
_LIBRARY = ("landmark detector", "confidence", *(f"covariance {axes}" for axes in _AXES), "region radius")
_PLANE_TOLERANCE = 1e-3


def has_state(node: Any) -> bool:
    """Whether the node carries a review that began here, or was read from a file of one."""
    return bool(node.GetAttribute(ATTRIBUTE)) or any(entry["name"] == REVIEW for entry in measurements_of(node))


def read_state(node: Any) -> State:
    """The state that the node carries; a list of control points that knows nothing of reviews is taken for proposals.

    Raises:
        LandmarkError: the attribute was altered by others.
    """
    from LandmarkDetectorLib.core import LandmarkError

    text = node.GetAttribute(ATTRIBUTE)
    if not text:
        return _from_measurements(node)
    try:
        return State.from_json(text)
    except ValueError:
        raise LandmarkError(
            f"{node.GetName()}: its record of the review (attribute {ATTRIBUTE}) is damaged; remove the attribute to "
            "begin a new review with the landmarks as they stand."
        ) from None


def write_state(node: Any, state: State) -> str:
    """Put the state into the node, attribute and measurements; the attribute's text."""
    from LandmarkDetectorLib.io.markups_certainty import as_measurements
    from LandmarkDetectorLib.io.markups_regions import regions_measurement

    keys = keys_of(node)
    certain = _CertainSet([_Certain.of(state.points.get(key)) for key, _ in keys], state.unit, _dimension(node, state))
    entries = as_measurements(cast(Any, certain), keys)
    entries.append(_review_measurement(state, keys))
    regions = regions_measurement(stated_regions(state, keys), [label for _, label in keys])
    entries += [] if regions is None else [regions]
    set_measurements(node, entries, remove=_LIBRARY)
    text = state.as_json()
    node.SetAttribute(ATTRIBUTE, text)
    node.StorableModified()
    return text


@dataclass
class _Certain:
    """What a measurement and a description say of a landmark; a ``Landmark`` would check each of thousands again."""

    confidence: float | None = None
    covariance: np.ndarray | None = None

    @classmethod
    def of(cls, entry: Entry | None) -> _Certain:
        believed = None if entry is None else entry.believed
        if believed is None:
            return cls()
        covariance = None if believed.covariance is None else np.reshape(believed.covariance, (3, 3))
        return cls(believed.confidence, covariance)


@dataclass
class _CertainSet:
    marks: list[_Certain]
    unit: str
    dimension: int

    def __iter__(self) -> Iterator[_Certain]:
        return iter(self.marks)


def _dimension(node: Any, state: State) -> int:
    """2 where the detector worked on a flat image and no landmark has left its plane since."""
    if state.dimension == 3:
        return 3
    places = (position_of(node, i) for i in range(node.GetNumberOfControlPoints()))
    return 2 if all(at is None or abs(at[2]) <= _PLANE_TOLERANCE for at in places) else 3


def landmarks_of(node: Any, state: State, world: bool = True, only: Collection[str] | None = None) -> Any:
    """The control points as ``core.LandmarkSet``, in LPS.

    Args:
        node: the Markups node.
        state: its review.
        world: with parent transforms applied, else in the node's own coordinates.
        only: ids of the control points that are wanted; then without descriptions and ``info``, for those who ask at
            every movement of the mouse.

    Returns:
        The landmarks with the confidence and covariance of those whose position is still the proposed one; what else a
        file should say is in ``info``.
    """
    from LandmarkDetectorLib.core import Landmark, LandmarkSet

    # A point that hangs on the mouse before it is placed is no landmark yet.
    there = [
        (i, key)
        for i, key in enumerate(keys_of(node))
        if (key[0] in state.points or node.GetNthControlPointPositionStatus(i) != node.PositionPreview)
        and (only is None or key[0] in only)
    ]
    mapping = to_world(node) if world else None
    local = np.array([position_of(node, i) or (0.0, 0.0, 0.0) for i, _ in there]).reshape(-1, 3)
    places, slopes = (local, None) if mapping is None else mapping(local)
    placed = [is_placed(node, i) for i, _ in there]
    flat = state.dimension == 2 and bool(np.all(np.abs(places[placed][:, 2]) <= _PLANE_TOLERANCE))
    axes = 2 if flat else 3
    marks = []
    for row, (i, (key, label)) in enumerate(there):
        entry = state.points.get(key)
        believed = None if entry is None else entry.believed
        confidence = None if believed is None else believed.confidence
        covariance = None
        if placed[row] and believed is not None and believed.covariance is not None:
            covariance = np.reshape(believed.covariance, (3, 3))
            if slopes is not None:
                covariance = slopes[row] @ covariance @ slopes[row].T
            covariance = (covariance + covariance.T)[:axes, :axes] / 2
        undefined = node.GetNthControlPointPositionStatus(i) == node.PositionUndefined
        status = "defined" if placed[row] else "undefined" if undefined else "missing"
        position = places[row][:axes] if placed[row] else None
        words = "" if only is not None else _description(node, i, entry, state)
        marks.append(Landmark(label, position, status, confidence, covariance, words))
    info = {} if only is not None else _info(node, state, there, mapping)
    return LandmarkSet(tuple(marks), state.unit, node.GetName() or "landmarks", info)


def spoken_of(entry: Entry | None, state: State) -> str:
    """What the description of a control point says by itself; empty where no confidence speaks of its position."""
    from LandmarkDetectorLib.io.markups_certainty import spoken

    believed = None if entry is None else entry.believed
    region = None if believed is None else regions_of(state, [believed])[0]
    stated = None if region is None or region.radius is None else (region.level, region.radius)
    return spoken(cast(Any, _Certain.of(entry)), state.unit, stated)


def is_spoken(text: str, entry: Entry | None, state: State) -> bool:
    """Whether a description is :func:`spoken_of`, or what an earlier version wrote in its place, and no person's."""
    from LandmarkDetectorLib.io.markups_certainty import spoken

    return text in (spoken_of(entry, state), spoken(cast(Any, _Certain.of(entry)), state.unit))


def _description(node: Any, index: int, entry: Entry | None, state: State) -> str:
    """A person's words; what we wrote there ourselves is left out, since the file's writer says it anew."""
    text = node.GetNthControlPointDescription(index) or ""
    return "" if is_spoken(text, entry, state) else text


def _info(node: Any, state: State, there: Sequence[tuple[int, Key]], mapping: Frame | None) -> dict[str, Any]:
    """What the library's files keep beside landmarks: the source, ids and flags, and the review."""
    from LandmarkDetectorLib.io.markups import KEPT
    from LandmarkDetectorLib.io.markups_regions import REGIONS

    points = [
        {
            "label": label,
            "id": key,
            "selected": bool(node.GetNthControlPointSelected(i)),
            "locked": bool(node.GetNthControlPointLocked(i)),
            "visibility": bool(node.GetNthControlPointVisibility(i)),
        }
        for i, (key, label) in there
    ]
    keys = [key for _, key in there]
    review = _review_measurement(state if mapping is None else in_world(state, mapping), keys)
    source = {key: value for key, value in (state.sources[-1] if state.sources else {}).items() if key != REGIONS}
    regions = stated_regions(state, keys)
    source |= {} if regions is None else {REGIONS: regions}
    return {**source, KEPT: {"controlPoints": points, "markup": {"measurements": [review]}}}


def in_world(state: State, mapping: Frame) -> State:
    """The state with every position and proposal taken elsewhere, as by :func:`.control_points.to_world`."""
    points = dict(state.points)
    keys = [key for key, entry in points.items() if entry.at is not None]
    places, _ = mapping(np.array([points[key].at for key in keys]).reshape(-1, 3))
    for key, position in zip(keys, places.tolist(), strict=True):
        points[key] = replace(points[key], at=tuple(position))
    proposals = [(key, entry.proposal) for key, entry in points.items() if entry.proposal is not None]
    for (key, _), proposal in zip(proposals, moved([proposal for _, proposal in proposals], mapping), strict=True):
        points[key] = replace(points[key], proposal=proposal)
    return state.with_points(points)


def moved(proposals: Sequence[Proposal], mapping: Frame) -> list[Proposal]:
    """Proposals with their positions and covariances taken elsewhere; those without a position stay as they are."""
    result = list(proposals)
    placed = [i for i, proposal in enumerate(result) if proposal.position is not None]
    places, slopes = mapping(np.array([result[i].position for i in placed]).reshape(-1, 3))
    for i, position, slope in zip(placed, places.tolist(), slopes, strict=True):
        covariance = result[i].covariance
        if covariance is not None:
            covariance = tuple((slope @ np.reshape(covariance, (3, 3)) @ slope.T).ravel().tolist())
        result[i] = replace(result[i], position=tuple(position), covariance=covariance)
    return result


def _review_measurement(state: State, keys: Sequence[Key]) -> dict[str, Any]:
    entries = [state.points.get(key) for key, _ in keys]
    codes = [0 if entry is None else STATUSES.index(entry.status) for entry in entries]
    told: dict[str, Any] = {}
    for (key, label), entry in zip(keys, entries, strict=True):
        if entry is None or entry.proposal is None:
            told[key] = None
        elif entry.status in (CORRECTED, ABSENT) or entry.proposal.label != label or entry.proposal.source:
            told[key] = entry.proposal.as_json()
    document = {"statuses": STATUSES, "points": keys, "proposals": told, "sources": state.sources}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return {"name": REVIEW, "enabled": False, "description": text, "controlPointValues": codes}


def _from_measurements(node: Any) -> State:
    from LandmarkDetectorLib.io.markups_certainty import from_measurements
    from LandmarkDetectorLib.io.markups_regions import REGIONS, split_regions

    regions, entries = split_regions(measurements_of(node))
    keys = keys_of(node)
    known = from_measurements(entries, keys)
    told = next((read for entry in entries if entry["name"] == REVIEW if (read := _read_review(entry))), None)
    # A file of the library, which knows no review, has its regions in a measurement of their own.
    statuses, proposals, sources = told or ({}, {}, () if regions is None else ({REGIONS: regions},))
    points = {}
    for i, (key, label) in enumerate(keys):
        at = position_of(node, i)
        covariance = _nine(known.covariance.get((key, label))) if at else None
        proposal: Proposal | None = Proposal(label, at, known.confidence.get((key, label)), covariance)
        if key in proposals:
            proposal = proposals[key]
        elif key not in statuses and told is not None:
            proposal = None  # added after the file was written
        usual = CORRECTED if proposal is None else proposal.status
        points[key] = _consistent(Entry(statuses.get(key, usual), label, at, proposal))
    return State(points, known.unit or "mm", known.dimension or 3, tuple(sources))


def _consistent(entry: Entry) -> Entry:
    """The entry with a status that its position allows: somebody may have moved points without us."""
    if entry.at is None and entry.status not in (ABSENT, NOT_FOUND):
        return replace(entry, status=NOT_FOUND)
    if entry.at is not None and entry.status in (ABSENT, NOT_FOUND):
        return replace(entry, status=CORRECTED)
    return entry


def _read_review(entry: dict[str, Any]) -> tuple[dict[str, str], dict[str, Proposal | None], list[Any]] | None:
    """Statuses and proposals by id, and the sources; ``None`` where somebody else chose the same name."""
    try:
        document = json.loads(entry["description"])
        names = [str(name) for name in document["statuses"]]
        codes = [names[int(code)] for code in entry["controlPointValues"]]
        keys = [str(key) for key, _ in document["points"]]
        proposals = {
            str(key): None if record is None else Proposal.from_json(record)
            for key, record in document["proposals"].items()
        }
        sources = [dict(source) for source in document["sources"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
    statuses = {key: code for key, code in zip(keys, codes, strict=False) if code in STATUSES}
    return statuses, proposals, sources


def fresh(landmarks: Any) -> list[Proposal]:
    """Each landmark of a detection as a proposal, in order; a flat set's landmarks stand at z = 0."""
    proposals = []
    for mark in landmarks:
        position = None if mark.position is None else tuple(np.pad(mark.position, (0, 3 - len(mark.position))).tolist())
        proposals.append(Proposal(mark.label, position, mark.confidence, _nine(mark.covariance)))
    return proposals


def _nine(covariance: np.ndarray | None) -> tuple[float, ...] | None:
    """A covariance (d, d) in three dimensions, row by row; a flat one has no extent along z."""
    return None if covariance is None else tuple(np.pad(covariance, (0, 3 - len(covariance))).ravel().tolist())
