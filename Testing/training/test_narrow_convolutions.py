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


@pytest.mark.parametrize(
    "size", [(8, 8, 2), (2, 4, 4), (2, 8, 8), (4, 2, 8), (3, 4, 4), (4, 6, 8), (2, 8), (8, 2), (5, 5)]
)
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 2)])
def test_gradients_are_those_of_single_precision(size: tuple, kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    made = {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": dilation * (kernel // 2)}
    convolution = (nn.Conv2d, nn.Conv3d)[len(size) - 2](16, 32, **made)
    guard_narrow_convolutions(convolution)
    images = torch.randn(2, 16, *size, requires_grad=True)
    found, expected = [], []
    for mixed, gradients in ((False, expected), (True, found)):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            maps = convolution(images)
        maps.float().square().sum().backward()
        gradients += [convolution.weight.grad.clone(), images.grad.clone()]
        convolution.zero_grad()
        images.grad = None
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm()) < 0.05 * float(other.norm())


def test_a_convolution_that_pads_by_itself_is_computed_as_it_is() -> None:
    class Padding(nn.Conv2d):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.pad(images, (1, 2, 1, 2)))

    convolution = Padding(8, 8, 5, stride=2)
    guard_narrow_convolutions(convolution)
    images = torch.randn(1, 8, 4, 3)
    expected = convolution(images)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(convolution(images), expected)
