"""AdaLoss: what the formula says, in 2D and 3D, and what must never come of it."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps.generators import build_generator
from LandmarkDetectorLib.training.adaptive_sigma import AdaptiveSigma


class Generator:
    """The public part of a heatmap generator that is used here."""

    def __init__(self, landmarks: int = 5, axes: int = 2, sigma: float = 10.0, **where) -> None:
        self.sigma = torch.full((landmarks, axes), sigma, **where)

    def set_sigma(self, sigma: Tensor) -> None:
        assert sigma.shape == self.sigma.shape and sigma.dtype == self.sigma.dtype
        self.sigma = sigma


def steps(schedule: AdaptiveSigma, rows) -> list[Tensor]:
    return [schedule.step(torch.as_tensor(row)) for row in rows]


FIRST = torch.tensor([0.2, 0.1, 0.2, 0.1, 0.2])


# The two cases of landmarker's tests/test_schedulers.py.


def test_losses_that_become_calmer_shrink_every_width_after_the_window_is_full_twice():
    generator = Generator()
    schedule = AdaptiveSigma(generator, window=3, rho=0.9)
    history = steps(schedule, [FIRST * 0.9**n for n in range(3)])
    assert all(torch.equal(widths, torch.full((5, 2), 10.0)) for widths in history)
    assert bool((schedule.variance > 0).all())
    after = schedule.step(FIRST * 0.9**3)
    # The variance of a geometric row falls by its factor squared.
    torch.testing.assert_close(after, torch.full((5, 2), 10 + 0.9 * (1 - 1 / 0.81)))
    assert torch.equal(generator.sigma, after)


def test_losses_that_become_wilder_leave_widths_that_may_only_shrink():
    generator = Generator()
    schedule = AdaptiveSigma(generator, window=3, rho=0.9, non_increasing=True)
    steps(schedule, [FIRST * 1.1**n for n in range(4)])
    assert torch.equal(generator.sigma, torch.full((5, 2), 10.0))
    free = AdaptiveSigma(Generator(), window=3, rho=0.9)
    torch.testing.assert_close(
        steps(free, [FIRST * 1.1**n for n in range(4)])[-1], torch.full((5, 2), 10 + 0.9 * (1 - 1 / 1.21))
    )


# What seeds say is wrong there.


@pytest.mark.parametrize("axes", [2, 3])
def test_every_axis_is_adapted_z_as_well(axes: int):
    generator = Generator(landmarks=2, axes=axes)
    steps(AdaptiveSigma(generator), [torch.tensor([0.5, 0.4]) * 0.8**n for n in range(6)])
    assert bool((generator.sigma < 10).all())
    assert torch.equal(generator.sigma, generator.sigma[:, :1].expand(-1, axes))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-30, 1 / 3, 1e12])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_constant_loss_leaves_the_width_alone_and_gives_no_nan(constant: float, dtype: torch.dtype):
    generator = Generator(landmarks=1)
    steps(AdaptiveSigma(generator), [torch.tensor([min(constant, 6e4)], dtype=dtype)] * 8)
    assert torch.equal(generator.sigma, torch.full((1, 2), 10.0))


def test_losses_that_differ_by_rounding_alone_are_constant():
    above, exact = 0.1 + 0.2, 0.3
    assert above != exact
    generator = Generator(landmarks=1)
    order = (above, exact, exact, exact, above, above, exact, above, exact, exact)
    steps(AdaptiveSigma(generator), [torch.tensor([loss], dtype=torch.float64) for loss in order])
    assert torch.equal(generator.sigma, torch.full((1, 2), 10.0))


def test_a_loss_that_becomes_constant_shrinks_the_width_by_no_more_than_the_largest_step():
    schedule = AdaptiveSigma(Generator(landmarks=1), window=3, rho=0.5)
    widths = steps(schedule, [[x] for x in (3.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)])
    falls = -torch.cat(widths)[:, 0].diff()
    assert bool((falls <= 0.5).all()) and float(falls.max()) == 0.5
    assert float(falls[-1]) == 0.0 and all(bool(w.isfinite().all()) for w in widths)


def test_a_schedule_that_goes_on_from_its_state_takes_the_same_steps():
    torch.manual_seed(0)
    losses = torch.rand(12, 4, dtype=torch.float64)
    losses[3, 1] = torch.nan
    whole = steps(AdaptiveSigma(Generator(4, 3)), losses)
    begun = AdaptiveSigma(Generator(4, 3))
    steps(begun, losses[:7])
    file = io.BytesIO()
    torch.save(begun.state_dict(), file)
    file.seek(0)
    resumed = AdaptiveSigma(Generator(4, 3))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(resumed.generator.sigma, whole[6])
    for expected, widths in zip(whole[7:], steps(resumed, losses[7:]), strict=True):
        assert torch.equal(expected, widths)


def test_a_state_of_other_landmarks_or_of_another_window_is_refused():
    state = AdaptiveSigma(Generator(4, 3)).state_dict()
    with pytest.raises(ValueError, match="does not fit"):
        AdaptiveSigma(Generator(5, 3)).load_state_dict(state)
    with pytest.raises(ValueError, match="does not fit"):
        AdaptiveSigma(Generator(4, 3), window=4).load_state_dict(state)


def test_a_state_that_was_taken_does_not_change_with_the_schedule():
    schedule = AdaptiveSigma(Generator(2))
    state = schedule.state_dict()
    steps(schedule, [[0.5, 0.1], [0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])
    assert bool(state["history"].isnan().all()) and bool((state["sigma"] == 10).all())


# What a training meets.


def test_a_landmark_without_a_loss_keeps_its_width_and_its_history():
    both, masked, absent = (AdaptiveSigma(Generator(landmarks=2)) for _ in range(3))
    rows = [torch.tensor([0.5, 0.4]) * 0.8**n for n in range(6)]
    nan = torch.tensor([0.3, torch.nan])
    for number, row in enumerate(rows):
        both.step(row)
        masked.step(row)
        absent.step(row)
        if number in (1, 4):
            before = masked.generator.sigma[1].clone()
            masked.step(torch.tensor([0.3, 99.0]), torch.tensor([True, False]))
            absent.step(nan)
            assert torch.equal(masked.generator.sigma[1], before)
    assert torch.equal(masked.generator.sigma, absent.generator.sigma)
    assert torch.equal(masked.generator.sigma[1], both.generator.sigma[1])
    assert not torch.equal(masked.generator.sigma[0], both.generator.sigma[0])


def test_losses_per_axis_adapt_each_axis_by_itself():
    generator = Generator(landmarks=1, axes=3)
    schedule = AdaptiveSigma(generator)
    for n in range(5):
        schedule.step(torch.tensor([[0.5 * 0.8**n, 0.3, 0.5 * 1.2**n]]))
    x, y, z = generator.sigma[0].tolist()
    assert x < 10 and y == 10 and z > 10


def test_no_width_falls_below_the_floor_or_rises_above_the_ceiling():
    schedule = AdaptiveSigma(Generator(landmarks=2), floor=torch.tensor([[9.5], [2.0]]), ceiling=10.2)
    steps(schedule, [torch.tensor([0.5, 0.5]) * 0.5**n for n in range(40)])
    assert schedule.generator.sigma.tolist() == [[9.5, 9.5], [2.0, 2.0]]
    schedule = AdaptiveSigma(Generator(landmarks=1), ceiling=10.2)
    steps(schedule, [[0.5 * 1.5**n] for n in range(8)])
    torch.testing.assert_close(schedule.generator.sigma, torch.full((1, 2), 10.2))


def test_permuting_the_landmarks_permutes_the_widths():
    torch.manual_seed(1)
    losses, order = torch.rand(8, 5), torch.tensor([3, 0, 4, 1, 2])
    straight, turned = AdaptiveSigma(Generator(5, 3)), AdaptiveSigma(Generator(5, 3))
    steps(straight, losses)
    steps(turned, losses[:, order])
    assert torch.equal(straight.generator.sigma[order], turned.generator.sigma)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_the_targets_of_a_generator_become_sharper_and_those_of_an_unseen_landmark_stay(name: str, dimension: int):
    generator = build_generator(name, landmarks=2, dimension=dimension, sigma=3.0)
    shape, centre = (9,) * dimension, torch.full((1, 2, dimension), 4.0)
    before, _ = generator(centre, shape)
    schedule = AdaptiveSigma(generator, floor=1.5)
    for n in range(60):
        schedule.step(torch.tensor([0.5 * 0.9**n, torch.nan]))
    after, _ = generator(centre, shape)
    torch.testing.assert_close(generator.sigma, torch.tensor([[1.5], [3.0]]).expand(2, dimension))
    torch.testing.assert_close(after[:, 1], before[:, 1])
    assert float(after[0, 0].sum()) < 0.5 * float(before[0, 0].sum())
    resumed = AdaptiveSigma(build_generator(name, landmarks=2, dimension=dimension, sigma=3.0), floor=1.5)
    resumed.load_state_dict(schedule.state_dict())
    torch.testing.assert_close(resumed.generator.sigma, generator.sigma)
    AdaptiveSigma(generator, floor=1.5)  # a width at its floor is not below it, whatever a logarithm rounded


def test_the_optimiser_goes_on_moving_a_learnable_width_that_was_set():
    generator = build_generator("gaussian", landmarks=1, dimension=2, sigma=10.0, learnable="sigma")
    optimiser = torch.optim.SGD(generator.parameters(), lr=0.1)
    steps(AdaptiveSigma(generator), [[0.5 * 0.8**n] for n in range(5)])
    adapted = generator.sigma.detach().clone()
    assert bool((adapted < 10).all())
    generator.sigma.sum().backward()
    optimiser.step()
    assert bool((generator.sigma < adapted).all())


def test_a_width_that_is_learnt_is_set_without_a_gradient():
    generator = Generator(landmarks=1)
    generator.sigma.requires_grad_(True)
    loss = torch.tensor([0.5], requires_grad=True)
    schedule = AdaptiveSigma(generator)
    assert not schedule.step(loss * 2).requires_grad
    assert not schedule.history.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 1}, "window"),
        ({"rho": 0.0}, "step"),
        ({"floor": 0.0}, "above zero"),
        ({"floor": 11.0}, "below the floor"),
        ({"ceiling": 9.0}, "above the ceiling"),
        ({"floor": 5.0, "ceiling": 4.0}, "not above its ceiling"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        AdaptiveSigma(Generator(), **arguments)


def test_losses_that_do_not_fit_or_are_infinite_are_refused():
    schedule = AdaptiveSigma(Generator())
    with pytest.raises(ValueError, match="do not fit"):
        schedule.step(torch.zeros(4))
    with pytest.raises(ValueError, match="does not fit"):
        schedule.step(torch.zeros(5), torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match="infinite"):
        schedule.step(torch.tensor([0.0, math.inf, 0.0, 0.0, 0.0]))


@pytest.mark.gpu
def test_widths_on_a_gpu_are_those_on_the_host_and_stay_there():
    torch.manual_seed(2)
    losses = torch.rand(8, 3)
    here, there = AdaptiveSigma(Generator(3)), AdaptiveSigma(Generator(3, device="cuda"))
    steps(here, losses)
    steps(there, losses.cuda())
    assert there.generator.sigma.is_cuda
    torch.testing.assert_close(there.generator.sigma.cpu(), here.generator.sigma)
