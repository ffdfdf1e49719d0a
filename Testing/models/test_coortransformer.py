"""CoorTransformer: where its samples lie, what it costs, and the form that was published, flaws included."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.coortransformer import CoorTransformer
from LandmarkDetectorLib.models.cross_attention import CrossAttention, lattice, sampled
from LandmarkDetectorLib.models.landmark_attention import ChannelAndPixelGates, FreeAttention, LandmarkAttention

SMALL: dict[str, Any] = {"widths": (8, 8, 16, 16, 16), "samples": 2, "grid": 2}
in_both = pytest.mark.parametrize("dimension", [2, 3])


def corners(dimension: int) -> torch.Tensor:
    """Positions (1, 2^D, D) near the corners of the image."""
    return 0.9 * torch.tensor(list(itertools.product([-1.0, 1.0], repeat=dimension)))[None]


@in_both
def test_a_feature_sampled_at_its_own_voxels_is_itself(dimension: int) -> None:
    feature = torch.randn(2, 3, *(4, 7, 5)[:dimension])
    here = lattice(tuple(feature.shape[2:]), feature).expand(2, -1, -1)
    torch.testing.assert_close(sampled(feature, here), feature.flatten(2).transpose(1, 2), atol=1e-5, rtol=0)


@in_both
def test_positions_are_sampled_in_single_precision_also_from_a_feature_in_half(dimension: int) -> None:
    feature = torch.arange(256.0).expand(1, 1, *[2] * (dimension - 1), 256)
    at = torch.zeros(1, 1, dimension)
    at[..., 0] = (2 * 200.5 + 1) / 256 - 1
    assert sampled(feature, at).item() == pytest.approx(200.5, abs=1e-3)
    assert sampled(feature.half(), at).item() == pytest.approx(200.5, abs=0.07)


@in_both
def test_the_centres_are_where_the_coarse_maps_peak_in_the_image(dimension: int) -> None:
    network = CoorTransformer(dimension, 1, 2, **SMALL)
    coarse = torch.full((1, 2, *(6, 8, 10)[:dimension]), -10.0)
    coarse[0, 0][(-1,) * dimension], coarse[0, 1][(0,) * dimension] = 10, 10
    sides = torch.tensor(coarse.shape[:1:-1])
    expected = torch.stack([1 - 1 / sides, 1 / sides - 1])
    torch.testing.assert_close(network.centres(coarse)[0], expected, atol=1e-5, rtol=0)


@in_both
def test_samples_move_with_the_landmark_and_can_lie_anywhere(dimension: int) -> None:
    torch.manual_seed(0)
    at = corners(dimension)
    attention = LandmarkAttention(dimension, 16, at.shape[1], samples=6, grid=2, reach=0.25)
    feature = 5 * torch.randn(1, 16, *[8] * dimension)
    for centres in (at, at.flip(1), torch.zeros_like(at)):
        _, positions = attention.place(feature, centres)
        offsets = positions - centres[:, :, None]
        assert offsets.abs().max() <= 0.25
        assert offsets.abs().amax((0, 2)).min() > 0.05  # they do not all lie on the landmark
    _, positions = attention.place(feature, at)
    quadrants = {tuple(row) for row in (positions.flatten(0, 2) > 0).int().tolist()}
    assert len(quadrants) == 2**dimension


@in_both
def test_the_published_samples_reach_one_quadrant_only(dimension: int) -> None:
    torch.manual_seed(0)
    attention = FreeAttention(dimension, 16)
    positions = attention.place(5 * torch.randn(1, 16, *[8] * dimension))
    assert positions.shape == (1, 4**dimension, dimension)
    assert positions.min() >= 0


@in_both
def test_what_a_token_sees_lies_around_the_landmark_wherever_that_is(dimension: int) -> None:
    torch.manual_seed(0)
    side, reach = 32, 0.1
    attention = LandmarkAttention(dimension, 8, 1, samples=4, grid=1, reach=reach)
    feature = torch.randn(1, 8, *[side] * dimension, requires_grad=True)
    places = lattice(tuple(feature.shape[2:]), feature)
    corner = (0, slice(None), *[slice(0, 2)] * dimension)  # far from both landmarks, and from the grid's one cell
    for centre in corners(dimension)[0, -2:] * 0.7:
        seen = attention(feature, centre.view(1, 1, -1))[corner].sum()
        (gradient,) = torch.autograd.grad(seen, feature)
        moved = gradient[0].abs().sum(0).flatten() > 0
        near = (places - centre).abs().amax(-1) <= reach + 2 / side
        middle = places.abs().amax(-1) <= 2 / side
        own = (places + 1).amax(-1) <= 12 / side
        assert (moved & near).sum() >= 2**dimension
        assert not (moved & ~near & ~middle & ~own).any()


def saved_bytes(attention: torch.nn.Module, *inputs: torch.Tensor) -> int:
    """What a forward pass keeps for the backward one, each storage once."""
    kept: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    # The plainest kernel: the others never write the table of weights down, which would hide what it costs.
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), sdpa_kernel(SDPBackend.MATH):
        output = attention(*inputs)
        assert output.requires_grad
    return sum(kept.values())


def products(attention: torch.nn.Module, *inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        attention(*inputs)
    return counter.get_total_flops()


@in_both
@pytest.mark.parametrize("cost", [saved_bytes, products])
def test_memory_and_products_grow_with_the_tokens_and_as_published_with_their_square(cost, dimension: int) -> None:
    torch.manual_seed(0)
    ours = LandmarkAttention(dimension, 8, 3, samples=4, grid=2, reach=0.25)
    published = FreeAttention(dimension, 8)
    centres = torch.zeros(1, 3, dimension)
    sizes = ((16, 32), (16, 64), (16, 128)) if dimension == 2 else ((4, 8, 16), (4, 8, 32), (4, 8, 64))
    features = [torch.randn(1, 8, *size, requires_grad=True) for size in sizes]
    linear = [cost(ours, feature, centres) for feature in features]
    square = [cost(published, feature) for feature in features]
    # Doubling the tokens doubles what depends on them; the square would make the second step four times the first.
    assert (linear[2] - linear[1]) / (linear[1] - linear[0]) == pytest.approx(2, rel=0.02)
    assert (square[2] - square[1]) / (square[1] - square[0]) > 2.8
    assert square[2] > linear[2]


def test_the_attention_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(64).double()
    tokens, keys = torch.randn(2, 5, 64).double(), torch.randn(2, 7, 64).double()
    assert attention.heads == 2
    query = attention.query(attention.query_norm(tokens)).view(2, 5, 2, 32)
    key, value = (x.reshape(2, 7, 2, 32) for x in attention.key_value(attention.key_norm(keys)).split(64, -1))
    weights = (torch.einsum("bnhc,bmhc->bhnm", query, key) / 32**0.5).softmax(-1)
    seen = torch.einsum("bhnm,bmhc->bnhc", weights, value).flatten(2)
    expected = tokens + attention.out(seen)
    expected = expected + attention.mlp(attention.mlp_norm(expected))
    torch.testing.assert_close(attention(tokens, keys), expected)


@in_both
def test_the_gates_weaken_whole_channels_and_then_single_voxels(dimension: int) -> None:
    torch.manual_seed(0)
    gates = ChannelAndPixelGates(dimension, 16)
    feature = torch.randn(2, 16, *[4] * dimension)
    ratio = gates(feature) / feature
    assert ratio.min() > 0 and ratio.max() < 1
    # A product of a number for the channel and one for the voxel: of rank one.
    table = ratio[0].flatten(1)
    torch.testing.assert_close(table * table[0, 0], table[:, :1] * table[:1], atol=1e-5, rtol=1e-4)


@in_both
@pytest.mark.parametrize("form", [{"as_published": True}, {"guided": False}, {"norm": "instance"}])
def test_every_form_learns_with_all_its_parameters(form: dict[str, Any], dimension: int) -> None:
    torch.manual_seed(0)
    network = CoorTransformer(dimension, 2, 3, **SMALL, **form)
    seen = torch.randn(2, 2, *(37, 50, 19)[:dimension])
    output = network(seen)
    guided = form == {"norm": "instance"}
    assert output.heatmaps.shape == (2, 3, *seen.shape[2:])
    assert [maps.shape[2:] for maps in output.auxiliary] == [tuple(-(-s // 8) for s in seen.shape[2:])] * guided
    values = (output.heatmaps, output.presence, *output.auxiliary)
    sum(value.square().mean() for value in values).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_the_published_widths_and_heads_are_the_default_in_2d() -> None:
    with torch.device("meta"):
        network = CoorTransformer(2, 1, 19, as_published=True)
    assert [step[0][0].weight.shape[0] for step in network.down] == [64, 128, 256, 512, 512]
    assert [attention.look.heads for attention in network.attention] == [8, 4, 2]
    assert network.head.weight.shape == (19, 256 + 128 + 64 + 64, 1, 1)


def test_nothing_of_a_landmark_guides_the_published_form_and_the_coarse_head_guides_ours() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        assert CoorTransformer(2, 1, 3, as_published=True).coarse_head is None
    network = CoorTransformer(2, 1, 3, **SMALL).eval()
    seen = torch.randn(1, 1, 64, 64)
    before = network(seen)
    network.coarse_head.weight.data *= 30  # the maps become sharp: the centres leave the middle
    assert not torch.allclose(network(seen).heatmaps, before.heatmaps)


@in_both
def test_all_maps_begin_near_the_prior(dimension: int) -> None:
    torch.manual_seed(0)
    seen = torch.randn(2, 1, *(32, 32, 32)[:dimension])
    for prior in (0.001, 0.1):
        output = CoorTransformer(dimension, 1, 3, **SMALL, prior=prior)(seen)
        for maps in (output.heatmaps, *output.auxiliary):
            assert 0.3 * prior < float(maps.sigmoid().median()) < 3 * prior


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": (8, 8, 8)},
        {"widths": (4, 8, 8, 8, 8)},
        {"samples": 0},
        {"reach": 0.0},
        {"prior": 1.0},
        {"dimension": 1},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="CoorTransformer"):
        CoorTransformer(**{"dimension": 2, "in_channels": 1, "landmarks": 3, **SMALL, **wrong})
