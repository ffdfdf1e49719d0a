"""Pictures of annotations and predictions, in 2D and 3D, from memory and of any kind of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation import figure_png, inspection_figure, prediction_figure, slices_figure
from LandmarkDetectorLib.evaluation.canvas import ORANGE, SKY, VERMILION, YELLOW
from LandmarkDetectorLib.evaluation.panel import heat_of, reframed, row_of_panels
from LandmarkDetectorLib.evaluation.prediction import pair_landmarks
from LandmarkDetectorLib.evaluation.views import projection_views, whole_view

TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def image(dimension: int, dtype=np.uint8, channels: int = 1, unit: str = "mm") -> Image:
    size = (40, 30, 24)[:dimension]
    direction = TURN if dimension == 3 else np.eye(2)
    grid = Grid(size, (0.5, 0.4, 0.8)[:dimension], (5.0, -3.0, 7.0)[:dimension], direction, unit)
    values = np.random.default_rng(0).uniform(0, 1, (channels, *grid.shape)) * (200 if dtype == np.uint8 else 1)
    return Image(values.astype(dtype), grid, "head $1")


def marks(of: Image, *places: tuple[float, ...] | None) -> LandmarkSet:
    """Landmarks a, b, ... at fractions of the image."""
    last = np.asarray(of.grid.size) - 1
    worlds = [None if place is None else of.grid.to_world(np.array(place[: of.dimension]) * last) for place in places]
    return LandmarkSet(tuple(Landmark("abcdef"[k], world) for k, world in enumerate(worlds)), of.grid.unit)


def shape_of(figure, colour: str, shape: str) -> int:
    return sum(
        line.get_xdata().size
        for line in figure.axes[0].lines
        if line.get_color() == colour and line.get_marker() == shape
    )


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.float32, 1), (np.int16, 2), (np.uint8, 3)])
def test_any_image_in_memory_is_inspected_with_its_annotation(dimension, dtype, channels):
    here = image(dimension, dtype, channels, "px" if channels == 3 else "mm")
    figure = inspection_figure(here, marks(here, (0.2, 0.3, 0.4), (0.7, 0.5, 0.6), None))
    assert figure_png(figure, 40)
    assert len(figure.axes[0].images) == (1 if dimension == 2 else 3)
    assert shape_of(figure, SKY, "o") == 2 * (1 if dimension == 2 else 3)
    assert "head $1: 2 landmarks, 1 without a position" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("dimension", [2, 3])
def test_sections_go_through_every_landmark_and_those_without_a_place_are_named(dimension):
    here = image(dimension)
    found = marks(here, (0.2, 0.3, 0.4), None, (0.7, 0.5, 0.6), (3.0, 0.5, 0.5))
    figure = slices_figure(here, found, heatmap=Image(here.array.astype(np.float32), here.grid, "heat"))
    assert len(figure.axes[0].images) == 2 * 2 * (1 if dimension == 2 else 3)
    assert any(text.get_text().endswith(": b, d") for text in figure.axes[0].texts)
    assert figure_png(figure, 40)
    with pytest.raises(LandmarkError, match="no landmark lies"):
        slices_figure(here, marks(here, None))


@pytest.mark.parametrize("dimension", [2, 3])
def test_misses_and_landmarks_without_a_truth_look_like_what_they_are(dimension):
    here = image(dimension)
    truth = marks(here, (0.2, 0.3, 0.4), (0.7, 0.5, 0.6), None)
    found = marks(here, (0.25, 0.3, 0.4), None, (0.5, 0.5, 0.5))
    figure = prediction_figure(here, found, truth)
    pictures = 1 if dimension == 2 else 3
    assert shape_of(figure, VERMILION, "X") == shape_of(figure, ORANGE, "s") == pictures
    assert sum(line.get_color() == YELLOW for line in figure.axes[0].lines) == pictures
    error = np.linalg.norm(found[0].position - truth[0].position)
    title = f"head $1: mean error {error:.2f} mm over 1, 1 missed, 1 without a truth"
    assert title in [text.get_text() for text in figure.axes[0].texts]
    assert figure_png(figure, 40)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_error_is_drawn_from_the_truth_to_the_prediction(dimension):
    here = image(dimension)
    truth, found = marks(here, (0.2, 0.3, 0.4)), marks(here, (0.6, 0.7, 0.8))
    figure = prediction_figure(here, found, truth)
    views = [whole_view(here)] if dimension == 2 else projection_views(here)
    lines = [line for line in figure.axes[0].lines if line.get_color() == YELLOW]
    for line, view, picture in zip(lines, views, figure.axes[0].images, strict=True):
        left, right, bottom, top = picture.get_extent()
        across, down = view.fraction(np.array([truth[0].position, found[0].position])).T
        np.testing.assert_allclose(line.get_xdata(), left + across * (right - left))
        np.testing.assert_allclose(line.get_ydata(), top + down * (bottom - top))


def test_an_ellipse_holds_what_it_says_of_the_cloud_that_is_seen():
    here = image(3)
    spread = np.array([[2.0, 0.6, 0.2], [0.6, 0.5, 0.0], [0.2, 0.0, 1.0]]) * 0.2
    centre = here.grid.centre
    found = LandmarkSet((Landmark("a", centre, covariance=spread),))
    figure = prediction_figure(here, found, LandmarkSet.from_positions(["a"], [centre]))
    cloud = np.random.default_rng(0).multivariate_normal(centre, spread, 4000)
    for view, patch, picture in zip(projection_views(here), figure.axes[0].patches, figure.axes[0].images, strict=True):
        left, right, bottom, top = picture.get_extent()
        spots = np.array([left, top]) + view.fraction(cloud) * [right - left, bottom - top]
        inside = patch.get_patch_transform().inverted().transform(spots)
        assert (np.linalg.norm(inside, axis=1) <= 1).mean() == pytest.approx(0.95, abs=0.02)


def test_several_landmarks_of_one_class_are_paired_for_the_best_and_not_by_order():
    truth = LandmarkSet.from_positions(["root", "root"], [[0.0, 0.0], [10.0, 0.0]], "px")
    found = LandmarkSet.from_positions(["root", "root", "root"], [[11.0, 0.0], [30.0, 0.0], [1.0, 0.0]], "px")
    pairing = pair_landmarks(found, truth, threshold=5.0)
    assert pairing.errors.tolist() == [1.0, 1.0]
    assert [mark.position.tolist() for mark in pairing.unmatched] == [[30.0, 0.0]]
    field = Image(np.zeros((1, 20, 40), np.uint8), Grid.regular((40, 20), 1, "px"))
    assert figure_png(prediction_figure(field, found, truth, threshold=5.0), 40)
    assert figure_png(inspection_figure(field, truth), 40)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_heatmap_on_a_grid_of_its_own_lies_where_it_belongs(dimension):
    here = image(dimension, unit="mm")
    coarse = Grid(
        tuple(n // 2 for n in here.grid.size),
        tuple(2 * step for step in here.grid.spacing),
        tuple(here.grid.to_world([0.5] * dimension)),
        here.grid.direction,
    )
    array = np.zeros((2, *coarse.shape), np.float32)
    spot = (5, 4, 3)[:dimension]
    array[(1, *spot[::-1])] = 1.0
    heat = heat_of(Image(array, coarse, "heat"), here)
    views = (projection_views, lambda one: [whole_view(one)])[dimension == 2]
    for own, like in zip(views(heat), views(here), strict=True):
        values = reframed(own, like).values[..., 0]
        rows, columns = np.nonzero(values > 0.999 * values.max())
        np.testing.assert_allclose([columns.mean(), rows.mean()], like.place(coarse.to_world(spot)), atol=0.5)
        weights = values / values.sum()
        centre = [
            (weights.sum(0) * np.arange(weights.shape[1])).sum(),
            (weights.sum(1) * np.arange(len(weights))).sum(),
        ]
        np.testing.assert_allclose(centre, like.place(coarse.to_world(spot)), atol=1e-3)


def test_what_does_not_belong_together_is_not_drawn_together():
    here = image(3)
    with pytest.raises(LandmarkError, match="belongs together"):
        inspection_figure(here, LandmarkSet.from_positions(["a"], [[1.0, 1.0]]))
    turned = Image(here.array, replace(here.grid, direction=np.eye(3)), "heat")
    with pytest.raises(LandmarkError, match="resample"):
        inspection_figure(here, marks(here, (0.5, 0.5, 0.5)), heatmap=turned)


def test_pictures_in_a_row_have_one_scale_and_stay_on_the_paper():
    views = projection_views(image(3))
    figure, _, panels = row_of_panels(views, 14, 6)
    scales = [panel.size / panel.view.extent for panel in panels]
    np.testing.assert_allclose(scales, np.full((3, 2), scales[0][0]), rtol=1e-6)
    width, height = figure.get_size_inches() * figure.dpi
    assert all(p.box[0] >= 0 and p.box[1] >= 0 and p.box[2] <= width + 1e-6 and p.box[3] <= height for p in panels)
    assert all(one.box[2] < other.box[0] for one, other in zip(panels, panels[1:], strict=False))
