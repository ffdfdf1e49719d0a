"""The situations of landmarker 0.4.1's own tests of losses, through our interface, each with what the value should be.

Theirs mostly look at the shape and the sign of what comes out. Its generalised-normal and STAR losses also take the
name of a distance (L1, smooth L1, cross-entropy); ours have the distance of their papers, and maps without a
regulariser have a loss for each. Its NLL takes probabilities, whose logarithm may be infinite; ours takes logits.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.losses import StackedLoss, build_loss

REDUCED = {"mean": (), "sum": (), "none": (4, 5)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def estimates(d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, unit covariances and landmarks of a batch of four with five landmarks, somewhere in 64 voxels."""
    return torch.rand(4, 5, d) * 64, torch.eye(d).expand(4, 5, d, d), torch.rand(4, 5, d) * 64


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_maps_with_the_covariance_of_a_generator_as_regulariser(d: int, reduction: str) -> None:
    maps, goals = torch.rand(2, 3, *[16] * d) * 64, torch.rand(2, 3, *[16] * d) * 64
    rotation = torch.rand(3) * 2 * math.pi if d == 2 else torch.rand(3, 3)
    spread = GaussianHeatmaps(3, d, 0.5 + torch.rand(3, d) * 5, rotation=rotation)
    value = build_loss("generalised_normal_heatmap_l2", alpha=5, reduction=reduction)(maps, (goals, spread.covariance))
    each = (maps - goals).square().flatten(2).mean(-1) + 5 * spread.sigma.prod(-1)
    torch.testing.assert_close(value, each.mean() if reduction == "mean" else each.sum())


@pytest.mark.parametrize("name", ["heatmap_l1", "heatmap_l2", "heatmap_smooth_l1", "heatmap_bce"])
def test_every_distance_of_maps_is_a_loss(name: str) -> None:
    maps, goals = torch.randn(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    assert build_loss(name)(maps, goals).shape == () and build_loss(name)(maps, goals) > 0


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("reduction", REDUCED)
def test_the_likelihood_of_unit_covariances_is_half_the_squared_distance_and_a_constant(d: int, reduction: str) -> None:
    positions, covariances, landmarks = estimates(d)
    value = build_loss("gaussian_nll", floor=0, reduction=reduction)((positions, covariances), landmarks)
    assert value.shape == REDUCED[reduction]
    each = (positions - landmarks).square().sum(-1) / 2 + d / 2 * math.log(2 * math.pi)
    expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_position_and_a_variance_that_are_right_cost_nothing(d: int, reduction: str) -> None:
    landmarks = torch.full((1, 3, d), 27.0)
    loss = build_loss("euclidean_variance", sigma=3, smooth=0, reduction=reduction)
    covariance = GaussianHeatmaps(3, d, 3.0).covariance[None]
    torch.testing.assert_close(loss((landmarks, covariance), landmarks).sum(), torch.tensor(0.0), rtol=0, atol=1e-9)
    value = loss((landmarks + 5, covariance), landmarks)
    torch.testing.assert_close(value.sum(), torch.tensor(5 * d**0.5 * (1 if reduction == "mean" else 3)))


@pytest.mark.parametrize("name", ["euclidean_variance", "gaussian_nll", "star", "generalised_normal_heatmap_l2"])
def test_a_reduction_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="reduction"):
        build_loss(name, reduction="invalid")


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("reduction", REDUCED)
def test_star_of_unit_covariances_is_the_distance_along_the_axes_and_the_trace(d: int, reduction: str) -> None:
    # Theirs sums over the batch before it reduces, so that a case costs more in a larger batch.
    positions, covariances, landmarks = estimates(d)
    value = build_loss("star", beta=1e-6, reduction=reduction)((positions, covariances), landmarks)
    assert value.shape == REDUCED[reduction]
    each = (positions - landmarks).abs().sum(-1) + d / 2
    torch.testing.assert_close(value, {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction])


@pytest.mark.parametrize("shape", [(16, 16), (8, 8, 8)])
def test_three_outputs_are_judged_by_one_target(shape: tuple[int, ...]) -> None:
    outputs, goals = [torch.rand(2, 4, *shape) for _ in range(3)], torch.rand(2, 4, *shape)
    mean = StackedLoss(build_loss("heatmap_l2"), [1 / 3] * 3)(outputs, goals)
    torch.testing.assert_close(mean, torch.stack([(output - goals).square().mean() for output in outputs]).mean())
    total = StackedLoss(build_loss("heatmap_l2", space="sum", reduction="sum"))(outputs, goals)
    torch.testing.assert_close(total, 3 * goals.numel() * mean)
    each = StackedLoss(build_loss("heatmap_l2", reduction="none"))(outputs, goals)
    assert each.shape == (2, 4) and (each >= 0).all()


@pytest.mark.parametrize(("reduction", "shape"), [("mean", ()), ("sum", ()), ("none", (2, 3))])
def test_the_likelihood_of_maps(reduction: str, shape: tuple[int, ...]) -> None:
    logits, goals = torch.randn(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    value = build_loss("spatial_cross_entropy", reduction=reduction)(logits, goals)
    share = goals / goals.sum((-2, -1), keepdim=True)
    each = -(share * logits.flatten(2).log_softmax(-1).view_as(goals)).sum((-2, -1))
    assert value.shape == shape
    torch.testing.assert_close(value, {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction])


@pytest.mark.parametrize("distance", ["heatmap_l1", "heatmap_l2", "heatmap_smooth_l1", "heatmap_bce"])
def test_the_spread_may_stand_beside_any_distance_of_maps(distance: str) -> None:
    maps, goals = torch.randn(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    matrices = torch.diag(torch.tensor([4.0, 9.0])).expand(3, 2, 2)
    value = build_loss("gaussian_heatmap_l2", alpha=0.5, distance=distance)(maps, (goals, matrices))
    torch.testing.assert_close(value, build_loss(distance)(maps, goals) + 0.5 * 6)


@pytest.mark.parametrize("distance", ["l1", "l2", "smooth_l1"])
def test_star_takes_other_distances_along_its_axes(distance: str) -> None:
    error = torch.tensor([[[0.5, -2.0]]])
    covariance = torch.diag(torch.tensor([4.0, 9.0]))[None, None]
    value = build_loss("star", omega=0, distance=distance, beta=1.0)((error, covariance), torch.zeros(1, 1, 2))
    along = {"l1": (0.5, 2.0), "l2": (0.25, 4.0), "smooth_l1": (0.125, 1.5)}[distance]
    assert float(value) == pytest.approx(along[0] / 2 + along[1] / 3)


@pytest.mark.parametrize(("name", "distance"), [("star", "l3"), ("gaussian_heatmap_l2", "wing")])
def test_a_distance_that_there_is_not_is_refused(name: str, distance: str) -> None:
    with pytest.raises(RecipeError, match=distance):
        build_loss(name, distance=distance)
