"""What holds for any input of any loss: order, precision, whatever stands in what does not count, and the device."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from Testing.losses.loss_samples import NAMES, B, K, build, inputs

every_loss = pytest.mark.parametrize("name", NAMES)
SEEDS = st.integers(0, 2**31)
DIMENSIONS = st.sampled_from([2, 3])
VALID = st.lists(st.booleans(), min_size=B * K, max_size=B * K).map(lambda flags: torch.tensor(flags).view(B, K))


@every_loss
@settings(max_examples=10)
@given(
    seed=SEEDS, dimension=DIMENSIONS, cases=st.permutations(range(B)), landmarks=st.permutations(range(K)), valid=VALID
)
def test_permuting_cases_and_landmarks_permutes_the_costs(name, seed, dimension, cases, landmarks, valid):
    prediction, target = inputs(name, dimension, seed=seed)

    def permuted(part: Tensor) -> Tensor:
        return part[list(cases)][:, list(landmarks)]

    each = build(name, "none")(prediction, target, valid)
    other = build(name, "none")(tuple(map(permuted, prediction)), tuple(map(permuted, target)), permuted(valid))
    torch.testing.assert_close(other, permuted(each), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(build(name)(prediction, target, valid), each.sum() / max(1, int(valid.sum())))


@every_loss
@settings(max_examples=10)
@given(seed=SEEDS, dimension=DIMENSIONS, valid=VALID, rubbish=st.sampled_from([torch.nan, torch.inf, -torch.inf, 1e30]))
def test_nothing_that_is_not_valid_changes_anything(name, seed, dimension, valid, rubbish):
    prediction, target = inputs(name, dimension, seed=seed)

    def spoilt(part: Tensor) -> Tensor:
        return torch.where(valid.view(B, K, *[1] * (part.ndim - 2)), part, rubbish)

    clean = build(name, "none")(prediction, target, valid)
    dirty = build(name, "none")(tuple(map(spoilt, prediction)), tuple(map(spoilt, target)), valid)
    assert dirty.equal(clean)


@every_loss
@settings(max_examples=10)
@given(seed=SEEDS, dimension=DIMENSIONS)
def test_single_precision_agrees_with_double(name, seed, dimension):
    """To one in ten thousand; half precision is computed in single, from what it could hold of the input."""
    prediction, target = inputs(name, dimension, seed=seed)
    exact = build(name, "none")(prediction, target)
    single = build(name, "none")(tuple(p.float() for p in prediction), tuple(t.float() for t in target))
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)
    for dtype in (torch.float16, torch.bfloat16):
        narrow = tuple(p.to(dtype) for p in prediction), tuple(t.to(dtype) for t in target)
        held = build(name, "none")(*(tuple(part.double() for part in side) for side in narrow))
        value = build(name, "none")(*narrow)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), held, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@every_loss
@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_a_gpu_charges_what_the_cpu_does(name, dimension, dtype):
    prediction, target = inputs(name, dimension, dtype)
    here = tuple(p.requires_grad_() for p in prediction)
    there = tuple(p.detach().cuda().requires_grad_() for p in prediction)
    valid = torch.tensor([[True, False, True], [True, True, False]])
    value = build(name)(here, target, valid)
    other = build(name)(there, tuple(t.cuda() for t in target), valid.cuda())
    assert other.is_cuda and other.dtype == value.dtype
    close = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-3}[dtype]
    torch.testing.assert_close(other.cpu(), value, rtol=close, atol=close)
    value.backward()
    other.backward()
    for mine, theirs in zip(here, there, strict=True):
        torch.testing.assert_close(theirs.grad.cpu(), mine.grad, rtol=10 * close, atol=10 * close)
