"""The situations that landmarker 0.4.1 tests for its metrics and pictures, with its numbers, through our interface.

It gives positions in a resized image with the original's size and spacing; here the spacing of the resized grid says
the same. Where one of its tests holds on to a fault, ours says so and asserts what is right.
"""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.evaluation import (
    figure_png,
    inspection_figure,
    match_instances,
    position_errors,
    prediction_figure,
    summarise,
)

TRUTH = {
    2: [[[10, 20], [30, 40]], [[50, 60], [70, 80]]],
    3: [[[10, 20, 34], [30, 40, 20]], [[50, 60, 14], [70, 80, 45]]],
}
FOUND = {
    2: [[[10, 20], [30, 42]], [[52, 62], [75, 82]]],
    3: [[[10, 20, 34], [30, 42, 20]], [[52, 62, 14], [75, 82, 38]]],
}
SPACING = {2: [[0.1, 0.2], [0.3, 0.4]], 3: [[0.1, 0.2, 0.1], [0.3, 0.4, 0.2]]}
SIZE = {2: (100, 200), 3: (100, 200, 120)}
ORIGINAL = {2: [[50, 100], [150, 200]], 3: [[50, 100, 200], [150, 200, 200]]}
ERRORS_MM = {
    2: [[0, 0.2], [np.hypot(0.9, 0.8), np.hypot(2.25, 0.8)]],
    3: [[0, 0.2], [np.hypot(0.9, 0.8), np.sqrt(2.25**2 + 0.8**2 + (7 * 0.2 * 200 / 120) ** 2)]],
}
ERRORS_PX = {
    2: [[0, 1], [np.hypot(3, 2), np.hypot(7.5, 2)]],
    3: [[0, 1], [np.hypot(3, 2), np.sqrt(7.5**2 + 2**2 + (7 * 200 / 120) ** 2)]],
}


@pytest.mark.parametrize("dimension", [2, 3])
def test_errors_in_a_resized_image_are_lengths_of_the_original(dimension):
    step = np.array(ORIGINAL[dimension]) / SIZE[dimension]
    in_pixels = position_errors(FOUND[dimension], TRUTH[dimension], step)
    np.testing.assert_allclose(in_pixels, ERRORS_PX[dimension], atol=1e-12)
    in_mm = position_errors(FOUND[dimension], TRUTH[dimension], step * SPACING[dimension])
    np.testing.assert_allclose(in_mm, ERRORS_MM[dimension], atol=1e-12)
    assert summarise(in_mm, ["a", "b"], "mm").mean == pytest.approx(np.mean(ERRORS_MM[dimension]))


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("radii", [(5,), (1, 5, 10)])
def test_success_rates_are_fractions_for_each_radius(dimension, radii):
    rng = np.random.default_rng(0)
    truth, found = rng.random((4, 10, dimension)), rng.random((4, 10, dimension))
    rates = summarise(position_errors(found, truth), [str(k) for k in range(10)], "px", radii).sdr
    assert set(rates) == set(radii)
    assert all(0 <= rate <= 1 for rate in rates.values())
    assert rates[5] == 1.0


def test_fault_a_landmark_that_nobody_annotated_is_no_failure():
    # There, NaN <= radius is False and lowers the rate, and one NaN makes the mean NaN.
    errors = position_errors([[[1.0, 1.0], [9.0, 9.0]]], [[[1.0, 1.0], [np.nan, np.nan]]])
    summary = summarise(errors, ["a", "b"], "px")
    assert (summary.mean, summary.sdr[2.0], summary.found) == (0.0, 1.0, 1)


INSTANCES = {2: [[1, 2], [3, 4], [5, 6]], 3: [[1, 2, 2], [3, 4, 2], [5, 6, 5]]}


@pytest.mark.parametrize("dimension", [2, 3])
def test_equal_instances_are_all_found(dimension):
    matching = match_instances(INSTANCES[dimension], INSTANCES[dimension])
    assert (matching.distances.sum(), matching.truth.size, matching.false.size) == (0, 3, 0)


@pytest.mark.parametrize(
    ("found", "truth"),
    [
        ([[1, 2], [3, 4], [7, 8]], [[1, 2], [3, 4], [5, 6]]),
        ([[1, 2, 3], [3, 4, 2], [7, 8, 5]], [[1, 2, 4], [3, 4, 5], [5, 6, 3]]),
    ],
)
def test_instances_elsewhere_are_matched_where_no_distance_is_too_far(found, truth):
    matching = match_instances(found, truth)
    assert (matching.truth.size, matching.false.size) == (3, 0)
    assert matching.distances.mean() > 0


