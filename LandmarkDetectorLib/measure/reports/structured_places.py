"""How landmarks' positions are written into a DICOM report: in a frame of reference, or in the pixels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.measure.subject import Measured

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Places:
    """Where the points of a report lie.

    Attributes:
        frame: UID of the frame of reference; empty in the pixels of an image.
        image: the header of that image, or ``None``.
        measured: the subject.
    """

    frame: str
    image: Dataset | None
    measured: Measured

    @classmethod
    def of(cls, measured: Measured, source: Sequence[Dataset]) -> Places:
        """Those of the source images if they say where they lie, else of one image's pixels, else of a new frame.

        Raises:
            MeasurementError: nothing was measured, several frames of reference, or no scale in mm.
        """
        if not measured.computed:
            raise MeasurementError(f"{measured.subject}: nothing could be measured, so there is no report to write.")
        placed = [str(each.FrameOfReferenceUID) for each in source if each.get("FrameOfReferenceUID")]
        if placed and measured.landmarks.dimension == 3:
            if len(set(placed)) > 1:
                raise MeasurementError("The source images lie in several frames of reference; give one series.")
            return cls(placed[0], None, measured)
        if source:
            if len(source) > 1 or measured.landmarks.dimension != 2 or measured.image is None:
                raise MeasurementError(
                    "The source images do not say where they lie; give the one image that was measured."
                )
            return cls("", source[0], measured)
        if measured.landmarks.unit != "mm":
            raise MeasurementError(
                f"{measured.subject}: a DICOM report needs positions in mm, and the picture has no scale; "
                "give its spacing, or the DICOM image itself."
            )
        from highdicom import UID

        return cls(str(UID()), None, measured)

    def region(self, sr: Any, position: np.ndarray) -> Any:
        """A landmark's position as the region of a group."""
        if self.image is not None:
            return sr.ImageRegion("POINT", self._pixel(position), self._source(sr))
        return sr.ImageRegion3D("POINT", self._solid(position), self.frame)

    def coordinates(self, sr: Any, position: np.ndarray, purpose: Any) -> Any:
        """A landmark's position as what a number was inferred from."""
        if self.image is not None:
            return sr.CoordinatesForMeasurement("POINT", self._pixel(position), self._source(sr), purpose)
        return sr.CoordinatesForMeasurement3D("POINT", self._solid(position), self.frame, purpose=purpose)

    def _source(self, sr: Any) -> Any:
        assert self.image is not None
        return sr.SourceImageForRegion(self.image.SOPClassUID, self.image.SOPInstanceUID)

    def _pixel(self, position: np.ndarray) -> np.ndarray:
        """Column and row (1, 2), where DICOM counts from the corner of the first pixel (PS3.3 C.18.6, C.10.5)."""
        assert self.measured.image is not None
        return self.measured.image.grid.to_index(position)[None] + 0.5

    @staticmethod
    def _solid(position: np.ndarray) -> np.ndarray:
        return np.array([[*position, 0.0] if len(position) == 2 else position], dtype=np.float64)
