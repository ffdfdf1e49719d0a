"""What several observers say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet


def mean_of(raters: Mapping[str, LandmarkSet], labels: Sequence[str], name: str) -> LandmarkSet:
    """The mean position of each landmark, of those observers who placed it; where none did, as the first one says.

    Args:
        raters: the landmarks of each observer, in one unit.
        labels: those of the result, in its order.
        name: of the result.

    Raises:
        DatasetError: no observer.
    """
    if not raters:
        raise DatasetError(f"{name}: no observer annotated it; leave it out of the folder, or add an annotation.")
    sets = [marks.reordered(labels, "undefined") for marks in raters.values()]
    marks = []
    for rows in zip(*sets, strict=True):
        placed = [mark.position for mark in rows if mark.position is not None]
        marks.append(Landmark(rows[0].label, np.mean(placed, axis=0)) if placed else rows[0])
    return LandmarkSet(tuple(marks), sets[0].unit, name)
