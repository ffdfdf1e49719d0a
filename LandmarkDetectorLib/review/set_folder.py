"""The folder of a landmark set of one's own: names and definitions, a template, images with landmarks; no network.

::

    my-skulls/
        landmark-set.json       names, definitions, pairs of left and right; written once, yours to read
        README.txt              what to do
        template.mrk.json       every landmark, not placed yet; a fixed list
        images/skull1.nii.gz  images/skull1.mrk.json      an image and its landmarks, by the same name
        training/               runs and bundles
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.bundles.names import check_bundle_name
from LandmarkDetectorLib.bundles.store import SHIPPED
from LandmarkDetectorLib.core import Image, Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_landmarks
from LandmarkDetectorLib.io.atomic import all_or_none, atomic_write
from LandmarkDetectorLib.io.copies import copy_suffix, write_copy
from LandmarkDetectorLib.io.markups import KEPT
from LandmarkDetectorLib.io.markups_review import review_statuses
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.runs import runs_of
from LandmarkDetectorLib.review.state import UNREVIEWED

ABOUT, TEMPLATE, IMAGES = "landmark-set.json", "template.mrk.json", "images"
RECIPE = "recipe.yaml"
"""In a run that has begun to train."""
_HELP = "README.txt"
LEAST = 5
"""Annotated images with which training can begin."""
_MARKS = ".mrk.json"
_NEAR = 1e-3
"""mm; a grid in single precision that is nearer is the same."""
_README = """{name}: a landmark set, made by `landmark-detector new create`.

1. Add images:          landmark-detector new add {name} IMAGE...
   Each is copied to images/, and the template with it, under the same name.
2. Place the landmarks: open an image and its .mrk.json in 3D Slicer (or in the desktop window), place every point of
   the list, save. The list is fixed: a landmark that is not in the image is set to "missing" there (right click),
   one that you have not placed stays "not placed".
3. From five images on: landmark-detector new train {name}
4. The next images:     landmark-detector new add {name} IMAGE...
   The trained bundle proposes the landmarks; correct them and save, then train again. For more than a few dozen
   images, keep corrections in a review store (landmark-detector review) and use landmark-detector retrain.
"""


@dataclass(frozen=True)
class LandmarkList:
    """A landmark set.

    Args:
        name: of the set, and of the bundle.
        labels: in order.
        definitions: of a landmark, as a person needs it to place it.
        mirror: pairs of left and right, and single landmarks of the midline.
        title: in words.
        modality: in words.
        spacing: mm a pixel of pictures, where their files do not say.
    """

    name: str
    labels: tuple[str, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    mirror: tuple[tuple[str, ...], ...] = ()
    title: str = ""
    modality: str = "not said"
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_bundle_name(self.name)
        if (SHIPPED / self.name).exists():
            raise ReviewError(f"A bundle called {self.name!r} came with the software; give the set another name.")
        if not self.labels or not all(label.strip() for label in self.labels):
            raise ReviewError("A landmark set needs at least one label, and none may be empty.")
        if len(set(self.labels)) < len(self.labels):
            raise ReviewError("Two landmarks have the same label; give each its own.")
        named = {label for group in self.mirror for label in group} | set(self.definitions)
        if named - set(self.labels):
            raise ReviewError(
                f"{sorted(named - set(self.labels))[0]!r} is not one of the labels; "
                "a mirrored pair is two of them with a comma between."
            )
        if self.spacing is not None and not all(0 < step < math.inf for step in self.spacing):
            raise ReviewError(f"A pixel is {self.spacing[0]} mm large; give a positive number, such as 0.2.")
        if any(len(group) not in (1, 2) for group in self.mirror):
            raise ReviewError("A mirror group is a pair left,right or one landmark of the midline.")
        paired = [label for group in self.mirror for label in group]
        twice = next((label for label in paired if paired.count(label) > 1), None)
        if twice is not None:
            raise ReviewError(f"{twice!r} stands twice among the mirror groups; a landmark has one partner.")

    def template(self) -> LandmarkSet:
        """Every landmark, none placed; Slicer keeps the list as it is."""
        marks = tuple(
            Landmark(label, None, "undefined", description=self.definitions.get(label, "")) for label in self.labels
        )
        return fixed(LandmarkSet(marks, "mm", self.name), self.name)


def fixed(landmarks: LandmarkSet, name: str) -> LandmarkSet:
    """The landmarks under a name, as a list to which Slicer lets nobody add."""
    kept = {KEPT: {"markup": {"fixedNumberOfControlPoints": True}}}
    return LandmarkSet(landmarks.landmarks, landmarks.unit, name, {**landmarks.info, **kept})


def parse_labels(lines: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Labels and definitions from lines ``label: definition``; empty ones and those that begin with # are passed over.

    Without a colon, a line is a label.
    """
    names, definitions = [], {}
    for line in lines:
        label, _, definition = (part.strip() for part in line.partition(":"))
        if not line.strip() or label.startswith("#"):
            continue
        names.append(label)
        if definition:
            definitions[label] = definition
    return tuple(names), definitions


