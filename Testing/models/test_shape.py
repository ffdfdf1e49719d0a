"""The shape prior and the pose that most peaks agree with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core.similarity import apply, fit_similarity, scale_of, weighted_sums
from LandmarkDetectorLib.models import find_pose, learn_shape_prior, mirror_matrix


def specimens(dimension: int = 3, count: int = 20, marks: int = 12, noise: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(4)
    mean = rng.normal(0, 8, (marks, dimension))
    shapes = []
    for _ in range(count):
        shape = mean + rng.normal(0, noise, mean.shape)
        shapes.append(apply(random_pose(rng, dimension), shape))
    return np.array(shapes)


def random_pose(rng: np.random.Generator, dimension: int) -> np.ndarray:
    pose = np.eye(dimension + 1)
    angle = rng.uniform(-3, 3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pose[:-1, :-1] = rng.uniform(0.9, 1.1) * (Rotation.random(random_state=rng).as_matrix() if dimension == 3 else turn)
    pose[:-1, -1] = rng.normal(0, 50, dimension)
    return pose


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_similarity_is_recovered_exactly_and_never_mirrors(dimension: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pose = random_pose(rng, dimension)
        source = rng.normal(0, 5, (6, dimension))
        found = fit_similarity(source, apply(pose, source))
        np.testing.assert_allclose(found, pose, atol=1e-9)
        assert np.linalg.det(fit_similarity(source, source * [-1, *[1] * (dimension - 1)])[:-1, :-1]) > 0


def test_positions_that_are_not_known_do_not_count() -> None:
    rng = np.random.default_rng(1)
    source = rng.normal(0, 5, (8, 3))
    pose = random_pose(rng, 3)
    target = apply(pose, source)
    target[2] = np.nan
    np.testing.assert_allclose(fit_similarity(source, target), pose, atol=1e-9)
    weights = np.ones(8)
    target[3], weights[3] = 1e3, 0
    np.testing.assert_allclose(fit_similarity(source, target, weights), pose, atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_mean_shape_has_the_mean_size_of_the_specimens(dimension: int) -> None:
    shapes = specimens(dimension)
    prior = learn_shape_prior(shapes)
    sizes = [scale_of(prior.pose(shape)) for shape in shapes]
    assert abs(np.log(sizes).mean()) < 1e-6
    residual = [apply(np.linalg.inv(prior.pose(s)), s) - prior.mean for s in shapes]
    assert np.sqrt(np.mean(np.square(residual))) < 0.25


def test_a_specimen_that_lacks_a_landmark_still_teaches_the_others() -> None:
    shapes = specimens()
    shapes[3, 5] = np.nan
    prior = learn_shape_prior(shapes)
    assert np.isfinite(prior.mean).all() and np.isfinite(prior.covariance).all()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("annotated", [1, 2, 5, 20])
def test_a_landmark_that_few_specimens_show_is_not_believed_to_stay_at_its_mean(annotated: int, alone: bool) -> None:
    rng = np.random.default_rng(4)
    shapes = rng.normal(0, 30, (10, 3)) + rng.normal(0, 2, (60, 10, 3))
    whole = learn_shape_prior(shapes)
    shapes[annotated : 40 if alone else 60, 9] = np.nan
    shapes[40 if alone else 60 :, :9] = np.nan  # these show nothing else, and fit any mean
    prior = learn_shape_prior(shapes)
    deviation, before = (
        np.sqrt((one.factors**2).sum(1) + one.noise**2).reshape(10, 3).mean(1) for one in (prior, whole)
    )
    assert 0.5 < deviation[9] / before[9] < 2
    np.testing.assert_allclose(deviation[:9], before[:9], rtol=0.25)


def test_specimens_of_one_landmark_do_not_draw_the_mean_shape_to_where_their_images_lie() -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 30, (6, 3))
    shapes = 100 + shape + rng.normal(0, 1, (40, 6, 3))
    shapes[:5, 5] = np.nan
    shapes[5:10, 4] = np.nan
    shapes[10:, :5] = np.nan
    mean = learn_shape_prior(shapes).mean
    assert np.linalg.norm(apply(fit_similarity(mean, shape), mean) - shape, axis=1).max() < 3


def test_fusing_equals_the_closed_form_of_two_gaussians() -> None:
    prior = learn_shape_prior(specimens())
    count, d = prior.mean.shape
    rng = np.random.default_rng(2)
    measured = prior.mean + rng.normal(0, 0.5, (count, d))
    noise = np.array([np.diag(rng.uniform(0.01, 0.3, d)) for _ in range(count)])
    fused, covariance = prior.fuse(measured, noise, np.eye(count))
    big = np.zeros((count * d, count * d))
    for k in range(count):
        big[k * d : k * d + d, k * d : k * d + d] = noise[k]
    precision = np.linalg.inv(prior.covariance) + np.linalg.inv(big)
    expected = np.linalg.solve(
        precision, np.linalg.inv(prior.covariance) @ prior.mean.ravel() + np.linalg.inv(big) @ measured.ravel()
    )
    np.testing.assert_allclose(fused.ravel(), expected, atol=1e-6)
    np.testing.assert_allclose(covariance[0], np.linalg.inv(precision)[:d, :d], atol=1e-6)


def test_a_landmark_that_was_not_measured_is_filled_in_by_the_others() -> None:
    prior = learn_shape_prior(specimens())
    count, d = prior.mean.shape
    measured = prior.mean.copy()
    measured[4] = np.nan
    fused, covariance = prior.fuse(measured, np.tile(0.01 * np.eye(d), (count, 1, 1)), np.eye(count))
    np.testing.assert_allclose(fused[4], prior.mean[4], atol=1e-6)
    assert np.trace(covariance[4]) > 2 * np.trace(covariance[3])


def test_auxiliary_landmarks_alone_determine_what_they_are_made_of() -> None:
    prior = learn_shape_prior(specimens(2, marks=4))
    design = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [1.5, -0.5, 0, 0], [0, 0, 1.5, -0.5]])
    truth = prior.mean + 0.3
    fused, _ = prior.fuse(design @ truth, np.tile(1e-8 * np.eye(2), (4, 1, 1)), design, trust=100)
    np.testing.assert_allclose(fused, truth, atol=1e-3)


def test_an_outlier_surprises_and_its_neighbours_do_not() -> None:
    prior = learn_shape_prior(specimens())
    count, d = prior.mean.shape
    measured = prior.mean.copy()
    measured[7] += 5
    noise = np.tile(0.04 * np.eye(d), (count, 1, 1))
    surprise = prior.surprise(measured, noise, np.eye(count))
    # It turns the pose a little, so the others look odd too; it stands out, and without it they are ordinary.
    assert surprise[7] > 60 and surprise[7] > 1.5 * np.delete(surprise, 7).max()
    measured[7] = np.nan
    assert np.nanmax(prior.surprise(measured, noise, np.eye(count))) < 16


def test_a_pose_that_is_off_a_little_is_no_surprise_and_is_not_pulled_back() -> None:
    prior = learn_shape_prior(specimens())
    count, d = prior.mean.shape
    angle = np.radians(3)
    turn = np.eye(d)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    measured = 1.03 * prior.mean @ turn.T + 0.7
    noise = np.tile(0.04 * np.eye(d), (count, 1, 1))
    assert prior.surprise(measured, noise, np.eye(count)).max() < 2
    fused, _ = prior.fuse(measured, noise, np.eye(count))
    assert np.linalg.norm(fused - measured, axis=1).max() < 0.1


def test_sums_lack_only_what_their_own_parts_lack() -> None:
    positions = np.array([[0.0, 0], [2, 2], [np.nan, np.nan]])
    sums = weighted_sums(np.array([[0.5, 0.5, 0], [0.5, 0, 0.5]]), positions)
    np.testing.assert_allclose(sums[0], [1, 1])
    assert np.isnan(sums[1]).all()


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_pose_is_found_among_mirror_modes_and_nonsense(dimension: int) -> None:
    shapes = specimens(dimension, marks=20)
    prior = learn_shape_prior(shapes)
    rng = np.random.default_rng(5)
    pose = random_pose(rng, dimension)
    truth = apply(pose, prior.mean)
    peaks = np.full((20, 3, dimension), np.nan)
    weights = np.zeros((20, 3))
    mirrored = truth * [-1, *[1] * (dimension - 1)]
    for k in range(20):
        peaks[k, 0] = (mirrored if k % 2 else truth)[k] + rng.normal(0, 0.2, dimension)
        peaks[k, 1] = (truth if k % 2 else mirrored)[k] + rng.normal(0, 0.2, dimension)
        weights[k] = [0.5, 0.4, 0]
        if k < 4:
            peaks[k], weights[k] = rng.normal(0, 60, (3, dimension)), 0.3
    found = find_pose(prior, prior.mean, peaks, weights, 1.0)
    assert found is not None
    assert np.linalg.norm(apply(found.pose, prior.mean) - truth, axis=1).max() < 0.6


def test_peaks_without_any_order_give_no_support() -> None:
    prior = learn_shape_prior(specimens())
    rng = np.random.default_rng(6)
    found = find_pose(prior, prior.mean, rng.normal(0, 30, (12, 3, 3)), np.full((12, 3), 0.2), 0.5)
    assert found is None or found.support < 0.3


def test_the_mirror_takes_each_landmark_to_its_partner() -> None:
    rng = np.random.default_rng(7)
    half = rng.normal(0, 5, (4, 3)) + [6, 0, 0]
    mean = np.concatenate([half, half * [-1, 1, 1], [[0, 3, 1]]])
    partners: list[int | None] = [4, 5, 6, 7, 0, 1, 2, 3, 8]
    mirror = mirror_matrix(mean, partners)
    np.testing.assert_allclose(apply(mirror, mean), mean[[p for p in partners if p is not None]], atol=1e-9)
    assert np.linalg.det(mirror[:3, :3]) == pytest.approx(-1)
