"""The situations of landmarker's own public tests of its decoders, put to ours; where theirs holds a fault, it says so.

Their axes run y, x and z, y, x; ours x, y[, z]. Their landmarks stand on whole voxels, or on such plus a random part.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import Decoded, GaussianHeatmaps, decode, decode_instances, gaussian_heatmaps

LANDMARKS = {
    (64, 64): [
        [[20, 20], [30, 40], [45, 25]],
        [[10, 10], [30, 40], [50, 60]],
        [[16, 17], [24, 35], [30, 58]],
        [[24, 24], [14, 14], [54, 30]],
        [[30, 30], [36, 46], [20, 10]],
    ],
    (64, 32): [
        [[20, 20], [30, 15], [45, 10]],
        [[10, 10], [30, 15], [50, 20]],
        [[16, 17], [24, 10], [30, 13]],
        [[24, 24], [14, 14], [54, 21]],
        [[30, 20], [36, 25], [20, 24]],
    ],
    (64, 64, 64): [
        [[20, 20, 20], [30, 40, 30], [45, 25, 40]],
        [[10, 10, 10], [30, 40, 30], [50, 60, 50]],
        [[16, 17, 16], [24, 35, 24], [30, 58, 30]],
    ],
    (64, 32, 40): [
        [[20, 20, 20], [30, 15, 10], [45, 10, 15]],
        [[10, 10, 10], [30, 15, 20], [50, 20, 30]],
        [[16, 17, 16], [24, 10, 15], [30, 13, 10]],
    ],
}
SHAPES = pytest.mark.parametrize("shape", LANDMARKS)
SIGMAS = {2: [[5.0, 5.0], [1.0, 1.0], [2.0, 1.0]], 3: [[4.0, 4.0, 5.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]}
TURNS = {2: [0.0, 0.0, 1.0], 3: [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]}


def centres_of(shape: tuple[int, ...], subpixel: bool = False) -> Tensor:
    """Centres (B, 3, D) in x, y[, z]."""
    centres = torch.tensor(LANDMARKS[shape], dtype=torch.float32)
    if subpixel:
        centres += torch.rand(centres.shape, generator=torch.Generator().manual_seed(0))
    return centres.flip(-1)


def turned(shape: tuple[int, ...], centres: Tensor, gamma: float | None = None) -> tuple[Tensor, Tensor]:
    """Maps of their widths, the third one slanted, and the covariances (3, D, D) that made them."""
    d = len(shape)
    generator = GaussianHeatmaps(3, d, torch.tensor(SIGMAS[d]), rotation=torch.tensor(TURNS[d]), gamma=gamma)
    return generator(centres, shape)[0].detach(), generator.covariance.detach()


def covariance_of(out: Decoded) -> Tensor:
    assert out.found.all()
    return out.covariance


@SHAPES
@pytest.mark.parametrize("subpixel", [False, True])
def test_the_arg_max_is_the_nearest_voxel(shape, subpixel):
    centres = centres_of(shape, subpixel)
    out = decode(gaussian_heatmaps(centres, shape, 1.0)[0], "argmax")
    assert torch.equal(out.positions, centres.round())


@SHAPES
@pytest.mark.parametrize(
    ("window", "sharpness", "most"), [(3, 10.0, 0.5), (5, 5.0, 0.25), (7, 3.0, 0.1), (4, 2.0, 0.05)]
)
def test_the_local_soft_arg_max_reads_whole_voxels_and_fractions(shape, window, sharpness, most):
    """Theirs is asked of a fraction only that it rounds to the landmark's voxel; ours is asked for the fraction.

    That is as near as the sharpness leaves voxels to tell it.
    """
    read = partial(decode, method="local_soft_argmax", window=window, sharpness=sharpness)
    centres = centres_of(shape)
    assert (read(gaussian_heatmaps(centres, shape, 1.0)[0]).positions - centres).abs().max() < 0.01
    centres = centres_of(shape, subpixel=True)
    assert (read(gaussian_heatmaps(centres, shape, 1.0)[0]).positions - centres).abs().max() < most


@SHAPES
@pytest.mark.parametrize("subpixel", [False, True])
def test_the_weighted_mean_is_the_centre(shape, subpixel):
    """Theirs is allowed 3 voxels, and said to be unstable; here a thousandth, what a border cuts off a tail aside."""
    centres = centres_of(shape, subpixel)
    out = decode(gaussian_heatmaps(centres, shape, 1.0)[0], "weighted_mean", weights="none")
    size = torch.tensor(shape[::-1])
    whole = (torch.minimum(centres, size - 1 - centres) >= 4).all(-1)
    assert whole.sum() >= 8
    assert (out.positions - centres).abs()[whole].max() < 1e-3
    assert (out.positions - centres).abs().max() < 0.01


def test_weights_a_method_and_a_shape_that_there_are_not_are_refused():
    for maps, method, options in (
        (torch.zeros(1, 3, 8, 8), "weighted_mean", {"weights": "wrong"}),
        (torch.zeros(1, 3, 8, 8), "wrong_method", {}),
        (torch.zeros(1, 3, 8, 8, 8, 8), "argmax", {}),
        (torch.zeros(1, 3, 8, 8, 8, 8), "local_soft_argmax", {}),
        (torch.zeros(1, 3, 8, 8, 8, 8), "enlarged_argmax", {}),
    ):
        with pytest.raises(LandmarkDetectorError):
            decode(maps, method, **options)


@SHAPES
@pytest.mark.parametrize("subpixel", [False, True])
def test_the_gaussian_fit_gives_centre_and_slanted_covariance(shape, subpixel):
    """Theirs is 2D alone and allowed 0.5 voxel and 0.5 voxel²."""
    centres = centres_of(shape, subpixel)
    maps, form = turned(shape, centres)
    inner = (torch.minimum(centres, torch.tensor(shape[::-1]) - 1 - centres) >= 8).all(-1)
    out = decode(maps, "gaussian_fit")
    assert (out.positions - centres).abs().max() < 0.02
    torch.testing.assert_close(out.covariance[inner], form.expand_as(out.covariance)[inner], rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("gamma", [None, 1.0])
def test_a_fit_need_not_know_the_height(gamma):
    """Theirs has to be told the gamma of the generator, and is wrong by what it is not told."""
    centres = torch.tensor([[[32.0, 27.0], [37.0, 32.0], [32.0, 32.0]]])
    maps, form = turned((64, 64), centres, gamma)
    out = decode(maps, "gaussian_fit")
    torch.testing.assert_close(out.covariance[0], form, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(out.positions, centres, rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(128, 128), (64, 64, 64)])
@pytest.mark.parametrize("weights", ["none", "relu"])
def test_the_weighted_covariance_is_that_of_the_gaussian(shape, weights):
    """Theirs divides by 1 - Σw², as for samples with weights; but a heatmap is a density: at σ 1 that is 9 % too much.

    Their tolerance of 0.5 voxel² does not see it.
    """
    centres = torch.full((1, 3, len(shape)), shape[0] // 2, dtype=torch.float32)
    out = decode(gaussian_heatmaps(centres, shape, 1.0)[0], "weighted_mean", weights=weights)
    torch.testing.assert_close(covariance_of(out), torch.eye(len(shape)).expand_as(out.covariance), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 64)])
def test_the_weighted_covariance_of_slanted_peaks_and_of_their_logits(shape):
    d = len(shape)
    centres = torch.tensor([[[32.0, 32.0, 32.0], [32.0, 37.0, 32.0], [29.0, 32.0, 32.0]]])[..., :d]
    maps, form = turned(shape, centres)
    torch.testing.assert_close(covariance_of(decode(maps, "weighted_mean"))[0], form, rtol=2e-3, atol=2e-3)
    logits = (0.9 * maps).double().clamp(min=1e-30).logit()
    out = decode(logits, "weighted_mean", weights="sigmoid")
    torch.testing.assert_close(covariance_of(out)[0].float(), form, rtol=2e-3, atol=2e-3)
    out = decode(maps.clamp(min=1e-30).log(), "weighted_mean", weights="softmax")
    torch.testing.assert_close(covariance_of(out)[0], form, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", [(512, 512), (64, 64), (64, 64, 64)])
def test_the_windowed_covariance(shape):
    """Theirs is 2D alone, in a window out to the nearest border, and allowed 0.5 + 10 %."""
    d = len(shape)
    centres = torch.full((1, 3, d), shape[0] // 2, dtype=torch.float32)
    sigma = torch.tensor([[3.0, 3.0, 3.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])[:, :d]
    out = decode(gaussian_heatmaps(centres, shape, sigma)[0], "local_mean")
    torch.testing.assert_close(covariance_of(out)[0], torch.diag_embed(sigma**2), rtol=0.03, atol=0.01)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 64)])
def test_four_landmarks_of_a_class_are_four_peaks(shape):
    """Theirs is 2D alone. The four images' landmarks stand in one; two that a sum would join lie further apart here."""
    centres = centres_of(shape)[1:]
    maps = gaussian_heatmaps(centres, shape, 1.0)[0].amax(0, keepdim=True)
    out = decode_instances(maps, 6, radius=2, threshold=0.5)
    assert out.found.sum(-1).tolist() == [[len(centres)] * 3]
    for k in range(3):
        distance = torch.cdist(centres[:, k], out.positions[0, k, : len(centres)])
        assert distance.amin(0).max() < 0.01 and distance.amin(1).max() < 0.01


@SHAPES
def test_the_enlarged_arg_max_is_nearer_than_the_arg_max(shape):
    """Theirs takes place j of the map enlarged f times for j / f, and is worse than the arg-max, within its tolerance.

    Place j lies at (j + 1/2) / f - 1/2.
    """
    for subpixel in (False, True):
        centres = centres_of(shape, subpixel)
        maps = gaussian_heatmaps(centres, shape, 1.0)[0]
        for factor, most in ((2, 0.4), (8, 0.2)):
            out = decode(maps, "enlarged_argmax", factor=factor)
            assert (out.positions - centres).abs().max() < most
            assert not subpixel or (out.positions - centres).mean().abs() < 0.08
