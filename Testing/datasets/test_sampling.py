"""Sampling: any frame, any grid, exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import Grid, Image
from LandmarkDetectorLib.datasets.frames import canonical_box, patch_boxes, whole_frame
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample

IDENTITY = Intensity(window=(0.0, 1.0), ceiling=1e9)


def ramp(grid: Grid, slope: np.ndarray) -> Image:
    """A volume whose value is a linear function of the world position: interpolation must return it exactly."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)[..., ::-1]
    return Image((500 + grid.to_world(index) @ slope).astype(np.float32)[None], grid)


def oblique(dimension: int) -> Grid:
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.9]).as_matrix() if dimension == 3 else rotation(0.7)
    return Grid((30, 26, 34)[:dimension], (0.8, 1.1, 0.6)[:dimension], (40.0, -60.0, 10.0)[:dimension], turn)


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("spacing", [0.5, 2.3])
def test_a_turned_frame_sees_a_linear_ramp_exactly(dimension: int, spacing: float) -> None:
    grid = oblique(dimension)
    slope = np.array([1.0, -2.0, 0.5])[:dimension]
    pyramid = Pyramid(ramp(grid, slope), IDENTITY)
    turn = Rotation.from_euler("xyz", [-0.4, 0.2, 1.1]).as_matrix() if dimension == 3 else rotation(-1.2)
    frames = np.tile(np.eye(dimension + 1), (2, 1, 1))
    frames[:, :-1, :-1] = turn * spacing
    frames[:, :-1, -1] = grid.centre - frames[0, :-1, :-1] @ np.full(dimension, 1.5)
    frames[1, :-1, -1] += 0.7
    values = sample(pyramid, frames, (4,) * dimension).numpy()
    index = np.stack(np.meshgrid(*[np.arange(4)] * dimension, indexing="ij"), -1)[..., ::-1]
    for number in range(2):
        world = index @ frames[number, :-1, :-1].T + frames[number, :-1, -1]
        np.testing.assert_allclose(values[number, 0], 500 + world @ slope, atol=2e-2)


def test_outside_of_the_image_lies_zero() -> None:
    grid = Grid.regular((10, 10, 10))
    pyramid = Pyramid(Image(np.ones((1, 10, 10, 10), np.uint8), grid), IDENTITY)
    far = np.eye(4)
    far[:3, 3] = 50
    assert sample(pyramid, far[None], (4, 4, 4)).abs().max() == 0
    half = np.eye(4)
    half[0, 3] = 8
    values = sample(pyramid, half[None], (1, 1, 6))[0, 0, 0, 0]
    assert values.tolist() == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("permutation", list(itertools.permutations(range(3))))
def test_every_permutation_and_flip_of_a_volume_is_seen_alike(permutation: tuple[int, ...]) -> None:
    grid = oblique(3)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)[..., ::-1]
    array = np.sin(grid.to_world(index) @ np.diag([0.3, 0.25, 0.2])).sum(-1).astype(np.float32) + 3
    expected = None
    for flips in itertools.product([False, True], repeat=3):
        copy, moved = reoriented(array, grid, permutation, flips)
        pyramid = Pyramid(Image(copy[None], moved), IDENTITY)
        frame = whole_frame(moved, 1.7, 4)
        seen = sample(pyramid, frame.matrix[None], frame.shape)
        if expected is None:
            base = whole_frame(grid, 1.7, 4)
            expected = sample(Pyramid(Image(array[None], grid), IDENTITY), base.matrix[None], base.shape)
            corners = np.stack(np.meshgrid(*[np.arange(n) for n in base.shape], indexing="ij"), -1)[..., ::-1]
            place = grid.to_index(corners @ base.matrix[:3, :3].T + base.matrix[:3, 3])
            inside = ((place > 4) & (place < np.array(grid.size) - 5)).all(-1)
        assert seen.shape == expected.shape and inside.sum() > 500
        # An uneven last box falls on the other side of a flipped axis: alike to the averages' error, off the border.
        gap = (seen - expected).abs()[0, 0].numpy()[inside]
        assert gap.max() < 0.03 and gap.mean() < 0.01


