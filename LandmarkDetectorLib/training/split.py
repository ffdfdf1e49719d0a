"""Which cases train and which are held out; samples that ship never train.

Subjects, families and images stand on one side with all their cases, however long the chain that joins them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from LandmarkDetectorLib.core import DatasetError, RecipeError
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.training.recipe import Recipe


@dataclass(frozen=True)
class Split:
    """``training`` and ``held_out`` share no subject, family or image; ``held_out`` holds what may be judged."""

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
        samples = set(recipe.samples)
        unknown = samples - {case.subject for case in dataset.cases}
        if unknown:
            raise DatasetError(f"{dataset.name}: the recipe's sample {sorted(unknown)[0]!r} is not there.")
        chosen = [case.subject in samples for case in dataset.cases]
    else:
        folds = fold_families(recipe, dataset)
        if not 0 <= fold < len(folds):
            raise RecipeError(f"{recipe.name}: there is no fold {fold}; the recipe has {len(folds)}, counted from 0.")
        families = set(folds[fold])
        chosen = [case.family in families for case in dataset.cases]
        if not any(chosen):
            raise RecipeError(
                f"{recipe.name}: fold {fold} holds out nothing of {dataset.name} (families: "
                f"{len({case.family for case in dataset.cases})}); have fewer folds, or name families that are there."
            )
    groups = _groups(dataset.cases)
    held = {group for group, one in zip(groups, chosen, strict=True) if one}
    training, aside = [], []
    for case, group, one in zip(dataset.cases, groups, chosen, strict=True):
        if group not in held:
            training.append(case)
        elif one if fold is None else case.origin in recipe.validation.origins:
            aside.append(case)
    if not training:
        raise DatasetError(f"{dataset.name}: no case is left to train on; hold out fewer families or samples.")
    return Split(tuple(training), tuple(aside))


def fold_families(recipe: Recipe, dataset: Dataset) -> list[list[str]]:
    """The families of each fold, as the recipe names them or drawn by its seed; drawn ones keep groups together."""
    if recipe.validation.folds:
        return recipe.validation.folds
    found: dict[int, set[str]] = {}
    for case, group in zip(dataset.cases, _groups(dataset.cases), strict=True):
        found.setdefault(group, set()).add(case.family)
    together = sorted(sorted(families) for families in found.values())
    count = recipe.validation.fold_count or 5
    order = np.random.default_rng(recipe.seed).permutation(len(together))
    return [[family for i in order[start::count] for family in together[i]] for start in range(count)]


def _groups(cases: Sequence[Case]) -> list[int]:
    """The number of each case's group: an entry without a family is still of the family of its subject's others."""
    words = [(("subject", c.subject), ("family", c.family), ("image", os.path.realpath(c.image_path))) for c in cases]
    place = {word: number for number, word in enumerate(dict.fromkeys(word for three in words for word in three))}
    subjects = [place[three[0]] for three in words]
    others = [[place[word] for word in three[1:]] for three in words]
    rows, columns = np.repeat(subjects, 2), np.ravel(others).astype(int)
    links = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(place), len(place)))
    numbers = connected_components(links, directed=False)[1]
    return [int(numbers[subject]) for subject in subjects]
