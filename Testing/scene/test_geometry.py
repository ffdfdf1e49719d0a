"""A voxel keeps its place on the way to an image, a result, a file and back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from LandmarkDetector.Scene.export import export
from LandmarkDetector.Scene.result import create_result, landmark_set_of
from LandmarkDetector.Scene.volume_image import image_of_volume
from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image
from Testing.scene.nodes import TO_RAS, add_grid, add_linear, add_volume

SIZE, INDEX = (4, 5, 6), np.array([[0.0, 0, 0], [3, 4, 5], [1.25, 0.5, 4.75]])
AXES = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
OBLIQUE = [np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] for seed in range(4)]
PLACES = [((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), ((0.31, 1.7, 4.9), (-1234.5678901234, 20000.1, -3e4 / 7))]


def by_vtk(node, index) -> np.ndarray:
    """World position in LPS of a voxel index by the node's own matrices, parent transforms included."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ras = np.array(matrix.MultiplyPoint((*index, 1.0))[:3])
    if node.GetParentTransformNode() is not None:
        general = vtk.vtkGeneralTransform()
        node.GetParentTransformNode().GetTransformToWorld(general)
        ras = np.array(general.TransformPoint(ras))
    return ras * TO_RAS


@pytest.mark.parametrize("direction", AXES + OBLIQUE, ids=lambda axes: "".join(f"{v:+.0f}" for v in axes.ravel()))
@pytest.mark.parametrize(("spacing", "origin"), PLACES, ids=["plain", "far"])
def test_a_voxel_lies_where_itk_vtk_and_the_file_say(scene, tmp_path, direction, spacing, origin):
    grid = Grid(SIZE, spacing, origin, direction)
    node = add_volume(scene, grid)
    image = image_of_volume(node)
    assert image.grid.size == SIZE and image.grid.unit == "mm"
    marks = LandmarkSet.from_positions("abc", image.grid.to_world(INDEX))
    result = create_result(scene, marks, node)
    export(result, tmp_path / "a.mrk.json", "RAS")
    there = load_landmarks(tmp_path / "a.mrk.json").positions
    itk = sitk.Image(SIZE, sitk.sitkUInt8)
    itk.SetSpacing(spacing)
    itk.SetOrigin(origin)
    itk.SetDirection(direction.ravel())
    for index, place in zip(INDEX, there, strict=True):
        assert np.abs(place - itk.TransformContinuousIndexToPhysicalPoint(index.tolist())).max() <= 1e-6
        assert np.abs(place - by_vtk(node, index)).max() <= 1e-6
    assert np.abs(image.grid.to_index(there) - INDEX).max() * max(spacing) <= 1e-6


@pytest.mark.parametrize("direction", [np.eye(3), AXES[17], AXES[20], *OBLIQUE[:2]])
def test_a_volume_that_slicer_reads_has_its_voxels_where_the_library_has_them(world, tmp_path, direction):
    grid = Grid((4, 3, 2), (0.31, 1.7, 4.9), (-1234.5, 200.1, -3e3 / 7), direction)
    path = tmp_path / "volume.nrrd"
    save_image(Image(np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4), grid), path)
    seen = image_of_volume(world.volumes.AddArchetypeVolume(str(path), "volume"))
    ours = load_image(path)
    # Slicer may turn slices round, so a voxel is known by its value.
    for value in range(24):
        places = [i.grid.to_world(np.argwhere(i.array[0] == value)[0][::-1]) for i in (seen, ours)]
        assert np.abs(places[0] - places[1]).max() <= 1e-6


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv"])
@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_a_result_under_a_transform_lies_in_the_world_where_the_voxel_is(scene, ct, parent, tmp_path, suffix, system):
    ct.SetAndObserveTransformNodeID(None if parent is None else parent.GetID())
    image = image_of_volume(ct)
    marks = LandmarkSet.from_positions("abc", image.grid.to_world(INDEX))
    node = create_result(scene, marks, ct)
    assert node.GetParentTransformNode() is parent
    export(node, tmp_path / f"a{suffix}", system)
    wanted = np.array([by_vtk(ct, index) for index in INDEX])
    assert np.abs(load_landmarks(tmp_path / f"a{suffix}").positions - wanted).max() <= 1e-6
    assert np.abs(landmark_set_of(node).positions - wanted).max() <= 1e-6
    assert np.abs(landmark_set_of(node, world=False).positions - marks.positions).max() <= 1e-9


