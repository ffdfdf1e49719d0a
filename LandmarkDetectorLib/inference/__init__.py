"""An image and a bundle in, landmarks out."""

from LandmarkDetectorLib.inference.detector import Detection, Detector, detect

__all__ = ["Detection", "Detector", "detect"]
