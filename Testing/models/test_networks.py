"""What every network of the registry promises, in two and three dimensions."""

from __future__ import annotations

import io

import pytest
import torch

from LandmarkDetectorLib.core import ImageError, RecipeError
from LandmarkDetectorLib.models import build_model, model_names
from Testing.models.small_networks import SMALL, all_of, images, small

NAMES = sorted(SMALL)
each = pytest.mark.parametrize("name", NAMES)
in_both = pytest.mark.parametrize("dimension", [2, 3])


def test_no_network_of_the_registry_is_left_out() -> None:
    assert model_names() == NAMES, "small_networks.py lacks arguments that make a new network small"


@in_both
@each
def test_maps_have_the_size_of_any_image_and_every_parameter_learns(name: str, dimension: int) -> None:
    network = small(name, dimension, coord_channels=True, covariance=True)
    seen = images(dimension)
    output = network(seen)
    assert output.heatmaps.shape == (2, 5, *seen.shape[2:])
    assert output.presence.shape == (2, 5)
    assert len(output.auxiliary) == len(network.auxiliary_strides)
    for maps, stride in zip(output.auxiliary, network.auxiliary_strides, strict=True):
        assert maps.shape == (2, 5, *(-(-side // stride) for side in seen.shape[2:]))
    assert output.covariance is not None and output.covariance.shape == (2, 5, dimension, dimension)
    assert all(values.dtype == torch.float32 and values.isfinite().all() for values in all_of(output))
    sum(values.square().mean() for values in all_of(output)).backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@each
def test_a_network_in_double_precision_answers_in_double_precision(name: str) -> None:
    network, seen = small(name, 2, covariance=True).eval(), images(2)
    single, double = network(seen), network.double()(seen.double())
    for one, other in zip(all_of(single), all_of(double), strict=True):
        assert other.dtype == torch.float64
        torch.testing.assert_close(one, other.float(), atol=1e-4, rtol=1e-3)


@in_both
@each
def test_maps_of_some_landmarks_are_those_of_all(name: str, dimension: int) -> None:
    network, seen = small(name, dimension).eval(), images(dimension)
    output = network(seen)
    features, vector = network.features(seen)
    assert features.shape[2:] == seen.shape[2:]
    torch.testing.assert_close(network.head_maps(features, slice(1, 3)), output.heatmaps[:, 1:3], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network.presence_of(vector), output.presence, atol=1e-5, rtol=1e-4)
    which = torch.tensor([4, 1])
    alone = network(seen, which)
    torch.testing.assert_close(alone.heatmaps[:, 0], output.heatmaps[[0, 1], which], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone.presence[:, 0], output.presence[[0, 1], which], atol=1e-5, rtol=1e-4)
    assert all(maps.shape[1] == 1 for maps in alone.auxiliary)


@in_both
@each
def test_each_image_of_a_batch_is_seen_alone_and_alike_each_time(name: str, dimension: int) -> None:
    network, seen = small(name, dimension, coord_channels=True, covariance=True).eval(), images(dimension, batch=3)
    with torch.no_grad():
        first, again, turned, single = network(seen), network(seen), network(seen[[2, 0, 1]]), network(seen[:1])
    for one, same, permuted, alone in zip(*map(all_of, (first, again, turned, single)), strict=True):
        torch.testing.assert_close(same, one, atol=0, rtol=0)
        torch.testing.assert_close(permuted, one[[2, 0, 1]], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone, one[:1], atol=1e-5, rtol=1e-4)


@in_both
@each
def test_weights_from_a_file_make_the_same_network(name: str, dimension: int) -> None:
    network, other = (small(name, dimension, seed=seed, covariance=True).eval() for seed in (0, 9))
    seen, file = images(dimension, size=(8, 12, 16)[:dimension]), io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    assert not torch.equal(network(seen).presence, other(seen).presence)
    other.load_state_dict(torch.load(file, weights_only=True))
    for mine, theirs in zip(all_of(network(seen)), all_of(other(seen)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0)


@each
def test_images_that_the_network_is_not_made_for_are_refused(name: str) -> None:
    network = small(name, 2)
    for wrong in (images(2, in_channels=3), images(3), images(2)[0], torch.zeros(1, 2, 0, 8)):
        with pytest.raises(ImageError, match=r"give \(B, 2, Y, X\)"):
            network(wrong)


@in_both
@each
def test_images_smaller_than_the_deepest_level_train(name: str, dimension: int) -> None:
    network, seen = small(name, dimension), images(dimension, size=(3, 5, 2)[:dimension])
    output = network(seen)
    assert output.heatmaps.shape[2:] == seen.shape[2:]
    output.heatmaps.square().mean().backward()


@each
def test_a_network_works_in_mixed_precision(name: str) -> None:
    network, seen = small(name, 2, covariance=True).eval(), images(2)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network(seen)
    exact = network(seen)
    assert rough.heatmaps.dtype == rough.covariance.dtype == torch.float32
    spread = exact.heatmaps.std()
    assert (rough.heatmaps - exact.heatmaps).abs().mean() < 0.05 * spread
    features, vector = network.features(seen)
    assert network.presence_of(vector).isfinite().all() and features.isfinite().all()


@pytest.mark.gpu
@in_both
@each
def test_cuda_says_what_the_processor_says(name: str, dimension: int) -> None:
    network, seen = small(name, dimension, coord_channels=True, covariance=True).eval(), images(dimension)
    expected = network(seen)
    for mine, theirs in zip(all_of(network.cuda()(seen.cuda())), all_of(expected), strict=True):
        assert mine.is_cuda
        torch.testing.assert_close(mine.cpu(), theirs, atol=1e-3, rtol=1e-2)


@each
def test_a_network_without_landmarks_or_of_four_dimensions_is_refused(name: str) -> None:
    for wrong in ({"dimension": 4}, {"landmarks": 0}, {"in_channels": 0}):
        with pytest.raises(RecipeError):
            build_model(name, **{"dimension": 2, "in_channels": 1, "landmarks": 2, **SMALL[name], **wrong})


@each
def test_a_network_is_kept_whole(name: str) -> None:
    network = small(name, 2).eval()
    kept = io.BytesIO()
    torch.save(network, kept)
    kept.seek(0)
    again = torch.load(kept, weights_only=False)
    torch.testing.assert_close(again(images(2)).heatmaps, network(images(2)).heatmaps)


@pytest.mark.parametrize("dimension", [2, pytest.param(3, marks=pytest.mark.slow)])
@each
def test_in_half_precision_maps_and_presence_come_out_in_single(name: str, dimension: int) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = small(name, dimension, covariance=True).eval()(images(dimension))
    assert {values.dtype for values in all_of(output)} == {torch.float32}


@pytest.mark.parametrize("name", ["coortransformer", "dyn_unet", "farnet", "hourglass", "hrnet", "stacked_hourglass"])
def test_a_normalisation_that_there_is_not_is_no_other_one(name: str) -> None:
    with pytest.raises(RecipeError, match="no normalisation 'bacth'; choose one of batch, group, instance"):
        small(name, 2, norm="bacth")


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("unet", {"widths": ()}, "without widths"),
        ("local_appearance", {"levels": 0}, "levels of 1 or more"),
        ("scn", {"downsampling": 0}, "leaves no voxel"),
    ],
)
def test_sizes_that_cannot_be_are_refused_when_a_network_is_built(name: str, wrong: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_model(name, dimension=2, in_channels=1, landmarks=2, **{**SMALL[name], **wrong})


def test_a_conditioned_network_must_be_told_its_landmark() -> None:
    network = build_model("unet", dimension=2, in_channels=1, landmarks=2, widths=(8, 8), conditional=True)
    with pytest.raises(RecipeError, match="give landmark="):
        network(torch.zeros(1, 1, 16, 16))
