"""What an index needs to know of a case, so that ten thousand are listed and ordered without their files.

=====================  ================================================================================================
``added, sha256``      when, and the image's checksum
``unit``               of positions
``labels``             of all landmarks, in order
``proposals``          of the last two: ``fingerprint``, ``differences``, and ``marks``: by label ``[position,
                       confidence, spread]``, the spread being the root of the covariance's mean variance
``proposal_count``     how many there are
``observers``          by name: by label ``[status, position]`` of what is reviewed
``changed``            when somebody last said something
``problems``           how many damaged or missing records
=====================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark
from LandmarkDetectorLib.review.case import Case
from LandmarkDetectorLib.review.state import Proposal

EMPTY: Mapping[str, Any] = {
    "added": "",
    "sha256": "",
    "unit": "mm",
    "labels": [],
    "proposals": [],
    "proposal_count": 0,
    "observers": {},
    "changed": "",
    "problems": 1,
}
"""Of a case that cannot be read."""


def summary_of(case: Case) -> dict[str, Any]:
    """The summary of a case, from its files."""
    proposals = case.proposals()
    observers, changed, problems = {}, "", len(case.proposal_problems())
    labels = dict.fromkeys(label for proposal in proposals for label in proposal.landmarks.labels)
    for observer in case.observers():
        state = case.state(observer)
        problems += len(case.journal(observer).check().problems)
        changed = max(changed, state.changed)
        labels.update(dict.fromkeys(state.entries))
        observers[observer] = {
            label: [entry.status, entry.position] for label, entry in state.entries.items() if entry.reviewed
        }
    return {
        "added": case.about["at"],
        "sha256": case.image["sha256"],
        "unit": case.unit,
        "labels": list(labels),
        "proposals": [_proposal(proposal) for proposal in proposals[-2:]],
        "proposal_count": len(proposals),
        "observers": observers,
        "changed": changed,
        "problems": problems,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    marks = {mark.label: _mark(mark) for mark in proposal.landmarks}
    return {"fingerprint": proposal.fingerprint, "differences": list(proposal.differences), "marks": marks}


def _mark(mark: Landmark) -> list[Any]:
    spread = (
        None if mark.covariance is None else round(float(np.sqrt(np.trace(mark.covariance) / len(mark.covariance))), 6)
    )
    position = None if mark.position is None else np.round(mark.position, 4).tolist()
    return [position, mark.confidence, spread]
