"""Whatever way the voxels are stored, a picture shows the same patient the same way up."""

from __future__ import annotations

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image
from LandmarkDetectorLib.evaluation.paint import OUTSIDE, painted, round_length
from LandmarkDetectorLib.evaluation.views import (
    MAX_SIDE,
    View,
    crop_view,
    letters_of,
    patient_axes,
    planes_of,
    projection_views,
    slice_views,
    whole_view,
    window_of,
)

SIZE, SPACING, ORIGIN = (7, 9, 11), (0.5, 0.7, 1.1), (-3.0, 20.0, 5.0)


def upright() -> Image:
    """Random values on a grid along the patient's axes."""
    array = np.random.default_rng(0).normal(size=(1, *SIZE[::-1])).astype(np.float32)
    return Image(array, Grid(SIZE, SPACING, ORIGIN, np.eye(3)))


def stored_otherwise(image: Image, order: tuple[int, ...], flips: tuple[bool, ...]) -> Image:
    """The same voxels at the same places, their axes in another order and some of them backwards."""
    grid = image.grid
    array = np.transpose(image.array, (0, *(3 - axis for axis in order[::-1])))
    first = np.array([grid.size[axis] - 1 if flip else 0 for axis, flip in enumerate(flips)])
    signs = np.where(flips, -1.0, 1.0)
    array = np.flip(array, axis=[3 - order.index(axis) for axis, flip in enumerate(flips) if flip])
    size, spacing = (tuple(values[axis] for axis in order) for values in (grid.size, grid.spacing))
    direction = (grid.direction * signs)[:, order]
    return Image(array, Grid(size, spacing, tuple(grid.to_world(first)), direction))


