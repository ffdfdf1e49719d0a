"""Landmarks as an Excel workbook (.xlsx): the columns of our CSV table, and a sheet that says what they mean.

The sheet ``landmarks`` has the header of :mod:`LandmarkDetectorLib.io.tables`, which says axes and unit, and numbers as
numbers (16 digits, as Excel keeps them), whatever the computer's region. A label that begins with ``=`` stays a text.
The sheet ``about`` is for people and is not read.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.markups_review import known_statuses
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.sheets import need_openpyxl, write_workbook
from LandmarkDetectorLib.io.tables import landmarks_of_rows, rows_of_landmarks

SHEET, ABOUT = "landmarks", "about"
_LARGEST = 256 << 20
"""Bytes that a workbook may unfold to."""
_MOST_ROWS = 1 << 20  # Excel's own limit
_MEANING = {
    "LPS": "x grows to the patient's left, y to the back, z to the head (as in DICOM and ITK)",
    "RAS": "x grows to the patient's right, y to the front, z to the head (as 3D Slicer shows them)",
}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # encrypted
)
"""How openpyxl and zipfile say that a file is no workbook."""


def write_spreadsheet(landmarks: LandmarkSet, path: Path, *, coordinate_system: str = "LPS") -> None:
    """Write a workbook, whole or not at all.

    Raises:
        LandmarkFileError: an unknown coordinate system, a text that a workbook cannot hold, openpyxl is not installed,
            or the file cannot be written.
    """
    rows = list(rows_of_landmarks(landmarks, path, coordinate_system))
    about = _about(landmarks, coordinate_system)
    write_workbook({SHEET: rows, ABOUT: about}, path, otherwise="save as .mrk.json")


def read_spreadsheet(path: Path) -> LandmarkSet:
    """The landmarks of a workbook, in LPS: of its sheet ``landmarks``, or of the first where none is called so.

    Raises:
        LandmarkFileError: it is no workbook, too large, damaged or encrypted; or as for a CSV table.
    """
    openpyxl, name = need_openpyxl(path), shown(path)
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > _LARGEST:
            raise LandmarkFileError(f"{name}: {size / 2**20:.0f} MiB are too many for landmarks; give another file.")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book[SHEET] if SHEET in book.sheetnames else book.worksheets[0]
            # Some programs write that the sheet is one cell, others that it is all that Excel has room for.
            sheet.reset_dimensions()
            rows = list(_numbered(sheet.iter_rows(max_row=_MOST_ROWS, values_only=True), name))
        finally:
            book.close()
    except FileNotFoundError:
        raise LandmarkFileError(f"{name}: there is no such file; check the path.") from None
    except OSError as error:
        raise LandmarkFileError(f"{name}: it cannot be opened ({error.strerror}); give a file that can.") from None
    except _DAMAGE:
        raise LandmarkFileError(f"{name}: it is no Excel workbook, or damaged or encrypted; save it again.") from None
    return landmarks_of_rows(iter(rows), name, stem_of(path))


def _about(landmarks: LandmarkSet, system: str) -> list[list[str | float | None]]:
    lines: list[list[str | float | None]] = [
        ["what", "value"],
        ["image", landmarks.name],
        ["coordinates", f"{system}, world: {_MEANING[system]}"],
        ["unit", "millimetres" if landmarks.unit == "mm" else "pixels: the image has no physical scale"],
    ]
    lines += [[key, str(landmarks.info[key])] for key in ("bundle", "version", "fingerprint") if key in landmarks.info]
    if known_statuses(landmarks) is not None:
        lines.append(["review", "a landmark that is unreviewed is a proposal of a program: no person has looked at it"])
    return [*lines, ["written by", f"LandmarkDetector {__version__}"]]


def _text(cell: Any) -> str:
    """A cell as the CSV table would have it; a number without decimals as people write it, such as a label 7."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return repr(cell) if isinstance(cell, float) else str(cell)


def _numbered(rows: Iterable[Sequence[Any]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers, all as long as the header, without those and the columns that are empty."""
    width = 0
    for number, cells in enumerate(rows, start=1):
        row = [_text(cell) for cell in cells]
        if not any(row):
            continue
        width = width or max(place for place, cell in enumerate(row, start=1) if cell)
        if any(row[width:]):
            raise LandmarkFileError(f"{name}: row {number} has a cell beyond the last heading; mend the row.")
        yield number, (row + [""] * width)[:width]
