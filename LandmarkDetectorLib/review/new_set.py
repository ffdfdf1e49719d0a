"""Training a landmark set of one's own: images with a list to place, then a first bundle, without writing a recipe.

What the folder holds, and what can be done to it without a network: :mod:`~LandmarkDetectorLib.review.set_folder`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.pipeline import STAGES
from LandmarkDetectorLib.bundles.staging import staging_folder
from LandmarkDetectorLib.core import DatasetError, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.cases import Dataset, read_dataset
from LandmarkDetectorLib.datasets.importers.registry import run_importer
from LandmarkDetectorLib.inference.detector import Detector
from LandmarkDetectorLib.io import load_image, save_landmarks
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.names import stem_of
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.images import code_of, digest
from LandmarkDetectorLib.review.runs import next_run, number_of, runs_of
from LandmarkDetectorLib.review.set_folder import (
    IMAGES,
    RECIPE,
    LandmarkList,
    create_set,
    newest_bundle,
    put_image,
    read_set,
    training_was_interrupted,
    vouched,
    why_untaught,
)
from LandmarkDetectorLib.training.derive import Measured, derive_recipe
from LandmarkDetectorLib.training.distributed import assembled
from LandmarkDetectorLib.training.finetune import seconds_a_step, stage_shares, steps_within
from LandmarkDetectorLib.training.recipe import Recipe, read_recipe
from LandmarkDetectorLib.training.train import learn_pipeline, train

__all__ = ["LandmarkList", "Trained", "add_images", "collect", "create_set", "newest_bundle", "read_set", "train_set"]

MINUTES = 20.0
_LICENCE = "LicenseRef-Private"


@dataclass(frozen=True, eq=False)
class Trained:
    """A first bundle, the recipe that it was trained by, and what was found in the images."""

    bundle: Bundle
    recipe: Path
    measured: Measured | None
    cases: int
    left_out: tuple[str, ...]


def add_images(
    folder: Path | str,
    images: Sequence[Path | str],
    *,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    failed: Callable[[Path, LandmarkDetectorError], None] | None = None,
) -> list[Path]:
    """Copy images into a set, each with the template beside it, or with proposals where a bundle was trained.

    Voxels and grid are copied, and nothing else that the files say.

    Args:
        folder: of the set.
        images: files, or folders of a DICOM series.
        device: for proposals.
        progress: called with an image's name and the fraction that is done.
        failed: called with an image that cannot be added, and why; without, the first such image ends it.

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
    for number, path in enumerate(map(Path, images)):
        stem = stem_of(path, "" if path.is_dir() else None)
        if progress is not None:
            progress(stem, number / len(images))
        try:
            placed.append(_add(root, path, stem, landmarks, detector))
        except LandmarkDetectorError as error:
            if failed is None:
                raise
            failed(path, error)
    return placed


def _add(root: Path, path: Path, stem: str, landmarks: LandmarkList, detector: Detector | None) -> Path:
    file = root / IMAGES / f"{stem}.mrk.json"
    if file.exists():
        raise ReviewError(f"{file.name} is there already; somebody may have placed it. Rename the image first.")
    image = load_image(path, spacing=landmarks.spacing)
    # Before the copy: an image that cannot be detected on is not added.
    marks = landmarks.template() if detector is None else detector.detect(image).landmarks.reordered(landmarks.labels)
    return put_image(root / IMAGES, image, marks, stem)