def turned(degrees: float) -> np.ndarray:
    """A direction matrix turned about the superior axis."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_all_48_ways_to_store_a_volume_give_the_same_pictures(order, flips):
    image = upright()
    other = stored_otherwise(image, order, flips)
    place = image.grid.to_world([2.3, 4.1, 6.2])
    for view, same in zip(
        [*projection_views(image), *slice_views(image, place, 3.0, 16)],
        [*projection_views(other), *slice_views(other, place, 3.0, 16)],
        strict=True,
    ):
        np.testing.assert_allclose(same.values, view.values, atol=1e-5)
        assert (same.name, same.letters) == (view.name, view.letters)
        assert same.pixel == pytest.approx(view.pixel)
        np.testing.assert_allclose(same.place(place), view.place(place), atol=1e-9)


def test_pictures_follow_the_convention_of_radiology():
    letters = {view.name: view.letters for view in projection_views(upright())}
    assert letters == {
        "axial": ("R", "L", "A", "P"),
        "coronal": ("R", "L", "S", "I"),
        "sagittal": ("A", "P", "S", "I"),
    }


def test_an_oblique_grid_says_so_in_its_letters():
    oblique = Image(upright().array, Grid(SIZE, SPACING, ORIGIN, turned(30)))
    axial = projection_views(oblique)[0]
    assert axial.letters == ("RA", "LP", "AL", "PR")
    nearly = Image(upright().array, Grid(SIZE, SPACING, ORIGIN, turned(10)))
    assert projection_views(nearly)[0].letters == ("R", "L", "A", "P")


def test_letters_name_the_ends_of_the_patient_axes():
    axes = np.vstack([np.eye(3), -np.eye(3)])
    assert [letters_of(axis) for axis in axes] == ["L", "P", "S", "R", "A", "I"]
    assert letters_of(np.array([0.6, 0.0, -0.8])) == "IL"
    assert sorted(letters_of(np.array([1.0, 1.0, 1.0]))) == ["L", "P", "S"]


def test_patient_axes_keep_the_directions_of_the_grid():
    direction = turned(200)[:, [2, 0, 1]]
    axes, directions = patient_axes(Grid(SIZE, SPACING, ORIGIN, direction))
    assert axes == (1, 2, 0)
    np.testing.assert_allclose(directions, turned(20), atol=1e-12)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, 1.0, -1.0]), turned(37), turned(250)[:, [1, 2, 0]]])
def test_a_bright_voxel_lies_where_the_projection_places_its_world_position(direction):
    array = np.zeros((1, *SIZE[::-1]), dtype=np.int16)
    array[0, 8, 2, 5] = 100
    image = Image(array, Grid(SIZE, SPACING, ORIGIN, direction))
    place = image.grid.to_world([5, 2, 8])
    for view in projection_views(image):
        row, column = np.unravel_index(view.values[..., 0].argmax(), view.values.shape[:2])
        np.testing.assert_allclose(view.place(place), (column, row), atol=1e-9)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, 1.0, -1.0]), turned(37), turned(250)[:, [1, 2, 0]]])
def test_a_section_shows_the_values_of_the_world_positions_that_it_passes_through(direction):
    grid = Grid((20, 22, 24), SPACING, ORIGIN, direction)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)[..., ::-1]
    slope = np.array([0.3, -1.2, 0.8])
    image = Image((grid.to_world(index) @ slope)[None].astype(np.float64), grid)
    place = grid.to_world([9.3, 10.7, 12.2])
    _, directions = patient_axes(grid)
    pairs = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}
    for view in slice_views(image, place, 4.0, 33):
        across, down = pairs[view.name]
        world = place + 1.1 * directions[:, across] - 0.9 * directions[:, down]
        column, row = np.round(view.place(world)).astype(int)
        nearest = np.linalg.lstsq(view.matrix, [column, row] - view.place(place), rcond=None)[0]
        assert view.values[row, column, 0] == pytest.approx((place + nearest) @ slope, abs=1e-4)
        assert view.values[16, 16, 0] == pytest.approx(place @ slope, abs=1e-4)


def test_a_section_beyond_the_volume_is_empty_and_painted_as_outside():
    image = upright()
    view = slice_views(image, image.grid.to_world([0, 0, 0]), 4.0, 20)[0]
    assert np.isnan(view.values[0, 0, 0])
    assert np.isfinite(view.values[15, 15, 0])
    assert tuple(painted(view, (0.0, 1.0))[0, 0]) == OUTSIDE


def test_one_slice_is_shown_in_its_own_plane_only():
    thin = Grid((5, 6, 1), (1, 1, 3), ORIGIN, np.eye(3))
    assert planes_of(thin) == ["axial"]
    standing = Grid((5, 6, 1), (1, 1, 3), ORIGIN, np.eye(3)[:, [0, 2, 1]])
    assert planes_of(standing) == ["coronal"]
    assert len(planes_of(Grid.regular((1, 1, 1)))) == 3


def test_a_flat_picture_is_shown_as_it_is_stored_even_where_its_directions_are_flipped():
    array = np.arange(12.0).reshape(1, 3, 4)
    grid = Grid((4, 3), (0.5, 0.5), (10, 20), np.diag([-1.0, 1.0]))
    view = whole_view(Image(array, grid))
    np.testing.assert_array_equal(view.values[..., 0], array[0])
    np.testing.assert_allclose(view.place(grid.to_world([3, 1])), (3, 1), atol=1e-12)
    np.testing.assert_allclose(view.fraction(grid.to_world([-0.5, 2.5])), (0, 1), atol=1e-12)
    assert view.letters is None


def test_a_crop_of_a_flat_picture_is_centred_on_the_landmark():
    array = np.zeros((1, 30, 40))
    array[0, 12, 25] = 1
    grid = Grid((40, 30), (0.5, 0.5), (10, 20), np.diag([1.0, -1.0]))
    view = crop_view(Image(array, grid), grid.to_world([25, 12]), 4.0, 41)
    assert np.unravel_index(view.values[..., 0].argmax(), (41, 41)) == (20, 20)


def test_large_pictures_are_averaged_and_places_stay_right():
    array = np.zeros((3, 2001, 4010), dtype=np.uint8)
    array[:, 900:903, 1800:1803] = 255
    image = Image(array, Grid.regular((4010, 2001), 0.1))
    view = whole_view(image)
    assert max(view.values.shape[:2]) <= MAX_SIDE
    row, column = np.unravel_index(view.values[..., 0].argmax(), view.values.shape[:2])
    np.testing.assert_allclose(view.place(image.grid.to_world([1801, 901])), (column, row), atol=1e-9)


def test_projections_copy_no_volume():
    image = Image(np.zeros((1, 200, 200, 200), dtype=np.int16), Grid.regular((200, 200, 200)))
    tracemalloc.start()
    projection_views(image)
    slice_views(image, np.array([100.0, 100, 100]), 60, 192)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.array.nbytes / 2


def test_air_does_not_decide_how_bright_the_bone_is():
    values = np.full((1, 40, 40, 40), -1000.0)
    values[0, 10:14, 10:14, 10:14] = np.linspace(200, 1800, 64).reshape(4, 4, 4)
    black, white = window_of(values)
    assert black > -900
    assert 1700 < white <= 1800


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_a_constant_or_empty_image_still_has_a_window(value):
    black, white = window_of(np.full((1, 8, 8), value))
    assert np.isfinite([black, white]).all()
    assert white > black


def test_colour_in_eight_bits_is_shown_as_it_is():
    assert window_of(np.full((3, 4, 4), 77, dtype=np.uint8)) == (0.0, 255.0)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint64, np.float16, np.float64])
def test_every_type_of_value_can_be_shown(dtype):
    image = Image(upright().array.clip(0).astype(dtype), upright().grid)
    views = [*projection_views(image), *slice_views(image, image.grid.centre, 3.0, 8)]
    assert all(np.isfinite(view.values).any() for view in views)


def test_a_voxel_without_a_value_does_not_spoil_a_projection():
    image = upright()
    image.array[0, 3, 3, 3] = np.nan
    assert all(np.isfinite(view.values).all() for view in projection_views(image))


def test_a_view_knows_what_lies_on_it():
    view = View("image", np.zeros((4, 6, 1), np.float32), (1, 1), np.eye(2), np.zeros(2), None)
    assert view.shows(np.array([-0.5, 3.5]))
    assert not view.shows(np.array([-0.6, 3.0]))


@pytest.mark.parametrize(("extent", "length"), [(30, 10), (31, 10), (29, 5), (3.2, 1), (0.7, 0.2), (600, 200)])
def test_scale_bars_have_round_lengths(extent, length):
    assert round_length(extent) == pytest.approx(length)
