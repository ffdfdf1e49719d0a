"""Each loss against numbers worked out by hand, and against the faults that such losses are known for."""

from __future__ import annotations

from math import exp, log, log1p, pi, sqrt

import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps import gaussian_heatmaps, spatial_expectation, spatial_softmax
from LandmarkDetectorLib.losses import (
    AdaptiveWingLoss,
    CentralLoss,
    EuclideanLoss,
    EuclideanVarianceLoss,
    ExponentialWeightedCentreLoss,
    GaussianHeatmapLoss,
    GaussianNLLLoss,
    GeneralisedNormalHeatmapLoss,
    HeatmapCrossEntropyLoss,
    HeatmapL1Loss,
    HeatmapL2Loss,
    HeatmapSmoothL1Loss,
    JensenShannonLoss,
    SpatialCrossEntropyLoss,
    STARLoss,
    WingLoss,
    radial_distance,
    spatial_cross_entropy,
)


def row(*values: float) -> Tensor:
    """A map (1, 1, 1, X) of these values."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def at(*coordinates: float) -> Tensor:
    """One position (1, 1, D)."""
    return torch.tensor(coordinates, dtype=torch.float64).reshape(1, 1, -1)


def axes(*variances: float) -> Tensor:
    """One covariance (1, 1, D, D) with these variances and no others."""
    return torch.diag(torch.tensor(variances, dtype=torch.float64))[None, None]


# heatmap regression


def test_heatmap_regression_is_that_of_the_definition() -> None:
    prediction, target = row(1, -3), row(0, 0)
    assert float(HeatmapL1Loss()(prediction, target)) == 2
    assert float(HeatmapL2Loss()(prediction, target)) == 5
    assert float(HeatmapSmoothL1Loss(beta=2)(prediction, target)) == (1 / 4 + 2) / 2
    assert float(HeatmapCrossEntropyLoss()(row(0), row(0.3))) == pytest.approx(log(2))
    assert float(HeatmapCrossEntropyLoss()(row(100, -100), row(0, 1))) == pytest.approx(100)


def test_a_map_is_averaged_summed_or_divided_by_the_mass_of_its_target() -> None:
    prediction, target = row(1, 2, 3), row(0, 0, 0.5)
    assert float(HeatmapL1Loss("mean")(prediction, target)) == pytest.approx(5.5 / 3)
    assert float(HeatmapL1Loss("sum")(prediction, target)) == 5.5
    assert float(HeatmapL1Loss("mass")(prediction, target)) == 11
    assert float(HeatmapL1Loss("mass")(prediction, row(0, 0, 0))) == 6
    with pytest.raises(ValueError, match="the space is 'max'"):
        HeatmapL1Loss("max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"give \(B, K, \[Z, \]Y, X\)"):
        HeatmapL1Loss()(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))


# wing


def test_the_wing_is_a_logarithm_near_and_a_line_far_away() -> None:
    loss = WingLoss(width=10, curvature=2)
    assert float(loss(at(2, 0), at(0, 0))) == pytest.approx(10 * log(2))
    assert float(loss(at(0, 0, -20), at(0, 0, 0))) == pytest.approx(10 + 10 * log(6))
    assert float(loss(at(2, 20), at(0, 0))) == pytest.approx(10 * log(2) + 10 + 10 * log(6))
    inside, outside = loss(at(10 - 1e-9, 0), at(0, 0)), loss(at(10 + 1e-9, 0), at(0, 0))
    torch.testing.assert_close(inside, outside)


@pytest.mark.parametrize("label", [0.0, 0.3, 1.0])
def test_the_adaptive_wing_is_that_of_the_paper(label: float) -> None:
    loss = AdaptiveWingLoss()
    power = 2.1 - label
    assert float(loss(row(label + 0.25), row(label))) == pytest.approx(14 * log1p(0.25**power))
    slope = 14 / (1 + 0.5**power) * power * 0.5 ** (power - 1)
    offset = 0.5 * slope - 14 * log1p(0.5**power)
    assert float(loss(row(label + 2), row(label))) == pytest.approx(2 * slope - offset)


@pytest.mark.parametrize("label", [0.0, 0.5, 1.0])
def test_the_adaptive_wing_joins_its_two_parts_smoothly(label: float) -> None:
    errors = row(0.5 - 1e-7, 0.5 + 1e-7).requires_grad_()
    values = AdaptiveWingLoss(epsilon=0.7, space="sum").per_voxel(errors + label, torch.full_like(errors, label))
    (slopes,) = torch.autograd.grad(values.sum(), errors)
    assert float(values.detach().diff()) == pytest.approx(0, abs=1e-5) and float(slopes.diff()) == pytest.approx(
        0, abs=1e-5
    )


def test_the_adaptive_wing_costs_the_same_in_a_plane_and_in_a_stack_of_it() -> None:
    torch.manual_seed(0)
    plane, goal = torch.rand(1, 2, 5, 6), torch.rand(1, 2, 5, 6)
    loss = AdaptiveWingLoss(foreground=10)
    stack, goals = (part.unsqueeze(2).expand(1, 2, 3, 5, 6) for part in (plane, goal))
    torch.testing.assert_close(loss(stack, goals), loss(plane, goal))


@pytest.mark.parametrize(("shape", "neighbours"), [((5, 5), 9), ((5, 5, 5), 27)])
def test_the_adaptive_wing_may_weigh_the_voxels_near_the_landmark(shape: tuple[int, ...], neighbours: int) -> None:
    target = torch.zeros(1, 1, *shape)
    target[(0, 0, *(2 for _ in shape))] = 1.0
    prediction = target + 0.25
    plain = AdaptiveWingLoss(space="sum").per_voxel(prediction, target)
    weighted = AdaptiveWingLoss(foreground=10, space="sum").per_voxel(prediction, target)
    ratio = weighted / plain
    assert int((ratio > 10.99).sum()) == neighbours and int((ratio < 1.01).sum()) == 5 ** len(shape) - neighbours


def test_the_adaptive_wing_has_a_finite_gradient_however_large_the_error() -> None:
    prediction = torch.full((1, 1, 2, 2), 1e36, requires_grad=True)
    AdaptiveWingLoss()(prediction, torch.zeros(1, 1, 2, 2)).backward()
    assert prediction.grad is not None and prediction.grad.isfinite().all() and (prediction.grad > 0).all()


def test_an_adaptive_wing_with_an_infinite_gradient_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="alpha above 2"):
        AdaptiveWingLoss(alpha=2)


# weighted centre and central


def test_the_centre_counts_alpha_times_the_background() -> None:
    loss = ExponentialWeightedCentreLoss()
    assert float(loss(row(0.5), row(1))) == pytest.approx(10)
    assert float(loss(row(0.5), row(0))) == pytest.approx(0.25)
    assert float(loss(row(0), row(0.5))) == pytest.approx(0.25 * sqrt(40))
    assert float(loss(row(0.5, 0.5), row(1, 0))) == pytest.approx(10.25 / 2)


def test_the_central_loss_is_cross_entropy_weighted_by_the_error() -> None:
    assert float(CentralLoss()(row(0), row(1))) == pytest.approx(0.5 * log(2))
    assert float(CentralLoss(gamma=2)(row(0), row(1))) == pytest.approx(0.25 * log(2))
    assert float(CentralLoss()(row(0, 0), row(1, 0))) == pytest.approx(log(2))
    assert float(CentralLoss(space="mass")(row(0, 0), row(0.25, 0))) == pytest.approx((0.25 + 0.5) * log(2) / 0.25)
    assert float(CentralLoss()(row(200), row(0))) == pytest.approx(200)
    with pytest.raises(ValueError, match=r"a number in \[1, 2\]"):
        CentralLoss(gamma=0.5)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
def test_the_central_loss_is_the_quality_focal_loss_and_the_published_sum(gamma: float) -> None:
    torch.manual_seed(2)
    logits, labels = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.rand(2, 3, 4, 5, dtype=torch.float64)
    p = logits.sigmoid()
    quality_focal = -((labels - p).abs() ** gamma) * ((1 - labels) * (1 - p).log() + labels * p.log())
    error = (labels - p).abs()
    published = -(labels * error**gamma * p.log() + (1 - labels) * error**gamma * (1 - p).log()).sum()
    torch.testing.assert_close(CentralLoss(gamma).per_voxel(logits, labels), quality_focal)
    torch.testing.assert_close(CentralLoss(gamma, reduction="sum")(logits, labels), published)
    torch.testing.assert_close(CentralLoss(gamma)(logits, labels), published / 6)


# estimates


def test_the_likelihood_is_that_of_a_gaussian() -> None:
    loss = GaussianNLLLoss(floor=0)
    value = loss((at(2, 1), axes(4, 1)), at(0, 0))
    assert float(value) == pytest.approx(1 + log(4) / 2 + log(2 * pi))
    torch.manual_seed(3)
    roots = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    covariances = roots @ roots.mT + 0.1 * torch.eye(3)
    positions, landmarks = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    expected = -torch.distributions.MultivariateNormal(positions, covariances).log_prob(landmarks)
    each = GaussianNLLLoss(floor=0, reduction="none")((positions, covariances), landmarks)
    torch.testing.assert_close(each, expected)


def test_a_collapsed_covariance_costs_something_finite_and_an_impossible_one_is_refused() -> None:
    covariance = torch.zeros(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    value = GaussianNLLLoss(floor=1e-2)((at(1, 0, 0), covariance), at(0, 0, 0))
    assert float(value.detach()) == pytest.approx(50 + 1.5 * log(1e-2) + 1.5 * log(2 * pi))
    value.backward()
    assert covariance.grad is not None and covariance.grad.isfinite().all()
    with pytest.raises(ValueError, match="not positive definite"):
        GaussianNLLLoss(floor=0)((at(1, 0), axes(1, -1)), at(0, 0))
    hidden = torch.tensor([[False]])
    assert float(GaussianNLLLoss(floor=0)((at(1, 0), axes(1, -1)), at(0, 0), hidden)) == 0


def test_star_is_that_of_the_definition() -> None:
    value = STARLoss(omega=1, beta=0.01)((at(2, 1), axes(4, 1)), at(0, 0))
    assert float(value) == pytest.approx((2 - 0.005) / 2 + (1 - 0.005) + 5 / 2)
    value = STARLoss(omega=0, beta=2)((at(0, 0, 1), axes(1, 4, 9)), at(0, 0, 0))
    assert float(value) == pytest.approx(1 / 4 / 3)


def test_star_forgives_errors_along_the_ambiguous_direction() -> None:
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    covariance = turn @ axes(9, 1) @ turn.T
    along, across = (turn @ torch.tensor(e, dtype=torch.float64) for e in ((3.0, 0.0), (0.0, 3.0)))
    loss = STARLoss(omega=0, beta=1e-6)
    assert float(loss((along[None, None], covariance), at(0, 0))) == pytest.approx(1, abs=1e-5)
    assert float(loss((across[None, None], covariance), at(0, 0))) == pytest.approx(3, abs=1e-5)


@pytest.mark.parametrize("dimension", [2, 3])
def test_star_has_the_gradient_of_the_eigenvalues(dimension: int) -> None:
    torch.manual_seed(4)
    turns = torch.linalg.qr(torch.randn(2, 3, dimension, dimension, dtype=torch.float64))[0]
    positions, landmarks = torch.randn(2, 2, 3, dimension, dtype=torch.float64)
    eigenvalues = (torch.rand(2, 3, dimension, dtype=torch.float64) + torch.arange(1.0, dimension + 1)).requires_grad_()

    def value(eigenvalues: Tensor) -> Tensor:
        return STARLoss(reduction="none")((positions, turns * eigenvalues.unsqueeze(-2) @ turns.mT), landmarks)

    assert torch.autograd.gradcheck(value, (eigenvalues,))


def test_star_has_a_finite_gradient_where_the_map_is_round_or_has_collapsed() -> None:
    for variance in (2.0, 0.0):
        covariance = axes(variance, variance, variance).requires_grad_()
        STARLoss()((at(1, 2, 3), covariance), at(0, 0, 0)).backward()
        assert covariance.grad is not None and covariance.grad.isfinite().all()


def test_the_euclidean_distance_is_that_of_the_definition() -> None:
    assert float(EuclideanLoss(smooth=0)(at(3, 4), at(0, 0))) == 5
    assert float(EuclideanLoss(smooth=0)(at(2, 3, 6), at(0, 0, 0))) == 7
    torch.manual_seed(5)
    positions, landmarks = torch.randn(2, 2, 3, 3)
    valid = torch.tensor([[True, False, True], [True, True, False]])
    torch.testing.assert_close(
        EuclideanLoss()(positions, landmarks, valid), radial_distance(positions, landmarks, valid)
    )


def test_the_plain_distance_has_a_gradient_of_zero_at_zero_error() -> None:
    position = at(1, 2).requires_grad_()
    EuclideanLoss(smooth=0)(position, at(1, 2)).backward()
    assert position.grad is not None and (position.grad == 0).all()


def test_the_variance_is_drawn_to_that_of_sigma() -> None:
    loss = EuclideanVarianceLoss(sigma=2, omega=0.1, smooth=0)
    assert float(loss((at(3, 4), axes(4, 4)), at(0, 0))) == 5
    assert float(loss((at(3, 4), axes(5, 1)), at(0, 0))) == pytest.approx(5 + 0.1 * (1 + 9))


@pytest.mark.parametrize("loss", [EuclideanVarianceLoss(), GaussianNLLLoss(), STARLoss()])
@pytest.mark.parametrize("shape", [(9, 8), (7, 9, 8)])
def test_the_expectation_of_a_heatmap_is_an_estimate(loss: torch.nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(6)
    logits = torch.randn(2, 3, *shape, requires_grad=True)
    landmarks = torch.rand(2, 3, len(shape)) * 6
    optimiser = torch.optim.Adam([logits], 0.3)
    values = []
    for _ in range(40):
        optimiser.zero_grad()
        expectation = spatial_expectation(spatial_softmax(logits))
        value = loss(expectation, landmarks)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0]
    final = spatial_expectation(spatial_softmax(logits)).mean.detach()
    assert (final - landmarks).norm(dim=-1).mean() < 1.0


# learnt spread


def test_the_spread_costs_the_square_root_of_its_determinant() -> None:
    prediction, target = row(1, 3), row(0, 0)
    assert float(GaussianHeatmapLoss(alpha=0.1)(prediction, (target, axes(4, 9)))) == pytest.approx(5 + 0.6)
    volume = torch.zeros(1, 1, 2, 2, 2)
    assert float(GaussianHeatmapLoss(alpha=1)(volume, (volume, axes(1, 4, 9)))) == pytest.approx(6)
    tiny = axes(1e-12, 1e-12, 1e-12).float()
    assert float(GaussianHeatmapLoss(alpha=1)(volume, (volume, tiny))) == pytest.approx(1e-18)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("dimension", [2, 3])
def test_the_spread_is_the_covariance_of_the_distribution(beta: float, dimension: int) -> None:
    radius = torch.linspace(0, 150, 300_001, dtype=torch.float64)
    density = torch.exp(-0.5 * radius ** (2 * beta)) * radius ** (dimension - 1)
    variance = float((density * radius**2).sum() / density.sum()) / dimension
    empty = torch.zeros(1, 1, *(2 for _ in range(dimension)), dtype=torch.float64)
    loss = GeneralisedNormalHeatmapLoss(alpha=1, beta=beta)
    value = loss(empty, (empty, axes(*(1 for _ in range(dimension)))))
    assert float(value) == pytest.approx(variance ** (dimension / 2), rel=1e-5)


def test_one_spread_for_each_landmark_serves_the_whole_batch() -> None:
    torch.manual_seed(7)
    maps, goals = torch.rand(2, 2, 3, 4, 5)
    matrices = torch.diag_embed(torch.rand(3, 2) + 0.5)
    matrices.requires_grad_()
    valid = torch.tensor([[True, False, True], [True, False, False]])
    each = GaussianHeatmapLoss(reduction="none")(maps, (goals, matrices), valid)
    full = GaussianHeatmapLoss(reduction="none")(maps, (goals, matrices.expand(2, 3, 2, 2)), valid)
    torch.testing.assert_close(each, full)
    GaussianHeatmapLoss()(maps, (goals, matrices), valid).backward()
    assert matrices.grad is not None and (matrices.grad[1] == 0).all() and (matrices.grad[0] != 0).any()
    with pytest.raises(ValueError, match=r"give \(3, 2, 2\) or \(2, 3, 2, 2\)"):
        GaussianHeatmapLoss()(maps, (goals, matrices[:2]))


# distributions over voxels


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_module_of_the_cross_entropy_is_the_function(dimension: int) -> None:
    torch.manual_seed(8)
    logits, targets = torch.randn(2, 2, 3, *(6, 5, 4)[:dimension])
    targets = targets.exp()
    targets[1, 2] = 0
    valid = torch.tensor([[True, False, True], [True, True, True]])
    expected = spatial_cross_entropy(logits, targets, valid)
    torch.testing.assert_close(SpatialCrossEntropyLoss()(logits, targets, valid), expected)
    each = SpatialCrossEntropyLoss("none")(logits, targets, valid)
    assert each[0, 1] == 0 and each[1, 2] == 0
    torch.testing.assert_close(each.sum() / 4, expected)


def test_the_likelihood_of_a_voxel_that_the_network_excludes_is_finite() -> None:
    logits = row(0, -1000).requires_grad_()
    value = SpatialCrossEntropyLoss()(logits, row(0, 1))
    value.backward()
    assert float(value.detach()) == pytest.approx(1000)
    assert logits.grad is not None and logits.grad.flatten().tolist() == [1, -1]


def test_the_divergence_is_zero_for_equal_maps_and_ln_2_for_strangers() -> None:
    loss = JensenShannonLoss(omega=2)
    assert float(loss((at(3, 4), row(0.5, 0.5)), (at(0, 0), row(7, 7)))) == pytest.approx(5)
    assert float(loss((at(0, 0), row(1, 0)), (at(0, 0), row(0, 1)))) == pytest.approx(2 * log(2))
    half = 0.5 * log(1 / 0.75) + 0.5 * (0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25))
    assert float(loss((at(0, 0), row(1, 0)), (at(0, 0), row(0.5, 0.5)))) == pytest.approx(2 * half)
    assert float(loss((at(3, 4), row(0.5, 0.5)), (at(0, 0), row(0, 0)))) == 0


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_divergence_trains_logits_of_any_size(size: float) -> None:
    torch.manual_seed(9)
    landmarks = torch.tensor([[[3.2, 4.7]]])
    maps, valid = gaussian_heatmaps(landmarks, (9, 8), 1.0)
    logits = (size * torch.randn(1, 1, 9, 8)).requires_grad_()
    probability = spatial_softmax(logits)
    value = JensenShannonLoss()((spatial_expectation(probability).mean, probability), (landmarks, maps), valid)
    value.backward()
    assert value.isfinite() and logits.grad is not None and logits.grad.isfinite().all()
    assert float(maps.max()) > exp(-1)
