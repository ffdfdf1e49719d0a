"""Folds for cross-validation in which whatever belongs together stands on one side: images of a subject, a family."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from LandmarkDetectorLib.core import DatasetError


def group_folds(
    groups: Sequence[Hashable], count: int, *, seed: int = 0, strata: Sequence[Hashable] | None = None
) -> np.ndarray:
    """Deal groups out to folds of nearly equal size.

    The groups, shuffled by the seed, are dealt from the largest to the smallest, each to the fold where the sizes (and
    with ``strata`` the shares of each stratum) then differ least. Without strata no two folds differ by more rows than
    the largest group has.

    Args:
        groups: (N,) the subject or family of each row; a group is never divided.
        count: number of folds.
        seed: another one deals otherwise; the same one always deals the same.
        strata: (N,) what each fold should have its share of, such as a scanner or a diagnosis.

    Returns:
        (N,) the fold of each row, 0 … count - 1.

    Raises:
        DatasetError: fewer groups than folds, fewer than two folds, or strata that do not fit.
    """
    rows = len(groups)
    names = list(dict.fromkeys(groups))
    if not 2 <= count <= len(names):
        raise DatasetError(f"{len(names)} groups do not make {count} folds; ask for 2 to {len(names)}.")
    kind_of = [] if strata is None else list(strata)
    if strata is not None and len(kind_of) != rows:
        raise DatasetError(f"{len(kind_of)} strata do not fit {rows} rows; give one a row.")
    kinds = {name: i for i, name in enumerate(dict.fromkeys(kind_of))}
    place = {name: i for i, name in enumerate(names)}
    owner = np.array([place[name] for name in groups])
    # Column 0 counts rows, the others the rows of each stratum, as shares of the whole so that rare ones matter too.
    table = np.zeros((len(names), 1 + len(kinds)))
    np.add.at(table[:, 0], owner, 1)
    for row, name in enumerate(kind_of):
        table[owner[row], 1 + kinds[name]] += 1
    table /= table.sum(axis=0)

    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-table[shuffled, 0], kind="stable")]
    load = np.zeros((count, table.shape[1]))
    empty = np.ones(count, dtype=bool)
    fold_of = np.empty(len(names), dtype=int)
    for turn, group in enumerate(order):
        # The cost of a choice is the sum of squares of the loads; only the fold that is chosen changes its own.
        cost = ((load + table[group]) ** 2 - load**2).sum(axis=1)
        if len(order) - turn <= empty.sum():
            cost[~empty] = np.inf  # the rest is needed so that no fold stays empty
        chosen = int(np.flatnonzero(cost <= cost.min() + 1e-12)[0])
        fold_of[group] = chosen
        load[chosen] += table[group]
        empty[chosen] = False
    return fold_of[owner]