@pytest.mark.parametrize("dimension", [2, 3])
def test_an_extra_instance_is_false(dimension):
    extra = [*INSTANCES[dimension], [7, 8, 2][:dimension]]
    matching = match_instances(extra, INSTANCES[dimension])
    assert (matching.distances.sum(), matching.truth.size, matching.false.tolist()) == (0, 3, [3])


def test_fault_the_threshold_counts():
    # There, it is an argument that nothing reads: two instances 2.8 apart match whatever it says.
    matching = match_instances([[1, 2], [3, 4], [7, 8]], [[1, 2], [3, 4], [5, 6]], threshold=2.0)
    assert (matching.truth.tolist(), matching.missed.tolist(), matching.false.tolist()) == ([0, 1], [2], [2])


def test_fault_the_order_of_the_predictions_does_not_decide():
    # There, each prediction in turn takes the nearest truth that is left: 11 + 1 instead of 9 + 1.
    one = match_instances([[9, 0], [11, 0]], [[10, 0], [0, 0]])
    other = match_instances([[11, 0], [9, 0]], [[10, 0], [0, 0]])
    assert one.distances.sum() == other.distances.sum() == 10


def test_fault_padding_among_the_truths_is_no_miss():
    # There, rows of NaN are truths that nobody can find: false negatives.
    matching = match_instances([[1, 2]], [[1, 2], [np.nan, np.nan], [np.nan, np.nan]])
    assert (matching.truth.size, matching.missed.size) == (1, 0)


@pytest.mark.parametrize("spacing", [[0.3, 0.1], [0.1, 0.3]])
def test_positions_in_voxels_become_lengths(spacing):
    index = np.array([[30, 20], [100, 70], [105, 60], [70, 80]])
    world = Grid((200, 200), tuple(spacing), (0, 0), np.eye(2)).to_world(index)
    np.testing.assert_allclose(world, index * np.array(spacing))


@pytest.mark.parametrize(("original", "pad"), [((100, 150), (0, 0)), ((200, 200), (50, 0)), ((100, 200), (100, 0))])
def test_fault_positions_come_back_from_a_padded_and_resized_image_without_half_a_pixel(original, pad):
    # There, positions are scaled about the corner's voxel centre: (scale - 1) / 2 voxels beside the image's content.
    spacing, size = np.array([0.3, 0.1]), np.array([50, 100])
    scale = (np.array(original) + 2 * np.array(pad)) / size
    origin = ((scale - 1) / 2 - pad) * spacing
    resized = Grid(tuple(size), tuple(scale * spacing), tuple(origin), np.eye(2))
    index = np.array([[30.0, 20.0], [100.0, 70.0]])
    there = (index + pad + 0.5) / scale - 0.5
    np.testing.assert_allclose(resized.to_world(there), index * spacing)
    # What is at the border of the original is at the border of the resized image.
    np.testing.assert_allclose(resized.to_world([-0.5, -0.5]), (np.array([-0.5, -0.5]) - pad) * spacing)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 64, 64), (1, 20, 30, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_in_memory_are_shown_in_2d_and_3d_with_and_without_a_heatmap(shape, dtype):
    # There, images in memory raise, for the plot reads the file again, and volumes cannot be shown at all.
    rng = np.random.default_rng(0)
    highest = np.iinfo(dtype).max
    grid = Grid.regular(shape[:0:-1], 1.0, "px")
    image = Image((rng.random(shape) * highest).astype(dtype), grid)
    labels = [f"class_{i}" for i in range(8)]
    truth = LandmarkSet.from_positions(labels, rng.random((8, grid.dimension)) * (np.array(grid.size) - 1), "px")
    found = LandmarkSet.from_positions(labels, rng.random((8, grid.dimension)) * (np.array(grid.size) - 1), "px")
    heat = Image(rng.random((8, *grid.shape)).astype(np.float32), grid)
    assert figure_png(inspection_figure(image, truth), 40)
    assert figure_png(inspection_figure(image, truth, heatmap=heat), 40)
    assert figure_png(prediction_figure(image, found, truth, heatmap=heat), 40)