def parse_mirror(lines: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Mirror groups from lines ``left, right``, or one landmark of the midline; empty ones are passed over."""
    return tuple(tuple(word.strip() for word in line.split(",")) for line in lines if line.strip())


def vouched(marks: LandmarkSet) -> LandmarkSet:
    """The landmarks of a file without those that the panel saved as unreviewed, which are ``undefined``."""
    kept = (
        Landmark(mark.label, None, "undefined") if status == UNREVIEWED else mark
        for mark, status in zip(marks, review_statuses(marks) or [""] * len(marks), strict=True)
    )
    return LandmarkSet(tuple(kept), marks.unit, marks.name, marks.info)


def why_untaught(marks: LandmarkSet) -> str:
    """Why the landmarks of an image teach nothing yet, a sentence; empty where they do."""
    if "fingerprint" in marks.info and review_statuses(marks) is None:
        return "its landmarks are a detector's; correct and save them in Slicer first."
    if all(mark.position is None for mark in marks):
        return "nothing is placed on it yet."
    if all(mark.position is None for mark in vouched(marks)):
        return "none of its landmarks was confirmed or corrected in the panel yet."
    return ""


def annotated(folder: Path | str) -> list[str]:
    """The names of the images of a set that teach something.

    Raises:
        LandmarkFileError: a file of landmarks is damaged.
    """
    files = sorted((Path(folder) / IMAGES).glob(f"*{_MARKS}"))
    return [file.name.removesuffix(_MARKS) for file in files if not why_untaught(load_landmarks(file))]


def training_was_interrupted(folder: Path | str) -> bool:
    """Whether the last training of a set has not come to its bundle and can go on."""
    runs = runs_of(folder)
    return bool(runs) and (runs[-1] / RECIPE).is_file() and not any(runs[-1].glob("*/manifest.json"))


def add_annotated(
    folder: Path | str, image: Image, landmarks: LandmarkSet, name: str, *, replace: bool = False
) -> Path:
    """Put an image with what a person placed on it into a set; as ``add_images``, placing and saving together.

    Voxels and grid are copied, and nothing else that the image's file says.

    Args:
        folder: of the set.
        image: as the library reads it: a picture in two dimensions.
        landmarks: in the image's own coordinates and unit: placed, ``missing`` (not in the image) or ``undefined``
            (nobody looked for it); all labels of the set and no others.
        name: under which it is kept.
        replace: whether landmarks of the same image may be replaced.

    Returns:
        The file of landmarks.

    Raises:
        ReviewError: the labels are not those of the set, nothing is placed, or an image of that name is there.
    """
    known, root = read_set(folder), Path(folder) / IMAGES
    strange = set(landmarks.labels) ^ set(known.labels)
    if strange:
        where = "lacks" if min(strange) in known.labels else "does not know"
        who = "This list" if where == "lacks" else f"The set {known.name}"
        raise ReviewError(f"{who} {where} {min(strange)!r}; place the landmarks of {known.name} on its own list.")
    if why_untaught(landmarks):
        raise ReviewError(f"{name} teaches nothing: {why_untaught(landmarks)}")
    if image.grid.unit == "px" and known.spacing is not None:
        raise ReviewError(f"{name} has no scale, and this set is in mm; give the picture its voxel size first.")
    picture, file = root / f"{name}{copy_suffix(image, '.nii.gz')}", root / f"{name}{_MARKS}"
    if file.exists():
        if not picture.exists() or not _same(load_image(picture), image):
            raise ReviewError(f"Another image called {name} is in the set already; rename this one first.")
        if not replace:
            raise ReviewError(f"{name} is in the set already; say that its landmarks may be replaced.")
    marks = landmarks.reordered(known.labels)
    if not file.exists():
        return put_image(root, image, marks, name)
    with disk_errors(f"{name} cannot be added"):
        save_landmarks(fixed(marks, name), file)
    return file


def put_image(root: Path, image: Image, landmarks: LandmarkSet, name: str) -> Path:
    """Copy an image into a folder with its landmarks beside it, both or neither.

    Returns:
        The file of landmarks.

    Raises:
        ReviewError: the disk refuses.
        LandmarkFileError: one of them cannot be written.
    """
    file, copy = root / f"{name}{_MARKS}", root / f"{name}{copy_suffix(image, '.nii.gz')}"
    with disk_errors(f"{name} cannot be added"), all_or_none([copy, file]):
        write_copy(image, root, name, ".nii.gz")
        save_landmarks(fixed(landmarks, name), file)  # last: it makes the image a case
    return file


def _same(kept: Image, image: Image) -> bool:
    """Whether an image is the one that is kept."""
    same = kept.grid.same_as(image.grid, _NEAR) and kept.array.shape == image.array.shape
    return same and np.array_equal(kept.array, image.array)


def create_set(folder: Path | str, landmarks: LandmarkList) -> Path:
    """Make the folder of a landmark set, whole or not at all.

    Raises:
        ReviewError: something is there, or the disk refuses.
        LandmarkFileError: a file of it cannot be written.
    """
    path = Path(folder)
    with disk_errors(f"The landmark set {path.name} cannot be made"):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ReviewError(f"{path.name} is there already and not empty; give another folder.")
    with disk_errors(f"The landmark set {path.name} cannot be made"), _whole_or_gone(path):
        (path / IMAGES).mkdir(parents=True)
        save_landmarks(landmarks.template(), path / TEMPLATE)
        (path / _HELP).write_text(_README.format(name=path.name), encoding="utf-8")
        content = {
            "name": landmarks.name,
            "title": landmarks.title or landmarks.name,
            "modality": landmarks.modality,
            "landmarks": [
                {"label": label, "definition": landmarks.definitions.get(label, "")} for label in landmarks.labels
            ],
            "mirror": [list(group) for group in landmarks.mirror],
            "spacing_mm": None if landmarks.spacing is None else list(landmarks.spacing),
        }
        with atomic_write(path / ABOUT, "w", encoding="utf-8") as stream:  # last: it makes the folder a set
            json.dump(content, stream, indent=1, ensure_ascii=False)
    return path


@contextmanager
def _whole_or_gone(path: Path) -> Iterator[None]:
    """Where the block that makes a set fails, its files and the folders that were made for it are gone again.

    A person may have chosen an empty folder; so the set is made in it, and not beside it to be renamed.
    """
    made = [folder for folder in (path / IMAGES, path, *path.parents) if not folder.exists()]
    try:
        with all_or_none([path / file for file in (ABOUT, TEMPLATE, _HELP)]):
            yield
    except BaseException:
        for folder in made:  # the innermost first; none goes that holds something
            with suppress(OSError):
                folder.rmdir()
        raise


def read_set(folder: Path | str) -> LandmarkList:
    """The landmark set in a folder.

    Raises:
        ReviewError: there is none, or its list is damaged.
    """
    file = Path(folder) / ABOUT
    if not file.is_file():
        raise ReviewError(
            f"{Path(folder).name}: there is no landmark set here; make one by landmark-detector new create."
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        labels = tuple(str(one["label"]) for one in content["landmarks"])
        definitions = {
            str(one["label"]): str(one["definition"]) for one in content["landmarks"] if one.get("definition")
        }
        spacing = content.get("spacing_mm")
        return LandmarkList(
            str(content["name"]),
            labels,
            definitions,
            tuple(tuple(str(label) for label in group) for group in content.get("mirror", [])),
            str(content.get("title", "")),
            str(content.get("modality", "not said")),
            None if spacing is None else tuple(float(step) for step in spacing),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"{ABOUT} cannot be read ({error!r}); mend it, or make the set anew.") from None


def newest_bundle(folder: Path | str) -> Path | None:
    """The folder of the bundle that was trained last for a set, or ``None``."""
    found = [file.parent for run in runs_of(folder) for file in sorted(run.glob("*/manifest.json"))]
    return found[-1] if found else None
