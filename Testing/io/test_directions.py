"""Direction cosines that were rounded: mended aloud, of the same handedness; sheared ones are refused."""

from __future__ import annotations

import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.io.directions import deviation, orthonormal

VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
TURN = Rotation.from_euler("xyz", (0.2, 0.3, 0.4)).as_matrix()
MIRRORED = TURN * [1, 1, -1]
SHEARED = TURN @ np.array([[1, 0.03, 0], [0, 1, 0], [0, 0, 1]])


def nrrd(path, direction, spacing=(0.5, 0.6, 2.0)):
    vectors = " ".join("(" + ",".join(map(repr, column.tolist())) + ")" for column in (direction * spacing).T)
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nendian: little\nencoding: raw\n"
    place = f"space: left-posterior-superior\nspace directions: {vectors}\nspace origin: (1,2,3)\n\n"
    path.write_bytes((head + place).encode() + VALUES.tobytes())


def meta_image(path, direction, spacing=(0.5, 0.6, 2.0)):
    head = f"ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementSpacing = {' '.join(map(str, spacing))}\n"
    place = f"TransformMatrix = {' '.join(map(str, direction.T.ravel()))}\nOffset = 1 2 3\n"
    path.write_bytes((head + place + "ElementType = MET_SHORT\nElementDataFile = LOCAL\n").encode() + VALUES.tobytes())


def nifti(path, direction, spacing=(0.5, 0.6, 2.0), qform_code=0):
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    raw = bytearray(path.read_bytes())
    sform = np.column_stack([direction * spacing, (1, 2, 3)]) * [[-1], [-1], [1]]
    struct.pack_into("<2h", raw, 252, qform_code, 1)
    struct.pack_into("<12f", raw, 280, *sform.ravel())
    path.write_bytes(raw)


FORMATS = [(".nrrd", nrrd), (".mha", meta_image), (".nii", nifti)]


@pytest.mark.parametrize(("suffix", "write"), FORMATS)
@pytest.mark.parametrize("direction", [TURN, MIRRORED])
@pytest.mark.parametrize("digits", [3, 4, 5])
def test_rounded_cosines_of_a_volume_are_mended(tmp_path, told, suffix, write, direction, digits):
    write(tmp_path / f"a{suffix}", direction.round(digits))
    with told() as messages:
        grid = load_image(tmp_path / f"a{suffix}").grid
    assert deviation(grid.direction) < 1e-4 and np.abs(grid.direction - direction).max() < 10.0**-digits
    assert grid.origin == (1.0, 2.0, 3.0) and grid.spacing == pytest.approx((0.5, 0.6, 2.0), rel=2e-3)
    assert np.sign(np.linalg.det(grid.direction)) == np.sign(np.linalg.det(direction))
    assert len(messages) == int(digits == 3) and all("as rounded ones are" in message for message in messages)


@pytest.mark.parametrize(("suffix", "write"), FORMATS)
def test_sheared_cosines_of_a_volume_are_refused(tmp_path, refused, suffix, write):
    write(tmp_path / f"a{suffix}", SHEARED)
    message = refused(ImageError, load_image, tmp_path / f"a{suffix}")
    assert "not orthonormal" in message or "sheared or singular" in message


def test_what_is_orthonormal_already_stays_to_the_last_digit():
    for direction in (TURN, TURN.astype(np.float32).astype(float), np.eye(3)):
        assert np.array_equal(orthonormal(direction, "a"), direction)
    with pytest.warns(match="off from orthonormal by 0.00"):
        mended = orthonormal(MIRRORED.round(3), "a")
    assert deviation(mended) < 1e-14 and np.linalg.det(mended) == pytest.approx(-1)


def test_a_rounded_sform_counts_only_where_there_is_no_qform(tmp_path, told):
    nifti(tmp_path / "a.nii", TURN.round(2), qform_code=1)
    with told() as messages:
        grid = load_image(tmp_path / "a.nii").grid
    assert len(messages) == 1 and "the qform was used" in messages[0] and np.array_equal(grid.direction, np.eye(3))


def test_a_rounded_sform_with_other_steps_than_the_voxel_size_is_said_to_be_so(tmp_path, told):
    nifti(tmp_path / "a.nii", TURN.round(3))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<f", raw, 80, 0.7)
    (tmp_path / "a.nii").write_bytes(raw)
    with told() as messages:
        load_image(tmp_path / "a.nii")
    assert len(messages) == 2 and "its sform is no rotation with its voxel size" in messages[1]


@pytest.mark.filterwarnings("ignore::LandmarkDetectorLib.core.LandmarkDetectorWarning")
def test_mending_an_sform_leaves_the_environment_and_other_threads_as_they_were(tmp_path, monkeypatch):
    monkeypatch.delenv("ITK_NIFTI_SFORM_PERMISSIVE", raising=False)
    nifti(tmp_path / "rounded.nii", TURN.round(3))
    nifti(tmp_path / "sheared.nii", SHEARED, qform_code=1)
    with ThreadPoolExecutor(4) as pool:
        grids = list(pool.map(lambda name: load_image(tmp_path / name).grid, ["rounded.nii", "sheared.nii"] * 20))
    assert all(np.abs(grid.direction - TURN).max() < 1e-3 for grid in grids[::2])
    assert all(np.array_equal(grid.direction, np.eye(3)) for grid in grids[1::2])
    assert "ITK_NIFTI_SFORM_PERMISSIVE" not in os.environ


def test_sheared_sforms_are_refused_whatever_the_environment_permits(tmp_path, refused, monkeypatch):
    monkeypatch.setenv("ITK_NIFTI_SFORM_PERMISSIVE", "1")
    nifti(tmp_path / "a.nii", SHEARED)
    assert "sheared or singular" in refused(ImageError, load_image, tmp_path / "a.nii")
    assert os.environ["ITK_NIFTI_SFORM_PERMISSIVE"] == "1"
