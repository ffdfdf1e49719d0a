"""From trained weights to a bundle: card, curves, samples, licence."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from LandmarkDetectorLib.bundles import Bundle, Card, write_bundle
from LandmarkDetectorLib.bundles.bundle import SPLIT
from LandmarkDetectorLib.bundles.calibrated import Carried
from LandmarkDetectorLib.bundles.card import first_problem
from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.bundles.staging import staging_folder
from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet, RecipeError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.io import save_landmarks
from LandmarkDetectorLib.io.copies import write_copy
from LandmarkDetectorLib.io.names import stem_of
from LandmarkDetectorLib.training.recipe import Recipe
from LandmarkDetectorLib.training.recipe_file import recipe_text
from LandmarkDetectorLib.training.split import Split


def publish(
    recipe: Recipe,
    recipe_path: Path,
    pipeline: Pipeline,
    state: dict[str, Tensor],
    split: Split,
    data: Path,
    folder: Path,
    fold: int | None,
    quoted: Mapping[str, Any],
    settle: Callable[[Bundle], Bundle] | None = None,
) -> Bundle:
    """Write the bundle of one training run.

    Args:
        recipe: as read from ``recipe_path``, which goes into the bundle, its base written out.
        recipe_path: of the recipe.
        pipeline: the stages' numbers.
        state: the weights.
        split: who trained and who was held out; the recipe's samples go into the bundle where they are held out.
        data: the folder of the data set, which holds the licence text.
        folder: that of the run; its curves go into the bundle, which is written to ``folder/NAME``. The calibration of
            the bundle that lies there is kept where the new one detects by the same weights and settings.
        fold: the fold of a cross-validation, or ``None`` for a bundle to ship.
        quoted: what the card quotes of a cross-validation; see :func:`read_results`.
        settle: what is still to be done with the bundle that is written, before it counts as done.

    Raises:
        DatasetError: the licence text that the recipe names is not there.
        BundleError: the bundle cannot be written.
    """
    licence = read_licence(recipe, data)
    files: dict[str, Path | bytes] = {"docs/recipe.yaml": recipe_text(recipe_path)}
    for curve in sorted(folder.glob("*.csv")):
        files[f"docs/curve-{curve.name}"] = curve
    split_json = {
        "fold": fold,
        "trained": _names(split.training),
        "held_out": _names(split.held_out),
        "origins": recipe.validation.origins,
    }
    files[SPLIT] = (json.dumps(split_json, indent=1) + "\n").encode()
    # The calibration of a bundle that is published anew stays where its weights and settings do.
    calibration = Carried.of(folder / recipe.name)
    written = write_bundle(
        folder / recipe.name,
        card=make_card(recipe, pipeline, split, quoted),
        settings=pipeline.model_dump(mode="json"),
        # Half precision: rounding moves a landmark by micrometres, and a bundle is half as large.
        state_dict={name: value.half() if value.is_floating_point() else value for name, value in state.items()},
        licence_text=licence,
        files=files,
        samples=_samples([case for case in split.held_out if case.subject in recipe.samples], folder),
        replace=True,
    )
    if settle is not None:
        written = settle(written)
    return written if calibration is None else calibration.over_to(written)


def read_licence(recipe: Recipe, data: Path) -> str:
    """The licence text that the recipe names, in the folder of the data set.

    Raises:
        DatasetError: it is not there, is empty, or is no text.
    """
    file = data / recipe.card.licence_file
    if not file.is_file():
        raise DatasetError(f"{data.name}: there is no {file.name}; the recipe names it as the licence of the weights.")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{data.name}: {file.name} is not a text in UTF-8; save the licence so.") from error
    if not text.strip():
        raise DatasetError(f"{data.name}: {file.name} is empty; write the licence of the weights into it.")
    return text


def make_card(recipe: Recipe, pipeline: Pipeline, split: Split, results: Mapping[str, Any]) -> Card:
    """The card, with the errors of a cross-validation where there are ``results``.

    Raises:
        RecipeError: the recipe says what no card may say.
    """
    text = recipe.card
    partners = recipe.mirror_map()
    landmarks: list[dict[str, Any]] = [
        {
            "label": label,
            "name": text.names.get(label, label),
            "definition": text.definitions.get(label, ""),
            "mirror": partners.get(label) if partners.get(label) != label else None,
        }
        for label in pipeline.labels
    ]
    subjects = len({case.subject for case in split.training if case.annotated})
    content = {
        "name": recipe.name,
        "version": recipe.version,
        "title": text.title,
        "description": text.description,
        "modality": text.modality,
        "dimension": recipe.dimension,
        "channels": recipe.channels,
        "unit": recipe.unit,
        "landmarks": landmarks,
        "training_data": {**text.training_data, "subjects": subjects},
        "licence": text.licence,
        "credit": text.credit,
        "errors": results.get("errors"),
        "limits": text.limits,
        "not_tested_on": text.not_tested_on,
        "intended_use": text.intended_use,
        "created": datetime.date.today(),
        "figures": results.get("figures", {}),
    }
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        raise RecipeError(
            f"{recipe.name}: the card cannot be written ({first_problem(error)}); mend the recipe."
        ) from error


def read_results(results: Path | None, recipe_path: Path) -> dict[str, Any]:
    """What the card quotes of a cross-validation; nothing without one.

    Raises:
        RecipeError: the file is not there, is no such file, or belongs to another recipe.
    """
    if results is None:
        return {}
    try:
        content = json.loads(results.read_text(encoding="utf-8"))
        quoted, fingerprint = content["card"], content["recipe_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{results.name} holds no results of a cross-validation; run it first.") from error
    if fingerprint != recipe_fingerprint(recipe_path):
        raise RecipeError(f"{results.name} is of another version of {recipe_path.name}; cross-validate this one first.")
    return dict(quoted)


def recipe_fingerprint(recipe_path: Path) -> str:
    """SHA-256 of a recipe as it stands, its base included."""
    return hashlib.sha256(recipe_text(recipe_path)).hexdigest()


def _samples(cases: Sequence[Case], folder: Path) -> dict[str, Path | bytes]:
    """The images that did not train, and their landmarks: voxels, grid and positions, and nothing else of their files.

    A header may say who the patient is, and a bundle is passed on.
    """
    samples: dict[str, Path | bytes] = {}
    for case in cases:
        stem = own = stem_of(case.image_path)
        number = 1
        while f"{stem}.mrk.json" in samples:  # many a data set calls every subject's image alike
            number += 1
            stem = f"{own}-{number}"
        marks = case.landmarks
        plain = tuple(Landmark(mark.label, mark.position, mark.status) for mark in marks)
        with staging_folder(folder) as stage:
            save_landmarks(LandmarkSet(plain, marks.unit, stem), stage / f"{stem}.mrk.json")
            write_copy(case.image(), stage, stem, ".nii.gz")
            samples |= {file.name: file.read_bytes() for file in sorted(stage.iterdir())}
    return samples


def _names(cases: tuple[Case, ...]) -> list[str]:
    return sorted({case.subject for case in cases})
