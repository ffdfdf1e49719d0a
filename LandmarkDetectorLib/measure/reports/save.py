"""One door for all files of measurements: the suffix chooses the form."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from LandmarkDetectorLib.core import LandmarkDetectorError, LandmarkFileError, MeasurementError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.names import shown, suffix_of
from LandmarkDetectorLib.measure.subject import Measured

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MANY = (".csv", ".xlsx")
"""Suffixes of files that hold many subjects; the others hold one."""

SUFFIXES = (*MANY, ".html", ".pdf", ".dcm", ".mrk.json")
"""Suffixes of all files that measurements are written to."""

NEEDS = {
    ".xlsx": ("openpyxl>=3.1",),
    ".html": ("matplotlib>=3.8", "jinja2>=3.1"),
    ".pdf": ("matplotlib>=3.8", "reportlab>=4.0"),
    ".dcm": ("highdicom>=0.25",),
}
"""The packages of a suffix, as pip calls them and with the bounds of the extra ``report``; each is imported by the name
before the ``>``.
"""


def missing_packages(suffix: str) -> list[str]:
    """The lines of :data:`NEEDS` of which nothing is installed; none of the packages is imported."""
    return [line for line in NEEDS.get(suffix, ()) if find_spec(_name(line)) is None]


def _name(line: str) -> str:
    return line.partition(">")[0]


def save_measurements(
    subjects: Sequence[Measured],
    path: str | os.PathLike[str],
    *,
    wide: bool = False,
    compared: bool = False,
    source: Sequence[Dataset] = (),
    progress: Callable[[str, float], None] | None = None,
) -> None:
    """Write measurements, whole or not at all.

    Args:
        subjects: one, or for .csv and .xlsx any number.
        path: ends in one of :data:`SUFFIXES`.
        wide: of a .csv, a row a subject; a row a result otherwise. A workbook has both.
        compared: of a .csv or .xlsx, the two subjects are one at two times, whose differences are written as well.
        source: of a .dcm, the headers of the DICOM images in which the landmarks lie; their patient and study are
            copied into it.
        progress: of a .html or .pdf, is told what is at work and the fraction of it that is done; it may raise
            ``Cancelled``, and nothing is written.

    Raises:
        LandmarkFileError: an unknown suffix, several subjects for a file of one, or the file cannot be written.
        MeasurementError: the form cannot hold what was measured, or not two subjects are compared.
        LandmarkDetectorError: a package is not installed.
    """
    path = Path(path)
    suffix = suffix_of(path)
    check_can_be_written([path])
    if suffix not in MANY and len(subjects) != 1:
        raise LandmarkFileError(
            f"{shown(path)}: a {suffix} file holds one subject and {len(subjects)} were measured; give .csv or .xlsx."
        )
    if compared and len(subjects) != 2:
        raise MeasurementError(
            f"Two times are compared, and {len(subjects)} were given; give the first and the second."
        )
    if suffix == ".csv":
        from LandmarkDetectorLib.measure.reports.tables import write_csv

        write_csv(subjects, path, wide=wide, compared=compared)
    elif suffix == ".xlsx":
        from LandmarkDetectorLib.measure.reports.tables import write_xlsx

        write_xlsx(subjects, path, compared=compared)
    elif suffix == ".dcm":
        from LandmarkDetectorLib.measure.reports.structured import write_structured_report

        write_structured_report(subjects[0], path, source)
    elif suffix == ".mrk.json":
        from LandmarkDetectorLib.measure.reports.markups import write_measured_markups

        write_measured_markups(subjects[0], path)
    else:
        (_html if suffix == ".html" else _pdf)(subjects[0], path, progress)


def _html(measured: Measured, path: Path, progress: Callable[[str, float], None] | None) -> None:
    from LandmarkDetectorLib.measure.reports.html import render_measurements

    page = render_measurements(measured, progress=progress)
    with atomic_write(path, "w", encoding="utf-8") as stream:
        stream.write(page)


def _pdf(measured: Measured, path: Path, progress: Callable[[str, float], None] | None) -> None:
    from LandmarkDetectorLib.measure.reports.pdf import render_pdf

    data = render_pdf(measured, progress=progress)
    with atomic_write(path) as stream:
        stream.write(data)


def check_can_be_written(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Raise now, and not after the work, where a file is of no form that we write or its package is not installed.

    Raises:
        LandmarkFileError: an unknown suffix.
        LandmarkDetectorError: a package is not installed.
    """
    for path in paths:
        suffix = suffix_of(path)
        if suffix not in SUFFIXES:
            raise LandmarkFileError(
                f"{shown(path)}: measurements are written as {', '.join(SUFFIXES)}; choose one of these suffixes."
            )
        missing = [_name(line) for line in missing_packages(suffix)]
        if missing:
            raise LandmarkDetectorError(
                f"A {suffix} file of measurements needs {' and '.join(missing)}: "
                "run `pip install landmark-detector[report]` or choose another suffix."
            )
