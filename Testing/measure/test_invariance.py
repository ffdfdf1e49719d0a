"""A measurement is of the patient: it does not change with the pose, the image's orientation or a mirror."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Grid, Landmark, LandmarkSet
from LandmarkDetectorLib.measure import load_set, measure
from Testing.measure.made import frontal, moved, picture, sagittal
from Testing.measure.test_known_values import KNOWN, LATERAL, PLACES

# What is relative to the vertical turns with the patient, and is tested for translation and mirroring alone.
POSED = [name for name in KNOWN if name != "spine-sagittal"]
ANGLES = st.floats(-180, 180)
SHIFTS = st.floats(-500, 500)


def turned(angles: tuple[float, ...]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(angles)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def values(landmarks: LandmarkSet, name: str) -> dict:
    return {(r.name, r.view, r.side): (r.value, r.unit) for r in measure(landmarks, name)}


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, (value, _) in one.items():
        assert other[key][0] == pytest.approx(value, rel=1e-7, abs=1e-6), key


def lopsided(landmarks: LandmarkSet) -> LandmarkSet:
    """No head is symmetric: each landmark a little off, always the same way."""
    rng = np.random.default_rng(1)
    return LandmarkSet(tuple(Landmark(m.label, m.position + rng.normal(0, 2, m.dimension)) for m in landmarks))


@pytest.mark.parametrize("name", POSED)
@given(angle=ANGLES, shift=st.tuples(SHIFTS, SHIFTS))
@settings(max_examples=4)
def test_a_picture_may_be_turned_and_shifted(name, angle, shift):
    flat = lopsided(picture(load_set(name), PLACES[name]))
    same(values(flat, name), values(moved(flat, turned((0, 0, angle))[:2, :2], np.array(shift)), name))


@pytest.mark.parametrize("name", POSED)
@given(angles=st.tuples(ANGLES, ANGLES, ANGLES), shift=st.tuples(SHIFTS, SHIFTS, SHIFTS))
@settings(max_examples=4)
def test_a_head_may_be_turned_and_shifted_in_3d(name, angles, shift):
    build = sagittal if name in LATERAL else frontal
    solid = lopsided(build(load_set(name), PLACES[name]))
    same(values(solid, name), values(moved(solid, turned(angles), np.array(shift)), name))


@pytest.mark.parametrize("name", KNOWN)
def test_a_mirror_changes_nothing_since_signs_name_sides_of_the_anatomy(name):
    flat = lopsided(picture(load_set(name), PLACES[name]))
    same(values(flat, name), values(moved(flat, np.diag([-1.0, 1.0]), np.array([700.0, 0])), name))
    build = sagittal if name in LATERAL else frontal
    solid = lopsided(build(load_set(name), PLACES[name]))
    same(values(solid, name), values(moved(solid, np.diag([-1.0, 1.0, 1.0]), np.zeros(3)), name))


@pytest.mark.parametrize("name", ["spine-sagittal"])
@given(shift=st.tuples(SHIFTS, SHIFTS, SHIFTS))
@settings(max_examples=4)
def test_what_is_relative_to_the_vertical_may_be_shifted(name, shift):
    solid = lopsided(sagittal(load_set(name), PLACES[name]))
    same(values(solid, name), values(moved(solid, np.eye(3), np.array(shift)), name))
    flat = lopsided(picture(load_set(name), PLACES[name]))
    same(values(flat, name), values(moved(flat, np.eye(2), np.array(shift[:2])), name))


@given(order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
@settings(max_examples=12)
def test_the_orientation_in_which_an_image_is_stored_changes_nothing(order, flips):
    # The same landmarks, found as voxel indices of images with other axes, spacings and origins.
    head = lopsided(sagittal(load_set("steiner"), PLACES["steiner"]))
    grid = Grid((300, 300, 200), (0.4, 0.5, 1.1), (3.0, -80, 12), np.eye(3)[:, order] * np.array(flips))
    there_and_back = grid.to_world(grid.to_index(head.positions))
    stored = LandmarkSet(tuple(Landmark(m.label, p) for m, p in zip(head, there_and_back, strict=True)))
    same(values(head, "steiner"), values(stored, "steiner"))


@given(scale=st.floats(0.1, 10))
@settings(max_examples=8)
def test_lengths_grow_with_the_patient_and_angles_and_ratios_do_not(scale):
    for name in ("steiner", "jarabak", "brain"):
        flat = picture(load_set(name), PLACES[name])
        small, large = values(flat, name), values(moved(flat, scale * np.eye(2), np.zeros(2)), name)
        for key, (value, unit) in small.items():
            factor = scale if unit == "mm" else 1
            assert large[key][0] == pytest.approx(factor * value, rel=1e-7, abs=1e-6), key
