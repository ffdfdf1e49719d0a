"""FARNet against its paper: size, shapes of every feature, the rows of its tables."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import NetworkSettings
from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models import build_model
from LandmarkDetectorLib.models.blocks import enlarged
from LandmarkDetectorLib.models.farnet import FarNet
from LandmarkDetectorLib.models.feature_aggregation import AGGREGATIONS

LIGHT = {"backbone": "resnet18", "width": 1 / 8}


@pytest.fixture(scope="module")
def whole() -> FarNet:
    """The paper's network for cephalograms; shapes without numbers."""
    with torch.device("meta"):
        return FarNet(2, 1, 19).eval()


def test_it_has_61_2_million_parameters_for_19_landmarks(whole: FarNet) -> None:
    assert round(sum(parameter.numel() for parameter in whole.parameters()) / 1e6, 1) == 61.2
    assert whole.pretrained_from == "not pretrained"


def test_every_feature_has_the_width_and_the_resolution_of_the_paper(whole: FarNet) -> None:
    found: dict[str, tuple[int, int]] = {}
    aggregation = whole.aggregation

    def listen(name: str):
        return lambda module, inputs, output: found.__setitem__(name, (output.shape[1], 640 // output.shape[-1]))

    parts = {"p5": aggregation.deepest, "u5": aggregation.turn}
    parts |= dict(zip(("p4", "p3", "p2"), aggregation.first_up, strict=True))
    parts |= dict(zip(("s3", "s4", "s5"), aggregation.strided, strict=True))
    parts |= dict(zip(("d3", "d4", "d5"), aggregation.down, strict=True))
    parts |= dict(zip(("u4", "u3", "u2", "u1"), aggregation.second_up, strict=True))
    parts |= {"coarse": whole.coarse_head, "image": whole.stem, "refined": whole.refined}
    handles = [part.register_forward_hook(listen(name)) for name, part in parts.items()]
    output = whole(torch.empty(1, 1, 800, 640, device="meta"))
    for handle in handles:
        handle.remove()
    assert found == {
        "p5": (256, 32),
        "p4": (256, 16),
        "p3": (256, 8),
        "p2": (256, 4),
        "s3": (512, 8),
        "s4": (1024, 16),
        "s5": (2048, 32),
        "d3": (512, 8),
        "d4": (1024, 16),
        "d5": (1024, 32),
        "u5": (256, 32),
        "u4": (256, 16),
        "u3": (256, 8),
        "u2": (128, 4),
        "u1": (64, 2),
        "coarse": (19, 2),
        "image": (32, 1),
        "refined": (32 + 64 + 19, 1),
    }
    assert output.heatmaps.shape == (1, 19, 800, 640)
    assert [maps.shape for maps in output.auxiliary] == [(1, 19, 400, 320)]


@pytest.mark.parametrize("size", [(70, 45), (33, 64, 31), (1, 1)])
def test_sides_that_are_no_multiples_of_32_are_padded_and_cut_again(size: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = FarNet(len(size), 3, 4, **LIGHT).eval()
        output = network(torch.empty(2, 3, *size))
    assert output.heatmaps.shape == (2, 4, *size)
    assert [maps.shape for maps in output.auxiliary] == [(2, 4, *(-(-side // 2) for side in size))]


@pytest.mark.parametrize(("aggregation", "refinement"), list(itertools.product(AGGREGATIONS, [False, True])))
def test_every_row_of_the_tables_can_be_built_and_learns_with_all_its_parameters(
    aggregation: str, refinement: bool
) -> None:
    torch.manual_seed(0)
    network = build_model(
        "farnet", dimension=2, in_channels=1, landmarks=3, aggregation=aggregation, refinement=refinement, **LIGHT
    )
    output = network(torch.rand(2, 1, 64, 64))
    assert len(output.auxiliary) == len(network.auxiliary_strides) == int(refinement)
    values = (output.heatmaps, output.presence, *output.auxiliary)
    sum(value.square().mean() for value in values).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_without_supervision_the_coarse_maps_are_still_refined_but_no_output() -> None:
    torch.manual_seed(0)
    network = FarNet(2, 1, 3, coarse_supervision=False, **LIGHT).eval()
    seen = torch.rand(1, 1, 64, 64)
    first = network(seen)
    assert first.auxiliary == () and network.auxiliary_strides == ()
    network.coarse_head.bias.data += 1
    assert not torch.allclose(network(seen).heatmaps, first.heatmaps)


def test_without_refinement_the_maps_are_those_at_half_resolution_enlarged() -> None:
    torch.manual_seed(0)
    network = FarNet(2, 1, 3, refinement=False, **LIGHT).eval()
    seen = torch.rand(1, 1, 64, 96)
    half = network.head(network.coarse(network.aggregation(network.backbone(seen))))
    torch.testing.assert_close(network(seen).heatmaps, enlarged(half, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (32, 32, 32)])
@pytest.mark.parametrize("refinement", [False, True])
def test_maps_begin_near_0_where_asked_to_and_learn_all_the_same(size: tuple[int, ...], refinement: bool) -> None:
    torch.manual_seed(0)
    seen = torch.rand(2, 1, *size)
    drawn, small = (
        FarNet(len(size), 1, 3, refinement=refinement, head_deviation=deviation, **LIGHT) for deviation in (None, 1e-3)
    )
    for maps, others in zip(*((o.heatmaps, *o.auxiliary) for o in (small(seen), drawn(seen))), strict=True):
        assert 0 < maps.abs().max() < 0.02 < others.abs().max()
    small(seen).heatmaps.sum().backward()
    assert next(small.backbone.parameters()).grad.abs().sum() > 0


def test_coordinates_reach_the_refinement_and_not_the_backbone_of_photographs() -> None:
    network = FarNet(2, 1, 3, coord_channels=True, **LIGHT)
    assert network.backbone.in_channels == 1
    assert network.stem[0].weight.shape[1] == 3
    with pytest.raises(RecipeError, match="coord_channels of a FARNet go into its refinement"):
        FarNet(2, 1, 3, coord_channels=True, refinement=False, **LIGHT)


@pytest.mark.parametrize(
    "wrong", [{"aggregation": "sum"}, {"backbone": "alexnet"}, {"width": 0.0}, {"head_deviation": 0.0}]
)
def test_a_switch_that_does_not_exist_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=str(next(iter(wrong.values())))):
        build_model("farnet", dimension=2, in_channels=1, landmarks=3, **{**LIGHT, **wrong})


def test_a_bundle_s_network_does_not_look_for_the_weights_that_its_training_began_from(tmp_path: Path) -> None:
    settings = NetworkSettings(name="farnet", arguments={**LIGHT, "pretrained": str(tmp_path / "elsewhere.pth")})
    pipeline: Any = SimpleNamespace(dimension=2, channels=1, design=[0, 1, 2])
    with pytest.raises(RecipeError, match="no file of weights"):
        build_network(pipeline, settings)
    assert build_network(pipeline, settings, weights_follow=True).landmarks == 3
