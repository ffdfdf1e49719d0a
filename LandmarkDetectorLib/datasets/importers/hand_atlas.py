"""Hand radiographs of the digital hand atlas with the 37 landmarks of Payer et al.

::

    all.csv                              (or setup/all.csv, labels/all.csv)
    cv/set1/train.txt  cv/set1/test.txt ... set2, set3      (beside all.csv; optional)
    any folder of images, each called by its id: jpg/3128.jpg, images/3128.nii.gz, ...

A row of ``all.csv`` is ``id,x0,y0,...,x36,y36``, without a header; coordinates name pixels of the image, from 0. Nobody
knows the size of a pixel: it is taken, image by image, from a wrist of 50 mm between the landmarks 0 and 4, as Payer et
al. do (Integrating spatial configuration into heatmap regression based CNNs, 2019, doi 10.1016/j.media.2019.03.007;
the two landmarks by number in the evaluation of Zhu et al., arXiv 2103.04657). A millimetre of these errors is one of
such wrists, not of the hand.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers.findings import Images, number_rows, numbers
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.text_files import read_text

LABELS = tuple(str(number) for number in range(37))
WRIST = (0, 4)
"""The landmarks between which the wrist is measured."""
WRIST_MM = 50.0

_TABLES = ("all.csv", "setup/all.csv", "labels/all.csv")


@register_importer("hand-atlas")
def hand_atlas(folder: Path, *, images: str = "") -> ImportedDataset:
    """The folder of the hand atlas; an image's ``fold`` is the set in whose test list it stands.

    Args:
        folder: holds the table and, at any depth, the images.
        images: the folder of the images in it, where each lies there in several versions.

    Raises:
        DatasetError: the table or an image is missing, an id stands twice, or a list names an unknown id.
        LandmarkFileError: a row of the table is wrong, with its number.
    """
    table = next((folder / place for place in _TABLES if (folder / place).is_file()), None)
    if table is None:
        raise DatasetError(f"{folder.name}: there is no all.csv in it; put Payer's table of landmarks there.")
    pictures = Images(folder / images)
    rows: dict[str, np.ndarray] = {}
    for row, cells in number_rows(table):
        key, place = cells[0].strip(), f"all.csv: row {row}"
        if key in rows:
            raise DatasetError(f"{place} has the id {key!r} again; keep one row for each image.")
        rows[key] = numbers(cells[1:], 2 * len(LABELS), place).reshape(-1, 2)
    folds = _folds(table.parent / "cv", set(rows))
    cases = []
    for key, index in rows.items():
        width = float(np.linalg.norm(index[WRIST[0]] - index[WRIST[1]]))
        if width == 0:
            raise LandmarkFileError(f"all.csv: the wrist of {key} has no width, so its pixels have no size; mend it.")
        spacing = (WRIST_MM / width,) * 2
        marks = LandmarkSet.from_positions(LABELS, index * spacing, "mm", key)
        extra = {"fold": folds[key]} if key in folds else {}
        cases.append(ImportedCase(key, pictures.named(key), marks, spacing, extra=extra))
    about = {
        "modality": "hand radiograph (X-ray)",
        "source": "Payer et al. 2019, doi 10.1016/j.media.2019.03.007",
        "scale": f"each image at a wrist of {WRIST_MM:g} mm between the landmarks {WRIST[0]} and {WRIST[1]}",
    }
    return ImportedDataset("hand-atlas", LABELS, tuple(cases), about)


def _folds(folder: Path, known: set[str]) -> dict[str, int]:
    """The number of the set in whose ``test.txt`` an id stands."""
    folds: dict[str, int] = {}
    for path in sorted(folder.glob("set*/test.txt")):
        match = re.fullmatch(r"set(\d+)", path.parent.name)
        if match is None:
            continue
        trained = _ids(path.with_name("train.txt")) if path.with_name("train.txt").is_file() else set()
        for key in _ids(path):
            place = f"cv/{path.parent.name}/test.txt"
            if key not in known:
                raise DatasetError(f"{place} names {key!r}, which is not in all.csv; take it out of the list.")
            if key in folds or key in trained:
                raise DatasetError(
                    f"{place} names {key!r}, which is trained on or tested elsewhere too; mend the list."
                )
            folds[key] = int(match[1])
    return folds


def _ids(path: Path) -> set[str]:
    return {line.strip() for line in read_text(path).splitlines() if line.strip()}
