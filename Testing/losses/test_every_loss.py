"""What holds for every loss: masks, weights, reductions, order, precision, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.losses import build_loss, loss_names, register_loss
from Testing.losses.loss_samples import ESTIMATES, NAMES, B, K, build, inputs, leaves, right

every_loss = pytest.mark.parametrize("name", NAMES)
both_dimensions = pytest.mark.parametrize("dimension", [2, 3])
VALID = torch.tensor([[True, False, True], [True, True, False]])


def test_each_family_is_known_by_name() -> None:
    assert set(loss_names()) == {
        "adaptive_wing",
        "central",
        "euclidean",
        "euclidean_variance",
        "exponential_weighted_centre",
        "gaussian_heatmap_l2",
        "gaussian_nll",
        "generalised_normal_heatmap_l2",
        "heatmap_bce",
        "heatmap_l1",
        "heatmap_l2",
        "heatmap_smooth_l1",
        "jensen_shannon",
        "spatial_cross_entropy",
        "star",
        "wing",
    }


@every_loss
def test_every_loss_can_be_built_without_arguments(name: str) -> None:
    build_loss(name)


def test_a_loss_that_cannot_be_built_says_why() -> None:
    with pytest.raises(RecipeError, match="no loss 'wings'; choose one of adaptive_wing"):
        build_loss("wings")
    with pytest.raises(RecipeError, match="'wing' cannot be built"):
        build_loss("wing", wideness=3)
    with pytest.raises(RecipeError, match="gamma is 0.5"):
        build_loss("central", gamma=0.5)
    with pytest.raises(RecipeError, match="the reduction is 'average'"):
        build_loss("star", reduction="average")
    with pytest.raises(ValueError, match="the loss 'wing' is there already"):
        register_loss("wing")(type(build_loss("wing")))


@every_loss
@both_dimensions
def test_the_reductions_mean_what_they_say(name: str, dimension: int) -> None:
    prediction, target = inputs(name, dimension)
    each = build(name, "none")(prediction, target, VALID)
    whole = build(name, "none")(prediction, target)
    assert each.shape == (B, K) and (whole != 0).all()
    assert torch.equal(each, whole * VALID)
    torch.testing.assert_close(build(name, "sum")(prediction, target, VALID), each.sum())
    torch.testing.assert_close(build(name, "mean")(prediction, target, VALID), each.sum() / 4)
    torch.testing.assert_close(build(name)(prediction, target), whole.mean())


@every_loss
def test_weights_multiply_each_landmark(name: str) -> None:
    prediction, target = inputs(name, 3)
    weights = torch.tensor([0.0, 0.5, 2.0])
    each = build(name, "none")(prediction, target, VALID)
    weighted = build(name, "none")(prediction, target, VALID, weights)
    torch.testing.assert_close(weighted, each * weights.double())
    torch.testing.assert_close(build(name)(prediction, target, VALID, weights), weighted.sum() / 4)


@every_loss
@both_dimensions
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_not_valid_reaches_neither_value_nor_gradient(name: str, dimension: int, poison: float) -> None:
    prediction, target = inputs(name, dimension)
    clean = build(name)(prediction, target, VALID)
    for part in (*prediction, *target):
        part[~VALID] = poison
    prediction, target = leaves(prediction), leaves(target)
    value = build(name)(prediction, target, VALID)
    assert torch.equal(value, clean)
    value.backward()
    for part in prediction:
        assert part.grad is not None and part.grad.isfinite().all()
        assert (part.grad[~VALID] == 0).all() and (part.grad[VALID] != 0).any()
    for part in target:
        assert part.grad is not None and part.grad.isfinite().all() and (part.grad[~VALID] == 0).all()


@every_loss
def test_a_fault_in_a_valid_landmark_is_not_hidden(name: str) -> None:
    prediction, target = inputs(name, 2)
    target[0][0, 0] = torch.nan
    each = build(name, "none")(prediction, target, VALID)
    assert each[0, 0].isnan() and each.isnan().sum() == 1


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nothing_valid_is_zero_with_a_gradient_of_zeros(name: str, reduction: str) -> None:
    prediction, target = inputs(name, 2)
    prediction = leaves(prediction)
    for part in target:
        part.fill_(torch.nan)
    value = build(name, reduction)(prediction, target, torch.zeros(B, K, dtype=torch.bool))
    assert (value == 0).all()
    value.sum().backward()
    assert all(part.grad is not None and (part.grad == 0).all() for part in prediction)


@every_loss
@both_dimensions
def test_the_order_of_cases_and_landmarks_does_not_matter(name: str, dimension: int) -> None:
    prediction, target = inputs(name, dimension)
    cases, landmarks = torch.tensor([1, 0]), torch.tensor([2, 0, 1])

    def reordered(part: Tensor) -> Tensor:
        return part[cases][:, landmarks]

    each = build(name, "none")(prediction, target, VALID)
    other = build(name, "none")(tuple(map(reordered, prediction)), tuple(map(reordered, target)), reordered(VALID))
    torch.testing.assert_close(other, reordered(each), rtol=1e-12, atol=1e-12)


@every_loss
def test_a_case_costs_the_same_alone_and_in_a_batch(name: str) -> None:
    prediction, target = inputs(name, 2)
    each = build(name, "none")(prediction, target)
    alone = build(name, "none")(tuple(p[1:] for p in prediction), tuple(t[1:] for t in target))
    torch.testing.assert_close(alone, each[1:])
    twice = build(name)(tuple(torch.cat([p, p]) for p in prediction), tuple(torch.cat([t, t]) for t in target))
    torch.testing.assert_close(twice, each.mean())


@every_loss
@both_dimensions
def test_gradients_are_right_in_double_precision(name: str, dimension: int) -> None:
    prediction, target = inputs(name, dimension)
    loss = build(name, "none")
    if name == "star":  # the directions are held fixed on purpose: its covariances have a test of their own
        (positions,), covariances = leaves(prediction[:1]), prediction[1]
        assert torch.autograd.gradcheck(lambda p: loss((p, covariances), target, VALID), (positions,))
        return
    count = len(prediction)
    free = leaves(prediction + (target[1:] if name == "gaussian_heatmap_l2" else ()))

    def value(*parts: Tensor) -> Tensor:
        return loss(parts[:count], (target[0], *(parts[count:] or target[1:])), VALID)

    assert torch.autograd.gradcheck(value, free)


@every_loss
@both_dimensions
def test_the_gradient_is_finite_at_zero_error(name: str, dimension: int) -> None:
    prediction, target = right(name, dimension)
    prediction = leaves(prediction)
    value = build(name)(prediction, target)
    value.backward()
    assert value.isfinite()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in prediction)
    if name in ESTIMATES or name == "jensen_shannon":
        assert prediction[0].grad is not None and prediction[0].grad.abs().max() == 0


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    prediction, target = inputs(name, 3, dtype)
    prediction = leaves(prediction)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = build(name)(prediction, target, VALID)
    assert value.dtype == torch.float32
    expected = build(name)(tuple(p.double() for p in prediction), tuple(t.double() for t in target), VALID)
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)
    value.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in prediction)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "jensen_shannon"])  # probabilities are never large
@pytest.mark.parametrize("size", [100.0, 6e4, 1e15])
def test_large_values_cost_something_finite(name: str, size: float) -> None:
    prediction, target = inputs(name, 2, torch.float32)
    prediction = leaves((prediction[0].sign() * size, *prediction[1:]))
    value = build(name)(prediction, target)
    value.backward()
    assert value.isfinite() and all(p.grad is not None and p.grad.isfinite().all() for p in prediction)


@every_loss
def test_inputs_that_do_not_fit_are_refused(name: str) -> None:
    prediction, target = inputs(name, 2)
    loss = build(name)
    with pytest.raises(ValueError, match="same for both"):
        loss(prediction, (target[0][:, :2], *target[1:]))
    with pytest.raises(ValueError, match="give booleans"):
        loss(prediction, target, VALID.float())
    with pytest.raises(ValueError, match="give booleans"):
        loss(prediction, target, VALID[:1])
    with pytest.raises(ValueError, match="one for each landmark"):
        loss(prediction, target, VALID, torch.ones(K + 1))
    with pytest.raises(ValueError, match="takes"):
        loss((*prediction, prediction[0]), target)
