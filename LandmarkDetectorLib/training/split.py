"""Which cases train and which are held out. Families stand on one side; samples that ship never train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LandmarkDetectorLib.core import DatasetError, RecipeError
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.training.recipe import Recipe


@dataclass(frozen=True)
class Split:
    """``training`` and ``held_out`` share no family; ``held_out`` holds only annotations that may be judged."""

    training: tuple[Case, ...]
    held_out: tuple[Case, ...]


def split_cases(recipe: Recipe, dataset: Dataset, fold: int | None) -> Split:
    """The split of one fold, or with ``fold=None`` all but the samples to train on and the samples held out.

    Raises:
        RecipeError: there is no such fold.
        DatasetError: nothing is left on one side, or a label has several instances in a case.
    """
    several = next((case.subject for case in dataset.cases if len(case.landmarks) > len(dataset.labels)), None)
    if several is not None:
        raise DatasetError(
            f"{dataset.name}: a label has several instances in {several}, and a recipe trains one of each; train with "
            "HeatmapDataset and read with decode_instances."
        )
    if fold is None:
        held = set(recipe.samples)
        unknown = held - {case.subject for case in dataset.cases}
        if unknown:
            raise DatasetError(f"{dataset.name}: the recipe's sample {sorted(unknown)[0]!r} is not there.")
        families = {case.family for case in dataset.cases if case.subject in held}
    else:
        folds = fold_families(recipe, dataset)
        if not 0 <= fold < len(folds):
            raise RecipeError(f"{recipe.name}: there is no fold {fold}; the recipe has {len(folds)}, counted from 0.")
        families = set(folds[fold])
        held = {case.subject for case in dataset.cases if case.family in families and _judged(recipe, case)}
    training = tuple(case for case in dataset.cases if case.family not in families)
    if not training:
        raise DatasetError(f"{dataset.name}: no case is left to train on; hold out fewer families.")
    return Split(training, tuple(case for case in dataset.cases if case.subject in held))


def fold_families(recipe: Recipe, dataset: Dataset) -> list[list[str]]:
    """The families of each fold, as the recipe names them or drawn by its seed."""
    if recipe.validation.folds:
        return recipe.validation.folds
    families = sorted({case.family for case in dataset.cases})
    count = recipe.validation.fold_count or 5
    order = np.random.default_rng(recipe.seed).permutation(len(families))
    return [[families[i] for i in order[start::count]] for start in range(count)]


def _judged(recipe: Recipe, case: Case) -> bool:
    return case.origin in recipe.validation.origins
