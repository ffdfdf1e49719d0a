"""Rows of texts and numbers as an Excel workbook: texts stay texts, numbers are numbers, the first row is a heading."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.names import shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What begins a formula in one spreadsheet or another; and the apostrophe, so that it can be told apart again."""
_LONGEST_TEXT = 32767  # Excel's own limit
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0 has no way to write these


def no_formula(text: str) -> str:
    """The text of a CSV cell such that no spreadsheet takes it for a formula: with an apostrophe before it, if need be.

    A label or a file's name comes from whoever made a bundle or an image, and a formula can send off what stands
    beside it.
    """
    return f"'{text}" if text[:1] in _FORMULA and text else text


def as_written(text: str) -> str:
    """The text of which :func:`no_formula` made this."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA and len(text) > 1 else text


def write_workbook(
    sheets: Mapping[str, Sequence[Sequence[str | float | None]]], path: Path, *, otherwise: str = "save as .csv"
) -> None:
    """Write a workbook, whole or not at all.

    Args:
        sheets: rows by the sheet's name, the first of them the heading.
        path: the file.
        otherwise: what to do about a text that a workbook cannot hold.

    Raises:
        LandmarkFileError: a text that a workbook cannot hold, openpyxl is not installed, or the file cannot be written.
    """
    openpyxl = need_openpyxl(path)
    book = openpyxl.Workbook()
    book.properties.creator = f"LandmarkDetector {__version__}"
    for number, (name, rows) in enumerate(sheets.items()):
        sheet = book.active if number == 0 else book.create_sheet(name)
        sheet.title = name
        _fill(sheet, rows, path, otherwise)
        if number == 0:
            sheet.freeze_panes = "B2"
    packed = io.BytesIO()
    try:
        book.save(packed)
    except OSError as error:  # openpyxl puts the sheets into temporary files first
        raise LandmarkFileError(
            f"{shown(path)}: the folder for temporary files takes no more ({error.strerror}); free some space there."
        ) from error
    with atomic_write(path) as stream:
        stream.write(packed.getvalue())


def need_openpyxl(path: Path) -> Any:
    """The library that reads and writes workbooks.

    Raises:
        LandmarkFileError: it is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise LandmarkFileError(f"{shown(path)}: Excel files need openpyxl; install it, or save as .csv.") from None
    return openpyxl


def _fill(sheet: Any, rows: Sequence[Sequence[str | float | None]], path: Path, otherwise: str) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row, start=1):
            if value is None or value == "":
                continue
            cell = sheet.cell(number, column)
            if isinstance(value, str):
                cell.value = _fitting(value, path, otherwise)
                cell.data_type = "s"  # never a formula
            else:
                cell.value = float(value)
                cell.number_format = "0.000"
            if number == 1:
                cell.font = Font(bold=True)
    for column in range(1, len(rows[0]) + 1):
        longest = max(len(row[column - 1]) if isinstance(row[column - 1], str) else 8 for row in rows)  # type: ignore[arg-type]
        sheet.column_dimensions[get_column_letter(column)].width = min(60, longest + 2)


def _fitting(text: str, path: Path, otherwise: str) -> str:
    """The text, where a workbook can hold it."""
    if (unfit := _UNFIT.search(text)) is not None:
        raise LandmarkFileError(
            f"{shown(path)}: the character {unfit[0]!r} cannot stand in a workbook; mend the text that holds it, "
            f"or {otherwise}."
        )
    if len(text) > _LONGEST_TEXT:
        raise LandmarkFileError(
            f"{shown(path)}: a text of {len(text)} characters is too long for a workbook; {otherwise}."
        )
    return text
