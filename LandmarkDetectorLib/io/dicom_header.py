"""The few DICOM tags that say how an image's numbers are coded and where they lie."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io.names import looks_like, shown

_TAGS = [
    *("SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation"),
    "ModalityLUTSequence",
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness"),
    *("PixelSpacingCalibrationType", "PixelAspectRatio", "SequenceOfUltrasoundRegions"),
    *("SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
_PATIENT = ("IssuerOfPatientID", "PatientID")
_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, eq=False)
class Plane:
    """One frame of one file: where it lies in the patient, and how its numbers are coded.

    Args:
        path, frame: the file, and the frame's number in it from 0.
        columns, rows, samples: its size; samples are 1 for gray and 3 for colour.
        bits_allocated, bits_stored, signed, photometric, compressed: the coding.
        deflated: whether the whole file is compressed, and not its pixels alone.
        slope, intercept: from stored to real values.
        position: centre of the first pixel (3,), LPS mm, or ``None``.
        orientation: directions of increasing column and row (2, 3), or ``None``.
        spacing: distance between columns and between rows, x before y, or ``None``.
        aspect: height of a pixel over its width, where only that is known; 1 where nothing is said.
        at_detector: whether the spacing is that of a projection's detector.
        thickness: distance to a next slice, if the file says, for a slice that has none.
    """

    path: Path
    frame: int
    columns: int
    rows: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    compressed: bool
    deflated: bool
    slope: float
    intercept: float
    position: np.ndarray | None
    orientation: np.ndarray | None
    spacing: tuple[float, float] | None
    aspect: float
    at_detector: bool
    thickness: float | None

    @property
    def stored_range(self) -> tuple[int, int]:
        """The lowest and highest value that the stored bits can hold."""
        half = 1 << (self.bits_stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


@contextmanager
def discreet() -> Iterator[None]:
    """Keep pydicom's warnings to itself: they repeat the values of tags, a patient's name among them."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def is_dicom(path: Path) -> bool:
    """Whether the file bears DICOM's mark."""
    with open(path, "rb") as stream:
        return looks_like(stream.read(132)) == "DICOM"


def header_of(path: Path) -> Dataset | None:
    """The tags that matter, or ``None`` where the file is DICOM but no image (a report, a directory).

    Raises:
        ImageError: it is not a DICOM file, or damaged.
    """
    name = shown(path)
    if not is_dicom(path):
        raise ImageError(f"{name}: it is not a DICOM file, or lacks the mark of one; export it again.")
    try:
        with discreet():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            stored_class = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
            has_image = "Rows" in header and "Columns" in header
            kind = stored_class.name if stored_class is not None else "Image"
    except Exception as error:  # what a damaged file makes pydicom raise is not a closed list
        raise ImageError(f"{name}: its DICOM header is damaged ({type(error).__name__}); export it again.") from None
    if not has_image and "Image" in kind and stored_class != _DIRECTORY:
        raise ImageError(f"{name}: its DICOM header is cut short before the image's size; copy it again.")
    return header if has_image else None


def planes_of(header: Dataset, path: Path) -> list[Plane]:
    """The frames of a file, in its own order.

    Raises:
        ImageError: a tag that is needed is missing or is not a number.
    """
    name = shown(path)
    try:
        with discreet():
            if "ModalityLUTSequence" in header:
                raise ImageError(f"{name}: its values are coded by a Modality LUT; export it with plain values.")
            stored, high = header.get("BitsStored"), header.get("HighBit")
            if stored and high is not None and int(high) != int(stored) - 1:
                # pydicom and GDCM read them as if they lay in the lower bits, and return noise.
                raise ImageError(
                    f"{name}: its values do not lie in the lower bits of their numbers (HighBit {high} of {stored} "
                    "stored bits), which DICOM has retired; export it again."
                )
            frames = max(int(header.get("NumberOfFrames") or 1), 1)
            if frames > path.stat().st_size:  # each takes a byte at the least
                raise ValueError("more frames than bytes")
            return [_plane(header, path, frame, frames) for frame in range(frames)]
    except ImageError:
        raise
    except Exception as error:  # as above
        raise ImageError(
            f"{name}: the tags of its geometry or number coding are missing or damaged ({type(error).__name__}); "
            "export it again."
        ) from None


