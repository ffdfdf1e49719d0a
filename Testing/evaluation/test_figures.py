"""Figures show what they say: the marker stands where the landmark is, in the colour of its confidence."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image as Pillow

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation import error_figure, figure_png, landmark_strip, overview_figure, overview_views
from LandmarkDetectorLib.evaluation.canvas import DOTS
from LandmarkDetectorLib.evaluation.lettering import short_names
from LandmarkDetectorLib.evaluation.paint import HIGH, LOW, MIDDLE, UNKNOWN, confidence_colour
from LandmarkDetectorLib.evaluation.placement import place_labels
from LandmarkDetectorLib.evaluation.tiles import TILE, strip_size


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")).astype(int)


def centre_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Column and row of the middle of all pixels of one colour."""
    rows, columns = np.nonzero(np.abs(picture - colour).max(axis=-1) <= 8)
    assert rows.size > 20
    return np.array([columns.mean(), rows.mean()]) + 0.5


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_a_marker_stands_at_the_projected_place_of_its_landmark(flip):
    grid = Grid((40, 50, 60), (1, 1, 1), (7, 8, 9), np.diag([flip, 1.0, 1.0]))
    image = Image(np.zeros((1, 60, 50, 40), np.uint8), grid)
    # Without a name nothing but the marker has its colour.
    landmarks = LandmarkSet((Landmark("", grid.to_world([10, 20, 45]), confidence=1.0),))
    across = (10.5 if flip > 0 else 29.5) / 40
    expected = {"axial": (across, 20.5 / 50), "coronal": (across, 14.5 / 60), "sagittal": (20.5 / 50, 14.5 / 60)}
    sizes = {"axial": (40, 50), "coronal": (40, 60), "sagittal": (50, 60)}
    margin = 0.25 * DOTS
    for view in overview_views(image):
        picture = pixels(figure_png(overview_figure(image, landmarks, view)))
        inner = np.array(sizes[view.name]) / max(sizes[view.name]) * 6 * DOTS
        np.testing.assert_allclose(centre_of(picture, HIGH), margin + inner * expected[view.name], atol=1.5)


def test_a_marker_stands_at_its_place_in_a_flat_picture():
    grid = Grid((80, 60), (0.2, 0.2), (3, 4), np.diag([1.0, -1.0]), "px")
    image = Image(np.zeros((3, 60, 80), np.uint8), grid)
    landmarks = LandmarkSet((Landmark("", grid.to_world([70.0, 10.0]), confidence=0.0),), "px")
    [view] = overview_views(image)
    picture = pixels(figure_png(overview_figure(image, landmarks, view)))
    assert picture.shape == (4.5 * DOTS, 6 * DOTS, 3)
    np.testing.assert_allclose(centre_of(picture, LOW), (70.5 / 80 * 900, 10.5 / 60 * 675), atol=1.5)


def test_the_picture_has_the_physical_proportions_of_the_image():
    image = Image(np.zeros((1, 10, 40), np.uint8), Grid((40, 10), (1.0, 2.0), (0, 0), np.eye(2)))
    [view] = overview_views(image)
    height, width = pixels(figure_png(overview_figure(image, LandmarkSet(()), view))).shape[:2]
    assert (width, height) == (900, 450)


def test_a_colour_photograph_keeps_its_colours():
    array = np.zeros((3, 30, 30), np.uint8)
    array[0] = 200
    image = Image(array, Grid.regular((30, 30), 1, "px"))
    [view] = overview_views(image)
    assert tuple(pixels(figure_png(overview_figure(image, LandmarkSet((), "px"), view)))[450, 450]) == (200, 0, 0)


def test_landmarks_outside_or_without_a_position_are_not_drawn():
    image = Image(np.zeros((1, 30, 30), np.uint8), Grid.regular((30, 30), 1, "px"))
    landmarks = LandmarkSet((Landmark("a", [99.0, 5.0], confidence=1.0), Landmark("b")), "px")
    [view] = overview_views(image)
    empty = pixels(figure_png(overview_figure(image, LandmarkSet((), "px"), view)))
    np.testing.assert_array_equal(pixels(figure_png(overview_figure(image, landmarks, view))), empty)


