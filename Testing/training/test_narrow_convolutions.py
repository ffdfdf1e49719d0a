"""What bfloat16 makes of the narrowest convolutions does not reach a training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from LandmarkDetectorLib.training.narrow_convolutions import guard_narrow_convolutions

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("channels", [1, 8, 64])
@pytest.mark.parametrize(
    ("size", "stride"), [((8, 8, 2), 2), ((2, 4, 2), 2), ((1, 8, 2), 1), ((8, 8, 8), 2), ((16, 2), 2)]
)
def test_a_convolution_gives_what_it_gives_in_single_precision(size: tuple, stride: int, channels: int) -> None:
    torch.manual_seed(0)
    convolution = (nn.Conv2d, nn.Conv3d)[len(size) - 2](channels, 2 * channels, 3, stride=stride, padding=1)
    guard_narrow_convolutions(nn.Sequential(convolution))
    for _ in range(5):
        images = torch.randn(4, channels, *size)
        expected = convolution(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = convolution(images)
        assert float((found.float() - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_gradients_are_those_of_single_precision_where_it_is_narrow() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv3d(16, 32, 3, stride=2, padding=1)
    guard_narrow_convolutions(convolution)
    images = torch.randn(4, 16, 8, 8, 2)
    convolution(images).square().sum().backward()
    expected = convolution.weight.grad.clone()
    convolution.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        convolution(images).square().sum().backward()
    torch.testing.assert_close(convolution.weight.grad, expected)
