"""Deep supervision: every output judged, each by its weight."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.losses import EuclideanLoss, HeatmapL2Loss, StackedLoss, STARLoss


def test_the_outputs_are_added_by_their_weights() -> None:
    target = torch.zeros(2, 3, 4, 5)
    outputs = [torch.full_like(target, value) for value in (1.0, 2.0, 3.0)]
    assert float(StackedLoss(HeatmapL2Loss())(outputs, target)) == 1 + 4 + 9
    assert float(StackedLoss(HeatmapL2Loss(), [1, 0.5, 0])(outputs, target)) == 3


def test_outputs_may_differ_in_resolution_where_each_has_its_target() -> None:
    outputs = [torch.ones(2, 3, 4, 4), 2 * torch.ones(2, 3, 8, 8)]
    targets = [torch.zeros_like(output) for output in outputs]
    assert float(StackedLoss(HeatmapL2Loss())(outputs, targets)) == 5


def test_mask_weights_and_reduction_are_those_of_the_loss() -> None:
    target = torch.zeros(1, 3, 2)
    target[0, 1] = torch.nan
    outputs = [torch.tensor([[[3.0, 4.0]] * 3], requires_grad=True), torch.tensor([[[6.0, 8.0]] * 3])]
    valid, weights = torch.tensor([[True, False, True]]), torch.tensor([1.0, 1.0, 2.0])
    each = StackedLoss(EuclideanLoss(smooth=0, reduction="none"))(outputs, target, valid, weights)
    assert each.tolist() == [[15, 0, 30]]
    mean = StackedLoss(EuclideanLoss(smooth=0))(outputs, target, valid, weights)
    assert float(mean.detach()) == 22.5
    mean.backward()
    assert outputs[0].grad is not None and outputs[0].grad.isfinite().all() and (outputs[0].grad[0, 1] == 0).all()


def test_outputs_may_be_estimates() -> None:
    estimate = (torch.ones(1, 2, 3), torch.eye(3).expand(1, 2, 3, 3))
    once = STARLoss()(estimate, torch.zeros(1, 2, 3))
    torch.testing.assert_close(StackedLoss(STARLoss())([estimate, estimate], torch.zeros(1, 2, 3)), 2 * once)


def test_outputs_without_target_or_weight_are_refused() -> None:
    output = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="2 outputs have 1 targets and 2 weights"):
        StackedLoss(HeatmapL2Loss())([output, output], [output])
    with pytest.raises(ValueError, match="2 outputs have 2 targets and 1 weights"):
        StackedLoss(HeatmapL2Loss(), [1])([output, output], output)
    with pytest.raises(ValueError, match="0 outputs"):
        StackedLoss(HeatmapL2Loss())([], output)
    with pytest.raises(ValueError, match="1 outputs have 1 targets and 0 weights"):
        StackedLoss(HeatmapL2Loss(), [])([output], output)
