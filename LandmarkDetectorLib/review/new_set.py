"""A landmark set of one's own, from nothing: names and definitions, a template to place them on, a first bundle.

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
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.names import check_bundle_name
from LandmarkDetectorLib.bundles.store import SHIPPED
from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Dataset, read_dataset
from LandmarkDetectorLib.datasets.importers.registry import run_importer
from LandmarkDetectorLib.inference.detector import Detector
from LandmarkDetectorLib.io import load_image, save_landmarks
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.markups import KEPT
from LandmarkDetectorLib.io.names import stem_of
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.images import write_copy
from LandmarkDetectorLib.training.derive import Measured, derive_recipe
from LandmarkDetectorLib.training.distributed import assembled
from LandmarkDetectorLib.training.finetune import seconds_a_step, steps_within
from LandmarkDetectorLib.training.recipe import Recipe, read_recipe
from LandmarkDetectorLib.training.train import learn_pipeline, train

ABOUT, TEMPLATE, IMAGES, RUNS = "landmark-set.json", "template.mrk.json", "images", "training"
MINUTES = 20.0
_LICENCE = "LicenseRef-Private"
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
            raise ReviewError(f"{sorted(named - set(self.labels))[0]!r} is not one of the labels.")
        if any(len(group) not in (1, 2) for group in self.mirror):
            raise ReviewError("A mirror group is a pair left,right or one landmark of the midline.")

    def template(self) -> LandmarkSet:
        """Every landmark, none placed; Slicer keeps the list as it is."""
        marks = tuple(
            Landmark(label, None, "undefined", description=self.definitions.get(label, "")) for label in self.labels
        )
        return LandmarkSet(marks, "mm", self.name, {KEPT: {"markup": {"fixedNumberOfControlPoints": True}}})


@dataclass(frozen=True, eq=False)
class Trained:
    """A first bundle, the recipe that it was trained by, and what was found in the images."""

    bundle: Bundle
    recipe: Path
    measured: Measured | None
    cases: int
    left_out: tuple[str, ...]


def create_set(folder: Path | str, landmarks: LandmarkList) -> Path:
    """Make the folder of a landmark set.

    Raises:
        ReviewError: something is there, or the disk refuses.
    """
    path = Path(folder)
    with disk_errors(f"The landmark set {path.name} cannot be made"):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ReviewError(f"{path.name} is there already and not empty; give another folder.")
        (path / IMAGES).mkdir(parents=True)
        save_landmarks(landmarks.template(), path / TEMPLATE)
        (path / "README.txt").write_text(_README.format(name=path.name), encoding="utf-8")
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
    found = sorted(Path(folder).glob(f"{RUNS}/run-*/*/manifest.json"))
    return found[-1].parent if found else None


def add_images(
    folder: Path | str,
    images: Sequence[Path | str],
    *,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> list[Path]:
    """Copy images into a set, each with the template beside it, or with proposals where a bundle was trained.

    Voxels and grid are copied, and nothing else that the files say.

    Returns:
        The files of landmarks, to be opened and placed.

    Raises:
        ReviewError: an image of that name is there already.
        ImageError: one cannot be read.
    """
    root = Path(folder)
    landmarks, found = read_set(root), newest_bundle(root)
    detector = None if found is None else Detector(found, device)
    placed = []
    for number, given in enumerate(images):
        path = Path(given)
        stem = stem_of(path, "" if path.is_dir() else None)
        if progress is not None:
            progress(stem, number / len(images))
        file = root / IMAGES / f"{stem}.mrk.json"
        if file.exists():
            raise ReviewError(f"{file.name} is there already; somebody may have placed it. Rename the image first.")
        image = load_image(path, spacing=landmarks.spacing)
        with disk_errors(f"{stem} cannot be added"):
            write_copy(image, root / IMAGES, stem, ".nii.gz")
        marks = (
            landmarks.template() if detector is None else detector.detect(image).landmarks.reordered(landmarks.labels)
        )
        kept = {KEPT: {"markup": {"fixedNumberOfControlPoints": True}}}
        save_landmarks(LandmarkSet(marks.landmarks, marks.unit, stem, {**marks.info, **kept}), file)
        placed.append(file)
    return placed


def collect(folder: Path | str, output: Path) -> tuple[Dataset, list[str]]:
    """Write what was placed in a set as a data set, ``dataset.json`` and landmarks, into ``output``.

    Returns:
        The data set, and why images were left out: nothing is placed on them, or a file is still a detector's proposal.

    Raises:
        DatasetError: there is nothing, or a file does not fit its image.
    """
    root, landmarks = Path(folder), read_set(folder)
    options: dict[str, Any] = {"lacking": "undefined"}
    if landmarks.spacing is not None:
        options["spacing"] = landmarks.spacing
    found = run_importer("markups", root / IMAGES, options)
    (output / "landmarks").mkdir(parents=True, exist_ok=True)
    entries, left_out = [], []
    for case in found.cases:
        marks = case.landmarks.reordered(landmarks.labels)
        if "fingerprint" in case.landmarks.info:
            left_out.append(f"{case.subject}: its landmarks are a detector's; correct and save them in Slicer first.")
            continue
        if not np.isfinite(marks.positions).any():
            left_out.append(f"{case.subject}: nothing is placed on it yet.")
            continue
        file = f"landmarks/{case.subject}.mrk.json"
        save_landmarks(LandmarkSet(marks.landmarks, marks.unit, case.subject), output / file)
        known = set(case.landmarks.labels)
        absent = [mark.label for mark in marks if mark.status == "missing" and mark.label in known]
        entry: dict[str, Any] = {
            "image": Path(os.path.relpath(case.image.resolve(), output.resolve())).as_posix(),
            "landmarks": file,
            "subject": case.subject,
            "absent": absent,
        }
        if case.spacing is not None:
            entry["spacing_mm"] = list(case.spacing)
        entries.append(entry)
    if not entries:
        reason = left_out[0] if left_out else "there are no images with landmarks of the same name."
        raise DatasetError(f"{root.name}: nothing can be learnt from yet: {reason}")
    listing = {"name": landmarks.name, "landmark_labels": list(landmarks.labels), "training": entries}
    (output / "LICENSE").write_text(_licence(landmarks.name), encoding="utf-8")
    with atomic_write(output / "dataset.json", "w", encoding="utf-8") as stream:
        json.dump(listing, stream, indent=1, ensure_ascii=False)
    return read_dataset(output), left_out


def train_set(
    folder: Path | str,
    *,
    minutes: float = MINUTES,
    recipe: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Trained:
    """Train a first bundle of a set, or a further one, on everything that is placed.

    Args:
        folder: of the set.
        minutes: that it may take; the recipe's steps are cut to fit.
        recipe: a recipe of one's own; by default one is derived from the images.
        resume: go on with the last run, if that was interrupted.
        device: as for training.
        progress: called with a stage and the fraction of it that is done.
        cancelled: asked after every step.

    Raises:
        DatasetError: fewer than five images are annotated, or they are not of one kind.
        LandmarkDetectorError: images, recipe or device are not usable.
    """
    started = time.monotonic()
    root, landmarks = Path(folder), read_set(folder)
    runs = sorted((root / RUNS).glob("run-*"))
    unfinished = (
        resume and runs and (runs[-1] / "recipe.yaml").is_file() and newest_bundle(root) not in _bundles(runs[-1])
    )
    run = runs[-1] if unfinished else root / RUNS / f"run-{len(runs) + 1:03d}"
    with disk_errors(f"The run {run.name} cannot be begun"):
        run.mkdir(parents=True, exist_ok=True)
    file, measured = run / "recipe.yaml", None
    left_out: list[str] = []
    if not unfinished:
        dataset, left_out = collect(root, run / "data")
        if recipe is not None:
            content = read_recipe(recipe)
        else:
            content, measured = derive_recipe(
                landmarks.name,
                dataset.cases,
                _card(landmarks),
                mirror=landmarks.mirror,
                labels=landmarks.labels,
            )
        content = content.model_copy(update={"name": landmarks.name, "version": f"0.{len(runs) + 1}.0", "samples": []})
        content = _within(content, dataset, device, 60 * minutes - (time.monotonic() - started), cancelled)
        _write_recipe(content, file)
    dataset = read_dataset(run / "data")
    bundle = train(
        file, run / "data", run, resume=bool(unfinished), device=device, progress=progress, cancelled=cancelled
    )
    return Trained(bundle, file, measured, len(dataset.cases), tuple(left_out))


def _bundles(run: Path) -> list[Path]:
    return [file.parent for file in run.glob("*/manifest.json")]


def _within(recipe: Recipe, dataset: Dataset, device: str, left: float, cancelled: Callable[[], bool] | None) -> Recipe:
    """The recipe with as many steps as the time allows."""
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    with assembled(device) as team:
        seconds = seconds_a_step(recipe, pipeline, dataset.cases, None, team, cancelled)
    steps = steps_within(recipe, seconds, max(1.0, left))
    changes = {}
    for name, count in steps.items():
        training = getattr(recipe, f"{name}_training")
        changes[f"{name}_training"] = training.model_copy(
            update={"steps": count, "validate_every": max(10, count // 10)}
        )
    return recipe.model_copy(update=changes)


def _write_recipe(recipe: Recipe, file: Path) -> None:
    content = recipe.model_dump(mode="json", exclude_defaults=True)
    head = "# Derived from the images; see docs/training.md for what the words mean.\n"
    with atomic_write(file, "w", encoding="utf-8") as stream:
        stream.write(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _card(landmarks: LandmarkList) -> dict[str, Any]:
    name = landmarks.title or landmarks.name
    return {
        "title": name,
        "description": f"Places {len(landmarks.labels)} landmarks that were defined by its owner.",
        "modality": landmarks.modality,
        "intended_use": "Proposals for more images of the same kind; a person reviews each.",
        "licence": _LICENCE,
        "licence_file": "LICENSE",
        "credit": "The owner of the images.",
        "training_data": {
            "name": landmarks.name,
            "citation": "Images and landmarks of the owner; not published.",
            "licence": "private",
        },
        "definitions": {label: text for label, text in landmarks.definitions.items() if text},
        "limits": [
            "A first bundle from few images, with a recipe that was derived from them. Its errors were not measured.",
            "Images unlike those that it was trained on.",
        ],
    }


def _licence(name: str) -> str:
    return (
        f"Weights trained on the images of the landmark set {name}. They belong to the owner of the images and are not "
        "to be passed on without the owner's leave.\n"
    )
