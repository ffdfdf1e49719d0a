"""What a detection gives. Needs no torch: an application holds it while the networks run in another process."""

from __future__ import annotations

from dataclasses import dataclass, field

from LandmarkDetectorLib.core import LandmarkSet


@dataclass(frozen=True, eq=False)
class Detection:
    """Landmarks, the seconds that each part took, and what a person should be told."""

    landmarks: LandmarkSet
    timing: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
