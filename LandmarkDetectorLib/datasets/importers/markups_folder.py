"""Any folder of images, each with a file of landmarks of the same name: what everybody has who works in 3D Slicer.

::

    skull1.nii.gz  skull1.mrk.json  skull2.nrrd  skull2.fcsv  photo.png  photo.json ...     at any depth

Landmarks may be in any format that :func:`LandmarkDetectorLib.io.load_landmarks` reads, LabelMe's among them. They go
as they are, with their labels; the labels of the set are those of all files together, in the order in which they
appear.

Slicer shows a picture with pixels of the size that JPEG and TIFF claim for printing, or of 1 mm, and saves the
landmarks on it in mm: they are turned into px, with a notice, unless a spacing is given, which is then the pixels' true
size. Landmarks in px become mm where a spacing is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.importers.findings import Images, visible_files
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io import load_image, load_landmarks
from LandmarkDetectorLib.io.labelme import LABELME
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.pixels import picture_size, printed_spacing, scale_of
from LandmarkDetectorLib.io.text_files import read_text

_SURELY = (".mrk.json", ".fcsv", ".tps")
"""Suffixes that nothing but landmarks has."""
_PERHAPS = (".json", ".csv", ".xlsx")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_ARRAYS = (".npy", ".npz")
"""Without a scale of their own, of any dimension."""
_PARTS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@register_importer("markups")
def markups(
    folder: Path,
    *,
    ending: str = "",
    spacing: Sequence[float] | None = None,
    lacking: str = "undefined",
    instances: bool = False,
) -> ImportedDataset:
    """Images and landmarks of the same name; a folder called train, val or test on the way is the case's ``part``.

    Args:
        folder: holds both, at any depth.
        ending: what the name of a file of landmarks has more than its image's, such as ``_landmarks``.
        spacing: mm a pixel along x and y, of all pictures.
        lacking: what it means that a file lacks a label that others have: ``"undefined"``, nobody looked, or
            ``"missing"``, the landmark is absent.
        instances: a label may stand several times in a file, as a class of several instances; else that is refused.

    Raises:
        DatasetError: a file of landmarks has no image, an image two files, or a label stands twice in one file.
        LandmarkFileError: a file of landmarks is damaged, or in a unit that its image does not have.
        ImageError: a picture's header cannot be read, or an image with landmarks at z = 0.
    """
    if lacking not in ("undefined", "missing"):
        raise DatasetError(f"A label that a file lacks cannot be {lacking!r}; say 'undefined' or 'missing'.")
    images = Images(folder)
    notes = _paired(folder, images, ending)
    cases, labels = [], dict[str, None]()
    for stem, path in notes.items():
        image = images.named(stem)
        marks = load_landmarks(path)
        twice = next((label for label in marks.labels if marks.labels.count(label) > 1), None)
        if twice is not None and not instances:
            raise DatasetError(
                f"{shown(path)}: two landmarks are called {twice!r}; rename one, or say that labels have instances."
            )
        labels.update(dict.fromkeys(marks.labels))
        picture = suffix_of(image) in _PICTURES
        marks = _on_picture(marks, image, path, spacing) if picture else _in_volume(marks, image, path)
        words = (_PARTS.get(part.lower()) for part in image.relative_to(folder).parts[:-1])
        extra: dict[str, Any] = {"part": part} if (part := next((word for word in words if word), None)) else {}
        size = tuple(float(step) for step in spacing) if picture and spacing is not None else None
        cases.append(ImportedCase(stem, image, marks, size, extra=extra))
    return ImportedDataset(folder.resolve().name, tuple(labels), _completed(cases, tuple(labels), lacking, folder))


def _completed(
    cases: Sequence[ImportedCase], labels: tuple[str, ...], lacking: str, folder: Path
) -> tuple[ImportedCase, ...]:
    """The cases with all labels each, in order."""
    short = sum(len(set(case.landmarks.labels)) < len(labels) for case in cases)
    if short:
        meaning = "as not labelled" if lacking == "undefined" else "as absent"
        lack = counted(short, "file")
        notice(f"{folder.name}: labels that others have are lacking in {lack}, and count {meaning} there.")
    whole = []
    for case in cases:
        known = set(case.landmarks.labels)
        rest = tuple(Landmark(label, status=lacking) for label in labels if label not in known)
        marks = replace(case.landmarks, landmarks=case.landmarks.landmarks + rest).grouped(labels)
        whole.append(replace(case, landmarks=marks))
    return tuple(whole)


def _paired(folder: Path, images: Images, ending: str) -> dict[str, Path]:
    """The file of landmarks of each image, by the image's stem."""
    notes: dict[str, Path] = {}
    for path in visible_files(folder):
        if suffix_of(path) not in _SURELY + _PERHAPS or not stem_of(path).endswith(ending):
            continue
        stem = stem_of(path)[: len(stem_of(path)) - len(ending)]
        if stem not in images and suffix_of(path) in _SURELY:
            raise DatasetError(f"{folder.name}: {shown(path)} has no image of its name; add one, or give the ending.")
        if stem not in images or not _holds_landmarks(path):
            continue  # a table or a list of something else
        if stem in notes:
            raise DatasetError(f"{folder.name}: {shown(notes[stem])} and {shown(path)} are of one image; keep one.")
        notes[stem] = path
    alone = sum(stem not in notes for stem in images)
    if notes and alone:
        notice(f"{folder.name}: left out, without landmarks of their name: {counted(alone, 'image')}.")
    return notes


