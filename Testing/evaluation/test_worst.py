"""The largest errors, image by image."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation import error_tiles, figure_png, worst_errors, worst_figure, worst_of_each
from LandmarkDetectorLib.evaluation.worst import Worst

NAN, INF = np.nan, np.inf


def test_the_largest_come_first_and_what_nobody_annotated_never():
    worst = worst_errors([[1.0, NAN], [5.0, 2.0]], 10)
    assert [(item.row, item.column, item.error) for item in worst] == [(1, 0, 5.0), (1, 1, 2.0), (0, 0, 1.0)]


def test_misses_take_half_of_the_places_at_most_while_there_are_others_to_show():
    errors = np.full((10, 2), INF)
    errors[:3, 0] = [1.0, 2.0, 3.0]
    assert [item.error for item in worst_errors(errors, 4)] == [INF, INF, 3.0, 2.0]
    assert [item.error for item in worst_errors(errors, 8)] == [INF] * 5 + [3.0, 2.0, 1.0]
    assert [item.error for item in worst_errors(np.full((3, 1), INF), 2)] == [INF, INF]


def test_one_image_that_went_wrong_altogether_does_not_fill_the_sheet():
    errors = np.array([[9.0, 8.0, 7.0], [3.0, 2.0, 1.0]])
    assert [item.error for item in worst_errors(errors, 4, each=2)] == [9.0, 8.0, 3.0, 2.0]


def test_the_worst_of_each_landmark_is_one_that_was_found_where_there_is_one():
    worst = worst_of_each([[1.0, INF, NAN, INF], [4.0, INF, NAN, 2.0]])
    assert worst == [Worst(1, 0, 4.0), Worst(0, 1, INF), Worst(1, 3, 2.0)]


@pytest.mark.parametrize("dimension", [2, 3])
def test_images_are_read_once_each_one_by_one_and_only_where_they_are_shown(dimension):
    grid = Grid.regular((30, 28, 26)[:dimension], 0.5)
    read: list[int] = []
    alive: list[weakref.ref] = []

    def image_of(row: int) -> Image:
        assert not any(earlier() is not None for earlier in alive)
        read.append(row)
        image = Image(np.full((1, *grid.shape), 10 * row, np.uint8), grid, f"image {row}")
        alive.append(weakref.ref(image))
        return image

    truth = [LandmarkSet.from_positions(["a", "b"], np.full((2, dimension), 5.0))] * 4
    found = [LandmarkSet.from_positions(["b", "a"], np.full((2, dimension), 5.0 + row)) for row in range(4)]
    wanted = [Worst(3, 0, 4.2), Worst(1, 1, 1.4), Worst(3, 1, 4.2), Worst(1, 0, INF)]
    tiles = error_tiles(wanted, image_of, found, truth, ["s0", "s1", "s2", "s3"])
    assert read == [1, 3]
    assert not any(image() is not None for image in alive)
    assert [tile.caption for tile in tiles] == [
        "s3 · a · 4.20 mm",
        "s1 · b · 1.40 mm",
        "s3 · b · 4.20 mm",
        "s1 · a · missed",
    ]
    # A tile keeps a small copy, not the image.
    assert all(tile.view.values.size <= 240 * 240 for tile in tiles)
    assert all(tile.view.shows(tile.true) for tile in tiles)
    assert all(tile.found is None or tile.view.shows(tile.found) for tile in tiles)
    assert figure_png(worst_figure(tiles, "$worst"), 40)


def test_in_a_volume_the_plane_is_the_one_in_which_the_error_lies():
    image = Image(np.zeros((1, 40, 40, 40), np.uint8), Grid.regular((40, 40, 40)))
    truth = LandmarkSet.from_positions(["a"], [[20.0, 20.0, 20.0]])
    names = {(9, 2, 0): "axial", (9, 0, 2): "coronal", (0, 9, 2): "sagittal"}
    for shift, plane in names.items():
        found = LandmarkSet.from_positions(["a"], truth.positions + shift)
        [tile] = error_tiles([Worst(0, 0, 9.2)], lambda _: image, [found], [truth], ["s"])
        assert tile.view.name == plane


def test_a_landmark_without_a_truth_has_no_error_to_show():
    truth = LandmarkSet((Landmark("a"),))
    image = Image(np.zeros((1, 9, 9), np.uint8), Grid.regular((9, 9)))
    with pytest.raises(LandmarkError, match="no truth"):
        error_tiles([Worst(0, 0, 1.0)], lambda _: image, [truth], [truth], ["s"])
    with pytest.raises(LandmarkError, match="no error to show"):
        worst_figure([])
