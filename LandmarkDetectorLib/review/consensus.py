"""What several observers say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.review.state import ABSENT, ReviewState


def consensus(case: str, unit: str, states: Mapping[str, ReviewState], labels: Sequence[str]) -> LandmarkSet:
    """The mean position of those who placed a landmark, where more placed it than called it absent.

    Where more called it absent it is ``missing``. Where as many say the one as the other, or nobody has looked, it is
    ``undefined``: nothing is learnt from a tie.

    Args:
        case: the case's id.
        unit: of positions.
        states: by observer.
        labels: of the result, in order.
    """
    marks = []
    for label in labels:
        said = [state.entries[label] for state in states.values() if label in state.entries]
        placed = [entry.position for entry in said if entry.reviewed and entry.position is not None]
        absent = sum(entry.status == ABSENT for entry in said)
        if len(placed) > absent:
            marks.append(Landmark(label, np.mean(placed, axis=0), "defined"))
        else:
            marks.append(Landmark(label, None, "missing" if absent > len(placed) else "undefined"))
    return LandmarkSet(tuple(marks), unit, case, {"case": case, "observer": "consensus"})


def apart(states: Mapping[str, ReviewState], label: str) -> float | None:
    """The largest distance between two observers' positions of a landmark; ``None`` where fewer than two placed it."""
    said = [state.entries[label] for state in states.values() if label in state.entries]
    placed = np.array([entry.position for entry in said if entry.reviewed and entry.position is not None])
    if len(placed) < 2:
        return None
    return float(np.linalg.norm(placed[:, None] - placed[None], axis=-1).max())
