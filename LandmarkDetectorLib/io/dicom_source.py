"""The whole headers of DICOM images, patient and all, for a report that is to be filed with them.

Nothing else in this library reads these; whoever calls it was asked to by the person.
"""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io.dicom_header import discreet, is_dicom
from LandmarkDetectorLib.io.names import shown


def source_headers(path: Path) -> list[Dataset]:
    """The headers of one image, or of all images of the series in a folder, without their pixels.

    Raises:
        ImageError: there is no DICOM image, or the folder holds several series.
    """
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
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
                headers.append(header)
    if not headers:
        raise ImageError(
            f"{shown(path)}: it is no DICOM image, so there is no patient to copy; give the series itself."
        )
    if len({str(header.get("SeriesInstanceUID")) for header in headers}) > 1:
        raise ImageError(f"{shown(path)}: the folder holds several series; give a folder with one.")
    return headers
