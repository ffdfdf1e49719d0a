"""Files into images and landmarks, and back."""

from LandmarkDetectorLib.io.images import load_image, save_image
from LandmarkDetectorLib.io.landmarks import load_landmarks, save_landmarks

__all__ = ["load_image", "load_landmarks", "save_image", "save_landmarks"]
