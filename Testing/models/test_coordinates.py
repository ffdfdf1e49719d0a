"""Coordinates as channels."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.models.coordinates import CoordConv, CoordinateChannels
from Testing.models.small_networks import images, small


def test_coordinates_run_from_minus_one_to_one_in_the_order_x_y_z_and_distance() -> None:
    seen = images(3, size=(3, 5, 9))
    out = CoordinateChannels(3, radial=True)(seen)
    torch.testing.assert_close(out[:, :2], seen)
    x, y, z, distance = out[1, 2:]
    torch.testing.assert_close(x[1, 2], torch.linspace(-1, 1, 9))
    torch.testing.assert_close(y[1, :, 4], torch.linspace(-1, 1, 5))
    torch.testing.assert_close(z[:, 2, 4], torch.tensor([-1.0, 0, 1]))
    assert distance[1, 2, 4] == 0
    torch.testing.assert_close(distance[0, 0, 0], torch.tensor(3.0).sqrt())


@pytest.mark.parametrize("dimension", [2, 3])
def test_an_axis_of_one_voxel_has_the_coordinate_zero(dimension: int) -> None:
    out = CoordinateChannels(dimension, radial=True)(torch.zeros(1, 1, *[1] * dimension))
    assert out.shape[1] == 1 + dimension + 1 and (out == 0).all()


def test_coordinates_of_half_precision_images_are_those_rounded_once() -> None:
    wide = torch.zeros(1, 1, 1, 5000, dtype=torch.float16)
    x = CoordinateChannels(2)(wide)[0, 1, 0]
    assert x.dtype == torch.float16
    torch.testing.assert_close(x, torch.linspace(-1, 1, 5000, dtype=torch.float64).half(), atol=0, rtol=0)


def test_with_coordinates_a_convolution_tells_places_apart_that_look_alike() -> None:
    flat = torch.ones(1, 1, 9, 9)
    torch.manual_seed(0)
    conv = CoordConv(2, 1, 3)
    assert conv(flat)[0, :, 2, 2].sub(conv(flat)[0, :, 6, 6]).abs().min() > 1e-3
    assert CoordConv(3, 1, 4, kernel=5, stride=2)(torch.ones(2, 1, 8, 8, 8)).shape == (2, 4, 4, 4, 4)


@pytest.mark.parametrize("name", ["unet", "residual_unet", "scn", "hrnet"])
def test_the_coordinates_of_a_network_are_the_image_s_and_not_the_padding_s(name: str) -> None:
    """A landmark's place among the sides of the image decides, not how far the image was padded."""
    network = small(name, 2, coord_channels=True)
    inner = getattr(network, "appearance", network)
    given = []
    inner.coordinates.register_forward_hook(lambda _module, _inputs, out: given.append(out))
    network(images(2, size=(13, 21)))
    assert given[0].shape == (2, 4, 13, 21)
    assert given[0][0, 2, 0, -1] == 1 and given[0][0, 3, -1, 0] == 1
