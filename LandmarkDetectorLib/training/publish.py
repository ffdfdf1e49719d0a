"""From trained weights to a bundle: card, curves, samples, licence."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from LandmarkDetectorLib.bundles import Bundle, Card, write_bundle
from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import DatasetError, RecipeError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.io import save_image, save_landmarks
from LandmarkDetectorLib.training.recipe import Recipe
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
) -> Bundle:
    """Write the bundle of one training run.

    Args:
        recipe: as read from ``recipe_path``, which goes into the bundle as it is.
        recipe_path: of the recipe; the results that it names are looked for beside it.
        pipeline: the stages' numbers.
        state: the weights.
        split: who trained and who was held out; a bundle that ships carries its held-out cases as samples.
        data: the folder of the data set, which holds the licence text.
        folder: that of the run; its curves go into the bundle, which is written to ``folder/NAME``.
        fold: the fold of a cross-validation, or ``None`` for a bundle to ship.

    Raises:
        DatasetError: the licence text that the recipe names is not there.
        BundleError: the bundle cannot be written.
    """
    licence = data / recipe.card.licence_file
    if not licence.is_file():
        raise DatasetError(
            f"{data.name}: there is no {licence.name}; the recipe names it as the licence of the weights."
        )
    files: dict[str, Path | bytes] = {"docs/recipe.yaml": recipe_path}
    for curve in sorted(folder.glob("*.csv")):
        files[f"docs/curve-{curve.name}"] = curve
    split_json = {
        "fold": fold,
        "trained": _names(split.training),
        "held_out": _names(split.held_out),
        "origins": recipe.validation.origins,
    }
    files["docs/split.json"] = (json.dumps(split_json, indent=1) + "\n").encode()
    return write_bundle(
        folder / recipe.name,
        card=make_card(recipe, recipe_path, pipeline, split),
        settings=pipeline.model_dump(mode="json"),
        state_dict=state,
        licence_text=licence.read_text(encoding="utf-8"),
        files=files,
        samples=_samples(split.held_out, folder) if fold is None else {},
        replace=True,
    )


def make_card(recipe: Recipe, recipe_path: Path, pipeline: Pipeline, split: Split) -> Card:
    """The card, with the errors of the cross-validation where the recipe names its results."""
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
    subjects = len({case.subject for case in split.training})
    results = _results(recipe, recipe_path)
    return Card.model_validate(
        {
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
    )


def _results(recipe: Recipe, recipe_path: Path) -> dict[str, Any]:
    if recipe.card.results is None:
        return {}
    path = recipe_path.parent / recipe.card.results
    if not path.is_file():
        raise RecipeError(
            f"{recipe_path.name} names {path.name} as its results, which is not there; run the cross-validation first."
        )
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content["card"]


def _samples(cases: tuple[Case, ...], folder: Path) -> dict[str, Path | bytes]:
    """The images that did not train, and their landmarks; a picture with its scale elsewhere becomes a MetaImage."""
    samples: dict[str, Path | bytes] = {}
    for case in cases:
        image, stem = case.image_path, case.image_path.name.split(".")[0]
        landmarks = folder / f"{stem}.mrk.json"
        save_landmarks(case.landmarks, landmarks)
        samples[landmarks.name] = landmarks.read_bytes()
        landmarks.unlink()
        if case.spacing is not None:
            image = folder / f"{stem}.mha"
            save_image(case.image(), image)
            samples[image.name] = image.read_bytes()
            image.unlink()
        else:
            samples[image.name] = image
    return samples


def _names(cases: tuple[Case, ...]) -> list[str]:
    return sorted({case.subject for case in cases})
