"""The whole headers of DICOM images, patient and all, for a report that is to be filed with them.

Nothing else in this library reads these; whoever calls it was asked to by the person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import DA, TM

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.io.dicom_header import discreet, header_of, is_dicom
from LandmarkDetectorLib.io.names import shown

_NEAR = 0.05
"""How far, in voxels, the corners of images may lie from those of slices on the whole: they are the same numbers."""
_ROUNDED = 0.25
"""How far one of them may, since places that were rounded are read as a line through all of them."""
_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""What every DICOM object has (type 2 in PS3.3 C.7.1.1 and C.7.2.1); de-identified images often lack some of it."""


def _sex(value: str) -> None:
    if value not in ("", "F", "M", "O"):
        raise ValueError(value)


_FORMS: dict[str, Callable[[str], object]] = {
    "PatientBirthDate": DA,
    "StudyDate": DA,
    "StudyTime": TM,
    "PatientSex": _sex,
}
"""What refuses a value that no report may repeat."""


def series_files(folder: Path, series: str | None = None) -> list[Path]:
    """The files of a series, in the order of their names.

    Args:
        folder: where they lie.
        series: its SeriesInstanceUID, where the folder holds others as well.
    """
    found = []
    for path in sorted(each for each in folder.iterdir() if each.is_file() and is_dicom(each)):
        header = header_of(path)
        if header is not None and series in (None, str(header.get("SeriesInstanceUID", ""))):
            found.append(path)
    return found


def source_headers(source: Path | Sequence[Path]) -> list[Dataset]:
    """The headers of one image, or of all images of a series, without their pixels.

    What they do not say of patient and study is there, and empty; texts are UTF-8, whatever they were.

    Args:
        source: a file, a folder with a series, or the files of one.

    Raises:
        ImageError: there is no DICOM image, there are several series, or one lacks the number that it is known by or
            says of patient or study what DICOM does not allow.
    """
    if isinstance(source, Path):
        path = source
        files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    else:
        files, path = list(source), source[0].parent
    headers: list[Dataset] = []
    with discreet():
        for file in files:
            if not is_dicom(file):
                continue
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True)
            except (InvalidDicomError, OSError) as error:
                raise ImageError(f"{shown(file)}: it cannot be read as DICOM; copy the series again.") from error
            if "Rows" in header:
                headers.append(_completed(header, shown(file)))
    if not headers:
        raise ImageError(
            f"{shown(path)}: it is no DICOM image, so there is no patient to copy; give the series itself."
        )
    if len({str(header.get("SeriesInstanceUID")) for header in headers}) > 1:
        raise ImageError(f"{shown(path)}: the folder holds several series; give a folder with one.")
    return headers


def _completed(header: Dataset, name: str) -> Dataset:
    lacking = [key for key in _KEYS if not header.get(key)]
    if lacking:
        raise ImageError(f"{name}: it has no {lacking[0]}, by which a report refers to it; export it again.")
    for tag in _MAY_BE_EMPTY:
        if tag not in header:
            setattr(header, tag, None)
    for tag, fits in _FORMS.items():
        try:
            fits(header.get(tag) or "")
        except ValueError:  # which repeats the value
            raise ImageError(f"{name}: its {tag} is none that DICOM allows; mend the header.") from None
    header.decode()  # of Japanese and Korean images with several character sets, which highdicom refuses
    header.SpecificCharacterSet = "ISO_IR 192"
    return header


def lie_in(headers: Sequence[Dataset], grid: Grid) -> bool:
    """Whether images are slices of a grid: each begins at a corner of it, and none at the place of another.

    A volume that was moved, turned or resampled since it was read is not that of its images any more. Images that do
    not say where they lie, and those whose frames each say so, are compared by their size alone.
    """
    corners = [each.ImagePositionPatient for each in headers if each.get("ImagePositionPatient")]
    if len(corners) < len(headers) or grid.dimension == 2:
        return all((int(each.Columns), int(each.Rows)) == grid.size[:2] for each in headers)
    places = grid.to_index(np.array(corners, dtype=np.float64))
    voxels = np.round(places)
    off = places - voxels
    at_a_border = (voxels == 0) | (voxels == np.array(grid.size) - 1)
    return bool(
        grid.contains(grid.to_world(voxels)).all()
        and np.abs(off).max() < _ROUNDED
        and np.abs(off.mean(axis=0)).max() < _NEAR
        and (at_a_border.sum(axis=1) >= 2).all()
        and len(np.unique(voxels, axis=0)) == len(voxels)
    )
