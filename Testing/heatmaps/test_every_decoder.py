"""What holds for every decoder alike: made heatmaps are read back, and what is changed about them changes no more.

Each way of reading has its own kind of map: heatmaps, or logits whose weights are that heatmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from LandmarkDetectorLib.heatmaps import Decoded, decode, decode_instances, decoder_names, gaussian_heatmaps
from Testing.heatmaps.promises import same
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors


def as_it_is(maps: Tensor) -> Tensor:
    return maps


def logarithm(maps: Tensor) -> Tensor:
    """Logits whose softmax is the heatmap."""
    return maps.clamp(min=1e-30).log()


def logit(maps: Tensor) -> Tensor:
    """Logits whose sigmoid is the heatmap."""
    return maps.clamp(1e-30, 1 - 1e-7).logit()


@dataclass(frozen=True)
class Reading:
    """A decoder with its options and what it promises.

    Args:
        most: error in voxels along an axis without noise, away from borders.
        half: by how much the position from half precision may differ.
        scale: whether a positive factor changes nothing.
        offset: whether a constant added changes nothing.
        corner: mean error within two voxels of a corner for a peak of standard deviation 2, without noise.
        thin: whether it reads maps one voxel wide.
    """

    method: str
    most: float
    half: float
    corner: float
    options: dict[str, Any] = field(default_factory=dict)
    made: Callable[[Tensor], Tensor] = as_it_is
    scale: bool = True
    offset: bool = True
    thin: bool = True

    def read(self, maps: Tensor) -> Decoded:
        return decode(maps, self.method, **self.options)


READINGS = {
    "argmax": Reading("argmax", 0.51, 1.01, 0.55),
    "dark": Reading("dark", 0.005, 0.002, 0.25),
    "enlarged_argmax": Reading("enlarged_argmax", 0.2, 0.26, 0.2),
    "gaussian_fit": Reading("gaussian_fit", 0.002, 0.002, 0.001, thin=False),
    "local_mean": Reading("local_mean", 0.005, 0.002, 0.03),
    "local_soft_argmax": Reading("local_soft_argmax", 0.05, 0.002, 0.25),
    "log_quadratic": Reading("log_quadratic", 0.002, 0.002, 0.001, thin=False),
    "weighted mean, none": Reading("weighted_mean", 0.002, 0.002, 2.0, {"weights": "none"}, offset=False),
    "weighted mean, relu": Reading("weighted_mean", 0.002, 0.002, 2.0, {"weights": "relu"}, offset=False),
    "weighted mean, sigmoid": Reading(
        "weighted_mean", 0.002, 0.002, 2.0, {"weights": "sigmoid"}, logit, scale=False, offset=False
    ),
    "weighted mean, softmax": Reading(
        "weighted_mean", 0.002, 0.002, 2.0, {"weights": "softmax"}, logarithm, scale=False
    ),
}
EACH = pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
SHAPES = st.sampled_from([(36, 44), (41, 33), (24, 26, 29), (28, 22, 25)])


@st.composite
def scenes(draw, count: int = 2) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Shape, centres (1, count, D) and heatmaps in double precision, the peaks whole within the view."""
    shape = draw(SHAPES)
    sigma = draw(st.floats(1.0, 1.8 if len(shape) == 3 else 2.4))
    margin = 4.5 * sigma
    centres = torch.tensor(
        [[[draw(st.floats(margin, n - 1 - margin)) for n in reversed(shape)] for _ in range(count)]],
        dtype=torch.float64,
    )
    return shape, centres, gaussian_heatmaps(centres, shape, sigma, dtype=torch.float64)[0]


def test_every_decoder_is_here_and_named_at_the_door():
    assert {reading.method for reading in READINGS.values()} == set(decoder_names())
    assert all(f'``"{name}"``' in (decode.__doc__ or "") for name in decoder_names())


@EACH
@settings(max_examples=20, deadline=None)
@given(scene=scenes())
def test_what_was_generated_is_read_back(reading, scene):
    _, centres, maps = scene
    for values in (reading.made(maps), reading.made(maps).float()):
        out = reading.read(values)
        assert out.found.all()
        assert (out.positions - centres).abs().max() < reading.most


@EACH
@settings(max_examples=15, deadline=None)
@given(scene=scenes(count=1), data=st.data())
def test_a_landmark_one_voxel_further_is_read_one_voxel_further(reading, scene, data):
    shape, centres, maps = scene
    axis = data.draw(st.integers(0, len(shape) - 1))
    moved = maps.roll(1, -1 - axis)
    step = torch.zeros_like(centres)
    step[..., axis] = 1
    difference = reading.read(reading.made(moved)).positions - reading.read(reading.made(maps)).positions
    torch.testing.assert_close(difference, step, rtol=0, atol=2e-3)


@EACH
@settings(max_examples=15, deadline=None)
@given(
    scene=scenes(), scale=st.sampled_from([2.0**-20, 0.25, 8.0, 2.0**20]), offset=st.sampled_from([-64.0, 0.5, 64.0])
)
def test_scale_and_offset_move_nothing_where_promised(reading, scene, scale, offset):
    values = reading.made(scene[2])
    plain = reading.read(values).positions
    if reading.scale:
        torch.testing.assert_close(reading.read(values * scale).positions, plain, rtol=0, atol=1e-4)
    if reading.offset and reading.method not in ("argmax", "enlarged_argmax"):
        torch.testing.assert_close(reading.read(values + offset).positions, plain, rtol=0, atol=1e-4)
    elif reading.offset:  # rounding can make two voxels equal that were not
        assert (reading.read(values + offset).positions - plain).abs().max() < 1.01


