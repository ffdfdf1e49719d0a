"""A spread that is learnt stays positive, stays the optimiser's, and gets the right gradient."""

from __future__ import annotations

import io

import pytest
import torch

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, LaplaceHeatmaps
from Testing.heatmaps.generator_formula import BOTH, TURN, covariances

SMALL = {2: (4, 5), 3: (2, 3, 4)}


def doubles(kind, d, **options):
    sigma = torch.tensor([[1.1, 1.7, 1.3], [0.8, 1.2, 2.0]], dtype=torch.float64)[:, :d]
    return kind(2, d, sigma, rotation=TURN[d], **options)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("options", [{}, {"gamma": 3.0, "background": True, "all_landmarks": True}])
def test_gradients_reach_landmarks_sigma_and_rotation(kind, d, options):
    generator = doubles(kind, d, learnable=True, **options)
    landmarks = torch.tensor([[[2.4, 1.3, 1.6], [-0.7, 3.1, 2.2]]], dtype=torch.float64)[..., :d].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda place, *_: generator(place, SMALL[d], dtype=torch.float64)[0], (landmarks, *generator.parameters())
    )


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_gradients_reach_a_covariance_and_an_affine_that_come_with_the_call(kind, d):
    generator = doubles(kind, d, unit="mm")
    landmarks = torch.tensor([[[2.4, 1.3, 1.6], [-0.7, 3.1, 2.2]]], dtype=torch.float64)[..., :d]
    root = torch.linalg.cholesky(covariances(d, 2)).requires_grad_()
    affine = (torch.eye(d, dtype=torch.float64) + 0.1).requires_grad_()

    def maps(root, affine):
        form = root @ root.mT
        return generator(landmarks, SMALL[d], (0.8, 1.0, 1.3)[:d], covariance=form, affine=affine, dtype=torch.float64)[
            0
        ]

    assert torch.autograd.gradcheck(maps, (root, affine))


@pytest.mark.parametrize("instances", ["maximum", "sum"])
def test_gradients_reach_each_of_several_instances(instances):
    generator = doubles(LaplaceHeatmaps, 2, learnable=True, instances=instances)
    landmarks = torch.tensor([[[[1.2, 1.4], [3.3, 3.2], [torch.nan, 0.0]], [[2.6, 0.3], [0.2, 3.9], [4.4, 2.3]]]])
    landmarks = landmarks.double().requires_grad_()

    def maps(places, *_):
        return generator(places, SMALL[2], dtype=torch.float64)[0]

    there = landmarks.detach().nan_to_num(0).requires_grad_()
    absent = landmarks.detach().isnan()
    assert torch.autograd.gradcheck(
        lambda places, *_: maps(torch.where(absent, torch.nan, places)), (there, *generator.parameters())
    )


def test_of_two_instances_in_one_place_one_has_the_gradient():
    landmarks = torch.tensor([[[[2.3, 2.1], [2.3, 2.1]]]], dtype=torch.float64, requires_grad=True)
    generator = GaussianHeatmaps(1, 2, 1.5)
    generator(landmarks, SMALL[2], dtype=torch.float64)[0].square().sum().backward()
    both = landmarks.grad.sum(2)
    one = landmarks.detach()[:, :, 0].clone().requires_grad_()
    generator(one, SMALL[2], dtype=torch.float64)[0].square().sum().backward()
    torch.testing.assert_close(both, one.grad)


@pytest.mark.parametrize("kind", BOTH)
def test_gradients_with_a_rotation_of_zero_are_those_of_a_small_one(kind):
    """The rotation of zero takes no short way in which its own gradient would be lost."""
    slopes = []
    for angle in (0.0, 1e-6):
        generator = kind(1, 2, torch.tensor([3.0, 1.0], dtype=torch.float64), rotation=angle, learnable=True)
        maps, _ = generator(torch.tensor([[[5.2, 4.7]]]), (10, 11), dtype=torch.float64)
        maps[0, 0, 7, 8].backward()
        slopes.append(torch.cat([generator.rotation.grad.flatten(), generator.log_sigma.grad.flatten()]))
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-8)
    assert slopes[0].abs().amin() > 1e-3


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_the_gradient_is_finite_where_the_landmark_is_a_voxel(kind, d):
    generator = kind(1, d, 2.0, learnable=True)
    landmarks = torch.full((1, 1, d), 2.0, requires_grad=True)
    maps, _ = generator(landmarks, SMALL[d])
    maps.sum().backward()
    assert landmarks.grad.isfinite().all()
    assert generator.log_sigma.grad.isfinite().all() and generator.log_sigma.grad.abs().sum() > 0
    assert generator.rotation.grad.isfinite().all()


def test_an_absent_landmark_has_no_gradient_and_spoils_no_other():
    for rotation in (0.0, 0.4):
        landmarks = torch.tensor([[[2.0, 3.3], [torch.nan, 1.0]]], requires_grad=True)
        generator = GaussianHeatmaps(2, 2, 2.0, rotation=rotation, learnable="sigma")
        generator(landmarks, (6, 7))[0].square().sum().backward()
        assert landmarks.grad[0, 1].eq(0).all()
        assert landmarks.grad[0, 0].isfinite().all() and landmarks.grad[0, 0].abs().sum() > 0
        assert generator.log_sigma.grad[1].eq(0).all() and generator.log_sigma.grad[0].abs().sum() > 0


