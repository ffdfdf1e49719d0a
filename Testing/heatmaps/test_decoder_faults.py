"""One test for each fault of landmarker's decoders that we know of: here it is not."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.heatmaps import decode, decode_instances, decoder_names, find_peaks, gaussian_heatmaps
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres, noisy


@pytest.mark.parametrize("weights", ["softmax", "sigmoid", "relu"])
@pytest.mark.parametrize("height", [100.0, 1000.0, 60000.0])
def test_an_exponential_never_overflows(weights, height):
    """exp without the maximum taken off: NaN from 89 on."""
    logits = height * (2 * gaussian_heatmaps(torch.tensor([[[60.0, 40.0]]]), PLANE, 1.0)[0] - 1)
    out = decode(logits, "weighted_mean", weights=weights)
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([60.0, 40.0]), rtol=0, atol=1e-3)
    out = decode(logits.clamp(-6e4, 6e4).half(), "local_soft_argmax")
    torch.testing.assert_close(out.positions[0, 0], torch.tensor([60.0, 40.0]), rtol=0, atol=1e-2)


@pytest.mark.parametrize("method", ["gaussian_fit", "local_mean", "local_soft_argmax", "log_quadratic", "dark"])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_a_corner_does_not_pull_by_a_quarter_of_a_voxel(method, shape, sigma):
    """Local means in zero padding: 0.27 to 0.56 voxel inwards."""
    low, high = ((-1, -1, -1), (1, 1, 1))
    for sides in (low[: len(shape)], high[: len(shape)]):
        centres = border_centres(shape, sides, 40, 0.0, 2.0)
        out = decode(gaussian_heatmaps(centres, shape, sigma)[0], method)
        assert out.found.all()
        assert (out.positions - centres)[0].mean(0).abs().max() < 0.2


@pytest.mark.parametrize(("method", "option"), [("local_mean", "radius"), ("local_soft_argmax", "window")])
@pytest.mark.parametrize("width", [2, 4, 6])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_an_even_window_is_read_without_bias(method, option, width, shape):
    """A crash."""
    centres = inner_centres(shape, 60, 8.0)
    out = decode(gaussian_heatmaps(centres, shape, 1.5)[0], method, **{option: width})
    assert out.found.all()
    assert (out.positions - centres)[0].mean(0).abs().max() < 0.02
    assert errors(out, centres).mean() < 0.09


@pytest.mark.parametrize("method", decoder_names())
def test_a_map_of_nan_has_no_landmark_and_not_the_first_voxel(method):
    """(0, 0) in silence."""
    out = decode(torch.full((2, 2, 12, 14), torch.nan), method)
    assert not out.found.any()
    assert out.positions.isnan().all() and out.peak.isnan().all()
    assert not decode_instances(torch.full((1, 1, 12, 14), torch.nan), 2, method=method).found.any()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlarging_moves_nothing_and_is_nearer_than_the_arg_max(factor):
    """Off by 0.375 voxel at factor 4, and worse than without."""
    centres = inner_centres(PLANE, 300, 8.0)
    maps = noisy(centres, PLANE, 2.0, 0.01)
    out = decode(maps, "enlarged_argmax", factor=factor)
    assert (out.positions - centres)[0].mean(0).abs().max() < 0.04
    assert errors(out, centres).mean() < 0.75 * errors(decode(maps, "argmax"), centres).mean()


@pytest.mark.parametrize("method", ["gaussian_fit", "log_quadratic", "dark", "local_mean", "weighted_mean"])
@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_a_peak_of_half_the_height_has_its_own_width(method, shape):
    """With the height fixed to 1, a peak of 0.5 and variance 9 gives 3.73; and only in 2D."""
    centres = inner_centres(shape, 5, 13.0)
    out = decode(0.5 * gaussian_heatmaps(centres, shape, 3.0)[0], method)
    form = 9 * torch.eye(len(shape)).expand_as(out.covariance)
    torch.testing.assert_close(out.covariance, form, rtol=0.03, atol=0.03)
    assert errors(out, centres).max() < 0.01


def test_a_background_beside_the_peak_does_not_widen_the_fit():
    centres = inner_centres(PLANE, 5, 13.0)
    out = decode(0.5 * gaussian_heatmaps(centres, PLANE, 3.0)[0] + 0.2, "gaussian_fit")
    torch.testing.assert_close(out.covariance, 9 * torch.eye(2).expand_as(out.covariance), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("shape", [(31, 33), (32, 34), (12, 13, 14)])
def test_no_peak_is_lost_in_the_last_rows(shape):
    """Blocks of a padded map that end before it does."""
    last = [n - 1 for n in reversed(shape)]
    for axis in range(len(shape)):
        for depth in range(4):
            place = [6] * len(shape)
            place[axis] = last[axis] - depth
            maps = gaussian_heatmaps(torch.tensor([[place]], dtype=torch.float32), shape, 1.0)[0]
            out = decode_instances(maps, 3, radius=2, threshold=0.3)
            assert out.found[0, 0].tolist() == [True, False, False]
            torch.testing.assert_close(out.positions[0, 0, 0], torch.tensor(place).float(), rtol=0, atol=1e-2)


@pytest.mark.parametrize("shape", [(64, 64), (24, 28, 32)])
def test_one_peak_gives_one_candidate(shape):
    """79 of them, from a background where all voxels are equal."""
    maps = gaussian_heatmaps(torch.tensor([[[15.3, 12.6, 10.2][: len(shape)]]]), shape, 1.5)[0]
    assert find_peaks(maps, 100).positions[..., 0].isfinite().sum() == 1
    assert decode_instances(maps, 100).found.sum() == 1


def test_several_landmarks_of_a_class_are_found_in_3d():
    """2D alone."""
    centres = inner_centres(VOLUME, 5, 6.0, seed=3)
    assert torch.pdist(centres[0]).min() > 8
    out = decode_instances(gaussian_heatmaps(centres, VOLUME, 1.5)[0].amax(1, keepdim=True), 8, threshold=0.5)
    assert out.found.sum() == 5
    assert torch.cdist(out.positions[0, 0, :5].double(), centres[0]).amin(1).max() < 0.02


def test_weights_take_no_memory_but_that_of_a_few_maps():
    """B × C × grid × D, many times over: here what is weighed at once does not grow with the number of maps."""
    from LandmarkDetectorLib.heatmaps.decoders import weighted_mean

    seen = []
    inner = weighted_mean.spatial_moments

    def watched(weights):
        seen.append(weights.numel())
        return inner(weights)

    weighted_mean.spatial_moments = watched
    try:
        decode(torch.rand(2, 16, 300, 300), "weighted_mean")
    finally:
        weighted_mean.spatial_moments = inner
    assert max(seen) <= weighted_mean.CHUNK_VALUES_CPU < sum(seen)
