"""The physical scale of NRRD and MetaImage: in mm whatever the unit, and none where the header gives none."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.io import load_image

VALUES = bytes(range(24))
SPACE = "space: left-posterior-superior\nspace directions: (10,0,0) (0,20,0) (0,0,30)\nspace origin: (100,200,300)\n"


def nrrd(path, fields, sizes="4 3 2"):
    head = f"NRRD0004\ntype: uchar\ndimension: {len(sizes.split())}\nsizes: {sizes}\nencoding: raw\n"
    path.write_bytes((head + fields + "\n").encode() + VALUES)
    return path


def meta_image(path, fields, sizes="4 3 2"):
    head = f"ObjectType = Image\nNDims = {len(sizes.split())}\nDimSize = {sizes}\n"
    path.write_bytes((head + fields + "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n").encode() + VALUES)
    return path


def quietly(told, path, **options):
    """An image, with what was said of it besides the axes that a header does not name."""
    with told() as messages:
        image = load_image(path, **options)
    return image, [message for message in messages if "does not say its space" not in message]


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "spacings: nan nan nan\n",
        "space: left-posterior-superior\n",
        "space: left-posterior-superior\nspace directions: none none none\n",
    ],
)
def test_a_nrrd_without_a_voxel_size_is_in_pixels(tmp_path, told, fields):
    image, messages = quietly(told, nrrd(tmp_path / "a.nrrd", fields))
    assert messages == [] and image.grid.same_as(Grid.regular((4, 3, 2), 1.0, "px"))
    image, _ = quietly(told, tmp_path / "a.nrrd", spacing=(0.5, 0.6, 2))
    assert image.grid.same_as(Grid.regular((4, 3, 2), (0.5, 0.6, 2)))


def test_a_meta_image_without_a_voxel_size_is_in_pixels_until_somebody_gives_it(tmp_path, told):
    path = meta_image(tmp_path / "a.mha", "TransformMatrix = 0 1 0 1 0 0 0 0 1\nOffset = 1 2 3\n")
    with told() as messages:
        grid, given = load_image(path).grid, load_image(path, spacing=(0.5, 0.6, 2)).grid
    direction = np.eye(3)[[1, 0, 2]]
    assert messages == [] and grid.same_as(Grid((4, 3, 2), (1.0, 1.0, 1.0), (1.0, 2.0, 3.0), direction, "px"))
    assert given.same_as(Grid((4, 3, 2), (0.5, 0.6, 2.0), (1.0, 2.0, 3.0), direction))


@pytest.mark.parametrize(
    "field", ["ElementSpacing = 0.5 0.6 2", "ElementSpacing: 0.5 0.6 2", "ElementSize = 0.5 0.6 2"]
)
def test_a_meta_image_with_a_voxel_size_is_in_millimetres(tmp_path, refused, field):
    path = meta_image(tmp_path / "a.mha", field + "\n")
    assert load_image(path).grid.same_as(Grid.regular((4, 3, 2), (0.5, 0.6, 2)))
    assert "contradicts its header" in refused(ImageError, load_image, path, spacing=(1, 1, 1))


def test_detached_headers_say_their_scale_as_well(tmp_path, told):
    (tmp_path / "a.raw").write_bytes(VALUES)
    header = meta_image(tmp_path / "a.mhd", "")
    header.write_bytes(header.read_bytes().replace(b"LOCAL\n" + VALUES, b"a.raw\n"))
    other = nrrd(tmp_path / "a.nhdr", "data file: a.raw\n")
    other.write_bytes(other.read_bytes().removesuffix(b"\n" + VALUES))
    for path in (header, other):
        image, messages = quietly(told, path)
        assert messages == [] and image.grid.unit == "px" and image.array.ravel().tolist() == list(VALUES)


@pytest.mark.parametrize(
    "fields",
    [
        "spacings: 0.5 nan 2\n",
        "space: left-posterior-superior\nspace directions: (0.5,0,0) none (0,0,2)\n",
        "space: left-posterior-superior\nspace directions: (0.5,0,0) (nan,nan,nan) (0,0,2)\n",
    ],
)
def test_a_voxel_size_for_some_axes_only_is_none_aloud(tmp_path, told, fields):
    image, messages = quietly(told, nrrd(tmp_path / "a.nrrd", fields))
    assert image.grid.unit == "px" and image.grid.spacing == (1.0, 1.0, 1.0)
    assert messages == ["a.nrrd: its header gives a voxel size for 2 of 3 axes; its unit is px."]


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [
        ("kinds: vector domain domain domain\nspacings: nan 0.5 0.6 2\n", "1 4 3 2"),
        ("kinds: domain domain domain list\nspacings: 0.5 0.6 2 nan\n", "4 3 2 1"),
        ("Spacings: 0.5 0.6 2\n", "4 3 2"),
    ],
)
def test_an_axis_of_channels_needs_no_voxel_size(tmp_path, told, fields, sizes):
    image, messages = quietly(told, nrrd(tmp_path / "a.nrrd", fields, sizes))
    assert messages == [] and image.grid.same_as(Grid.regular((4, 3, 2), (0.5, 0.6, 2)))


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1e-3), ("µm", 1e-3), ("microns", 1e-3), ("mm", 1), ("cm", 10), ("m", 1000), ("", 1)]
)
def test_lengths_of_a_nrrd_in_other_units_become_millimetres(tmp_path, told, unit, factor):
    path = nrrd(tmp_path / "a.nrrd", SPACE + f'space units: "{unit}" "{unit}" "{unit}"\n')
    image, messages = quietly(told, path)
    steps, origin = (tuple(factor * step for step in part) for part in ((10, 20, 30), (100, 200, 300)))
    assert messages == [] and image.grid.same_as(Grid((4, 3, 2), steps, origin, np.eye(3)))
    path = nrrd(tmp_path / "b.nrrd", f'spacings: 10 20 30\nunits: "{unit}" "{unit}" "{unit}"\n')
    image, messages = quietly(told, path)
    assert messages == [] and image.grid.same_as(Grid.regular((4, 3, 2), steps))


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("mm", 1), ("cm", 10), ("?", 1)])
def test_lengths_of_a_meta_image_in_other_units_become_millimetres(tmp_path, told, unit, factor):
    fields = f"DistanceUnits = {unit}\nOffset = 100 200 300\nElementSpacing = 10 20 30\n"
    image, messages = quietly(told, meta_image(tmp_path / "a.mha", fields))
    steps, origin = (tuple(factor * step for step in part) for part in ((10, 20, 30), (100, 200, 300)))
    assert messages == [] and image.grid.same_as(Grid((4, 3, 2), steps, origin, np.eye(3)))


@pytest.mark.parametrize("units", ['"um" "um" "mm"', '"furlong" "furlong" "furlong"', '"s" "mm" "mm"'])
def test_a_unit_that_is_none_of_length_or_several_are_refused(tmp_path, refused, units):
    path = nrrd(tmp_path / "a.nrrd", SPACE + f"space units: {units}\n")
    assert "give one unit that is known" in refused(ImageError, load_image, path)


def test_values_that_look_like_fields_are_none(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", SPACE, "4 3 4")
    path.write_bytes(path.read_bytes()[:-24] + b'space units: "um" "um" "um"\n'.ljust(48, b"\n"))
    assert load_image(path).grid.spacing == (10.0, 20.0, 30.0)
