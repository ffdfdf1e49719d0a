"""Voxel, world, file and back: the same place by this library, by SimpleITK and by VTK."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks

ORIENTATIONS = [
    np.eye(3)[list(order)].T * signs for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]
SPACING, ORIGIN = (0.31, 1.7, 4.9), (-1234.5678901234, 20000.1, -3e4 / 7)
INDICES = np.array([[0, 0, 0], [3, 2, 1], [-0.5, 2.5, 1.25], [1.0 / 3, 2.0 / 7, 0.123456789]])
OBLIQUE = Rotation.from_rotvec([0.3, -0.7, 1.1]).as_matrix()


def volume(direction: np.ndarray, spacing=SPACING, origin=ORIGIN) -> Image:
    values = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
    return Image(values, Grid((4, 3, 2), spacing, origin, direction), "volume")


def through_itk(path: Path, indices: np.ndarray) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    return np.array([image.TransformContinuousIndexToPhysicalPoint(index.tolist()) for index in indices])


def through_landmarks(world: np.ndarray, path: Path, system: str) -> np.ndarray:
    labels = [str(i) for i in range(len(world))]
    save_landmarks(LandmarkSet.from_positions(labels, world), path, coordinate_system=system)
    return load_landmarks(path).positions


def test_there_are_48_orientations():
    assert len({direction.tobytes() for direction in ORIENTATIONS}) == 48


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz", ".nii"])
def test_every_orientation_is_read_as_simpleitk_reads_it(tmp_path, suffix):
    for i, direction in enumerate([*ORIENTATIONS, OBLIQUE, OBLIQUE * [1, 1, -1]]):
        image = volume(direction)
        path = tmp_path / f"{i}{suffix}"
        save_image(image, path)
        read = load_image(path)
        assert np.array_equal(read.array, image.array) and read.array.dtype == image.array.dtype
        assert np.abs(read.grid.to_world(INDICES) - through_itk(path, INDICES)).max() <= 1e-9
        # NIfTI stores single precision: 24 bits of a world coordinate of 2e4 mm.
        tolerance = 2e-3 if "nii" in suffix else 1e-9
        assert read.grid.same_as(image.grid, tolerance), (direction, read.grid, image.grid)


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv"])
@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_a_voxel_comes_back_from_every_landmark_file(tmp_path, suffix, system):
    for direction in [*ORIENTATIONS, OBLIQUE]:
        grid = volume(direction).grid
        back = grid.to_index(through_landmarks(grid.to_world(INDICES), tmp_path / f"landmarks{suffix}", system))
        assert np.abs(back - INDICES).max() <= 1e-6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    mirrored=st.booleans(),
    spacing=st.tuples(*[st.floats(1e-3, 50)] * 3),
    origin=st.tuples(*[st.floats(-1e5, 1e5)] * 3),
)
def test_a_voxel_of_any_grid_comes_back_from_image_and_landmarks(tmp_path, turn, mirrored, spacing, origin):
    direction = Rotation.from_rotvec(turn).as_matrix() * [1, 1, -1 if mirrored else 1]
    save_image(volume(direction, spacing, origin), tmp_path / "any.nrrd")
    grid = load_image(tmp_path / "any.nrrd").grid
    world = grid.to_world(INDICES)
    assert np.abs(world - through_itk(tmp_path / "any.nrrd", INDICES)).max() <= 1e-9 * max(1, *map(abs, origin))
    back = grid.to_index(through_landmarks(world, tmp_path / "any.mrk.json", "RAS"))
    # A world of 1e5 mm in double precision leaves 1.5e-11 mm, a voxel of 1e-3 mm 1.5e-8 of itself.
    assert np.abs(back - INDICES).max() <= 1e-6


@pytest.mark.parametrize("direction", [np.diag(s) for s in product((1.0, -1.0), repeat=2)])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_flat_images_keep_their_place(tmp_path, direction, suffix):
    image = Image(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), Grid((4, 3), (0.25, 2.0), (-7.5, 8.25), direction))
    save_image(image, tmp_path / f"flat{suffix}")
    read = load_image(tmp_path / f"flat{suffix}")
    assert read.grid.same_as(image.grid) and np.array_equal(read.array, image.array)


def test_a_landmark_of_a_reoriented_copy_lies_at_the_same_place(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((6, 5, 4), np.float32))
    image.SetSpacing(SPACING)
    image.SetOrigin((-12.0, 34.0, 56.0))
    image.SetDirection(OBLIQUE.ravel())
    image[1, 2, 3] = 1.0
    copies = [image, sitk.DICOMOrient(image, "RAI"), sitk.DICOMOrient(image, "SPL"), sitk.DICOMOrient(image, "ILA")]
    places = []
    for copy in copies:
        sitk.WriteImage(copy, str(tmp_path / "copy.mha"))
        read = load_image(tmp_path / "copy.mha")
        brightest = np.unravel_index(read.array[0].argmax(), read.grid.shape)[::-1]
        places.append(read.grid.to_world(brightest))
    assert np.abs(np.array(places) - image.TransformIndexToPhysicalPoint((1, 2, 3))).max() <= 1e-6


def test_vtk_finds_the_same_places(tmp_path):
    vtk = pytest.importorskip("vtk", reason="vtk is not installed (pip install landmark-detector[desktop])")
    for direction in [*ORIENTATIONS, OBLIQUE]:
        grid = volume(direction).grid
        data = vtk.vtkImageData()
        data.SetDimensions(grid.size)
        data.SetSpacing(grid.spacing)
        to_ras = np.diag([-1.0, -1.0, 1.0])
        data.SetOrigin(to_ras @ grid.origin)
        data.SetDirectionMatrix((to_ras @ grid.direction).ravel().tolist())
        ijk_to_ras = data.GetIndexToPhysicalMatrix()
        ras = np.array([ijk_to_ras.MultiplyPoint([*index, 1.0])[:3] for index in INDICES])
        assert np.abs(ras @ to_ras - grid.to_world(INDICES)).max() <= 1e-6
