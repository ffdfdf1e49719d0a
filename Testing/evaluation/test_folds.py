"""Folds that keep together what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.evaluation import group_folds


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 99))
def test_no_group_is_divided_no_fold_is_empty_and_sizes_differ_by_one_group_at_most(groups, count, seed):
    if len(set(groups)) < count:
        groups = [*groups, *range(100, 100 + count)]
    folds = group_folds(groups, count, seed=seed)
    owner = {}
    assert all(owner.setdefault(group, fold) == fold for group, fold in zip(groups, folds, strict=True))
    sizes = np.bincount(folds, minlength=count)
    assert sizes.min() > 0 and len(sizes) == count
    assert sizes.max() - sizes.min() <= max(groups.count(group) for group in groups)


def test_the_seed_decides_and_nothing_else():
    groups = [f"subject {number}" for number in range(40)]
    assert group_folds(groups, 5, seed=1).tolist() == group_folds(groups, 5, seed=1).tolist()
    assert group_folds(groups, 5, seed=1).tolist() != group_folds(groups, 5, seed=2).tolist()
    assert np.bincount(group_folds(groups, 5)).tolist() == [8] * 5


def test_large_families_are_dealt_first_so_that_small_ones_can_level_out():
    groups = ["a"] * 6 + ["b"] * 6 + ["c"] * 2 + ["d"] * 2 + ["e"] * 2 + ["f"] * 2
    for seed in range(10):
        assert np.bincount(group_folds(groups, 2, seed=seed)).tolist() == [10, 10]


def test_each_fold_has_its_share_of_a_rare_stratum():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    rare = np.isin(groups, np.arange(10))
    for seed in range(5):
        folds = group_folds(groups.tolist(), 5, seed=seed, strata=rare.tolist())
        np.testing.assert_array_equal(group_folds(groups, 5, seed=seed, strata=rare), folds)  # arrays as well as lists
        shares = np.bincount(folds[rare], minlength=5)
        assert shares.max() - shares.min() <= 3
        assert np.ptp(np.bincount(folds)) <= 5


def test_folds_that_cannot_be_are_refused():
    with pytest.raises(DatasetError, match="3 groups do not make 4 folds"):
        group_folds(["a", "b", "c"], 4)
    with pytest.raises(DatasetError, match="1 folds"):
        group_folds(["a", "b"], 1)
    with pytest.raises(DatasetError, match="strata"):
        group_folds(["a", "b"], 2, strata=["x"])
