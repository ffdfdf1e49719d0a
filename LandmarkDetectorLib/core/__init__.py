"""What everything else speaks of: images, grids and landmarks. Needs numpy and nothing else."""

from LandmarkDetectorLib.core.errors import (
    BundleError,
    Cancelled,
    DatasetError,
    DeviceError,
    ImageError,
    LandmarkDetectorError,
    LandmarkDetectorWarning,
    LandmarkError,
    LandmarkFileError,
    MeasurementError,
    RecipeError,
)
from LandmarkDetectorLib.core.grid import Grid
from LandmarkDetectorLib.core.image import Image
from LandmarkDetectorLib.core.landmarks import Landmark, LandmarkSet
from LandmarkDetectorLib.core.registry import Registry, import_parts

__all__ = [
    "BundleError",
    "Cancelled",
    "DatasetError",
    "DeviceError",
    "Grid",
    "Image",
    "ImageError",
    "Landmark",
    "LandmarkDetectorError",
    "LandmarkDetectorWarning",
    "LandmarkError",
    "LandmarkFileError",
    "LandmarkSet",
    "MeasurementError",
    "RecipeError",
    "Registry",
    "import_parts",
]
