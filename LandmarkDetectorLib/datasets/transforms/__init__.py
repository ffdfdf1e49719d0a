"""Transforms of samples that take the landmarks along: MONAI's own, carried, and ours. Needs torch and MONAI."""

from LandmarkDetectorLib.datasets.transforms.carry import Carried, LandmarkTransform, carry
from LandmarkDetectorLib.datasets.transforms.coordinate_map import CarryByCoordinates
from LandmarkDetectorLib.datasets.transforms.elastic import Elastic
from LandmarkDetectorLib.datasets.transforms.mirror import SwapOnMirror, swap_labels
from LandmarkDetectorLib.datasets.transforms.ordering import OrderByPosition
from LandmarkDetectorLib.datasets.transforms.reorient import Reorient
from LandmarkDetectorLib.datasets.transforms.resize import Resize

__all__ = [
    "Carried",
    "CarryByCoordinates",
    "Elastic",
    "LandmarkTransform",
    "OrderByPosition",
    "Reorient",
    "Resize",
    "SwapOnMirror",
    "carry",
    "swap_labels",
]
