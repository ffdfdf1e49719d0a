"""What each stage is shown in training: the whole in any pose or as it lies, the pose-normalised box, patches.

A sampler makes a batch from a random generator and nothing else, so that step n is the same in every run.
"""

from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.samplers.frame import FrameSampler
from LandmarkDetectorLib.training.samplers.image import ImageSampler
from LandmarkDetectorLib.training.samplers.patch import PatchSampler
from LandmarkDetectorLib.training.samplers.sampler import Sampler
from LandmarkDetectorLib.training.samplers.whole import WholeSampler

__all__ = ["Batch", "FrameSampler", "ImageSampler", "PatchSampler", "Sampler", "WholeSampler"]
