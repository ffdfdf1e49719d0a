"""Landmarks as CSV tables: our own, which says its axes and unit in its header, and 3D Slicer's control point table.

Ours, with positions in LPS or RAS and in mm or px, as the column names say; a 2D set has no z column::

    label,x_lps_mm,y_lps_mm,z_lps_mm,status,confidence,description
    nasion,1.5,-20.25,3.0,defined,0.93,
    porion left,,,,missing,,

A column ``review`` follows where the landmarks are a detector's: ``unreviewed`` is a proposal that nobody has looked
at; it is for people, and not read. Columns ``covariance_xx_lps_mm2`` and so on follow where a landmark has a
covariance. Slicer's table has the columns ``label,l,p,s,defined,selected,visible,locked,description`` (or r, a, s) and
is only read: it rounds to six digits. Numbers have a decimal point, whatever the computer's region. A text that a
spreadsheet would take for a formula has an apostrophe before it, which is taken off again when the table is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.core.landmarks import STATUSES
from LandmarkDetectorLib.io.markups import COORDINATE_SYSTEMS
from LandmarkDetectorLib.io.markups_review import known_statuses
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.sheets import as_written, no_formula
from LandmarkDetectorLib.io.text_files import read_text, write_text

_POSITION = re.compile(r"([xyz])_(lps|ras)_(mm|px)")
_COVARIANCE = re.compile(r"covariance_([xyz]{2})_(lps|ras)_(mm|px)2")
_SLICER = {"LPS": ("l", "p", "s"), "RAS": ("r", "a", "s")}
_SIGNS = {"LPS": np.array([1.0, 1.0, 1.0]), "RAS": np.array([-1.0, -1.0, 1.0])}
_STATUS_OF_SLICER = {"1": "defined", "0": "undefined"}


def read_table(path: Path) -> LandmarkSet:
    """The landmarks of a CSV file, ours or Slicer's, in LPS.

    Raises:
        LandmarkFileError: the header does not say axes and unit, or a row is wrong, with its number counted from 1 at
            the header.
    """
    name = shown(path)
    return landmarks_of_rows(_rows(read_text(path), name), name, stem_of(path))


def landmarks_of_rows(rows: Iterator[tuple[int, list[str]]], name: str, stem: str) -> LandmarkSet:
    """The landmarks of the rows of any table, each with its number, the header first.

    Args:
        rows: all as long as the header.
        name: of the file, for messages.
        stem: how the set is called.

    Raises:
        LandmarkFileError: as :func:`read_table` says.
    """
    header = [cell.strip().lower() for cell in next(rows, (1, []))[1]]
    if "label" not in header:
        advice = "separate the columns by commas" if ";" in "".join(header) else "save the table with its header"
        raise LandmarkFileError(f"{name}: its first row has no column 'label'; {advice}.")
    layout = _Layout.of(header, name)
    landmarks = [layout.landmark(dict(zip(header, cells, strict=True)), f"{name}: row {row}") for row, cells in rows]
    try:
        return LandmarkSet(tuple(landmarks), layout.unit, stem)
    except LandmarkError as error:
        raise LandmarkFileError(str(error)) from None


def write_table(landmarks: LandmarkSet, path: Path, *, coordinate_system: str = "LPS") -> None:
    """Write our table, whole or not at all; every digit of the numbers is kept.

    Raises:
        LandmarkFileError: an unknown coordinate system, a label that a table cannot hold, or a file that cannot be
            written.
    """
    table = io.StringIO()
    # CRLF as in RFC 4180: every Python then quotes a label that holds either of the two.
    writer = csv.writer(table, lineterminator="\r\n")
    for row in rows_of_landmarks(landmarks, path, coordinate_system):
        writer.writerow([_cell(cell) for cell in row])
    write_text(path, table.getvalue())


def _cell(cell: str | float | None) -> str | float:
    """The cell as CSV: a text that a spreadsheet would take for a formula has an apostrophe before it."""
    return no_formula(cell) if isinstance(cell, str) else "" if cell is None else cell


def rows_of_landmarks(landmarks: LandmarkSet, path: Path, coordinate_system: str) -> Iterator[list[str | float | None]]:
    """The header, which says axes and unit, and a row for each landmark; a cell that holds nothing is ``None``.

    Raises:
        LandmarkFileError: an unknown coordinate system, or a text that a table cannot hold.
    """
    if coordinate_system not in COORDINATE_SYSTEMS:
        raise LandmarkFileError(f"{shown(path)}: {coordinate_system!r} is no coordinate system; use LPS or RAS.")
    axes = "xyz"[: landmarks.dimension or 3]
    signs = _SIGNS[coordinate_system][: len(axes)]
    frame = f"{coordinate_system.lower()}_{landmarks.unit}"
    pairs = [(i, j) for i in range(len(axes)) for j in range(i, len(axes))]
    if not any(mark.covariance is not None for mark in landmarks):
        pairs = []
    covariance_names = [f"covariance_{axes[i]}{axes[j]}_{frame}2" for i, j in pairs]
    reviews = known_statuses(landmarks)
    extra = [] if reviews is None else ["review"]
    names = [f"{axis}_{frame}" for axis in axes]
    yield ["label", *names, "status", "confidence", "description", *extra, *covariance_names]
    for number_, mark in enumerate(landmarks):
        check_text(mark.label, path)
        check_text(mark.description, path)
        position = [None] * len(axes) if mark.position is None else (signs * mark.position).tolist()
        spread: list[float | None] = [None] * len(pairs)
        if mark.covariance is not None:
            turned = np.outer(signs, signs) * mark.covariance
            spread = [float(turned[pair]) for pair in pairs]
        said = [] if reviews is None else [reviews[number_]]
        yield [mark.label, *position, mark.status, mark.confidence, mark.description, *said, *spread]


def check_text(text: str, path: Path) -> None:
    """Refuse a null character, at which other programs end a text.

    Raises:
        LandmarkFileError: it holds one.
    """
    if "\0" in text:
        raise LandmarkFileError(f"{shown(path)}: the text {text[:40]!r} holds a null character; take it out.")


def number(text: str, place: str) -> float:
    """A finite number with a decimal point.

    Raises:
        LandmarkFileError: it is none; ``place`` begins the message.
    """
    try:
        value = float(text)
    except ValueError:
        hint = "; write decimals with a point" if re.fullmatch(r"\s*-?\d+,\d+\s*", text) else "; mend the file"
        raise LandmarkFileError(f"{place} has {text[:40]!r} where a number should be{hint}.") from None
    if not np.isfinite(value):
        raise LandmarkFileError(f"{place} has {text[:40]!r} for a number; leave unknown values empty.")
    return value


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which column holds what."""

    position: tuple[str, ...]
    system: str
    unit: str
    covariance: Mapping[tuple[int, int], str]
    from_slicer: bool

    @classmethod
    def of(cls, header: Sequence[str], name: str) -> _Layout:
        if len(set(header)) < len(header):
            raise LandmarkFileError(f"{name}: two of its columns have the same name; name each column once.")
        for system, columns in _SLICER.items():
            if {*columns, "defined"} <= set(header):
                return cls(columns, system, "mm", {}, True)
        found = {match[1]: (match[0], match[2], match[3]) for cell in header if (match := _POSITION.fullmatch(cell))}
        frames = {(system, unit) for _, system, unit in found.values()}
        if len(frames) != 1 or sorted(found) not in (["x", "y"], ["x", "y", "z"]):
            raise LandmarkFileError(
                f"{name}: its header does not say in which axes and unit the positions are; name the columns "
                "x_lps_mm, y_lps_mm, z_lps_mm (or ras, or px)."
            )
        system, unit = frames.pop()
        axes = sorted(found)
        spread = {}
        for cell in header:
            if (match := _COVARIANCE.fullmatch(cell)) and (match[2], match[3]) == (system, unit):
                spread["xyz".index(match[1][0]), "xyz".index(match[1][1])] = cell
        complete = {(i, j) for i in range(len(axes)) for j in range(i, len(axes))}
        if spread and set(spread) != complete:
            raise LandmarkFileError(
                f"{name}: its columns of covariance are not complete in the axes and unit of its positions; "
                "give all or none."
            )
        return cls(tuple(found[axis][0] for axis in axes), system.upper(), unit, spread, False)

    def landmark(self, cells: Mapping[str, str], place: str) -> Landmark:
        texts = [cells[column].strip() for column in self.position]
        status = cells.get("status", "").strip() or None
        if self.from_slicer:
            status = _STATUS_OF_SLICER.get(cells["defined"].strip())
            if status is None:
                raise LandmarkFileError(f"{place} has neither 0 nor 1 for 'defined'; mend the row.")
            texts = texts if status == "defined" else [""] * len(texts)
        signs = _SIGNS[self.system][: len(texts)]
        position = signs * [number(text, place) for text in texts] if any(texts) else None
        if status in STATUSES and (position is None) == (status in ("defined", "preview")):
            held = "without" if position is None else "with"
            raise LandmarkFileError(f"{place} has the status {status!r} {held} a position; mend the row.")
        confidence = cells.get("confidence", "").strip()
        covariance = self._covariance(cells, place, signs)
        try:
            return Landmark(
                cells["label"],
                position,
                status,
                number(confidence, place) if confidence else None,
                covariance,
                cells.get("description", ""),
            )
        except LandmarkError as error:
            raise LandmarkFileError(f"{place}: {error}") from None

    def _covariance(self, cells: Mapping[str, str], place: str, signs: np.ndarray) -> np.ndarray | None:
        texts = {pair: cells[column].strip() for pair, column in self.covariance.items()}
        if not any(texts.values()):
            return None
        matrix = np.empty((len(signs), len(signs)))
        for (i, j), text in texts.items():
            matrix[i, j] = matrix[j, i] = signs[i] * signs[j] * number(text, place)
        return matrix


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers, all as long as the header, without those and the columns behind it that are empty.

    Spreadsheets write rows and columns that somebody has emptied, too.
    """
    width = 0
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    row = 0
    while True:
        row += 1
        try:
            cells = next(rows, None)
        except csv.Error:
            raise LandmarkFileError(
                f"{name}: row {row} has a stray quotation mark or null character; save the landmarks as .mrk.json."
            ) from None
        if cells is None:
            return
        cells = [as_written(cell) for cell in cells]
        if not any(cells):
            continue
        width = width or max(place for place, cell in enumerate(cells, start=1) if cell)
        if len(cells) < width or any(cells[width:]):
            raise LandmarkFileError(f"{name}: row {row} has {len(cells)} columns and the header {width}; mend the row.")
        yield row, cells[:width]
