"""An image and a bundle in, landmarks out.

Importing the room imports no torch: the client, which lives in the process of an application, and the worker, which
says hello before it loads anything, stand here too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from LandmarkDetectorLib.inference.augmented import Augmented
    from LandmarkDetectorLib.inference.detection import Detection
    from LandmarkDetectorLib.inference.detector import Detector, detect
    from LandmarkDetectorLib.inference.ensemble import Ensemble

_PLACES = {
    "Augmented": "augmented",
    "Detection": "detection",
    "Detector": "detector",
    "Ensemble": "ensemble",
    "detect": "detector",
}

__all__ = ["Augmented", "Detection", "Detector", "Ensemble", "detect"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value  # the next look finds it without this function
    return value
