"""The U-Net: shapes, gradients, conditioning."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models import build_model


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_maps_have_the_shape_of_the_image_and_every_parameter_learns(dimension: int, conditional: bool) -> None:
    network = build_model(
        "unet", dimension=dimension, in_channels=2, landmarks=5, widths=(4, 8, 12), conditional=conditional
    )
    images = torch.randn(3, 2, *[8, 12, 16][:dimension])
    which = torch.tensor([0, 4, 2]) if conditional else None
    output = network(images, which)
    assert output.heatmaps.shape == (3, 1 if conditional else 5, *images.shape[2:])
    assert output.presence.shape == (3, 1 if conditional else 5)
    (output.heatmaps.square().mean() + output.presence.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_conditioned_map_depends_on_the_landmark_alone_asked_for() -> None:
    network = build_model("unet", dimension=2, in_channels=1, landmarks=3, widths=(4, 8), conditional=True).eval()
    image = torch.randn(1, 1, 16, 16)
    maps = [network(image, torch.tensor([k])).heatmaps for k in range(3)]
    together = network(image.expand(3, -1, -1, -1), torch.arange(3)).heatmaps
    torch.testing.assert_close(together, torch.cat(maps), atol=1e-5, rtol=1e-5)
    assert (maps[0] - maps[1]).abs().max() > 1e-3


@pytest.mark.parametrize("dimension", [2, 3])
def test_maps_of_a_part_of_the_landmarks_are_those_of_all(dimension: int) -> None:
    network = build_model("unet", dimension=dimension, in_channels=1, landmarks=6, widths=(4, 8)).eval()
    images = torch.randn(2, 1, *[8] * dimension)
    features, _ = network.features(images)
    torch.testing.assert_close(network.head_maps(features, slice(2, 5)), network(images).heatmaps[:, 2:5])


def test_a_network_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(RecipeError, match="no network 'unot'; choose one of .*unet"):
        build_model("unot")
    with pytest.raises(RecipeError, match="cannot be built"):
        build_model("unet", dimension=2, in_channels=1, landmarks=2, wide=3)