def test_only_what_is_learnable_is_a_parameter():
    def names(learnable):
        return {name for name, _ in GaussianHeatmaps(2, 3, learnable=learnable).named_parameters()}

    assert names(False) == set()
    assert names(True) == {"log_sigma", "rotation"}
    assert names("sigma") == {"log_sigma"} and names("rotation") == {"rotation"}
    fixed = GaussianHeatmaps(2, 3, 2.0)(torch.ones(1, 2, 3), (4, 5, 6))[0]
    assert not fixed.requires_grad


@pytest.mark.parametrize("step", [1.0, 1e3, 1e6])
def test_sigma_stays_positive_after_a_step_that_would_make_it_negative(step):
    generator = GaussianHeatmaps(2, 2, 1.5, learnable=True)
    optimiser = torch.optim.SGD(generator.parameters(), lr=step)
    landmarks = torch.tensor([[[8.3, 9.1], [5.0, 4.0]]])
    maps, _ = generator(landmarks, (20, 20))
    maps.sum().backward()
    by_sigma = generator.log_sigma.grad / generator.sigma.detach()
    assert (generator.sigma - step * by_sigma).max() < 0  # what a step on sigma itself would have done
    optimiser.step()
    assert (generator.sigma > 0).all() and generator.sigma.isfinite().all()
    maps, _ = generator(landmarks, (20, 20))
    assert maps.isfinite().all() and maps.amin() >= 0 and maps.amax() <= 1


@pytest.mark.parametrize("d", [2, 3])
def test_a_spread_is_learnt_from_maps(d):
    """Both optimisers, the one made before the spread was set and the one made after, find the Gaussian's form."""
    true = GaussianHeatmaps(1, d, (3.0, 1.5, 2.0)[:d], rotation={2: 0.4, 3: (0.3, -0.2, 0.4)}[d])
    landmark, shape = torch.full((1, 1, d), 5.3), (11,) * d
    target, _ = true(landmark, shape)
    for before in (True, False):
        generator = GaussianHeatmaps(1, d, 1.0, learnable=True)
        optimiser = torch.optim.Adam(generator.parameters(), lr=0.1) if before else None
        generator.set_sigma((2.5, 1.8, 2.2)[:d])
        generator.set_rotation(0.1)
        optimiser = optimiser or torch.optim.Adam(generator.parameters(), lr=0.1)
        for _ in range(60):
            optimiser.zero_grad()
            (generator(landmark, shape)[0] - target).square().sum().backward()
            optimiser.step()
        torch.testing.assert_close(generator.covariance, true.covariance, rtol=0.03, atol=0.05)


def test_setting_a_spread_keeps_the_parameter_and_its_device_type_and_gradient():
    generator = LaplaceHeatmaps(2, 2, 1.0, learnable=True)
    log_sigma, rotation = generator.log_sigma, generator.rotation
    generator(torch.ones(1, 2, 2), (4, 5))[0].sum().backward()
    slope = log_sigma.grad.clone()
    generator.set_sigma(torch.tensor([[2.0, 3.0], [4.0, 5.0]], requires_grad=True))
    generator.set_rotation([0.1, 0.2])
    assert generator.log_sigma is log_sigma and generator.rotation is rotation
    assert log_sigma.is_leaf and log_sigma.requires_grad and log_sigma.grad.equal(slope)
    torch.testing.assert_close(generator.sigma, torch.tensor([[2.0, 3.0], [4.0, 5.0]]))
    generator.set_covariance(torch.diag(torch.tensor([4.0, 9.0])))
    assert generator.log_sigma is log_sigma
    torch.testing.assert_close(generator.sigma, torch.tensor([[2.0, 3.0]] * 2))
    assert generator.rotation.eq(0).all()


def test_setting_sigma_as_a_schedule_does_is_heard_at_once():
    generator = GaussianHeatmaps(2, 3, 5.0, learnable="sigma")
    landmarks, shape = torch.full((1, 2, 3), 6.0), (13, 13, 13)
    wide = generator(landmarks, shape)[0].sum()
    generator.set_sigma(generator.sigma * 0.5)
    torch.testing.assert_close(generator.sigma, torch.full((2, 3), 2.5))
    assert generator(landmarks, shape)[0].sum() < wide / 3


@pytest.mark.parametrize("learnable", [True, False])
def test_the_state_goes_from_one_generator_to_another(learnable):
    first = GaussianHeatmaps(2, 3, [1.5, 2.5], rotation=(0.1, 0.2, 0.3), learnable=True)
    kept = io.BytesIO()
    torch.save(first.state_dict(), kept)
    kept.seek(0)
    second = GaussianHeatmaps(2, 3, learnable=learnable)
    second.load_state_dict(torch.load(kept, weights_only=True))
    landmarks = torch.full((1, 2, 3), 4.3)
    torch.testing.assert_close(
        second(landmarks, (8, 8, 8))[0], first(landmarks, (8, 8, 8))[0].detach(), **{"check_stride": False}
    )


def test_second_derivatives_are_refused_and_not_wrong():
    generator = LaplaceHeatmaps(1, 2, 2.0, learnable=True)
    maps, _ = generator(torch.full((1, 1, 2), 2.3), (5, 6))
    (slope,) = torch.autograd.grad(maps.square().sum(), generator.log_sigma, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
