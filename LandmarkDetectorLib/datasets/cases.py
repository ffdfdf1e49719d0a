"""A folder of annotated images, as ``dataset.json`` lists it.

```json
{"name": "...", "landmark_labels": ["1", "2"], "units": "mm",
 "training": [{"image": "images/a.nii.gz", "landmarks": "landmarks/a.mrk.json", "subject": "a", "family": "f"},
              {"image": "images/b.png", "points": [[x, y], null], "spacing_mm": [0.1, 0.1], "subject": "b"}]}
```

``points`` are voxel indices of a picture (0 at the first pixel's centre), whose world begins there; an image with an
origin or directions of its own needs a file of landmarks. In such a file a label may stand several times: a class of
several instances. ``family`` groups subjects that must stand on one side of a split; without it the subject does.
``origin`` says how the annotation came about. Where several observers annotated, ``raters`` names a file for each, or
the file of landmarks holds them all, as indices (``io/raters.py``); what counts as true is then their mean, unless
``landmarks`` is a file of its own. ``absent`` lists the landmarks that somebody looked for and that are not in the
image; of others without a place nothing is known.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.observers import mean_of
from LandmarkDetectorLib.io import load_image, load_landmarks
from LandmarkDetectorLib.io.raters import holds_raters, read_raters

UNKNOWN = "undefined"
"""The status of a landmark that an annotation does not mention: nobody is known to have looked for it."""


@dataclass(frozen=True)
class Case:
    """One annotated image on disk; it is read when asked for.

    ``landmarks`` is what counts as true, ``undefined`` where nobody looked and ``missing`` where it is not there;
    ``raters`` what each observer said, by name, where somebody kept it. ``absent`` are labels of landmarks that
    somebody looked for in vain, from which presence is learnt. ``guide`` tells
    about where landmarks lie that nobody reviewed: for the pose, never to learn from. ``indexed`` says that the places
    came as voxel indices, which are places in the world only where the image's grid is a picture's.
    """

    subject: str
    image_path: Path
    landmarks: LandmarkSet
    family: str
    origin: str = "native"
    spacing: tuple[float, ...] | None = None
    raters: Mapping[str, LandmarkSet] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    guide: LandmarkSet | None = None
    indexed: bool = False

    @property
    def annotated(self) -> bool:
        """Whether somebody placed a landmark in it, or looked for one in vain."""
        return bool(self.absent) or any(mark.position is not None for mark in self.landmarks)

    def image(self) -> Image:
        """Read the image.

        Raises:
            ImageError: it cannot be read.
            DatasetError: its landmarks came as voxel indices, and its grid is no picture's.
        """
        image = load_image(self.image_path, spacing=self.spacing)
        grid = image.grid
        if self.indexed and not grid.same_as(Grid.regular(grid.size, grid.spacing, grid.unit)):
            raise DatasetError(
                f"{image.name}: its landmarks are given in pixels, as of a picture, but it has an origin or directions "
                "of its own; give them as a file of landmarks, such as .mrk.json."
            )
        return image


@dataclass(frozen=True)
class Dataset:
    """Annotated images that share one list of labels."""

    name: str
    labels: tuple[str, ...]
    cases: tuple[Case, ...]

    def select(self, subjects: Iterable[str]) -> Dataset:
        """The cases of these subjects, in the order of the data set.

        Raises:
            DatasetError: a subject that is not here.
        """
        wanted = set(subjects)
        unknown = wanted - {case.subject for case in self.cases}
        if unknown:
            raise DatasetError(f"{self.name}: no case of subject {sorted(unknown)[0]!r}; take names from dataset.json.")
        return Dataset(self.name, self.labels, tuple(case for case in self.cases if case.subject in wanted))

    def of_origins(self, origins: Iterable[str] | None) -> Dataset:
        """The cases whose annotation came about in one of these ways; all of them with ``None``."""
        if origins is None:
            return self
        wanted = set(origins)
        return Dataset(self.name, self.labels, tuple(case for case in self.cases if case.origin in wanted))


def read_dataset(folder: str | Path) -> Dataset:
    """Read ``dataset.json`` in a folder; images stay on disk, landmarks are read and paired by label.

    Raises:
        DatasetError: the list is missing, is not JSON, an entry lacks something, or two entries or labels cannot be
            told apart.
        LandmarkFileError: a file of landmarks cannot be read.
    """
    folder = Path(folder)
    listing = folder / "dataset.json"
    if not listing.is_file():
        raise DatasetError(f"{folder.name}: there is no dataset.json; give a folder that holds one.")
    try:
        content = json.loads(listing.read_text(encoding="utf-8-sig"))
        labels = _labels(content["landmark_labels"], folder)
        entries = list(content["training"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder.name}/dataset.json: {error!r}; it needs landmark_labels and training.") from error
    cases = []
    for number, entry in enumerate(entries):
        try:
            cases.append(_case(folder, labels, entry))
        except KeyError as error:
            raise DatasetError(f"{folder.name}/dataset.json: entry {number} has no {error}; add it.") from error
        except (TypeError, ValueError) as error:
            said = str(error).rstrip(".")
            raise DatasetError(f"{folder.name}/dataset.json: entry {number} is not usable: {said}.") from error
    counts = Counter((case.subject, case.image_path.name) for case in cases)
    for (subject, image), count in counts.items():
        if count > 1:
            raise DatasetError(
                f"{folder.name}/dataset.json: subject {subject} has {count} images called {image}, which results could "
                "not tell apart; name them otherwise, or list each once."
            )
    return Dataset(str(content.get("name", folder.name)), labels, tuple(cases))


def _labels(said: Any, folder: Path) -> tuple[str, ...]:
    """The labels of a data set, a list of words that differ."""
    if not isinstance(said, list):  # of a text, each letter would be a landmark
        raise DatasetError(f"{folder.name}/dataset.json: landmark_labels is {said!r}; write a list of labels in [ ].")
    labels = tuple(str(label) for label in said)
    twice = next((label for label, count in Counter(labels).items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"{folder.name}/dataset.json: the label {twice!r} stands there twice; rename one of them.")
    return labels


def _case(folder: Path, labels: tuple[str, ...], entry: dict[str, Any]) -> Case:
    # What a table left empty is written as null by many programs, and is no name that entries share.
    if not isinstance(entry, Mapping):
        raise TypeError(f"{entry!r} is no entry")
    entry = {key: value for key, value in entry.items() if value is not None}
    subject = str(entry["subject"])
    path = folder / entry["image"]
    if not path.exists():
        raise DatasetError(f"{folder.name}: the image of subject {subject} is not there.")
    spacing = tuple(float(s) for s in entry["spacing_mm"]) if entry.get("spacing_mm") else None
    files = entry.get("raters", {})
    if not isinstance(files, Mapping):
        raise DatasetError(
            f"{folder.name}/dataset.json: raters of subject {subject} is {files!r}; write each observer's name with "
            'the file, as in {"A": "landmarks/a.mrk.json"}.'
        )
    raters: dict[str, LandmarkSet] = {
        str(rater): load_landmarks(folder / file).reordered(labels, UNKNOWN) for rater, file in files.items()
    }
    indexed = False
    if "landmarks" in entry and holds_raters(folder / entry["landmarks"]):
        indexed = True
        raters, spacing = read_raters(folder / entry["landmarks"], labels, spacing)
        marks = mean_of(raters, labels, subject)
    elif "landmarks" in entry:
        marks = load_landmarks(folder / entry["landmarks"]).grouped(labels, UNKNOWN)
    elif raters:
        marks = mean_of(raters, labels, subject)
    elif "points" not in entry:
        raise ValueError("it has neither landmarks nor points nor raters")
    else:
        indexed = True
        rows = [[np.nan, np.nan] if p is None else p for p in entry["points"]]
        if len(rows) != len(labels) or any(len(row) != 2 for row in rows):
            raise ValueError(f"its points are not [x, y] or null for each of {len(labels)} labels")
        points = np.array(rows, dtype=np.float64)
        positions = points * np.asarray(spacing if spacing else (1.0, 1.0))
        marks = LandmarkSet.from_positions(labels, positions, "mm" if spacing else "px", subject)
        placed = tuple(mark for mark in marks if mark.position is not None)
        marks = replace(marks, landmarks=placed).reordered(labels, UNKNOWN)
    absent = _absent(entry.get("absent", []), marks)
    # What the list calls absent is absent in the landmarks too, whatever their file says or leaves open.
    said = tuple(Landmark(mark.label, status="missing") if mark.label in absent else mark for mark in marks)
    known = {"image", "landmarks", "points", "spacing_mm", "subject", "family", "origin", "raters", "absent"}
    return Case(
        subject=subject,
        image_path=path,
        landmarks=replace(marks, landmarks=said),
        family=str(entry.get("family", subject)),
        origin=str(entry.get("origin", "native")),
        spacing=spacing,
        raters=raters,
        extra={k: v for k, v in entry.items() if k not in known},
        absent=absent,
        indexed=indexed,
    )


def _absent(said: list[Any], marks: LandmarkSet) -> frozenset[str]:
    """The labels that an entry calls absent."""
    absent = frozenset(str(label) for label in said)
    wrong = absent - {mark.label for mark in marks if mark.position is None}
    if wrong:
        raise ValueError(f"{sorted(wrong)[0]!r} is called absent and has a place, or is no label")
    return absent
