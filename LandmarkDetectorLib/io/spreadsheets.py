"""Landmarks as an Excel workbook (.xlsx): the columns of our CSV table, and a sheet that says what they mean.

The sheet ``landmarks`` has the header of :mod:`LandmarkDetectorLib.io.tables`, which says axes and unit, and numbers as
numbers (16 digits, as Excel keeps them), whatever the computer's region. A label that begins with ``=`` stays a text.
The sheet ``about`` is for people and is not read.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.tables import landmarks_of_rows, rows_of_landmarks

SHEET, ABOUT = "landmarks", "about"
_LARGEST = 256 << 20
"""Bytes that a workbook may unfold to."""
_LONGEST_TEXT = 32767  # Excel's own limit
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0 has no way to write these
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
    openpyxl = _openpyxl(path)
    rows = list(rows_of_landmarks(landmarks, path, coordinate_system))
    book = openpyxl.Workbook()
    book.properties.creator = f"LandmarkDetector {__version__}"
    sheet = book.active
    sheet.title = SHEET
    _fill(sheet, rows, path)
    sheet.freeze_panes = "B2"
    _fill(book.create_sheet(ABOUT), _about(landmarks, coordinate_system), path)
    packed = io.BytesIO()
    try:
        book.save(packed)
    except OSError as error:  # openpyxl puts the sheets into temporary files first
        raise LandmarkFileError(
            f"{shown(path)}: the folder for temporary files takes no more ({error.strerror}); free some space there."
        ) from error
    with atomic_write(path) as stream:
        stream.write(packed.getvalue())


def read_spreadsheet(path: Path) -> LandmarkSet:
    """The landmarks of a workbook, in LPS: of its sheet ``landmarks``, or of the first where none is called so.

    Raises:
        LandmarkFileError: it is no workbook, too large, damaged or encrypted; or as for a CSV table.
    """
    openpyxl, name = _openpyxl(path), shown(path)
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > _LARGEST:
            raise LandmarkFileError(f"{name}: {size / 2**20:.0f} MiB are too many for landmarks; give another file.")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book[SHEET] if SHEET in book.sheetnames else book.worksheets[0]
            rows = [[_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        finally:
            book.close()
    except FileNotFoundError:
        raise LandmarkFileError(f"{name}: there is no such file; check the path.") from None
    except OSError as error:
        raise LandmarkFileError(f"{name}: it cannot be opened ({error.strerror}); give a file that can.") from None
    except _DAMAGE:
        raise LandmarkFileError(f"{name}: it is no Excel workbook, or damaged or encrypted; save it again.") from None
    return landmarks_of_rows(_numbered(rows, name), name, stem_of(path))


def _fill(sheet: Any, rows: list[list[str | float | None]], path: Path) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row, start=1):
            if value is None or value == "":
                continue
            cell = sheet.cell(number, column)
            if isinstance(value, str):
                cell.value = _fitting(value, path)
                cell.data_type = "s"  # never a formula
            else:
                cell.value = float(value)
                cell.number_format = "0.000"
            if number == 1:
                cell.font = Font(bold=True)
    for column in range(1, len(rows[0]) + 1):
        longest = max(len(row[column - 1]) if isinstance(row[column - 1], str) else 8 for row in rows)  # type: ignore[arg-type]
        sheet.column_dimensions[get_column_letter(column)].width = min(60, longest + 2)


def _about(landmarks: LandmarkSet, system: str) -> list[list[str | float | None]]:
    lines: list[list[str | float | None]] = [
        ["what", "value"],
        ["image", landmarks.name],
        ["coordinates", f"{system}, world: {_MEANING[system]}"],
        ["unit", "millimetres" if landmarks.unit == "mm" else "pixels: the image has no physical scale"],
    ]
    lines += [[key, str(landmarks.info[key])] for key in ("bundle", "version", "fingerprint") if key in landmarks.info]
    return [*lines, ["written by", f"LandmarkDetector {__version__}"]]


def _fitting(text: str, path: Path) -> str:
    """The text, where a workbook can hold it."""
    if (unfit := _UNFIT.search(text)) is not None:
        raise LandmarkFileError(
            f"{shown(path)}: the character {unfit[0]!r} cannot stand in a workbook; mend the label that holds it, "
            "or save as .mrk.json."
        )
    if len(text) > _LONGEST_TEXT:
        raise LandmarkFileError(
            f"{shown(path)}: a text of {len(text)} characters is too long for a workbook; save as .mrk.json."
        )
    return text


def _text(cell: Any) -> str:
    """A cell as the CSV table would have it; a number without decimals as people write it, such as a label 7."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return repr(cell) if isinstance(cell, float) else str(cell)


def _numbered(rows: list[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers, all as long as the header, without those and the columns that are empty."""
    width = 0
    for number, row in enumerate(rows, start=1):
        if not any(row):
            continue
        width = width or max(place for place, cell in enumerate(row, start=1) if cell)
        if any(row[width:]):
            raise LandmarkFileError(f"{name}: row {number} has a cell beyond the last heading; mend the row.")
        yield number, (row + [""] * width)[:width]


def _openpyxl(path: Path) -> Any:
    try:
        import openpyxl
    except ImportError:
        raise LandmarkFileError(f"{shown(path)}: Excel files need openpyxl; install it, or save as .csv.") from None
    return openpyxl