def _plane(header: Dataset, path: Path, frame: int, frames: int) -> Plane:
    # An enhanced file keeps these in groups, for all frames or for each; other files of several frames do not say.
    plain = header if "SharedFunctionalGroupsSequence" not in header and frames == 1 else Dataset()
    position = _group(header, frame, "PlanePositionSequence", plain).get("ImagePositionPatient")
    orientation = _group(header, frame, "PlaneOrientationSequence", plain).get("ImageOrientationPatient")
    measures = _group(header, frame, "PixelMeasuresSequence", header)
    rescale = _group(header, frame, "PixelValueTransformationSequence", header)
    imager = header.get("ImagerPixelSpacing")
    said = (measures.get("PixelSpacing"), imager, _of_ultrasound(header))
    spacing = next((each for each in said if each is not None), None)
    # Pixel Spacing that repeats the detector's was calibrated by nobody, PS3.3 10.7.1.3, unless the file says how.
    at_detector = imager is not None and spacing == imager and not header.get("PixelSpacingCalibrationType")
    syntax = header.file_meta.TransferSyntaxUID
    bits = int(header.BitsAllocated)
    bits_stored = int(header.get("BitsStored") or bits)
    columns, rows = int(header.Columns), int(header.Rows)
    slope, intercept = _number(rescale.get("RescaleSlope"), 1.0), _number(rescale.get("RescaleIntercept"), 0.0)
    coded = bits in (1, 8, 16, 32, 64) and 1 <= bits_stored <= bits
    if not (columns > 0 and rows > 0 and coded and math.isfinite(slope) and math.isfinite(intercept)):
        raise ValueError("no image of this size and coding")
    return Plane(
        path=path,
        frame=frame,
        columns=columns,
        rows=rows,
        samples=int(header.get("SamplesPerPixel") or 1),
        bits_allocated=bits,
        bits_stored=bits_stored,
        signed=bool(header.get("PixelRepresentation") or 0),
        photometric=str(header.PhotometricInterpretation),
        compressed=syntax.is_compressed,
        deflated=syntax.is_deflated,
        slope=slope,
        intercept=intercept,
        position=_vector(position, 3),
        orientation=None if orientation is None else _vector(orientation, 6).reshape(2, 3),  # type: ignore[union-attr]
        spacing=None if spacing is None else (float(spacing[1]), float(spacing[0])),  # DICOM puts rows before columns
        aspect=_aspect(header) if spacing is None else 1.0,
        at_detector=at_detector,
        thickness=_thickness(measures),
    )


def _group(header: Dataset, frame: int, sequence: str, default: Dataset) -> Dataset:
    """The item of a functional group that holds for a frame: its own, else the shared one, else ``default``."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence].value[0]
    return default


def _number(value: Any, default: float) -> float:
    return default if value is None or value == "" else float(value)


def _vector(values: Any, length: int) -> np.ndarray | None:
    if values is None or values == "":
        return None
    vector = np.array([float(value) for value in values])
    if vector.size != length or not np.all(np.isfinite(vector)):
        raise ValueError("not a vector of finite numbers")
    return vector


def _of_ultrasound(header: Dataset) -> tuple[float, float] | None:
    """Distance between rows and between columns, mm, where all tissue regions of an ultrasound image have the same.

    PS3.3 C.8.5.5: format 1 is a two-dimensional region, unit 3 is the centimetre; an increment may be negative.
    """
    found = set()
    for region in header.get("SequenceOfUltrasoundRegions") or []:
        if region.get("RegionSpatialFormat") == 1:
            units = {region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")}
            down, across = (10 * abs(_number(region.get(f"PhysicalDelta{axis}"), 0.0)) for axis in "YX")
            found.add((down, across) if units == {3} and down > 0 and across > 0 else None)
    return next(iter(found)) if len(found) == 1 else None


def _aspect(header: Dataset) -> float:
    ratio = header.get("PixelAspectRatio")
    if not ratio:
        return 1.0
    vertical, horizontal = (float(part) for part in ratio)
    return vertical / horizontal


def _thickness(measures: Dataset) -> float | None:
    for tag in ("SpacingBetweenSlices", "SliceThickness"):
        value = abs(_number(measures.get(tag), 0.0))
        if value > 0 and math.isfinite(value):
            return value
    return None


def patient_of(files: Iterable[Path]) -> str:
    """Who was imaged, as the first DICOM file says: the patient's number and who gave it; empty where none says so.

    For telling patients apart, and for nothing else: it is never written anywhere as it is.
    """
    for file in files:
        try:
            with discreet():  # a text is decoded, and complained of, when it is asked for
                header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_PATIENT))
                issuer, number = (str(header.get(tag, "")).strip() for tag in _PATIENT)
        except Exception:  # as above; an image whose patient cannot be read is an image all the same
            continue
        # What has been made anonymous is often "ANONYMOUS" or 0 for all, and these are not one patient.
        if set(number) & set("123456789"):
            return f"{issuer}/{number}"
    return ""
