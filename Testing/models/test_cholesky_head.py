"""Covariances that are positive definite whatever the features are."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.losses import GaussianNLLLoss
from LandmarkDetectorLib.models.cholesky_head import CholeskyHead
from Testing.models.small_networks import images, small

in_both = pytest.mark.parametrize("dimension", [2, 3])


@in_both
@pytest.mark.parametrize("per_landmark", [False, True])
def test_covariances_are_symmetric_and_positive_definite_for_any_features(dimension: int, per_landmark: bool) -> None:
    torch.manual_seed(0)
    head = CholeskyHead(7, 5, dimension, per_landmark)
    torch.nn.init.normal_(head.out.weight, std=0.3)
    for scale in (1.0, 30.0):
        factor = head.factor(scale * torch.randn(4, *([5] if per_landmark else []), 7))
        covariance = factor.double() @ factor.double().mT
        assert covariance.shape == (4, 5, dimension, dimension)
        assert torch.equal(factor.triu(1), torch.zeros_like(factor))
        assert factor.diagonal(dim1=-2, dim2=-1).min() >= head.floor
        assert torch.linalg.eigvalsh(covariance).min() > 0


@in_both
def test_an_untrained_head_says_the_initial_deviation(dimension: int) -> None:
    covariance = CholeskyHead(7, 3, dimension, initial=3.0)(torch.randn(2, 7))
    torch.testing.assert_close(covariance, 9 * torch.eye(dimension).expand_as(covariance), atol=0.5, rtol=0)


def test_with_features_a_landmark_the_weights_are_shared() -> None:
    head = CholeskyHead(7, 3, 2, per_landmark=True)
    features = torch.randn(2, 3, 7)
    torch.testing.assert_close(head(features[:, [2, 0, 1]]), head(features)[:, [2, 0, 1]])


def test_half_precision_features_give_covariances_in_single_precision() -> None:
    head = CholeskyHead(7, 3, 2)
    features = torch.randn(2, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = head(features.bfloat16())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, head(features.bfloat16().float()))


@in_both
def test_trained_by_its_likelihood_it_finds_the_covariance_of_the_errors(dimension: int) -> None:
    torch.manual_seed(0)
    true = torch.tensor([[2.0, 0.0, 0.0], [1.2, 0.8, 0.0], [-0.5, 0.3, 1.5]])[:dimension, :dimension]
    errors = torch.randn(500, 1, dimension) @ true.mT
    head = CholeskyHead(4, 1, dimension, hidden=8)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(150):
        optimiser.zero_grad()
        covariance = head(torch.ones(1, 4)).expand(len(errors), -1, -1, -1)
        GaussianNLLLoss(floor=0.0)((torch.zeros_like(errors), covariance), (errors,)).backward()
        optimiser.step()
    found = head(torch.ones(1, 4))[0, 0].detach()
    torch.testing.assert_close(found, errors[:, 0].mT.cov(), atol=0.2, rtol=0.05)


@pytest.mark.parametrize("name", ["unet", "stacked_hourglass", "scn"])
def test_the_likelihood_teaches_a_network_its_covariance(name: str) -> None:
    network = small(name, 2, covariance=True)
    output = network(images(2))
    assert output.covariance is not None
    GaussianNLLLoss()((torch.zeros(2, 5, 2), output.covariance), (torch.full((2, 5, 2), 3.0),)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.cholesky.parameters())


def test_a_floor_above_the_initial_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="the floor 3"):
        CholeskyHead(7, 3, 2, floor=3.0)
