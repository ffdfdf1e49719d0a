"""Landmarks in COCO's JSON form, many images a file, read only.

``categories`` name the landmarks (``keypoints``), ``annotations`` give x, y and v of each, one annotation an instance.
v = 0 is a landmark that nobody labelled (``undefined``), v = 1 one that is placed where it cannot be seen, v = 2 one
that can (https://cocodataset.org/#format-data).

COCO's own coordinates name pixels, from 0: they mean the pixels' centres, and Detectron2 adds 0.5 to count them from
the corner (its tutorial "Use Custom Datasets"). Programs that draw on a canvas write fractions counted from the corner
into the same form, and no file says which it is: ``origin`` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.io.json_files import finite, read_json
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.pixels import offset_of, scale_of

COCO = "coco"
"""Where in ``LandmarkSet.info`` an image's id and size are kept."""

NOT_VISIBLE = "labelled, not visible"
"""The description of a landmark with v = 1."""


def is_coco(document: Any) -> bool:
    """Whether a JSON document is of COCO's form."""
    return isinstance(document, dict) and {"images", "annotations"} <= set(document)


def read_coco(
    path: Path | str, *, category: str | None = None, spacing: Sequence[float] | None = None, origin: str = "centre"
) -> dict[str, LandmarkSet]:
    """The landmarks of each image of a file.

    Args:
        path: the JSON file.
        category: whose landmarks to read; needed where several categories have some.
        spacing: mm a pixel along x and y, the same for all images; without it positions are in px.
        origin: ``"centre"`` where (0, 0) is the centre of the first pixel, as in COCO's own files, ``"corner"`` where
            it is the picture's corner.

    Returns:
        File name of the image, as the file gives it, to its landmarks: those of the first instance, then of the second
        and so on, with the same labels again. An instance without any labelled landmark is left out; an image without
        an instance has all its landmarks once, ``undefined``. ``info["coco"]`` holds the image's id and size.

    Raises:
        LandmarkFileError: it is not such a file, is damaged, or contradicts itself; the annotation is named by its id.
    """
    path = Path(path)
    name = shown(path)
    document = read_json(path)
    if not is_coco(document):
        raise LandmarkFileError(f"{name}: it has no images and annotations; give a file in COCO's form.")
    scale, unit = scale_of(spacing, name)
    offset = offset_of(origin, name)
    chosen, labels = _category(_objects(document, "categories", name), category, name)
    images = _by_id(_objects(document, "images", name), "image", name)
    instances: defaultdict[Any, list[Landmark]] = defaultdict(list)
    for annotation in _by_id(_objects(document, "annotations", name), "annotation", name).values():
        place = f"{name}: annotation {annotation['id']}"
        image = annotation.get("image_id")
        if not isinstance(image, (int, str)) or image not in images:
            raise LandmarkFileError(f"{place} is of image {str(image)[:40]}, which is not listed; list it.")
        if annotation.get("category_id") == chosen and "keypoints" in annotation:
            instances[image] += _instance(annotation["keypoints"], labels, scale, offset, place)
    sets: dict[str, LandmarkSet] = {}
    for key, entry in images.items():
        file = entry.get("file_name")
        if not isinstance(file, str) or file in sets:
            fault = "stands there twice" if isinstance(file, str) else "has no file_name"
            raise LandmarkFileError(f"{name}: image {key} {fault}; give each image its own name.")
        landmarks = instances.get(key) or [Landmark(label, status="undefined") for label in labels]
        about = {word: entry[word] for word in ("id", "width", "height") if word in entry}
        sets[file] = LandmarkSet(tuple(landmarks), unit, stem_of(file), {COCO: about})
    return sets


def _objects(document: dict[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LandmarkFileError(f"{name}: its {key} are no list of objects; export the file again.")
    return entries


def _by_id(entries: list[dict[str, Any]], what: str, name: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for number, entry in enumerate(entries, 1):
        key = entry.get("id")
        if not isinstance(key, (int, str)) or key in found:
            fault = f"has the id {key}, which another one has," if key in found else "has no id"
            raise LandmarkFileError(f"{name}: {what} {number} {fault}; number them from 1.")
        found[key] = entry
    return found


def _category(categories: list[dict[str, Any]], wanted: str | None, name: str) -> tuple[Any, list[str]]:
    """The id of the category that has the landmarks, and their labels."""
    with_landmarks = {str(entry.get("name")): entry for entry in categories if entry.get("keypoints")}
    if not with_landmarks:
        raise LandmarkFileError(f"{name}: no category of it names keypoints; export it with its landmarks.")
    if wanted is None and len(with_landmarks) > 1:
        raise LandmarkFileError(
            f"{name}: several categories have landmarks ({', '.join(with_landmarks)}); say which one to read."
        )
    if wanted is not None and wanted not in with_landmarks:
        raise LandmarkFileError(
            f"{name}: it has no landmarks of a category {wanted!r}; choose from {', '.join(with_landmarks)}."
        )
    entry = next(iter(with_landmarks.values())) if wanted is None else with_landmarks[wanted]
    labels = entry["keypoints"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise LandmarkFileError(f"{name}: the keypoints of its category {entry.get('name')} are no list of names.")
    if len(set(labels)) < len(labels):
        raise LandmarkFileError(f"{name}: two landmarks of its category {entry.get('name')} have one name; rename one.")
    return entry.get("id"), labels


def _instance(values: Any, labels: list[str], scale: np.ndarray, offset: float, place: str) -> list[Landmark]:
    """The landmarks of one instance; none where nobody labelled any."""
    if not isinstance(values, list) or len(values) != 3 * len(labels):
        count = len(values) if isinstance(values, list) else 0
        raise LandmarkFileError(f"{place} has {count} values and should have 3 for each of {len(labels)} landmarks.")
    marks = []
    for label, row in zip(labels, np.array([finite(v, place) for v in values]).reshape(-1, 3), strict=True):
        if row[2] not in (0, 1, 2):
            raise LandmarkFileError(
                f"{place} has the visibility {row[2]:g} for {label!r}, none of 0, 1 and 2; mend it."
            )
        if row[2] == 0:
            marks.append(Landmark(label, status="undefined"))
        else:
            marks.append(Landmark(label, (row[:2] - offset) * scale, description=NOT_VISIBLE if row[2] == 1 else ""))
    return marks if any(mark.position is not None for mark in marks) else []
