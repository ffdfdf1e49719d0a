"""Spine radiographs from the front, of the challenge AASCE 2019 (SpineWeb, data set 16): 17 vertebrae, 68 landmarks.

::

    boostnet_labeldata/data/{training,test}/*.jpg
    boostnet_labeldata/labels/{training,test}/{filenames,landmarks,angles}.csv

A row of ``landmarks.csv`` belongs to the same row of ``filenames.csv`` and holds 68 x and then 68 y, as fractions of
the picture's width and height; four landmarks a vertebra, from the first thoracic to the fifth lumbar one: upper left,
upper right, lower left, lower right, as seen in the picture. ``angles.csv`` has three Cobb angles a row. Only these
tables are read, not the ``.mat`` files beside them, nor the challenge's final test set, which has no landmarks.

A fraction counts from the corner of the picture, so half a pixel is taken away; whether those who annotated counted
from 0 or from 1 is not on record, and half a pixel is the middle. Some annotations are known to be wrong (a vertebra
skipped, or the last one at the top): where the vertebrae do not follow each other downwards the case says ``"suspect":
true``.

Wu et al. 2017, Automatic landmark estimation for adolescent idiopathic scoliosis assessment using BoostNet, doi
10.1007/978-3-319-66182-7_15; Wang et al. 2021, AASCE challenge, doi 10.1016/j.media.2021.102115.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers.findings import number_rows, numbers
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.names import stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.pixels import file_name, offset_of, picture_size

VERTEBRAE = tuple(f"T{number}" for number in range(1, 13)) + tuple(f"L{number}" for number in range(1, 6))
CORNERS = ("upper left", "upper right", "lower left", "lower right")
LABELS = tuple(f"{vertebra} {corner}" for vertebra in VERTEBRAE for corner in CORNERS)

_PARTS = ("training", "test")
_LARGEST = 1.5
"""A landmark may lie beyond the picture's edge; what lies farther out is no fraction of it."""


@register_importer("spine-ap")
def spine_ap(folder: Path) -> ImportedDataset:
    """The folder ``boostnet_labeldata``, or the one that holds it; a part that is not there is passed over.

    Raises:
        DatasetError: no part is there, the tables of a part do not have the same number of rows, a name stands twice,
            or a picture is missing.
        LandmarkFileError: a row is wrong, with its number.
    """
    root = folder / "boostnet_labeldata" if (folder / "boostnet_labeldata").is_dir() else folder
    parts = [part for part in _PARTS if (root / "labels" / part).is_dir()]
    if not parts:
        raise DatasetError(
            f"{root}: there is no folder labels/training or labels/test in it; give boostnet_labeldata, or the folder "
            "that holds it."
        )
    cases = [case for part in parts for case in _part(root, part)]
    suspects = sum("suspect" in case.extra for case in cases)
    if suspects:
        notice(f"{folder.name}: in {suspects} pictures the vertebrae do not follow each other downwards; look at them.")
    about = {
        "modality": "spine radiograph from the front (X-ray)",
        "source": "Wu et al. 2017, doi 10.1007/978-3-319-66182-7_15",
    }
    return ImportedDataset("spine-ap", LABELS, tuple(cases), about)


def _part(root: Path, part: str) -> list[ImportedCase]:
    tables = root / "labels" / part
    names = [(row, file_name(cells[0])) for row, cells in number_rows(tables / "filenames.csv")]
    rows = list(number_rows(tables / "landmarks.csv"))
    angles = list(number_rows(tables / "angles.csv")) if (tables / "angles.csv").is_file() else None
    for table, count in (("landmarks.csv", len(rows)), ("angles.csv", len(names if angles is None else angles))):
        if count != len(names):
            raise DatasetError(
                f"labels/{part}: {table} has {count} rows and filenames.csv {len(names)}; take both from one download."
            )
    seen: set[str] = set()
    cases = []
    for number, ((row, name), (_, cells)) in enumerate(zip(names, rows, strict=True)):
        place = f"labels/{part}/landmarks.csv: row {row}"
        if name in seen:
            raise DatasetError(f"labels/{part}/filenames.csv: row {row} has {name!r} again; keep one row a picture.")
        seen.add(name)
        image = root / "data" / part / name
        if not image.is_file():
            raise DatasetError(f"data/{part}: the picture {name} is not there; unpack the data again.")
        fractions = numbers(cells, 2 * len(LABELS), place).reshape(2, -1).T
        if np.abs(fractions).max() > _LARGEST:
            raise LandmarkFileError(f"{place} has {np.abs(fractions).max():g}, which is no fraction of the picture.")
        index = fractions * picture_size(image) - offset_of("corner", name)
        subject = f"{part}-{stem_of(name)}"  # a name may stand in both parts
        extra: dict[str, Any] = {"part": part}
        if angles is not None:
            spot = f"labels/{part}/angles.csv: row {angles[number][0]}"
            extra["cobb_angles_deg"] = numbers(angles[number][1], 3, spot).tolist()
        if np.any(np.diff(index.reshape(len(VERTEBRAE), -1, 2)[..., 1].mean(1)) <= 0):
            extra["suspect"] = True
        marks = LandmarkSet.from_positions(LABELS, index, "px", subject)
        cases.append(ImportedCase(subject, image, marks, extra=extra))
    return cases
