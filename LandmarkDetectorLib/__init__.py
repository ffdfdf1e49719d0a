"""Anatomical landmarks in 2D and 3D medical images.

>>> from LandmarkDetectorLib import detect, load_bundle, load_image
>>> landmarks = detect(load_image("skull.nii.gz"), load_bundle("mouse-skull-ct"))  # doctest: +SKIP

Importing this package starts nothing, writes nothing and imports nothing heavy: each public name is fetched from its
room when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet
    from LandmarkDetectorLib.inference import detect
    from LandmarkDetectorLib.io import load_image, load_landmarks, save_landmarks

__version__ = "0.1.0"

_ROOMS = {
    "detect": "inference",
    "load_bundle": "bundles",
    "load_image": "io",
    "load_landmarks": "io",
    "save_landmarks": "io",
    "Grid": "core",
    "Image": "core",
    "Landmark": "core",
    "LandmarkSet": "core",
}

__all__ = [
    "Grid",
    "Image",
    "Landmark",
    "LandmarkSet",
    "__version__",
    "detect",
    "load_bundle",
    "load_image",
    "load_landmarks",
    "save_landmarks",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value  # the next look finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_ROOMS))
