"""One image's landmarks as several observers placed them, in one JSON file.

```json
{"spacing_mm": [0.288, 0.288], "raters": {"A": [[159.8, 264.8], null], "B": [[160.1, 263.9], [401.5, 251.1]]}}
```

Positions are voxel indices x, y[, z] (0 at the first voxel's centre) in the order of the data set's labels, ``null``
where an observer placed none. A picture has no origin and no direction, so its world is the index times the spacing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.io.json_files import StrictJsonError, parse_strictly, read_json
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.text_files import read_text


def holds_raters(path: Path) -> bool:
    """Whether a file is JSON, other than markups, with ``raters`` at its top."""
    if path.suffix != ".json" or path.name.endswith(".mrk.json"):
        return False
    try:
        content = parse_strictly(read_text(path))
    except StrictJsonError:
        return False
    return isinstance(content, Mapping) and "raters" in content


def read_raters(
    path: Path, labels: Sequence[str], spacing: Sequence[float] | None = None
) -> tuple[dict[str, LandmarkSet], tuple[float, ...] | None]:
    """The landmarks of each observer, by the observer's name, and the spacing.

    Args:
        path: the file.
        labels: of its rows.
        spacing: in mm along x, y[, z], where the file has none; positions are in pixels where neither has.

    Raises:
        LandmarkFileError: the file is no such file, or an observer's rows are not one for each label.
    """
    name = shown(path)
    content = read_json(path)
    try:
        rows = {str(rater): list(places) for rater, places in content["raters"].items()}
        given = content.get("spacing_mm", spacing)
        steps = None if given is None else tuple(float(step) for step in given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LandmarkFileError(f"{name}: it does not hold landmarks by rater ({error!r}); mend the file.") from None
    return {rater: _one(name, rater, places, labels, steps) for rater, places in rows.items()}, steps


def _one(name: str, rater: str, places: list, labels: Sequence[str], spacing: tuple[float, ...] | None) -> LandmarkSet:
    if len(places) != len(labels):
        own = counted(len(places), "landmark")
        raise LandmarkFileError(f"{name}: rater {rater} has {own} and the data set {len(labels)}; mend the file.")
    marks = []
    for label, place in zip(labels, places, strict=True):
        try:
            if place is None or None in place:
                marks.append(Landmark(label, status="undefined"))
                continue
            index = np.asarray(place, dtype=np.float64)
            marks.append(Landmark(label, index if spacing is None else index * np.asarray(spacing)))
        except (ValueError, TypeError, LandmarkError):
            raise LandmarkFileError(
                f"{name}: {label!r} of rater {rater} has no place {place}; mend the file."
            ) from None
    return LandmarkSet(tuple(marks), "px" if spacing is None else "mm", f"{name}, {rater}")
