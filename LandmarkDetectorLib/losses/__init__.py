"""What training minimises. Every loss takes a mask of the landmarks that count."""

from LandmarkDetectorLib.losses.expected_distance import expected_distance
from LandmarkDetectorLib.losses.spatial_cross_entropy import spatial_cross_entropy

__all__ = ["expected_distance", "spatial_cross_entropy"]