def _holds_landmarks(path: Path) -> bool:
    """Whether a file is one of landmarks; many a ``.json`` beside an image says how it was acquired."""
    if suffix_of(path) != ".json":
        return suffix_of(path) in _SURELY + _PERHAPS
    text = read_text(path)
    return '"@schema"' in text or '"shapes"' in text


def _in_volume(marks: LandmarkSet, image: Path, path: Path) -> LandmarkSet:
    """The landmarks on a volume, or in the plane where a file of volumes holds a picture: Slicer saves (x, y, 0) there.

    Raises:
        LandmarkFileError: they are in px and the image is in mm.
        ImageError: the image cannot be read, where that is what tells a picture.
    """
    if marks.unit != "mm" and suffix_of(image) not in _ARRAYS:
        raise LandmarkFileError(f"{shown(path)}: it is in px and its image in mm; save it in mm.")
    if marks.dimension != 3:
        return marks
    try:
        flat = marks.to_plane()
    except LandmarkError:  # off the plane z = 0: of a volume, which is not read for this
        return marks
    return flat if load_image(image).dimension == 2 else marks


def _on_picture(marks: LandmarkSet, image: Path, path: Path, spacing: Sequence[float] | None) -> LandmarkSet:
    """The landmarks in the plane, in the unit that the picture has with this spacing."""
    name = shown(path)
    try:
        flat = marks.to_plane()
    except LandmarkError as error:
        raise LandmarkFileError(f"{name}: {error}") from None
    said = marks.info.get(LABELME, {})
    if "width" in said and (said["width"], said.get("height")) != picture_size(image):
        raise LandmarkFileError(
            f"{name}: LabelMe saw {said['width']}×{said.get('height')} pixels and {image.name} has "
            f"{'×'.join(map(str, picture_size(image)))}; turn the picture as its EXIF note says, or annotate it again."
        )
    if marks.unit == "mm" and marks.dimension == 2:  # Slicer knows no plane: this was written for it, in true mm
        if spacing is None:
            raise LandmarkFileError(f"{name}: it is in mm and nobody says how large a pixel is; give the spacing.")
        return flat
    scale, unit = scale_of(spacing, name)
    if marks.unit == "mm":
        pixel = _pixel_shown(flat, image)
        scale = scale / pixel
        if spacing is None:
            size = f"{pixel[0]:.4g} mm"
            notice(f"{name}: Slicer showed a pixel as {size}; its positions on the picture were taken for px.")
    return LandmarkSet(tuple(_scaled(mark, scale) for mark in flat), unit, flat.name, flat.info)


def _pixel_shown(flat: LandmarkSet, image: Path) -> np.ndarray:
    """Mm a pixel with which Slicer showed a picture: what the file claims, or 1 where landmarks lay beyond it then."""
    claimed = np.array(printed_spacing(image))
    index = flat.positions[:, :2] / claimed
    beyond = (index < -0.5) | (index > np.array(picture_size(image)) - 0.5)
    return np.ones(2) if beyond.any() else claimed


def _scaled(mark: Landmark, scale: np.ndarray) -> Landmark:
    if mark.position is None:
        return mark
    spread = None if mark.covariance is None else mark.covariance * np.outer(scale, scale)
    return replace(mark, position=mark.position * scale, covariance=spread)
