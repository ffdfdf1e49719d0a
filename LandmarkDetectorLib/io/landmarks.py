"""Files into landmarks, and landmarks into files; the suffix chooses the format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, TypeVar

from LandmarkDetectorLib.core import LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.coco import is_coco
from LandmarkDetectorLib.io.fcsv import read_fcsv, write_fcsv
from LandmarkDetectorLib.io.json_files import parse_json
from LandmarkDetectorLib.io.labelme import is_labelme, read_labelme
from LandmarkDetectorLib.io.markups import read_markups, write_markups
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of
from LandmarkDetectorLib.io.spreadsheets import read_spreadsheet, write_spreadsheet
from LandmarkDetectorLib.io.tables import read_table, write_table
from LandmarkDetectorLib.io.text_files import read_text
from LandmarkDetectorLib.io.tps import read_single_tps

_Function = TypeVar("_Function")


class _Writer(Protocol):
    def __call__(self, landmarks: LandmarkSet, path: Path, *, coordinate_system: str = "LPS") -> None: ...


def _read_json(path: Path) -> LandmarkSet:
    """A ``.json`` file by its content: Slicer's markups, which name their schema, or LabelMe's shapes."""
    text = read_text(path)
    if '"@schema"' in text:
        return read_markups(path)
    document = parse_json(text, shown(path))
    if is_coco(document):
        raise LandmarkFileError(f"{shown(path)}: it is in COCO's form and holds many images; read it with read_coco.")
    return read_labelme(path) if is_labelme(document) else read_markups(path)


_READERS = {
    ".mrk.json": read_markups,
    ".json": _read_json,
    ".fcsv": read_fcsv,
    ".csv": read_table,
    ".xlsx": read_spreadsheet,
    ".tps": read_single_tps,
}
_WRITERS: dict[str, _Writer] = {
    ".mrk.json": write_markups,
    ".json": write_markups,
    ".fcsv": write_fcsv,
    ".csv": write_table,
    ".xlsx": write_spreadsheet,
}


LANDMARK_SUFFIXES = (".mrk.json", ".fcsv", ".csv", ".xlsx", ".json")
"""Of landmarks in a folder; of several files of one name the first kind is taken."""

MEASURED = "measurements"
"""How the tables that ``measure`` writes into a folder are called, which are no landmarks."""

_NO_LANDMARKS = (MEASURED, f"{MEASURED}-wide", "dataset")


def landmark_files(folder: Path) -> dict[str, Path]:
    """The files of landmarks in a folder, by the stems of their names and in the order of these.

    What ``measure`` wrote there and the description of a data set are passed over.
    """
    chosen: dict[str, Path] = {}
    for suffix in LANDMARK_SUFFIXES:
        for file in sorted(folder.iterdir()):
            name = stem_of(file)
            if name in _NO_LANDMARKS or name.endswith(f".{MEASURED}"):
                continue
            if file.is_file() and suffix_of(file) == suffix:
                chosen.setdefault(name, file)
    return dict(sorted(chosen.items()))


def load_landmarks(path: str | os.PathLike[str]) -> LandmarkSet:
    """Read landmarks of one image, in any format that :mod:`LandmarkDetectorLib.io` lists.

    A ``.json`` file is told by its content, Slicer's markups or LabelMe's.

    Args:
        path: the file; labels may stand in it twice, and are refused only where landmarks are paired.

    Returns:
        The landmarks in LPS, in mm or px as the file says. What else a markups file holds is kept in
        ``info["markups"]`` and written back by :func:`save_landmarks`.

    Raises:
        LandmarkFileError: the file is missing, of an unknown format, damaged, or says something impossible.
    """
    path = Path(path)
    return _chosen(_READERS, path)(path)


def save_landmarks(landmarks: LandmarkSet, path: str | os.PathLike[str], *, coordinate_system: str = "LPS") -> None:
    """Write landmarks, whole or not at all.

    .mrk.json keeps everything, .csv and .xlsx all but ``info``, .fcsv positions in mm.

    Args:
        landmarks: in LPS, as everywhere.
        path: ends in .mrk.json, .json, .fcsv, .csv or .xlsx.
        coordinate_system: ``"LPS"`` or ``"RAS"``, that of the positions in the file.

    Raises:
        LandmarkFileError: the format is unknown or cannot hold the set, or the file cannot be written.
    """
    path = Path(path)
    _chosen(_WRITERS, path)(landmarks, path, coordinate_system=coordinate_system)


def check_landmark_format(path: str | os.PathLike[str]) -> None:
    """Raise LandmarkFileError now, not after hours of work, where the suffix is of no format that can be written."""
    _chosen(_WRITERS, Path(path))


def _chosen(known: dict[str, _Function], path: Path) -> _Function:
    suffix = suffix_of(path)
    if suffix not in known:
        raise LandmarkFileError(f"{shown(path)}: files of landmarks end in {', '.join(known)}; choose one of these.")
    return known[suffix]
