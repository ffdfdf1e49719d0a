"""Grids: index and world, and what cannot be built."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import Grid, Image, ImageError

steps = st.floats(0.05, 20)
places = st.floats(-2000, 2000)


@given(st.tuples(steps, steps, steps), st.tuples(places, places, places), st.tuples(*[st.floats(-3, 3)] * 3))
def test_index_to_world_and_back_is_the_same_place(spacing, origin, angles) -> None:
    grid = Grid((20, 30, 40), spacing, origin, Rotation.from_euler("xyz", angles).as_matrix())
    index = np.random.default_rng(0).uniform(-5, 45, (10, 3))
    world = grid.to_world(index)
    np.testing.assert_allclose(grid.to_index(world), index, atol=1e-6)
    np.testing.assert_allclose(world, (grid.matrix @ np.c_[index, np.ones(10)].T).T[:, :3], atol=1e-6)


def test_the_first_voxel_is_centred_on_the_origin_and_reaches_half_a_voxel() -> None:
    for dimension in (2, 3):
        grid = Grid.regular((4, 5, 6)[:dimension], 2.0)
        assert grid.to_world(np.zeros(dimension)).tolist() == [0.0] * dimension
        assert grid.contains(np.full(dimension, -0.99))
        assert not grid.contains(np.full(dimension, -1.01))
        assert not grid.contains(np.full(dimension, np.nan))
        assert grid.shape == (6, 5, 4)[3 - dimension :]


def test_all_axis_permutations_and_flips_are_directions() -> None:
    count = 0
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            direction = np.eye(3)[:, list(order)] * signs
            grid = Grid((3, 4, 5), (1, 2, 3), (7, 8, 9), direction)
            np.testing.assert_allclose(grid.to_index(grid.to_world([1, 2, 3])), [1, 2, 3], atol=1e-12)
            count += 1
    assert count == 48


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (0, 4, 4)}, "empty"),
        ({"size": (4,), "spacing": (1.0,), "origin": (0.0,), "direction": np.eye(1)}, "spatial axes"),
        ({"spacing": (1.0, 0.0, 1.0)}, "not positive"),
        ({"spacing": (1.0, np.nan, 1.0)}, "not positive"),
        ({"origin": (np.inf, 0.0, 0.0)}, "not finite"),
        ({"direction": np.diag([1.0, 1.0, 0.0])}, "orthonormal"),
        ({"direction": np.eye(3) + 0.1}, "orthonormal"),
        ({"unit": "cm"}, "unit"),
        ({"spacing": (1.0, 1.0)}, "do not fit"),
    ],
)
def test_a_grid_that_makes_no_sense_cannot_be_built(change, words) -> None:
    good = {"size": (4, 4, 4), "spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": np.eye(3), "unit": "mm"}
    Grid(**good)
    with pytest.raises(ImageError, match=words):
        Grid(**(good | change))


def test_an_array_must_fit_its_grid_and_hold_real_numbers() -> None:
    grid = Grid.regular((4, 5, 6))
    assert Image(np.zeros((2, 6, 5, 4)), grid).channels == 2
    with pytest.raises(ImageError, match="does not fit"):
        Image(np.zeros((1, 4, 5, 6)), grid)
    with pytest.raises(ImageError, match="real numbers"):
        Image(np.zeros((1, 6, 5, 4), complex), grid)
    with pytest.raises(ImageError, match="no channel"):
        Image(np.zeros((0, 6, 5, 4)), grid)
