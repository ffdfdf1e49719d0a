"""Targets are the Gaussians that were asked for, wherever the landmark lies and however sigma is said."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps


def formula(landmarks, shape, sigma):
    """The Gaussian as it is written in books, on a grid of coordinates, in double precision."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")
    grid = torch.stack(axes[::-1], -1)
    offsets = (grid - landmarks.view(*landmarks.shape[:2], *[1] * len(shape), -1)) / sigma.view(
        *sigma.shape[:2], *[1] * len(shape), -1
    )
    return torch.exp(-0.5 * offsets.square().sum(-1))


@pytest.mark.parametrize("shape", [(24, 31), (13, 18, 21)])
def test_maps_equal_the_formula_in_double_precision(shape):
    d = len(shape)
    generator = torch.Generator().manual_seed(3)
    landmarks = torch.rand(2, 4, d, generator=generator, dtype=torch.float64) * 20 - 2
    sigma = torch.rand(2, 4, d, generator=generator, dtype=torch.float64) * 4 + 0.5
    maps, mask = gaussian_heatmaps(landmarks, shape, sigma, dtype=torch.float64)
    torch.testing.assert_close(maps, formula(landmarks, shape, sigma), rtol=1e-12, atol=1e-300)
    assert mask.all()


@pytest.mark.parametrize(("dtype", "step"), [(torch.float32, 2**-22), (torch.float16, 2**-10), (torch.bfloat16, 2**-7)])
@pytest.mark.parametrize("shape", [(24, 31), (13, 18, 21)])
def test_narrower_types_are_rounded_once(dtype, step, shape):
    landmarks = torch.full((1, 3, len(shape)), 7.3)
    maps, _ = gaussian_heatmaps(landmarks, shape, 3.0, dtype=dtype)
    wide = formula(landmarks.double(), shape, torch.full((1, 3, len(shape)), 3.0, dtype=torch.float64))
    assert maps.dtype == dtype
    torch.testing.assert_close(maps.double(), wide, rtol=step, atol=1e-7)


def test_the_map_is_one_at_a_voxel_that_is_the_landmark():
    maps, _ = gaussian_heatmaps(torch.tensor([[[4.0, 2.0], [0.0, 9.0]]]), (10, 12), 2.0)
    assert maps[0, 0, 2, 4] == 1
    assert maps[0, 1, 9, 0] == 1
    assert maps.amax() == 1


def test_absent_landmarks_have_an_empty_map_and_no_mask():
    landmarks = torch.tensor([[[4.0, 2.0], [torch.nan, 3.0], [1.0, torch.inf], [5.0, 5.0]]])
    maps, mask = gaussian_heatmaps(landmarks, (10, 12), 2.0, valid=torch.tensor([[True, True, True, False]]))
    assert mask.tolist() == [[True, False, False, False]]
    assert maps[0, 1:].eq(0).all()
    assert maps[0, 0].sum() > 0


def test_a_landmark_outside_the_view_keeps_its_tail_and_its_mask():
    near, mask = gaussian_heatmaps(torch.tensor([[[-2.0, 5.0], [500.0, 5.0]]]), (10, 12), 2.0)
    assert mask.all()
    assert near[0, 0, 5, 0].item() == pytest.approx(torch.e**-0.5)
    assert near[0, 1].eq(0).all()


def test_sigma_is_said_in_many_ways():
    landmarks = torch.tensor([[[4.2, 2.0, 3.0], [7.0, 6.1, 5.0]]])
    shape = (9, 10, 12)

    def maps(sigma, **more):
        return gaussian_heatmaps(landmarks, shape, sigma, **more)[0]

    one = maps(2.0)
    for same in (2, [2.0, 2.0], [2.0, 2.0, 2.0], [[2.0] * 3] * 2, torch.tensor(2.0), torch.full((1, 2, 3), 2.0)):
        torch.testing.assert_close(maps(same), one)
    torch.testing.assert_close(maps([2.0, 5.0])[0, 0], one[0, 0])
    torch.testing.assert_close(maps([2.0, 5.0])[0, 1], maps(5.0)[0, 1])
    torch.testing.assert_close(maps([1.0, 2.0, 3.0]), maps(torch.tensor([1.0, 2.0, 3.0])))
    torch.testing.assert_close(maps([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])[0, 0], maps([1.0, 2.0, 3.0])[0, 0])


