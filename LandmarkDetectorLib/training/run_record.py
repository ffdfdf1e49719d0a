"""What a folder of checkpoints was begun with, so that nothing else goes on with it.

Weights that one fold or one set of images has trained would otherwise be published as those of another.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles.pipeline import STAGES
from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.training.recipe import Recipe
from LandmarkDetectorLib.training.split import Split

RECORD = "run.json"
_WHOLE = {"dimension", "channels", "seed", "view_unit", "intensity", "mirror", "order", "auxiliary", "prior_modes"}
_STAGE = {"spacing", "network", "size", "margin", "decoder", "activation"}
"""What training reads of a recipe; the rest of a stage, calibration and card are read when it is published."""


def run_record(recipe: Recipe, split: Split, fold: int | None) -> dict[str, Any]:
    """All that the weights of a run depend on, as JSON knows it."""
    content = recipe.model_dump(mode="json", include=_WHOLE)
    for name in STAGES:
        settings, training = getattr(recipe, name), getattr(recipe, f"{name}_training")
        if settings is not None:
            content[name] = settings.model_dump(mode="json", include=_STAGE)
            content[f"{name}_training"] = training.model_dump(mode="json")
    return {"fold": fold, "recipe": content, "training cases": [_case(case) for case in split.training]}


def check_record(folder: Path, record: dict[str, Any], *, resume: bool) -> None:
    """Refuse a folder that another run has begun.

    Raises:
        RecipeError: it holds checkpoints, and ``resume`` is off or they are of another run.
    """
    if not any(folder.glob("*.checkpoint.pt")):
        return
    if not resume:
        raise RecipeError(
            f"{folder.name} holds a run already; add --resume to go on with it, or choose another folder."
        )
    try:
        begun = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        begun = None
    if not isinstance(begun, dict):
        raise RecipeError(
            f"{folder.name} holds checkpoints, and no {RECORD} says what they were trained by; choose another folder."
        )
    differing = _difference(begun, record)
    if differing is not None:
        raise RecipeError(
            f"{folder.name} was begun otherwise ({differing}); choose another folder, or go on as it was begun."
        )


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write what a run is begun with; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / RECORD, "w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=1)


def _case(case: Case) -> str:
    """Subject, name of the image, and a digest of what is annotated in it and called absent."""
    placed = np.ascontiguousarray(case.landmarks.positions, dtype="<f8").tobytes()
    labels = "\0".join([*case.landmarks.labels, *sorted(case.absent)]).encode()
    return f"{case.subject} {case.image_path.name} {hashlib.sha256(labels + placed).hexdigest()[:16]}"


def _difference(begun: Any, now: Any, where: str = "") -> str | None:
    """The first thing that differs, in words."""
    if isinstance(begun, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in begun if key not in now)]:
            found = _difference(begun.get(key), now.get(key), f"{where}.{key}" if where else key)
            if found is not None:
                return found
        return None
    if begun == now:
        return None
    if isinstance(begun, list) and isinstance(now, list):
        return f"{where} are others"
    return f"{where.removeprefix('recipe.')} was {begun} and is {now}"
