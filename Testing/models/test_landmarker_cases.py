"""The cases that landmarker 0.4.1 tests its networks with, and those it fails in, through our interface.

At the networks' full widths, on torch's meta device: it follows every shape through every layer and computes nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from LandmarkDetectorLib.heatmaps.expectation import spatial_softmax
from LandmarkDetectorLib.models import HeatmapOutput, build_model
from LandmarkDetectorLib.models.coordinates import CoordConv, CoordinateChannels
from Testing.models.small_networks import small


def shapes(name: str, size: tuple[int, ...], in_channels: int = 1, **arguments: Any) -> HeatmapOutput:
    """What the network gives for one image, as tensors without numbers."""
    with torch.device("meta"):
        network = build_model(name, dimension=len(size), in_channels=in_channels, landmarks=4, **arguments)
        return network(torch.zeros(1, in_channels, *size))


@pytest.mark.parametrize("arguments", [{}, {"head_deviation": 1e-4}])
def test_the_original_scn(arguments: dict[str, Any]) -> None:
    assert shapes("scn", (256, 256), **arguments).heatmaps.shape == (1, 4, 256, 256)


def test_the_original_scn_in_three_dimensions() -> None:
    assert shapes("scn", (192, 96, 96)).heatmaps.shape == (1, 4, 192, 96, 96)


@pytest.mark.parametrize("image_input", [True, False])
@pytest.mark.parametrize("name", ["scn_monai", "probabilistic_scn"])
def test_scn_on_a_unet_of_monai_with_and_without_the_image(name: str, image_input: bool) -> None:
    """Theirs is asked for the probabilistic net without the image, but the test looks at the one with it again."""
    output = shapes(
        name,
        (256, 256),
        image_input=image_input,
        appearance_arguments={"widths": (128,) * 4, "units": 2, "dropout": 0.0},
        width=128,
        kernel=11,
        downsampling=16,
    )
    assert output.heatmaps.shape == (1, 4, 256, 256)


@pytest.mark.parametrize("name", ["scn_monai", "probabilistic_scn"])
def test_scn_on_a_unet_of_monai_in_three_dimensions_where_theirs_crashes(name: str) -> None:
    """Theirs has a configuration of 2D layers whatever ``spatial_dims`` says."""
    assert shapes(name, (64, 48, 80)).heatmaps.shape == (1, 4, 64, 48, 80)


@pytest.mark.parametrize("size", [(250, 190), (101, 37, 53)])
@pytest.mark.parametrize("name", ["scn", "scn_monai", "probabilistic_scn", "hourglass", "residual_unet"])
def test_sizes_that_are_not_divisible_where_theirs_crash(name: str, size: tuple[int, ...]) -> None:
    assert shapes(name, size).heatmaps.shape == (1, 4, *size)


def test_one_hourglass() -> None:
    """Theirs widens from level to level; the paper's, and ours, has one width. Both halve four times."""
    assert shapes("hourglass", (256, 256), width=64, stride=1).heatmaps.shape == (1, 4, 256, 256)


def test_two_hourglasses_of_three_channels_each_with_its_maps() -> None:
    output = shapes("stacked_hourglass", (256, 256), 3, stacks=2, width=64, stride=1)
    assert [maps.shape for maps in (*output.auxiliary, output.heatmaps)] == [(1, 4, 256, 256)] * 2


@pytest.mark.parametrize("size", [(64, 64), (50, 64), (16, 12, 14)])
def test_two_hourglasses_with_covariances_for_images_of_any_size(size: tuple[int, ...]) -> None:
    """Theirs is built for one square size in 2D, and its diagonal can be 0; it also answers at every stack."""
    output = small("stacked_hourglass", len(size), 1, 4, covariance=True)(torch.randn(1, 1, *size))
    assert output.heatmaps.shape == (1, 4, *size)
    assert output.covariance is not None and output.covariance.shape == (1, 4, len(size), len(size))


def test_the_covariances_of_hourglasses_are_positive_definite() -> None:
    network = small("stacked_hourglass", 2, covariance=True).eval()
    network.cholesky.out.bias.data.view(5, 3)[:, :2] = -1e4  # an ELU plus one is 0 here
    covariance = network(torch.randn(3, 2, 40, 24)).covariance.detach().double()
    assert torch.linalg.eigvalsh(covariance).min() > 0


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "side"), [(7, 4, 16), (3, 1, 64)])
def test_coordinate_convolutions(radial: bool, kernel: int, stride: int, side: int) -> None:
    assert CoordConv(2, 3, 16, kernel, stride, radial)(torch.randn(2, 3, 64, 64)).shape == (2, 16, side, side)


def test_coordinates_lie_between_minus_one_and_one() -> None:
    out = CoordinateChannels(2)(torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 5, 64, 64)
    assert out[:, 3:].min() == -1 and out[:, 3:].max() == 1


def test_coordinates_in_three_dimensions_and_of_one_row_where_theirs_crash_or_are_not_a_number() -> None:
    assert CoordinateChannels(3)(torch.zeros(1, 1, 4, 5, 6)).shape == (1, 4, 4, 5, 6)
    assert CoordinateChannels(2)(torch.zeros(1, 1, 1, 6)).isfinite().all()


@pytest.mark.parametrize("size", [(4, 4), (4, 4, 4)])
def test_the_spatial_softmax_sums_to_one(size: tuple[int, ...]) -> None:
    for scale in (1.0, 1000.0):
        maps = scale * torch.randn(1, 3, *size)
        probability = spatial_softmax(maps)
        assert probability.shape == maps.shape
        torch.testing.assert_close(probability.flatten(2).sum(-1), torch.ones(1, 3))
