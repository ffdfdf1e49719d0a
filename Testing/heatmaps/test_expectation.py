"""Moments of probability maps, whole and in windows, against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation, spatial_softmax
from LandmarkDetectorLib.heatmaps.window import window_moments


def plain_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of one map [Z, ]Y, X in x, y[, z]."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in values.shape], indexing="ij"), -1)[..., ::-1]
    index, weight = index.reshape(-1, values.ndim).astype(float), values.reshape(-1) / values.sum()
    mean = weight @ index
    return mean, (index - mean).T @ ((index - mean) * weight[:, None])


@pytest.mark.parametrize("shape", [(7, 9), (5, 6, 8)])
def test_mean_and_covariance_are_those_of_plain_sums(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    probability = spatial_softmax(2 * torch.randn(2, 3, *shape, dtype=torch.float64))
    found = spatial_expectation(probability)
    for b in range(2):
        for k in range(3):
            mean, covariance = plain_moments(probability[b, k].numpy())
            np.testing.assert_allclose(found.mean[b, k], mean, atol=1e-10)
            np.testing.assert_allclose(found.covariance[b, k], covariance, atol=1e-10)


@pytest.mark.parametrize("shape", [(12, 15), (9, 11, 10)])
def test_a_window_sees_what_lies_in_it_and_nothing_beyond_the_border(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 2, *shape, dtype=torch.float64)
    probability = spatial_softmax(logits)
    log_sum = logits.flatten(2).logsumexp(-1)
    d = len(shape)
    centres = torch.tensor([[0.2, 1.4, 2.0][:d], [n - 1.0 for n in reversed(shape)], [4.6, 5.0, 3.1][:d]]).expand(
        2, 2, 3, d
    )
    for moments in (window_moments(probability, centres, 2), window_moments(logits, centres, 2, log_sum)):
        for p in range(3):
            middle = centres[0, 0, p].round().long().tolist()[::-1]
            part = tuple(slice(max(0, m - 2), m + 3) for m in middle)
            for b in range(2):
                values = probability[b, 1].numpy()[part]
                mean, covariance = plain_moments(values)
                start = np.array([s.start for s in part])[::-1]
                assert moments.mass[b, 1, p].item() == pytest.approx(values.sum())
                np.testing.assert_allclose(moments.mean[b, 1, p], mean + start, atol=1e-8)
                np.testing.assert_allclose(moments.covariance[b, 1, p], covariance, atol=1e-8)


def test_a_place_that_is_not_known_has_no_mass_and_no_mean() -> None:
    moments = window_moments(torch.full((1, 1, 4, 4), 1 / 16), torch.full((1, 1, 1, 2), torch.nan), 1)
    assert moments.mass.item() == 0 and torch.isnan(moments.mean).all()


def test_the_softmax_is_stable_at_large_logits_and_in_half_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        logits = torch.full((1, 1, 6, 6), -100.0, dtype=dtype)
        logits[0, 0, 2, 3] = 100
        found = spatial_expectation(spatial_softmax(logits))
        assert found.mean.dtype == torch.float32
        torch.testing.assert_close(found.mean[0, 0], torch.tensor([3.0, 2.0]))


@pytest.mark.parametrize("shape", [(12, 15), (9, 11, 10)])
def test_a_window_of_half_precision_or_under_autocast_is_read_in_single(shape: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    maps = torch.rand(1, 2, *shape).half()
    centres = torch.full((1, 2, 1, len(shape)), 5.0)
    exact = window_moments(maps.float(), centres, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = window_moments(maps, centres, 3)
    for part, expected in zip(found, exact, strict=True):
        torch.testing.assert_close(part, expected)
