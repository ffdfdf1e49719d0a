"""The errors that this library raises on purpose.

Every message is one sentence that says what is wrong, where, and what to do. A face (command line, panel) shows the
message as it is; anything that is not a :class:`LandmarkDetectorError` is a defect of ours.
"""

from __future__ import annotations


class LandmarkDetectorError(Exception):
    """Base of all errors that a user can cause or mend."""


class ImageError(LandmarkDetectorError):
    """An image cannot be read, or is not one that landmarks can be found in."""


class LandmarkFileError(LandmarkDetectorError):
    """A file of landmarks cannot be read or written."""


class LandmarkError(LandmarkDetectorError):
    """Landmarks that contradict themselves: duplicate labels, mixed dimensions, mixed units."""


class BundleError(LandmarkDetectorError):
    """A bundle is missing, damaged, altered or not one that we are willing to load."""


class RecipeError(LandmarkDetectorError):
    """A recipe does not say what is needed, or says what cannot be."""


class DatasetError(LandmarkDetectorError):
    """A folder of training or evaluation data lacks something or contradicts itself."""


class MeasurementError(LandmarkDetectorError):
    """A definition of measurements contradicts itself, or asks for what it does not have."""


class DeviceError(LandmarkDetectorError):
    """A device that was asked for is not there, or its memory does not suffice even for the smallest step."""


class Cancelled(LandmarkDetectorError):
    """The person asked to stop; the message says what is left of the work."""


class LandmarkDetectorWarning(UserWarning):
    """Something was mended or assumed on the way; the faces show it to the person."""