def test_a_result_moves_with_its_volume(scene, ct):
    image = image_of_volume(ct)
    transform = add_linear(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    node = create_result(scene, LandmarkSet.from_positions("abc", image.grid.to_world(INDEX)), ct)
    before = landmark_set_of(node).positions
    shifted = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToParent(shifted)
    shifted.SetElement(0, 3, shifted.GetElement(0, 3) + 50)
    transform.SetMatrixTransformToParent(shifted)
    assert np.allclose(landmark_set_of(node).positions - before, [-50, 0, 0])
    assert np.allclose(landmark_set_of(node).positions, [by_vtk(ct, index) for index in INDEX])


def test_covariances_turn_and_stretch_with_a_linear_transform(scene, ct, marks):
    transform = add_linear(scene, 5)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    node = create_result(scene, marks, ct)
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    linear = np.array([[matrix.GetElement(r, c) for c in range(3)] for r in range(3)]) * np.outer(TO_RAS, TO_RAS)
    for mark in landmark_set_of(node):
        if mark.position is not None:
            assert np.allclose(mark.covariance, linear @ marks[mark.label].covariance @ linear.T)


def test_covariances_follow_a_bent_transform_as_a_cloud_of_points_does(scene, ct, marks):
    transform = add_grid(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    node = create_result(scene, marks, ct)
    general = vtk.vtkGeneralTransform()
    transform.GetTransformToWorld(general)
    mark = landmark_set_of(node)["c"]
    small = marks["c"].covariance * 1e-4
    cloud = np.random.default_rng(0).multivariate_normal(marks["c"].position, small, 20000)
    moved = np.array([general.TransformPoint(place * TO_RAS) for place in cloud]) * TO_RAS
    assert np.allclose(np.cov(moved.T), mark.covariance * 1e-4, atol=0.05 * small.max())


def picture(scene, path: Path, array: np.ndarray) -> Any:
    """A volume as Slicer makes one of a picture file; slicer-core itself has no reader for them."""
    colour = array.ndim == 3
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=colour), str(path))
    array = np.moveaxis(array, -1, 0)[:, None] if colour else array[None]
    node = add_volume(scene, Grid((9, 7, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)), array, path.stem)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    return node


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_picture_without_scale_is_in_pixels(scene, tmp_path, suffix):
    array = np.random.default_rng(0).integers(0, 255, (7, 9)).astype(np.uint8)
    image = image_of_volume(picture(scene, tmp_path / f"a.{suffix}", array))
    ours = load_image(tmp_path / f"a.{suffix}")
    assert image.grid.unit == ours.grid.unit == "px" and image.channels == ours.channels == 1
    assert image.grid.size == (9, 7, 1)


def test_a_voxel_size_that_somebody_gave_a_picture_is_a_scale(scene, tmp_path):
    node = picture(scene, tmp_path / "a.png", np.arange(63, dtype=np.uint8).reshape(7, 9))
    node.SetSpacing(0.2, 0.2, 1.0)
    assert image_of_volume(node).grid.unit == "mm"


def test_colours_are_channels_and_gray_ones_are_one_where_one_is_asked_for(scene, tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    node = picture(scene, tmp_path / "a.png", colour)
    assert image_of_volume(node).channels == 3 and image_of_volume(node, channels=1).channels == 3
    assert np.array_equal(image_of_volume(node).array[:, 0], load_image(tmp_path / "a.png").array)
    gray = np.repeat(colour[..., :1], 3, axis=-1)
    node = picture(scene, tmp_path / "b.png", gray)
    assert image_of_volume(node).channels == load_image(tmp_path / "b.png").channels == 3
    assert image_of_volume(node, channels=1).channels == 1


def test_transparency_is_no_channel(scene, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (7, 9, 4)).astype(np.uint8)
    assert image_of_volume(picture(scene, tmp_path / "a.png", pixels)).channels == 3


def test_a_volume_that_is_said_to_be_in_pixels_is_until_somebody_gives_a_voxel_size(scene):
    node = add_volume(scene, Grid((9, 7, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)))
    assert image_of_volume(node).grid.unit == "mm"
    node.SetAttribute("LandmarkDetector.unit", "px")
    assert image_of_volume(node).grid.unit == "px"
    node.SetSpacing(0.2, 0.2, 1.0)
    assert image_of_volume(node).grid.unit == "mm"


def test_voxels_are_looked_at_and_not_copied(scene, ct):
    image = image_of_volume(ct)
    assert not image.array.flags.writeable
    assert np.shares_memory(image.array, slicer.util.arrayFromVolume(ct))


def test_values_that_are_no_numbers_are_mended_in_a_copy_and_said_aloud(scene):
    array = np.linspace(-1, 1, 24).reshape(2, 3, 4)
    array[1, 1, 1] = np.nan
    node = add_volume(scene, Grid.regular((4, 3, 2)), array)
    with pytest.warns(UserWarning, match="1 voxels were not finite"):
        image = image_of_volume(node)
    assert np.isfinite(image.array).all()
    assert np.isnan(slicer.util.arrayFromVolume(node)).sum() == 1


def test_a_volume_that_cannot_be_used_says_why(scene, ct):
    from LandmarkDetectorLib.core import ImageError

    with pytest.raises(ImageError, match="No volume is chosen"):
        image_of_volume(None)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(ImageError, match="empty: the volume holds no voxels"):
        image_of_volume(empty)
    with pytest.raises(ImageError, match="it is no volume"):
        image_of_volume(scene.AddNewNodeByClass("vtkMRMLModelNode", "model"))
    sheared = vtk.vtkMatrix4x4()
    sheared.SetElement(0, 1, 0.3)
    ct.SetIJKToRASMatrix(sheared)
    with pytest.raises(ImageError, match="CT: .*not orthonormal"):
        image_of_volume(ct)


def test_the_head_of_a_picture_is_found_where_the_library_finds_it(world):
    bundle = load_bundle("fetal-head-us")
    path = bundle.samples()[0]
    detector = Detector(bundle, "cpu")
    flat = detector.detect(load_image(path)).landmarks
    volume = world.volumes.AddArchetypeVolume(str(path), "head")
    image = image_of_volume(volume, bundle.card.channels)
    assert image.grid.size[2] == 1 and image.grid.unit == flat.unit == "mm"
    lifted = detector.detect(image).landmarks
    assert (flat.dimension, lifted.dimension) == (2, 3)
    for marks in (flat, lifted):
        back = landmark_set_of(create_result(world.scene, marks, volume))
        assert np.abs(back.positions[:, :2] - flat.positions).max() <= 1e-6
        assert back.dimension == marks.dimension
        for mark in back:
            assert np.allclose(np.asarray(mark.covariance)[:2, :2], flat[mark.label].covariance)
