"""Lateral cephalograms of the ISBI challenges of 2014 and 2015: 400 pictures, 19 landmarks, two observers.

::

    RawImage/TrainingData/001.bmp ... 150.bmp     RawImage/Test1Data/151.bmp ...     RawImage/Test2Data/301.bmp ...
    AnnotationsByMD/400_senior/001.txt ...        AnnotationsByMD/400_junior/001.txt ...

A ``.txt`` holds 19 lines ``x,y`` and then a line for each of eight classes of the patient's anatomy (ANB, SNB, ...).
The coordinates name pixels, from 0, as all who work on the set take them (Payer et al. put them at spacing 0.1 and
origin 0); a pixel is 0.1 mm. The folders ``400_senior`` and ``400_junior`` may also stand beside ``RawImage``.

Wang et al. 2016, A benchmark for comparison of dental radiography analysis algorithms, doi 10.1016/j.media.2016.02.004;
set at https://figshare.com/s/37ec464af8e81ae6ebbf.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers.findings import numbers, subfolder, true_set
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.text_files import read_text

LABELS = (
    "Sella",
    "Nasion",
    "Orbitale",
    "Porion",
    "Subspinale",
    "Supramentale",
    "Pogonion",
    "Menton",
    "Gnathion",
    "Gonion",
    "Lower incisor",
    "Upper incisor",
    "Upper lip",
    "Lower lip",
    "Subnasale",
    "Soft tissue pogonion",
    "Posterior nasal spine",
    "Anterior nasal spine",
    "Articulare",
)
SPACING = (0.1, 0.1)
"""mm a pixel."""

_PARTS = {"training": ("TrainingData", 1, 150), "test1": ("Test1Data", 151, 300), "test2": ("Test2Data", 301, 400)}
_OBSERVERS = ("senior", "junior")


@register_importer("isbi2015")
def isbi2015(folder: Path, *, truth: str = "mean") -> ImportedDataset:
    """The challenge's folder; parts that are not there are passed over, and both observers are kept.

    Args:
        folder: holds ``RawImage`` and the annotations.
        truth: ``"mean"`` of both observers, as the challenge took it, or ``"senior"`` or ``"junior"``.

    Raises:
        DatasetError: a folder or a picture is missing, or nobody of the name in ``truth`` annotated.
        LandmarkFileError: a file of landmarks is missing or has a wrong line.
    """
    raw = subfolder(folder, "RawImage", holding="TrainingData, Test1Data and Test2Data")
    observers = {
        name: subfolder(folder, f"AnnotationsByMD/400_{name}", f"400_{name}", holding="a .txt for each picture")
        for name in _OBSERVERS
    }
    cases = []
    for part, (place, first, last) in _PARTS.items():
        if not (raw / place).is_dir():
            continue
        annotated = {path.stem for path in observers["senior"].glob("*.txt")}
        pictured = {path.stem for path in (raw / place).glob("*.bmp")}
        expected = {stem for stem in annotated if stem.isdecimal() and first <= int(stem) <= last}
        for stem in sorted(pictured | expected):
            image = raw / place / f"{stem}.bmp"
            if stem not in pictured:
                raise DatasetError(f"{place}: the picture {image.name} is not there; unpack RawImage again.")
            raters, classes = {}, {}
            for name, notes in observers.items():
                raters[name], classes[name] = _annotation(notes / f"{stem}.txt", stem)
            marks = true_set(truth, raters, LABELS, stem)
            cases.append(ImportedCase(stem, image, marks, SPACING, raters, {"part": part, "classes": classes}))
    source = "Wang et al. 2016, doi 10.1016/j.media.2016.02.004"
    extra = {"modality": "lateral cephalogram (X-ray)", "spacing_mm": list(SPACING), "truth": truth, "source": source}
    return ImportedDataset("isbi2015", LABELS, tuple(cases), extra)


def _annotation(path: Path, subject: str) -> tuple[LandmarkSet, list[int]]:
    """The landmarks in mm, and the classes that follow them."""
    name = f"{path.parent.name}/{shown(path)}"
    try:
        text = read_text(path)
    except LandmarkFileError as error:
        raise LandmarkFileError(f"{path.parent.name}/{error}") from None
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    count = sum("," in line for _, line in lines)
    if count != len(LABELS) or not all("," in line for _, line in lines[: len(LABELS)]):
        raise LandmarkFileError(
            f"{name}: {count} of its lines are x,y and the first {len(LABELS)} should be; unpack the annotations again."
        )
    index = np.array([numbers(line.split(","), 2, f"{name}: line {i}") for i, line in lines[: len(LABELS)]])
    classes: list[Any] = [int(numbers([line], 1, f"{name}: line {i}")[0]) for i, line in lines[len(LABELS) :]]
    return LandmarkSet.from_positions(LABELS, index * SPACING, "mm", subject), classes
