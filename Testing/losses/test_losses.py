"""Losses: against their definition, with masks, with gradients checked in double precision."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.heatmaps import gaussian_heatmaps
from LandmarkDetectorLib.losses import radial_distance, spatial_cross_entropy


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_cross_entropy_is_that_of_the_definition(dimension: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, *[7, 8, 9][:dimension])
    targets = torch.rand_like(logits)
    share = targets.flatten(2) / targets.flatten(2).sum(-1, keepdim=True)
    expected = -(share * logits.flatten(2).log_softmax(-1)).sum(-1).mean()
    valid = torch.ones(2, 3, dtype=torch.bool)
    torch.testing.assert_close(spatial_cross_entropy(logits, targets, valid), expected)


def test_a_landmark_that_is_not_valid_gives_no_gradient() -> None:
    logits = torch.randn(1, 2, 8, 8, requires_grad=True)
    landmarks = torch.tensor([[[3.0, 4.0], [torch.nan, torch.nan]]])
    targets, mask = gaussian_heatmaps(landmarks, (8, 8), 1.5)
    assert mask.tolist() == [[True, False]]
    spatial_cross_entropy(logits, targets, mask).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().sum() > 0 and logits.grad[0, 1].abs().sum() == 0
    positions = torch.zeros(1, 2, 2, requires_grad=True)
    radial_distance(positions, landmarks, mask).backward()
    assert positions.grad is not None and torch.isfinite(positions.grad).all() and positions.grad[0, 1].abs().sum() == 0


def test_nothing_valid_is_zero_and_not_nan() -> None:
    none = torch.zeros(1, 2, dtype=torch.bool)
    assert float(spatial_cross_entropy(torch.randn(1, 2, 4, 4), torch.zeros(1, 2, 4, 4), none)) == 0
    assert float(radial_distance(torch.zeros(1, 2, 2), torch.full((1, 2, 2), torch.nan), none)) == 0


def test_the_distance_is_euclidean_far_away_and_smooth_at_zero() -> None:
    valid = torch.ones(1, 1, dtype=torch.bool)
    far = radial_distance(torch.tensor([[[300.0, 400.0]]]), torch.zeros(1, 1, 2), valid)
    assert float(far) == pytest.approx(499.5, abs=0.01)
    at = torch.zeros(1, 1, 3, requires_grad=True)
    radial_distance(at, torch.zeros(1, 1, 3), valid).backward()
    assert at.grad is not None and at.grad.abs().max() == 0


def test_gradients_are_right_in_double_precision() -> None:
    torch.manual_seed(1)
    valid = torch.tensor([[True, False, True]])
    goal = torch.randn(1, 3, 2, dtype=torch.float64)
    positions = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: radial_distance(p, goal, valid), (positions,))
    logits = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: spatial_cross_entropy(z, targets, valid), (logits,))