def test_a_label_is_a_name_and_never_a_formula():
    image = Image(np.zeros((1, 30, 30), np.uint8), Grid.regular((30, 30)))
    landmarks = LandmarkSet.from_positions(["$\\frac$", "$x"], [[5.0, 5.0], [20.0, 20.0]])
    [view] = overview_views(image)
    assert figure_png(overview_figure(image, landmarks, view))
    assert figure_png(error_figure([[1.0, 2.0]], ["$\\frac$", "$x"], "mm"))


def test_long_or_undrawable_labels_are_replaced_by_numbers():
    def names(*labels):
        return short_names(LandmarkSet(tuple(Landmark(label) for label in labels)))

    assert names("OFD left", "OFD right") == ["OFD left", "OFD right"]
    assert names("a landmark of many words", "b") == ["1", "2"]
    assert names("鼻根", "S") == ["1", "2"]


def test_colours_run_from_vermilion_over_yellow_to_blue():
    assert [confidence_colour(value) for value in (0, 0.5, 1, None)] == [LOW, MIDDLE, HIGH, UNKNOWN]


def test_figures_leave_no_trace_in_matplotlib():
    image = Image(np.zeros((1, 30, 30), np.uint8), Grid.regular((30, 30)))
    before = "matplotlib.pyplot" in sys.modules
    overview_figure(image, LandmarkSet(()), overview_views(image)[0])
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_labels_in_a_crowd_do_not_cover_each_other_nor_the_markers():
    anchors = np.random.default_rng(0).uniform(250, 650, (45, 2))
    sizes = np.tile([24.0, 18.0], (45, 1))
    centres = place_labels(anchors, sizes, (0, 0, 900, 900), 7)
    boxes = np.hstack([centres - sizes / 2, centres + sizes / 2])
    others = np.vstack([boxes, np.hstack([anchors - 7, anchors + 7])])
    shared = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    covered = np.prod(shared.clip(0), axis=-1)
    covered[np.arange(45), np.arange(45)] = 0
    assert (covered > 0.15 * 24 * 18).sum() <= 2
    assert np.linalg.norm(centres - anchors, axis=1).max() < 120


def test_labels_stay_inside_the_picture_and_clear_of_what_is_occupied():
    anchors = np.array([[2.0, 2.0], [98.0, 50.0]])
    sizes = np.array([[30.0, 10.0], [30.0, 10.0]])
    centres = place_labels(anchors, sizes, (0, 0, 100, 100), 4, np.array([[40.0, 40, 100, 60]]))
    assert np.all(centres - sizes / 2 >= 0)
    assert np.all(centres + sizes / 2 <= 100)
    assert abs(centres[1, 1] - 50) >= 14


def test_nothing_to_label_is_no_error():
    assert place_labels(np.empty((0, 2)), np.empty((0, 2)), (0, 0, 9, 9), 3).shape == (0, 2)


def test_the_cross_of_a_strip_surrounds_the_landmark_and_leaves_it_in_sight():
    array = np.zeros((1, 60, 60, 60), np.uint8)
    array[0, 40, 30, 20] = 250
    image = Image(array, Grid.regular((60, 60, 60), 0.5))
    strip = pixels(landmark_strip(image, Landmark("a", [10.0, 15.0, 20.0], confidence=0.0), (0.0, 255.0)))
    assert strip.shape[:2] == strip_size(image)[::-1] == (TILE, 3 * TILE + 8)
    for tile in range(3):
        middle = tile * (TILE + 4) + TILE // 2
        assert strip[TILE // 2, middle].min() > 150
        stroke = strip[TILE // 2, middle + 9 : middle + 16].mean(axis=0)
        np.testing.assert_allclose(stroke, LOW, atol=40)


def test_the_curve_of_errors_counts_misses_as_failures():
    figure = error_figure([[1.0, np.inf], [3.0, np.nan]], ["a", "b"], "mm", radii=(2.0,))
    x, y = figure.axes[0].lines[0].get_data()
    assert y[-1] == pytest.approx(100 * 2 / 3)
    assert x[-1] == 3.0
    assert "1 missed" in figure.axes[0].get_title()
    assert [text.get_text() for text in figure.axes[1].texts] == ["1 missed"]


def test_errors_without_any_truth_cannot_be_drawn():
    with pytest.raises(LandmarkError, match="annotated"):
        error_figure([[np.nan]], ["a"], "mm")
    with pytest.raises(LandmarkError, match="do not fit"):
        error_figure([[1.0]], ["a", "b"], "mm")
