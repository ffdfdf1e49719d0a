"""Hourglasses and the high-resolution network: heads at a coarser resolution."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from LandmarkDetectorLib.losses import HeatmapL2Loss, StackedLoss
from LandmarkDetectorLib.models import build_model
from LandmarkDetectorLib.models.blocks import enlarged
from Testing.models.small_networks import images, small


def test_eight_stacks_have_the_size_of_the_paper() -> None:
    """Newell et al. publish 25.6 million parameters for 16 landmarks and three channels."""
    with torch.device("meta"):
        network = build_model("stacked_hourglass", dimension=2, in_channels=3, landmarks=16)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(25.6, rel=0.02)


def test_the_high_resolution_network_has_the_size_of_the_paper() -> None:
    """Wang et al. publish 9.3 million for HRNetV2-W18 on faces; ours answers for the presence too."""
    with torch.device("meta"):
        network = build_model("hrnet", dimension=2, in_channels=3, landmarks=68)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(9.3, rel=0.05)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_every_stack_is_judged_at_its_own_resolution(stride: int) -> None:
    network = small("stacked_hourglass", 2, stride=stride)
    assert network.auxiliary_strides == (stride, stride)
    seen = images(2)
    output = network(seen)
    landmarks = torch.rand(2, 5, 2) * 30
    outputs, strides = [*output.auxiliary, output.heatmaps], [*network.auxiliary_strides, 1]
    targets = [
        gaussian_heatmaps((landmarks + 0.5) / s - 0.5, tuple(o.shape[2:]), 2.0)[0]
        for o, s in zip(outputs, strides, strict=True)
    ]
    StackedLoss(HeatmapL2Loss())(outputs, targets).backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in network.heads)


def test_the_first_stack_does_not_hear_the_later_ones() -> None:
    network = small("stacked_hourglass", 2).eval()
    before = network(images(2)).auxiliary
    torch.nn.init.zeros_(network.said[1].weight)
    torch.nn.init.zeros_(network.again[1].weight)
    after = network(images(2))
    for one, same in zip(before, after.auxiliary, strict=True):
        torch.testing.assert_close(one, same, atol=0, rtol=0)


@pytest.mark.parametrize("dimension", [2, 3])
def test_enlarged_maps_keep_the_landmark_in_its_place(dimension: int) -> None:
    place = torch.tensor([[[21.3, 26.8, 24.1][:dimension]]])
    small_maps, _ = gaussian_heatmaps((place + 0.5) / 4 - 0.5, (12,) * dimension, 1.5)
    found = decode(enlarged(small_maps, 4), "gaussian_fit").positions
    torch.testing.assert_close(found.float(), place, atol=0.05, rtol=0)


def test_what_cannot_be_built_is_said() -> None:
    few = {"dimension": 2, "in_channels": 1, "landmarks": 2}
    for wrong in ({"stride": 3}, {"width": 6}, {"stacks": 0}, {"depth": 0}):
        with pytest.raises(RecipeError, match="An hourglass cannot"):
            build_model("hourglass", **few, **wrong)
    for wrong in ({"modules": ()}, {"modules": (0,)}, {"width": 0}):
        with pytest.raises(RecipeError, match="An hrnet cannot"):
            build_model("hrnet", **few, **wrong)
    for name, widths in (("residual_unet", (8,)), ("basic_unet", (8, 8)), ("dyn_unet", (8, 8))):
        with pytest.raises(RecipeError, match="widths"):
            build_model(name, **few, widths=widths)
