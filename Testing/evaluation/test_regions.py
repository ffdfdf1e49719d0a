"""Regions as shapes: what they hold, how large they are, in 2D and 3D, with spacing and without."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Grid, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation.regions import (
    BoxRegion,
    EllipsoidRegion,
    Predictions,
    build_region_method,
    conformal_quantile,
    left_out_quantile,
    positions_of,
    register_region_method,
)
from Testing.evaluation.region_samples import BELIEVED, FROM_MAPS, POSITIONAL, cases

INF, NAN = np.inf, np.nan


# The quantile.


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(10, 0.9, 10), (10, 0.5, 6), (9, 0.9, 9), (19, 0.95, 19), (99, 0.95, 95), (100, 0.95, 96), (999, 0.999, 999)],
)
def test_the_quantile_is_the_score_of_the_finite_sample_rank(n: int, level: float, rank: int):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert conformal_quantile(scores, level) == rank


@pytest.mark.parametrize(("n", "level"), [(0, 0.5), (1, 0.6), (8, 0.9), (10, 0.95), (18, 0.95), (998, 0.999)])
def test_a_rank_above_the_number_of_cases_is_infinite(n: int, level: float):
    assert conformal_quantile(np.arange(float(n)), level) == INF


def test_scores_that_are_not_there_do_not_count_and_infinite_ones_do():
    assert conformal_quantile([1.0, NAN, 2.0, NAN, 3.0], 0.75) == 3.0
    assert conformal_quantile([1.0, INF, 2.0, 3.0], 0.6) == 3.0
    assert conformal_quantile([1.0, INF, 2.0, 3.0], 0.8) == INF
    assert conformal_quantile([NAN, NAN], 0.5) == INF


def test_subjects_left_out_in_turn_set_a_bound_that_can_be_followed_by_hand():
    # Up to the other's whole, A (by 5) holds 2 of its 3 and B (by 6) both of its own: 5/6. Up to 2/3 of the other,
    # A (by 5) 2 of 3 and B (by 3) 1 of 2: 7/12. Up to a half, A (by 2) 1 of 3 and B (by 3) 1 of 2: 5/12.
    scores, owners = [1.0, 3.0, 6.0, 2.0, 5.0, NAN], ["A", "A", "A", "B", "B", "B"]
    assert left_out_quantile(scores, 0.9, owners) == INF
    assert left_out_quantile(scores, 5 / 6, owners) == 6.0
    assert left_out_quantile(scores, 7 / 12, owners) == 5.0, "with 1, 2 and 3 it is 7/12 of both, 2/3 are asked for"
    assert left_out_quantile(scores, 5 / 12, owners) == 3.0
    assert left_out_quantile([1.0, 2.0], 0.5, ["A", "A"]) == left_out_quantile([NAN], 0.5, ["A"]) == INF


@pytest.mark.parametrize("alike", [0.0, 0.6])
@pytest.mark.parametrize(("count", "landmarks"), [(9, 4), (12, 1), (12, 45), (20, 4), (29, 1), (29, 45)])
def test_few_subjects_with_many_landmarks_hold_the_level_and_not_much_more(count: int, landmarks: int, alike: float):
    rng, held, promised = np.random.default_rng(count), [], []
    owners = np.repeat(np.arange(count), landmarks).tolist()
    for _ in range(150):
        subject = np.exp(alike * rng.normal(size=(count + 40, 1)))
        scores = subject * np.abs(rng.normal(size=(count + 40, landmarks)))
        seen, unseen = scores[:count].ravel(), scores[count:]
        held.append((unseen <= left_out_quantile(seen, 0.9, owners)).mean())
        promised.append((unseen <= conformal_quantile(seen, 0.9, owners)).mean())
    assert 0.885 < np.mean(held) < 0.945
    assert landmarks == 1 or np.mean(held) < np.mean(promised) - 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.floats(0.05, 0.99))
def test_the_quantile_bounds_the_share_that_is_promised_of_the_next_score(n: int, level: float):
    scores = np.random.default_rng(n).normal(size=n)
    bound = conformal_quantile(scores, level)
    rank = (scores <= bound).sum() if np.isfinite(bound) else n + 1
    assert rank / (n + 1) >= level - 1e-8 and (rank - 1) / (n + 1) < level


# Ellipsoids and boxes.


@pytest.mark.parametrize(("dimension", "unit_ball"), [(2, math.pi), (3, 4 / 3 * math.pi)])
def test_an_ellipsoid_of_known_axes_has_the_volume_of_the_books(dimension: int, unit_ball: float):
    axes = np.array([1.0, 2.0, 3.0])[:dimension]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, dimension)))[0]
    region = EllipsoidRegion(
        "a", np.zeros(dimension), np.ones(dimension), "mm", turn @ np.diag(axes**2) @ turn.T, radius=1.5
    )
    assert region.volume() == pytest.approx(unit_ball * 1.5**dimension * axes.prod())
    lengths, directions = region.axes()
    np.testing.assert_allclose(lengths, 1.5 * axes)
    np.testing.assert_allclose(np.abs(directions.T @ turn), np.eye(dimension), atol=1e-12)


@pytest.mark.parametrize("name", [*POSITIONAL, "normal"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_the_volume_is_that_of_what_the_region_holds(name: str, dimension: int):
    predictions, truths = cases(60, 1, dimension)
    spacing = np.array([0.5, 2.0, 1.25])[:dimension]
    measured = Predictions(predictions.positions, covariances=predictions.covariances, spacing=spacing)
    region = build_region_method(name).calibrate(measured, truths, 0.8).region(measured, 0)
    border = region.surface() if isinstance(region, EllipsoidRegion) else region.corners()
    reach = 1.05 * np.abs(border - region.centre).max(0)
    thrown = region.centre + reach * np.random.default_rng(0).uniform(-1, 1, (100_000, dimension))
    assert region.volume() == pytest.approx(region.contains(thrown).mean() * (2 * reach * spacing).prod(), rel=0.02)
    plain = build_region_method(name).calibrate(predictions, truths, 0.8)
    assert plain.region(predictions, 0).volume() * spacing.prod() == pytest.approx(region.volume())


def test_spacing_may_differ_from_case_to_case():
    predictions, truths = cases(40, 2, 3)
    spacing = np.random.default_rng(0).uniform(0.5, 2, (40, 3))
    other = Predictions(predictions.positions, covariances=predictions.covariances, spacing=spacing)
    method = build_region_method("ellipsoidal")
    plain, scaled = method.calibrate(predictions, truths, 0.8), method.calibrate(other, truths, 0.8)
    np.testing.assert_array_equal(plain.bounds, scaled.bounds)
    np.testing.assert_allclose(plain.volumes(predictions) * spacing.prod(1)[:, None], scaled.volumes(other))


@pytest.mark.parametrize("name", [*POSITIONAL, *FROM_MAPS, *BELIEVED])
@pytest.mark.parametrize("dimension", [2, 3])
def test_regions_one_by_one_are_what_is_counted_for_all(name: str, dimension: int):
    count = 20 if dimension == 2 else 6
    predictions, truths = cases(count, 2, dimension, maps=True)
    calibrated = build_region_method(name).calibrate(predictions, truths, 0.7)
    held, volumes = calibrated.covers(predictions, truths), calibrated.volumes(predictions)
    for case, row in enumerate(calibrated.regions(predictions)):
        for landmark, region in enumerate(row):
            assert region.contains(truths[case, landmark]) == held[case, landmark]
            assert region.volume() == pytest.approx(volumes[case, landmark])


@pytest.mark.parametrize("name", [*POSITIONAL, *FROM_MAPS, *BELIEVED])
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_region_holds_its_own_prediction_and_is_never_empty(name: str, dimension: int):
    # Truths that are the predictions make the smallest bounds that there can be.
    predictions, _ = cases(30, 2, dimension, maps=True)
    for level in (0.05, 0.6):
        calibrated = build_region_method(name).calibrate(predictions, predictions.positions, level)
        for case, row in enumerate(calibrated.regions(predictions.cases(slice(0, 8)))):
            for landmark, region in enumerate(row):
                assert region.contains(predictions.positions[case, landmark])
                assert region.as_mask(Grid.regular((20,) * dimension)).any()
                assert name in POSITIONAL or region.volume() > 0


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_surface_of_an_ellipsoid_and_the_corners_of_a_box_lie_on_them(dimension: int):
    predictions, truths = cases(40, 1, dimension)
    ball = build_region_method("ellipsoidal").calibrate(predictions, truths, 0.8).region(predictions, 0)
    surface = ball.surface(300)
    assert surface.shape == (300, dimension)
    inwards = ball.centre - surface
    assert ball.contains(surface + 1e-6 * inwards).all() and not ball.contains(surface - 1e-6 * inwards).any()
    box = build_region_method("bonferroni").calibrate(predictions, truths, 0.8).region(predictions, 0)
    corners = box.corners()
    assert corners.shape == (2**dimension, dimension) and len(np.unique(corners, axis=0)) == 2**dimension
    inwards = box.centre - corners
    assert box.contains(corners + 1e-6 * inwards).all() and not box.contains(corners - 1e-6 * inwards).any()


def test_a_mask_follows_a_grid_that_is_turned_and_stretched():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    grid = Grid((30, 40), (0.5, 2.0), (5.0, -3.0), turn)
    centre = grid.to_world([10, 20])
    region = BoxRegion("a", centre, np.ones(2), "mm", np.array([4.1, 1.1]))  # world x is the grid's y
    mask = region.as_mask(grid)
    y, x = np.nonzero(mask)
    assert (x.min(), x.max(), y.min(), y.max()) == (8, 12, 18, 22)
    dot = BoxRegion("a", grid.to_world([10.4, 20.4]), np.ones(2), "mm", np.array([0.01, 0.01]))
    assert np.argwhere(dot.as_mask(grid)).tolist() == [[20, 10]]
    assert not BoxRegion("a", grid.to_world([-5, 20]), np.ones(2), "mm", np.full(2, 0.1)).as_mask(grid).any()


def test_nothing_that_is_nan_lies_in_a_region():
    box = BoxRegion("a", np.zeros(2), np.ones(2), "mm", np.array([INF, 1.0]))
    assert box.unbounded and box.volume() == INF
    assert box.contains([[1e9, 1e9], [NAN, 0.0]]).tolist() == [True, False]
    box = BoxRegion("a", np.zeros(2), np.ones(2), "mm", np.array([2.0, 1.0]))
    assert box.contains([[[2.0, -1.0], [NAN, 0.0]]]).tolist() == [[True, False]]


def test_a_box_without_covariances_is_of_one_size_for_all():
    predictions, truths = cases(30, 1, 2)
    bare = Predictions(predictions.positions)
    calibrated = build_region_method("max-nonconformity").calibrate(bare, truths, 0.8)
    assert len(np.unique(calibrated.volumes(bare))) == 1
    with pytest.raises(LandmarkError, match="'ellipsoidal' needs covariances"):
        build_region_method("ellipsoidal").calibrate(bare, truths, 0.8)


# What goes in.


def test_sets_of_landmarks_become_predictions_by_label():
    first = LandmarkSet((Landmark("a", [1, 2, 3], covariance=np.eye(3)), Landmark("b")))
    second = LandmarkSet((Landmark("b", [4, 5, 6], covariance=2 * np.eye(3)), Landmark("a")))
    predictions = Predictions.from_sets([first, second], ["a", "b"])
    assert predictions.labels == ("a", "b") and predictions.unit == "mm"
    assert predictions.found.tolist() == [[True, False], [False, True]]
    np.testing.assert_array_equal(predictions.covariances[1, 1], 2 * np.eye(3))
    plain = Predictions.from_sets([LandmarkSet.from_positions(["a"], [[1, 2]], "px")])
    assert plain.covariances is None and plain.unit == "px"
    empty = LandmarkSet((Landmark("a"),))
    assert positions_of([empty, LandmarkSet.from_positions(["a"], [[1, 2]])], ["a"]).shape == (2, 1, 2)


def test_sets_that_do_not_go_together_are_refused():
    mm = LandmarkSet.from_positions(["a"], [[1, 2]])
    with pytest.raises(LandmarkError, match="some in px"):
        positions_of([mm, LandmarkSet.from_positions(["a"], [[1, 2]], "px")], ["a"])
    with pytest.raises(LandmarkError, match="2D and 3D"):
        positions_of([mm, LandmarkSet.from_positions(["a"], [[1, 2, 3]])], ["a"])
    with pytest.raises(LandmarkError, match="no set"):
        Predictions.from_sets([])
    certain = LandmarkSet((Landmark("a", [0, 0], covariance=np.eye(2)), Landmark("b", [0, 0])))
    with pytest.raises(LandmarkError, match="covariance of 'b' in case 0"):
        Predictions.from_sets([certain])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": np.zeros((3, 2))}, "not \\(cases"),
        ({"positions": np.zeros((3, 2, 4))}, "not \\(cases"),
        ({"labels": ("a",)}, "do not name 2"),
        ({"labels": ("a", "a")}, "do not name 2"),
        ({"unit": "cm"}, "unit 'cm'"),
        ({"covariances": np.ones((3, 2, 2))}, "Covariances of shape"),
        ({"covariances": np.zeros((3, 2, 2, 2))}, "'0' in case 0 is not finite and positive"),
        ({"covariances": np.full((3, 2, 2, 2), NAN)}, "not finite and positive"),
        ({"spacing": (1.0, -1.0)}, "not 2 positive numbers"),
        ({"spacing": (1.0, 1.0, 1.0)}, "not 2 positive numbers"),
        ({"heatmaps": torch.zeros(2, 2, 8, 8)}, "Heatmaps of 2 cases"),
    ],
)
def test_predictions_that_contradict_themselves_are_refused(arguments: dict, message: str):
    with pytest.raises(LandmarkError, match=message):
        Predictions(**{"positions": np.zeros((3, 2, 2))} | arguments)


def test_tensors_with_gradients_and_of_any_width_are_taken():
    positions = torch.zeros(30, 1, 2, dtype=torch.bfloat16, requires_grad=True)
    predictions = Predictions(positions, covariances=torch.eye(2).expand(30, 1, 2, 2))
    truths = torch.randn(30, 1, 2, requires_grad=True)
    assert build_region_method("ellipsoidal").calibrate(predictions, truths, 0.9).bounds.dtype == np.float64


def test_a_method_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(LandmarkError, match="no region method 'gp'; choose one of bonferroni, contour-hugging"):
        build_region_method("gp")
    with pytest.raises(LandmarkError, match="'ellipsoidal' cannot be built"):
        build_region_method("ellipsoidal", colour="red")
    with pytest.raises(ValueError, match="'normal' is there already"):
        register_region_method("normal")(type(build_region_method("normal")))
