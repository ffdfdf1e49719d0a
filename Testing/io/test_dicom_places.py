"""Where the slices of a DICOM series lie: what was rounded is read aloud, what no rounding explains is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.io.dicom_source import lie_in, source_headers

VOLUME = np.random.default_rng(0).integers(0, 4000, (6, 5, 4), dtype=np.uint16)
OBLIQUE = Rotation.from_rotvec([0.3, -0.7, 1.1]).as_matrix()


def stack_in(folder, dicom, heights, direction=None, digits=12):
    """Slices of one value each, at these heights along the normal of a direction."""
    direction = np.eye(3) if direction is None else direction
    folder.mkdir()
    for z, height in enumerate(heights):
        geometry = {
            "ImagePositionPatient": (height * direction[:, 2]).round(digits).tolist(),
            "ImageOrientationPatient": [*direction[:, 0], *direction[:, 1]],
        }
        dicom.save(folder / f"{z}.dcm", np.full((5, 4), z, np.uint16), PixelSpacing=[1, 1], **geometry)
    return folder


@pytest.mark.parametrize(
    ("step", "digits", "aloud"),
    [
        *[(0.75, 1, True), (0.333, 2, True), (0.125, 2, True), (1.25, 1, True), (0.25, 1, True)],
        *[(0.625, 2, False), (2.0, 0, False)],
    ],
)
@pytest.mark.parametrize("direction", [np.eye(3), np.eye(3)[[1, 2, 0]]])
def test_slices_whose_places_were_rounded_are_read_as_even(tmp_path, dicom, told, step, digits, aloud, direction):
    folder = stack_in(tmp_path / "series", dicom, (step * np.arange(35)).round(digits), direction)
    with told() as messages:
        image = load_image(folder)
    assert image.grid.spacing[2] == pytest.approx(step, rel=2e-3)
    assert image.grid.origin == pytest.approx((0, 0, 0), abs=0.02)
    assert image.array[0, :, 0, 0].tolist() == list(range(35))
    assert len(messages) == int(aloud) and all("mm off even places, as rounded" in message for message in messages)
    assert lie_in(source_headers(folder), image.grid)


def test_oblique_slices_whose_places_were_rounded_are_read_as_even(tmp_path, dicom):
    folder = stack_in(tmp_path / "series", dicom, 0.333 * np.arange(35), OBLIQUE, digits=2)
    with pytest.warns(match="off even places"):
        grid = load_image(folder).grid
    assert grid.spacing[2] == pytest.approx(0.333, rel=2e-3)
    assert grid.origin == pytest.approx((0, 0, 0), abs=0.01)


def test_even_slices_keep_their_places_to_the_last_digit(tmp_path, dicom):
    for name, off in (("exact", 0.0), ("fine", 0.018)):
        grid = load_image(stack_in(tmp_path / name, dicom, 2.0 * np.arange(6) + 1.1 + off * (np.arange(6) == 5))).grid
        assert grid.origin == (0.0, 0.0, 1.1) and grid.spacing[2] == pytest.approx(2 + off / 5, abs=1e-12)


@pytest.mark.parametrize(
    "heights",
    [
        np.delete(0.75 * np.arange(35), 20).round(1),  # one is missing
        np.delete(0.75 * np.arange(35), [20, 21]).round(1),
        np.delete(0.333 * np.arange(4), 2).round(2),
        np.r_[np.arange(10), 10 + 2 * np.arange(10)],  # thin ones, then thick ones
        np.r_[np.arange(20), 20 + 1.2 * np.arange(20)],
        np.arange(35) + 0.3 * (np.arange(35) % 2),  # two series between each other
        np.arange(35) + 0.002 * np.arange(35) ** 2,  # growing gaps
        np.r_[np.arange(10), 8.5 + np.arange(10)],  # two series, one begins within the other
    ],
)
def test_gaps_that_no_rounding_explains_are_refused(tmp_path, dicom, refused, heights):
    folder = stack_in(tmp_path / "series", dicom, heights)
    assert "missing or mixed" in refused(ImageError, load_image, folder)


def test_a_slice_twice_in_a_rounded_series_is_refused(tmp_path, dicom, refused):
    folder = stack_in(tmp_path / "series", dicom, np.r_[0.75 * np.arange(12), 3.75].round(1))
    assert "two slices lie at the same place" in refused(ImageError, load_image, folder)


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_cosines_are_mended_aloud(tmp_path, dicom, told, digits):
    positions = 2.0 * np.arange(6)[:, None] * OBLIQUE[:, 2]
    (tmp_path / "series").mkdir()
    for z, pixels in enumerate(VOLUME):
        cosines = np.r_[OBLIQUE[:, 0], OBLIQUE[:, 1]].round(digits).tolist()
        geometry = {"ImagePositionPatient": positions[z].tolist(), "ImageOrientationPatient": cosines}
        dicom.save(tmp_path / "series" / f"{z}.dcm", pixels, PixelSpacing=[0.5, 0.7], **geometry)
    with told() as messages:
        image = load_image(tmp_path / "series")
    assert len(messages) == 1 and "direction cosines are off from orthonormal" in messages[0]
    assert np.abs(image.grid.direction - OBLIQUE).max() < 10.0**-digits and np.array_equal(image.array[0], VOLUME)
    assert image.grid.spacing == pytest.approx((0.7, 0.5, 2.0), rel=1e-4)
    assert image.grid.direction.T @ image.grid.direction == pytest.approx(np.eye(3), abs=1e-12)


def test_a_tilted_gantry_is_refused_with_rounded_cosines_too(tmp_path, dicom, refused):
    cosines = [*OBLIQUE[:, 0].round(3), *OBLIQUE[:, 1].round(3)]
    (tmp_path / "tilted").mkdir()
    for z, pixels in enumerate(VOLUME):
        place = (2.0 * z * OBLIQUE[:, 2] + 0.1 * z * OBLIQUE[:, 1]).tolist()
        geometry = {"ImagePositionPatient": place, "ImageOrientationPatient": cosines}
        dicom.save(tmp_path / "tilted" / f"{z}.dcm", pixels, PixelSpacing=[1, 1], **geometry)
    with pytest.warns(match="direction cosines"):
        assert "tilted gantry" in refused(ImageError, load_image, tmp_path / "tilted")


@pytest.mark.parametrize("cosines", [[1, 0, 0, 0.1, 1, 0], [1, 0, 0, 0.03, 1, 0], [1, 0, 0, 1, 0, 0]])
def test_cosines_that_no_rounding_explains_are_refused(tmp_path, dicom, refused, cosines):
    geometry = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": cosines, "SliceThickness": 1}
    path = dicom.save(tmp_path / "odd.dcm", VOLUME[0], PixelSpacing=[1, 1], **geometry)
    message = refused(ImageError, load_image, path)
    assert "orthonormal" in message or "orthogonal" in message
