"""The SpatialConfiguration-Net and its probabilistic form."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models import build_model
from Testing.models.small_networks import images, small

in_both = pytest.mark.parametrize("dimension", [2, 3])


def configured(name: str, dimension: int, downsampling: int = 4) -> torch.nn.Module:
    return build_model(
        name,
        dimension=dimension,
        in_channels=1,
        landmarks=3,
        appearance="unet",
        appearance_arguments={"widths": (4, 8)},
        width=4,
        kernel=3,
        downsampling=downsampling,
        head_deviation=0.5,
    ).eval()


@in_both
def test_a_map_is_the_local_one_times_the_hyperbolic_tangent_of_the_configuration(dimension: int) -> None:
    network, seen = configured("scn", dimension), images(dimension, 1)
    local = network.appearance(seen).heatmaps
    maps = network(seen).heatmaps
    ratio = maps / local
    assert ratio.abs().max() <= 1 + 1e-4 and ratio.abs().max() > 0.05
    torch.nn.init.zeros_(network.places.weight)
    torch.nn.init.constant_(network.places.bias, 0.7)
    torch.testing.assert_close(network(seen).heatmaps, local * torch.tanh(torch.tensor(0.7)), atol=1e-5, rtol=1e-4)


@in_both
def test_probabilities_multiply_so_their_logarithms_are_added(dimension: int) -> None:
    network, seen = configured("probabilistic_scn", dimension), images(dimension, 1)
    torch.nn.init.zeros_(network.places.weight)
    torch.nn.init.constant_(network.places.bias, 0.7)
    torch.testing.assert_close(network(seen).heatmaps, network.appearance(seen).heatmaps + 0.7, atol=1e-5, rtol=1e-4)


@in_both
def test_the_covariance_of_the_probabilistic_form_is_that_of_its_distribution(dimension: int) -> None:
    network = configured("probabilistic_scn", dimension)
    output = network(images(dimension, 1, size=(6, 7, 8)[:dimension]))
    grid = torch.stack(torch.meshgrid(*map(torch.arange, output.heatmaps.shape[2:]), indexing="ij"), -1).flip(-1)
    positions = grid.reshape(-1, dimension).double()
    for heatmap, covariance in zip(output.heatmaps[0], output.covariance[0], strict=True):
        weights = heatmap.flatten().double().softmax(0)
        centred = positions - (weights[:, None] * positions).sum(0)
        expected = torch.einsum("n,ni,nj->ij", weights, centred, centred)
        torch.testing.assert_close(covariance.double(), expected, atol=1e-3, rtol=1e-3)


@in_both
def test_where_the_other_landmarks_stand_changes_the_map_of_this_one(dimension: int) -> None:
    """The configuration is what one landmark's local map tells of another's place."""
    network, seen = configured("scn", dimension), images(dimension, 1, batch=1)
    seen.requires_grad_()
    features, _ = network.features(seen)
    local = network.appearance.features(seen)[0].shape[1]
    places = features[:, local:]
    assert places.shape[1] == 3
    (gradient,) = torch.autograd.grad(places[0, 0].sum(), network.appearance.head.weight)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_the_configuration_stands_where_the_local_maps_stand() -> None:
    """A bright square moves by the small voxel; the configuration moves with it by as much."""
    network = configured("scn", 2, downsampling=8)
    for module in (*network.configuration, network.places):
        torch.nn.init.zeros_(module.weight)
        torch.nn.init.zeros_(module.bias)
        channels = min(module.weight.shape[:2])
        module.weight.data[range(channels), range(channels), 1, 1] = 1.0
    network.appearance.head_maps = lambda features, part: features[:, :3].abs()
    centres = []
    for x in (16, 24):
        image = torch.zeros(1, 3, 48, 72)
        image[:, :, 16:24, x : x + 8] = 1.0
        network.appearance.features = lambda _images, seen=image: (seen, torch.zeros(1, 8))
        features, _ = network.features(torch.zeros(1, 1, 48, 72))
        places = features[0, -1]
        centres.append((places * torch.arange(72)).sum() / places.sum())
        torch.testing.assert_close(centres[-1], torch.tensor(x + 3.5), atol=0.05, rtol=0)


@pytest.mark.parametrize("appearance", ["basic_unet", "dyn_unet", "attention_unet", "hourglass"])
def test_any_network_may_be_the_local_appearance(appearance: str) -> None:
    from Testing.models.small_networks import SMALL

    network = build_model(
        "scn",
        dimension=3,
        in_channels=2,
        landmarks=4,
        appearance=appearance,
        appearance_arguments=SMALL[appearance],
        width=4,
        kernel=3,
    )
    output = network(images(3))
    assert output.heatmaps.shape == (2, 4, 17, 23, 19)
    (output.heatmaps.square().mean() + output.presence.square().mean()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_an_appearance_that_cannot_be_is_refused_with_what_to_do() -> None:
    few = {"dimension": 2, "in_channels": 1, "landmarks": 2}
    with pytest.raises(RecipeError, match="even side 4"):
        build_model("scn", **few, kernel=4)
    with pytest.raises(RecipeError, match="no network 'unot'"):
        build_model("scn", **few, appearance="unot")
    with pytest.raises(RecipeError, match="take conditional out"):
        build_model("scn", **few, appearance="unet", appearance_arguments={"conditional": True})


def test_an_untrained_network_takes_no_landmark_to_be_anywhere() -> None:
    """Both factors begin near nought, as the paper has them: the product is flat, and training decides."""
    assert small("scn", 2).eval()(images(2)).heatmaps.abs().max() < 0.05