@EACH
@settings(max_examples=15, deadline=None)
@given(scene=scenes())
def test_half_precision_agrees_with_double(reading, scene):
    values = reading.made(scene[2])
    half = reading.read(values.half())
    assert half.positions.dtype == torch.float32
    assert (half.positions - reading.read(values).positions).abs().max() < reading.half


@EACH
@settings(max_examples=10, deadline=None)
@given(scene=scenes(count=6), order=st.permutations(range(3)))
def test_permuted_maps_give_permuted_answers(reading, scene, order):
    _, centres, maps = scene
    values = reading.made(maps).unflatten(1, (2, 3)).squeeze(0)
    out, order = reading.read(values), torch.tensor(order)
    torch.testing.assert_close(reading.read(values[:, order]).positions, out.positions[:, order], rtol=0, atol=1e-9)
    torch.testing.assert_close(reading.read(values.flip(0)).positions, out.positions.flip(0), rtol=0, atol=1e-9)


@EACH
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_the_pull_of_a_corner_is_known(reading, shape):
    """The weighted mean cannot help it; all others stay within a quarter of a voxel, the fits at none."""
    centres = border_centres(shape, (-1, 1, -1)[: len(shape)], 30, 0.0, 2.0)
    out = reading.read(reading.made(gaussian_heatmaps(centres, shape, 2.0)[0]))
    assert out.found.all()
    assert errors(out, centres).mean() < reading.corner * len(shape) ** 0.5


@EACH
@pytest.mark.parametrize(
    ("shape", "centre"),
    [
        ((1, 20), (9.3, 0)),
        ((20, 1), (0, 9.3)),
        ((1, 28, 30), (14.3, 12.6, 0)),
        ((28, 1, 30), (14.3, 0, 12.6)),
        ((28, 30, 1), (0, 14.3, 12.6)),
    ],
)
def test_an_axis_of_one_voxel_is_read_at_that_voxel_or_not_at_all(reading, shape, centre):
    centres = torch.tensor([[centre]])
    out = reading.read(reading.made(gaussian_heatmaps(centres, shape, 1.5)[0]))
    if reading.thin:
        assert out.found.all()
        assert (out.positions - centres).abs().max() < reading.most + 0.01
        assert out.positions[0, 0, [n == 1 for n in reversed(shape)]].tolist() == [0.0]
    else:
        assert not out.found.any() and out.positions.isnan().all()


@pytest.mark.parametrize("name", [name for name in READINGS if not name.endswith("none")])  # that is for densities
@pytest.mark.parametrize("shape", [(24, 30), (16, 18, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_logits_from_minus_to_plus_a_hundred_stay_numbers(name, shape, dtype):
    centres = torch.tensor([[[11.3, 9.6, 8.2][: len(shape)]]])
    out = READINGS[name].read((200 * gaussian_heatmaps(centres, shape, 1.5)[0] - 100).to(dtype))
    assert out.found.all()
    assert errors(out, centres).max() < 0.9


@EACH
def test_a_covariance_is_that_of_the_peak_or_of_its_weights_or_nan(reading):
    sigma = torch.tensor([1.5, 2.5])
    maps = gaussian_heatmaps(torch.tensor([[[60.3, 40.6]]]), PLANE, sigma[None])[0]
    covariance = reading.read(reading.made(maps)).covariance[0, 0]
    form = torch.diag(sigma**2)
    if reading.method in ("argmax", "enlarged_argmax"):
        assert covariance.isnan().all()
    elif reading.method == "local_soft_argmax":
        assert torch.linalg.eigvalsh(covariance).min() > 0.5
        assert torch.linalg.eigvalsh(form - covariance).min() > 0  # sharpened, hence narrower
    else:
        torch.testing.assert_close(covariance, form, rtol=0.04, atol=0.04)


@EACH
def test_autocast_changes_nothing(reading):
    maps = reading.made(gaussian_heatmaps(torch.tensor([[[20.3, 14.6], [15.2, 20.7]]]), (36, 40), 1.5)[0])
    plain = reading.read(maps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert same(reading.read(maps), plain)


@pytest.mark.parametrize("method", decoder_names())
def test_tensors_of_monai_are_read_as_those_of_torch(method: str) -> None:
    from monai.data import MetaTensor

    maps = gaussian_heatmaps(torch.tensor([[[10.3, 12.6], [4.0, 5.5]]]), (24, 24), 2.0)[0]
    ours, theirs = decode(maps, method), decode(MetaTensor(maps), method)
    assert type(theirs.positions) is Tensor
    torch.testing.assert_close(theirs.positions, ours.positions, equal_nan=True)
    several = decode_instances(MetaTensor(maps), 2, method=method).positions
    torch.testing.assert_close(several, decode_instances(maps, 2, method=method).positions, equal_nan=True)
