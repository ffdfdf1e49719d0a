"""Results into files."""

from __future__ import annotations

import os
from typing import Any

from .result import landmark_set_of


def export(node: Any, path: str | os.PathLike[str], system: str = "LPS") -> None:
    """Write the landmarks in world coordinates, parent transforms applied, whole or not at all.

    Args:
        node: a Markups fiducial node.
        path: ends in .mrk.json (which carries the review as well), .fcsv, .csv or .xlsx.
        system: ``"LPS"`` or ``"RAS"``.

    Raises:
        LandmarkFileError: the format is unknown or cannot hold the landmarks, or the file cannot be written.
    """
    from LandmarkDetectorLib.io import save_landmarks

    save_landmarks(landmark_set_of(node), path, coordinate_system=system)
