"""Quantities whose values are known by hand, near angles of 0 and 180 degrees too."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.measure import (
    angle_at,
    angle_between,
    centroid_size,
    distance,
    distance_to_line,
    distance_to_plane,
    intersection,
    mid_sagittal_plane,
    midpoint,
    plane_through,
    project_on_line,
    project_on_plane,
    signed_angle,
)

X, Y, Z = np.eye(3)


@pytest.mark.parametrize("d", [2, 3])
def test_a_triangle_of_3_4_5_has_its_sides_and_angles(d):
    a, b, c = np.zeros(d), 3 * np.eye(d)[0], 4 * np.eye(d)[1]
    assert distance(b, c) == 5
    assert angle_at(b, a, c) == pytest.approx(90)
    assert angle_at(a, b, c) == pytest.approx(np.degrees(np.arctan2(4, 3)))
    assert midpoint(a, b, c).tolist() == [1, 4 / 3, 0][:d]
    assert centroid_size(np.stack([a, b, c])) == pytest.approx(np.sqrt((9 + 16 + 25) / 3))


def test_small_and_flat_angles_keep_their_digits():
    for angle in (1e-9, 1e-6, 180 - 1e-6):
        v = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        assert angle_between(np.array([1.0, 0]), v) == pytest.approx(angle, rel=1e-6)


def test_a_landmark_stands_over_a_line_and_over_a_plane():
    place = np.array([3.0, 4.0, 12.0])
    assert project_on_line(place, np.zeros(3), X).tolist() == [3, 0, 0]
    assert distance_to_line(place, np.zeros(3), X) == pytest.approx(np.hypot(4, 12))
    assert distance_to_plane(place, np.zeros(3), -Z) == -12
    assert project_on_plane(place, np.zeros(3), Z).tolist() == [3, 4, 0]


def test_three_landmarks_make_a_plane_and_three_on_a_line_make_none():
    centre, normal = plane_through(X, Y, Z)
    assert centre == pytest.approx([1 / 3] * 3)
    assert normal == pytest.approx(np.full(3, 3**-0.5))
    assert np.isnan(plane_through(X, 2 * X, 5 * X)[1]).all()
    with pytest.raises(LandmarkError, match="3D"):
        plane_through(X[:2], Y[:2], Z[:2])


def test_lines_meet_or_pass_each_other_halfway_or_run_beside():
    flat = intersection(np.zeros(2), np.array([1.0, 0]), np.array([5.0, -3]), np.array([0, 1.0]))
    assert flat == pytest.approx([5, 0])
    assert intersection(np.zeros(3), X, np.array([2.0, 1, 8]), Y) == pytest.approx([2, 0, 4])
    assert np.isnan(intersection(np.zeros(3), X, Y, X)).all()


def test_a_signed_angle_names_a_side_and_no_sense_of_rotation():
    down, leaning = np.array([0.0, 1]), np.array([0.5, 1])
    forwards = np.array([1.0, 0.3])
    assert signed_angle(down, leaning, forwards) == pytest.approx(np.degrees(np.arctan(0.5)))
    assert signed_angle(leaning, down, forwards) == pytest.approx(-np.degrees(np.arctan(0.5)))
    mirror = np.array([-1.0, 1])
    assert signed_angle(down * mirror, leaning * mirror, forwards * mirror) == pytest.approx(26.565051)


def test_coincident_landmarks_have_no_angle():
    assert np.isnan(angle_at(X, X, Y))
    assert np.isnan(signed_angle(X, Y, 2 * X))


@pytest.mark.parametrize("d", [2, 3])
def test_what_lies_on_a_line_names_no_side_of_it_whatever_rounding_says(d):
    lines, others = np.random.default_rng(d).normal(size=(2, 200, d))
    assert np.isnan(signed_angle(lines, others, 3.3 * lines)).all()


def test_many_sets_are_measured_at_once():
    a, v, b = np.random.default_rng(0).normal(0, 10, (3, 7, 3))
    assert angle_at(a, v, b).shape == (7,)
    assert angle_at(a, v, b)[4] == pytest.approx(angle_at(a[4], v[4], b[4]))


def symmetric_head(rng: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks of the midline, of the left and the right, in an odd pose; and the true normal, to the left."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    midline = np.column_stack([np.zeros(5), rng.normal(0, 40, (5, 2))])
    left = np.column_stack([rng.uniform(20, 60, 4), rng.normal(0, 40, (4, 2))])
    shift = rng.normal(0, 100, 3)
    sets = [midline, left, left * (-1, 1, 1)]
    midline, left, right = (s @ turn.T + shift + rng.normal(0, noise, s.shape) for s in sets)
    return midline, left, right, turn[:, 0]


def test_the_mid_sagittal_plane_of_a_symmetric_head_is_its_plane_of_symmetry():
    midline, left, right, true = symmetric_head(np.random.default_rng(3), noise=0)
    point, normal = mid_sagittal_plane(midline, left, right)
    assert normal == pytest.approx(true, abs=1e-9)
    assert distance_to_plane(midline, point, normal) == pytest.approx(np.zeros(5), abs=1e-9)


def test_the_mid_sagittal_plane_is_the_one_whose_mirror_image_fits_best():
    midline, left, right, true = symmetric_head(np.random.default_rng(4), noise=3)
    point, normal = mid_sagittal_plane(midline, left, right)

    def misfit(point: np.ndarray, normal: np.ndarray) -> float:
        def mirror(p: np.ndarray) -> np.ndarray:
            return p - 2 * ((p - point) @ normal)[:, None] * normal

        pairs = [(midline, midline), (left, right), (right, left)]
        return sum(((mirror(a) - b) ** 2).sum() for a, b in pairs)

    best = misfit(point, normal)
    rng = np.random.default_rng(5)
    for size in (0.5, 0.05, 0.005):
        for _ in range(20):
            other = normal + size * rng.normal(size=3)
            assert misfit(point + 10 * size * rng.normal(size=3), other / np.linalg.norm(other)) > best
    assert np.degrees(np.arccos(normal @ true)) < 5


def test_a_mid_sagittal_plane_needs_only_one_pair_or_three_of_the_midline():
    none = np.zeros((0, 3))
    _, normal = mid_sagittal_plane(none, 40 * X[None], -40 * X[None])
    assert normal == pytest.approx(X)
    _, normal = mid_sagittal_plane(np.stack([Y, Z, Y + Z]), none, none)
    assert np.abs(normal) == pytest.approx(X)
    assert np.isnan(mid_sagittal_plane(np.stack([Y, 2 * Y, 5 * Y]), none, none)[1]).all()