def reoriented(
    array: np.ndarray, grid: Grid, permutation: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[np.ndarray, Grid]:
    """The same volume stored with its index axes permuted, then flipped."""
    size = [grid.size[p] for p in permutation]
    direction, origin = grid.direction[:, list(permutation)].copy(), np.array(grid.origin)
    out = array.transpose([2 - permutation[2 - axis] for axis in range(3)])
    for axis, flip in enumerate(flips):
        if flip:
            out = np.flip(out, 2 - axis)
            origin = origin + direction[:, axis] * grid.spacing[permutation[axis]] * (size[axis] - 1)
            direction[:, axis] *= -1
    spacing = tuple(grid.spacing[p] for p in permutation)
    return np.ascontiguousarray(out), Grid(tuple(size), spacing, tuple(origin), direction)


def test_a_level_is_the_box_average_whatever_the_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    from LandmarkDetectorLib.datasets import sampling

    array = np.random.default_rng(0).random((1, 23, 12, 9)).astype(np.float32)
    image = Image(array, Grid.regular((9, 12, 23), 0.5))
    whole = Pyramid(image, IDENTITY).level(1.5)
    monkeypatch.setattr(sampling, "SLAB_BYTES", 1)
    slabs = Pyramid(image, IDENTITY).level(1.5)
    torch.testing.assert_close(whole.values, slabs.values)
    assert whole.values.shape == (1, 8, 4, 3)
    np.testing.assert_allclose(whole.values[0, 0, 0, 0], array[0, :3, :3, :3].mean(), rtol=1e-5)
    np.testing.assert_allclose(whole.to_world @ [0, 0, 0, 1], [0.5, 0.5, 0.5, 1])


def test_a_part_around_a_region_is_seen_as_the_whole_is() -> None:
    for dimension in (2, 3):
        grid = oblique(dimension)
        whole = Pyramid(ramp(grid, np.array([1.0, -2.0, 0.5])[:dimension]), IDENTITY)
        frame = np.eye(dimension + 1)
        frame[:-1, -1] = grid.centre - 2
        corners = grid.centre + np.array(list(itertools.product([-5, 5], repeat=dimension)))
        part = whole.around(corners)
        assert np.prod(part.grid.size) < np.prod(grid.size)
        expected = sample(whole, frame[None], (4,) * dimension)
        torch.testing.assert_close(sample(part, frame[None], (4,) * dimension), expected, atol=1e-3, rtol=0)
        assert np.prod(whole.around(corners + 1000).grid.size) >= 1


def test_quantiles_of_a_thinned_volume_are_those_of_the_whole() -> None:
    array = np.random.default_rng(0).normal(100, 20, (1, 150, 150, 150)).astype(np.float32)
    scaled = Intensity(quantiles=(0.01, 0.99)).scale(array)(torch.from_numpy(array.copy()))
    assert abs(float((scaled > 0.5).float().mean()) - 0.5) < 0.01
    assert abs(float((scaled <= 0).float().mean()) - 0.01) < 0.002


def test_the_whole_frame_covers_every_corner_of_an_oblique_grid() -> None:
    for dimension in (2, 3):
        grid = oblique(dimension)
        frame = whole_frame(grid, 0.9, 8)
        corners = np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in grid.size])))
        index = (grid.to_world(corners) - frame.matrix[:-1, -1]) @ np.linalg.inv(frame.matrix[:-1, :-1]).T
        assert (index >= -0.5 - 1e-6).all()
        assert (index <= np.array(frame.shape[::-1]) - 0.5 + 1e-6).all()
        assert all(n % 8 == 0 for n in frame.shape)


def test_boxes_and_patches_are_centred_where_they_say() -> None:
    mean = np.array([[0.0, 0, 0], [10, 4, 2]])
    box = canonical_box(mean, 0.5, 2.0, 8)
    middle = box.matrix @ [*(np.array(box.shape[::-1]) - 1) / 2, 1]
    np.testing.assert_allclose(middle[:3], [5, 2, 1])
    patches = patch_boxes(mean, 0.2, 16)
    np.testing.assert_allclose(patches @ np.array([7.5, 7.5, 7.5, 1]), [[0, 0, 0, 1], [10, 4, 2, 1]])
