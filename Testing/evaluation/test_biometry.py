"""Ellipses whose perimeter is known, and measurements that cannot be computed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import HeadBiometry, biometry_errors, ellipse_perimeter, head_biometry


def test_a_circle_has_the_circumference_pi_times_its_diameter():
    assert ellipse_perimeter(80.0, 80.0) == pytest.approx(np.pi * 80, rel=1e-14)


def test_an_ellipse_without_width_is_a_line_walked_twice():
    assert ellipse_perimeter(100.0, 0.0) == pytest.approx(200.0)
    assert ellipse_perimeter(0.0, 0.0) == 0.0


def test_the_perimeter_agrees_with_the_length_of_a_fine_polygon():
    angle = np.linspace(0, 2 * np.pi, 200_001)
    outline = np.stack([55 * np.cos(angle), 40 * np.sin(angle)], axis=-1)
    length = np.linalg.norm(np.diff(outline, axis=0), axis=1).sum()
    assert ellipse_perimeter(80.0, 110.0) == pytest.approx(length, rel=1e-9)
    assert ellipse_perimeter(110.0, 80.0) == ellipse_perimeter(80.0, 110.0)


def test_diameters_are_distances_between_their_ends_whatever_the_pose():
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    ends = np.array([[-50.0, 0.0], [50.0, 0.0], [0.0, -40.0], [0.0, 40.0]]) @ turn.T + (12.0, -7.0)
    head = head_biometry(*ends)
    assert (head.ofd, head.bpd) == pytest.approx((100.0, 80.0))
    assert head.hc == pytest.approx(ellipse_perimeter(100.0, 80.0))


def test_many_heads_are_measured_at_once():
    ends = np.random.default_rng(0).normal(0, 50, (4, 6, 3, 2))
    heads = head_biometry(*ends)
    assert heads.hc.shape == (6, 3)
    assert heads.hc[2, 1] == pytest.approx(head_biometry(*ends[:, 2, 1]).hc)


def test_a_missing_landmark_leaves_its_measurements_uncomputed_and_never_zero():
    missing = np.array([np.nan, np.nan])
    head = head_biometry(np.array([0.0, 0.0]), np.array([100.0, 0.0]), missing, np.array([50.0, 40.0]))
    assert head.ofd == 100.0
    assert np.isnan(head.bpd)
    assert np.isnan(head.hc)


def test_differences_are_over_the_cases_that_were_computed_and_the_others_are_counted():
    truth = HeadBiometry(*np.array([[80.0, 90.0, 70.0], [100.0, 110.0, np.nan], [280.0, 300.0, 250.0]]))
    predicted = HeadBiometry(*np.array([[82.0, 89.0, np.nan], [100.0, 110.0, 5.0], [283.0, 299.0, 249.0]]))
    differences = biometry_errors(predicted, truth)
    bpd = differences["bpd"]
    assert (bpd.mean_absolute, bpd.bias, bpd.n, bpd.not_computed) == (1.5, 0.5, 2, 1)
    assert (differences["ofd"].n, differences["ofd"].not_computed) == (2, 0)
    assert differences["hc"].mean_absolute == pytest.approx(5 / 3)


def test_without_any_case_there_is_no_mean():
    nothing = HeadBiometry(np.array(np.nan), np.array(np.nan), np.array(np.nan))
    difference = biometry_errors(nothing, nothing)["hc"]
    assert np.isnan(difference.mean_absolute)
    assert difference.n == 0


def test_positions_of_different_shapes_are_refused():
    with pytest.raises(LandmarkError, match="four arrays"):
        head_biometry(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(LandmarkError, match="do not fit"):
        biometry_errors(HeadBiometry(*[np.zeros(2)] * 3), HeadBiometry(*[np.zeros(3)] * 3))


@pytest.mark.data
def test_the_annotated_landmarks_give_the_circumference_of_the_sonographer_within_a_millimetre(data_root):
    cases = json.loads((data_root / "fetal_head_us" / "dataset.json").read_text(encoding="utf-8"))["training"]
    ends = np.array([case["points"] for case in cases]) * np.array([case["spacing_mm"] for case in cases])[:, None]
    head = head_biometry(*ends.transpose(1, 0, 2))
    known = np.array([case["head_circumference_mm"] for case in cases], dtype=float)
    difference = biometry_errors(head, HeadBiometry(head.bpd, head.ofd, known))["hc"]
    print(f"circumference of the annotated landmarks against the sonographer's: {difference}")
    assert difference.n == len(cases)
    assert difference.mean_absolute < 1.0
