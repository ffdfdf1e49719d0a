"""What training minimises. Every loss takes a mask of the landmarks that count."""

from LandmarkDetectorLib.losses.radial_distance import radial_distance
from LandmarkDetectorLib.losses.spatial_cross_entropy import spatial_cross_entropy

__all__ = ["radial_distance", "spatial_cross_entropy"]