def test_sigma_goes_along_x_first():
    maps, _ = gaussian_heatmaps(torch.tensor([[[5.0, 5.0]] * 3]), (11, 11), [1.0, 4.0])
    assert maps[0, 0, 5, 7].item() == pytest.approx(torch.e**-2)
    assert maps[0, 0, 7, 5].item() == pytest.approx(torch.e**-0.125)


def test_with_a_spacing_sigma_is_in_millimetres():
    landmarks = torch.tensor([[[5.0, 4.0]], [[5.0, 4.0]]])
    by_mm, _ = gaussian_heatmaps(landmarks, (9, 11), 3.0, spacing=(1.5, 3.0))
    by_voxel, _ = gaussian_heatmaps(landmarks, (9, 11), torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(by_mm, by_voxel)
    each, _ = gaussian_heatmaps(landmarks, (9, 11), 3.0, spacing=torch.tensor([[1.5, 3.0], [3.0, 3.0]]))
    torch.testing.assert_close(each[0], by_voxel[0])
    torch.testing.assert_close(each[1], gaussian_heatmaps(landmarks, (9, 11), 1.0)[0][1])


@pytest.mark.parametrize("shape", [(6, 7), (4, 5, 6)])
def test_gradients_reach_landmarks_and_sigma(shape):
    d = len(shape)
    landmarks = torch.full((1, 2, d), 2.4, dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([[1.1], [1.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p, s: gaussian_heatmaps(p, shape, s, dtype=torch.float64)[0], (landmarks, sigma)
    )


def test_an_absent_landmark_has_no_gradient_and_spoils_no_other():
    landmarks = torch.tensor([[[2.0, 3.3], [torch.nan, 1.0]]], requires_grad=True)
    maps, _ = gaussian_heatmaps(landmarks, (6, 7), 2.0)
    maps.square().sum().backward()
    assert landmarks.grad[0, 1].eq(0).all()
    assert landmarks.grad[0, 0].isfinite().all() and landmarks.grad[0, 0].abs().sum() > 0


@pytest.mark.parametrize(
    ("landmarks", "shape", "sigma", "more"),
    [
        (torch.zeros(1, 2, 3), (4, 5), 1.0, {}),
        (torch.zeros(2, 2), (4, 5), 1.0, {}),
        (torch.zeros(1, 2, 2), (4, 0), 1.0, {}),
        (torch.zeros(1, 2, 2), (4, 5), 0.0, {}),
        (torch.zeros(1, 2, 2), (4, 5), -1.0, {}),
        (torch.zeros(1, 2, 2), (4, 5), float("nan"), {}),
        (torch.zeros(1, 2, 2), (4, 5), [1.0, 2.0], {}),
        (torch.zeros(1, 2, 2), (4, 5), [1.0, 2.0, 3.0], {}),
        (torch.zeros(1, 2, 2), (4, 5), 1.0, {"spacing": (1.0, 0.0)}),
        (torch.zeros(1, 2, 2), (4, 5), 1.0, {"spacing": (1.0, 1.0, 1.0)}),
        (torch.zeros(1, 2, 2), (4, 5), 1.0, {"valid": torch.ones(1, 2)}),
        (torch.zeros(1, 2, 2), (4, 5), 1.0, {"valid": torch.ones(2, 1, dtype=torch.bool)}),
    ],
)
def test_what_does_not_fit_is_refused(landmarks, shape, sigma, more):
    with pytest.raises(LandmarkError):
        gaussian_heatmaps(landmarks, shape, sigma, **more)