def collect(folder: Path | str, output: Path) -> tuple[Dataset, list[str]]:
    """Write what was placed in a set as a data set, ``dataset.json`` and landmarks, into ``output``.

    Subjects are codes of their images' voxels, the same in every training; ``dataset.json`` has the files beside them.

    Returns:
        The data set, and what was left out: images on which nothing is placed, files that are still a detector's
        proposal, and landmarks that the panel saved as unreviewed.

    Raises:
        DatasetError: there is nothing, or a file does not fit its image.
        ImageError: an image cannot be read.
    """
    root, landmarks = Path(folder), read_set(folder)
    options: dict[str, Any] = {"lacking": "undefined"}
    if landmarks.spacing is not None:
        options["spacing"] = landmarks.spacing
    found = run_importer("markups", root / IMAGES, options)
    (output / "landmarks").mkdir(parents=True, exist_ok=True)
    entries, left_out = [], []
    for case in found.cases:
        saved = case.landmarks.reordered(landmarks.labels)
        reason = why_untaught(saved)
        if reason:
            left_out.append(f"{case.subject}: {reason}")
            continue
        marks = vouched(saved)
        waiting = sum(mark is not taught for mark, taught in zip(saved, marks, strict=True))
        if waiting:
            left_out.append(f"{case.subject}: {counted(waiting, 'landmark')} that nobody has confirmed or corrected.")
        image = load_image(case.image, spacing=case.spacing)
        file = f"landmarks/{case.subject}.mrk.json"
        save_landmarks(LandmarkSet(marks.landmarks, marks.unit, case.subject), output / file)
        known = set(case.landmarks.labels)
        absent = [mark.label for mark in marks if mark.status == "missing" and mark.label in known]
        entry: dict[str, Any] = {
            "image": Path(os.path.relpath(case.image.resolve(), output.resolve())).as_posix(),
            "landmarks": file,
            # A bundle says who trained it, and a file may be called after a patient: so a subject is its voxels.
            "subject": code_of(digest(image)),
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
        progress: called with a stage and the fraction of the whole that is done.
        cancelled: asked after every step.

    Raises:
        DatasetError: fewer than five images are annotated, they are not of one kind, or a landmark is on none of them;
            no run is begun then.
        LandmarkDetectorError: images, recipe or device are not usable.
    """
    started, root = time.monotonic(), Path(folder)
    landmarks, unfinished = read_set(root), resume and training_was_interrupted(root)
    if unfinished:
        run = runs_of(root)[-1]
        begun = _Begun()
    else:
        run = next_run(root)
        # Hidden until it can train: images that are too few use up no number. It is moved to a neighbour, so that the
        # paths of the images, which are relative, stay right.
        with disk_errors(f"The run {run.name} cannot be begun"), staging_folder(run.parent) as stage:
            dataset, left_out = collect(root, stage / "data")
            content, measured = _recipe(landmarks, dataset, recipe)
            about = {"name": landmarks.name, "version": f"0.{number_of(run)}.0", "samples": []}
            content = content.model_copy(update=about)
            left = 60 * minutes - (time.monotonic() - started)
            content, seconds = _within(content, dataset, device, left, cancelled)
            _write_recipe(content, stage / RECIPE)
            os.rename(stage, run)
        begun = _Begun(measured, tuple(left_out), seconds)
    file = run / RECIPE
    dataset, shares = read_dataset(run / "data"), _shares(read_recipe(file), begun.seconds)

    def told(stage: str, fraction: float) -> None:
        if progress is not None:
            begin, share = shares[stage]
            progress(stage, begin + share * fraction)

    bundle = train(file, run / "data", run, resume=unfinished, device=device, progress=told, cancelled=cancelled)
    return Trained(bundle, file, begun.measured, len(dataset.cases), begun.left_out)


@dataclass(frozen=True)
class _Begun:
    """What is known of a run since its beginning; nothing of one that is gone on with."""

    measured: Measured | None = None
    left_out: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def _recipe(landmarks: LandmarkList, dataset: Dataset, given: Path | str | None) -> tuple[Recipe, Measured | None]:
    """The recipe that was given, or one that is derived from the images, with what was found in them."""
    if given is not None:
        return read_recipe(given), None
    return derive_recipe(
        landmarks.name, dataset.cases, _card(landmarks), mirror=landmarks.mirror, labels=landmarks.labels
    )


def _within(
    recipe: Recipe, dataset: Dataset, device: str, left: float, cancelled: Callable[[], bool] | None
) -> tuple[Recipe, dict[str, float]]:
    """The recipe with as many steps as the time allows, and the seconds that one of each stage takes."""
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
    return recipe.model_copy(update=changes), seconds


def _shares(recipe: Recipe, seconds: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Where each stage begins and how long it takes, of the whole; steps count alike where no time is known."""
    steps = {name: getattr(recipe, f"{name}_training").steps for name in STAGES if getattr(recipe, name) is not None}
    return stage_shares({name: count * seconds.get(name, 1.0) for name, count in steps.items()})


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
