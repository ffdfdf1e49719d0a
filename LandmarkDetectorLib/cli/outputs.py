"""Which files a detection will write: settled before anything is read, so that nothing is lost or half done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from LandmarkDetectorLib.core.errors import ImageError, LandmarkDetectorError, LandmarkFileError
from LandmarkDetectorLib.io.names import stem_of

SUFFIXES = (".mrk.json", ".fcsv", ".csv", ".xlsx", ".html")

MEASURED = ".measurements"
"""What stands before the suffix of a file of measurements, beside that of the landmarks."""


@dataclass(frozen=True)
class Job:
    """One image and the files that its landmarks go to."""

    image: Path
    files: tuple[Path, ...]


def stem(image: Path) -> str:
    """The name of an image without what tells its format: ``skull`` of ``skull.nii.gz``; a folder's name as it is."""
    image = Path(os.path.abspath(image))  # not resolved: a link has the name that a person gave it
    return stem_of(image, "" if image.is_dir() else None)


def plan(
    images: Sequence[Path], output: Path, *, report: bool = True, measured: bool = False, overwrite: bool = False
) -> list[Job]:
    """The jobs of one call; nothing is written here.

    Args:
        images: files or folders with a DICOM series.
        output: a file for a single image, its suffix deciding the format (one of :data:`SUFFIXES`); else a folder,
            which gets NAME.mrk.json, NAME.csv and NAME.html of each image.
        report: whether a folder gets the pages as well.
        measured: whether a folder gets files of measurements too, NAME.measurements.csv and .html.
        overwrite: whether files that are there may be replaced; a person may have corrected them.

    Raises:
        LandmarkFileError: a suffix without a format, one file for several images, two images of the same name, or a
            file that is there already; or a place where no folder can be.
    """
    if names_a_file(output):
        if len(images) > 1:
            raise LandmarkFileError(f"{output} is one file for {len(images)} images; give a folder as --output.")
        jobs = [Job(images[0], (output,))]
    else:
        suffixes: tuple[str, ...] = (".mrk.json", ".csv", ".html") if report else (".mrk.json", ".csv")
        if measured:
            suffixes += (f"{MEASURED}.csv", f"{MEASURED}.html") if report else (f"{MEASURED}.csv",)
        _check_names(images)
        jobs = [Job(image, tuple(output / f"{stem(image)}{suffix}" for suffix in suffixes)) for image in images]
    present = [file for job in jobs for file in job.files if file.exists()]
    if present and not overwrite:
        others = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise LandmarkFileError(
            f"{present[0]}{others} would be replaced, and somebody may have corrected it; "
            "add --overwrite or give another --output; --cluster skips what is done."
        )
    for folder in {file.parent for job in jobs for file in job.files}:
        _check_place(folder)
    return jobs


def names_a_file(output: Path) -> bool:
    """Whether ``--output`` means a file rather than a folder.

    Raises:
        LandmarkFileError: it means a file of a format that landmarks are not written in.
    """
    if output.is_dir():
        return False
    if output.name.lower().endswith(SUFFIXES):
        return True
    if output.exists() or output.suffix.lower() in (".json", ".txt", ".xml", ".xls", ".htm", ".pdf"):
        raise LandmarkFileError(
            f"{output}: landmarks are written as {', '.join(SUFFIXES)}; choose one of these suffixes."
        )
    return False


def _check_place(folder: Path) -> None:
    """Raise LandmarkFileError where a folder cannot be written, or not be made; it is not made yet."""
    place = folder.absolute()
    while not os.path.lexists(place) and place != place.parent:  # of a drive that is not there nothing exists
        place = place.parent
    if not place.is_dir():
        raise LandmarkFileError(f"{folder} can be no folder, for {place} is not one; give another --output.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise LandmarkFileError(f"{place} cannot be written by you; give another --output.")


def _check_names(images: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for image in images:
        name = stem(image).casefold()  # on most desktops A.csv and a.csv are one file
        if name in seen:
            raise ImageError(
                f"{seen[name]} and {image} would both be written as {stem(image)}; rename one or detect them apart."
            )
        seen[name] = image


def check_report_can_be_written(otherwise: str = "add --no-report") -> None:
    """Raise LandmarkDetectorError now, not after the detection, where the extra ``report`` is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        raise LandmarkDetectorError(
            f"The HTML report needs {' and '.join(missing)}: run `pip install landmark-detector[report]` "
            f"or {otherwise}."
        )
