"""What holds for all landmarks and spreads: order does not matter, reading returns what was written, in every type."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.heatmaps import decode
from Testing.heatmaps.generator_formula import BOTH

SHAPE = {2: (37, 41), 3: (23, 25, 27)}


@st.composite
def scenes(draw, margin: float = -3.0):
    """A dimension, landmarks (2, 3, D), sigma (3, D) of 1 to 2.2 and a rotation, from one seed and a few choices."""
    d = draw(st.sampled_from([2, 3]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def numbers(*size):
        return torch.rand(*size, generator=generator, dtype=torch.float64)

    size = torch.tensor(SHAPE[d][::-1], dtype=torch.float64)
    landmarks = margin + numbers(2, 3, d) * (size - 1 - 2 * margin)
    rotation = numbers(3, 1 if d == 2 else 3) * 2 - 1
    return d, landmarks, 1 + 1.2 * numbers(3, d), rotation if draw(st.booleans()) else None


@settings(max_examples=20)
@given(scenes(), st.sampled_from(BOTH), st.permutations(range(3)), st.sampled_from([None, 9.0]))
def test_permuting_images_and_landmarks_permutes_the_maps(scene, kind, order, gamma):
    d, landmarks, sigma, rotation = scene
    landmarks[0, 1] = torch.nan
    maps, mask = kind(3, d, sigma, rotation=rotation, gamma=gamma, background=True)(landmarks, SHAPE[d])
    order = torch.tensor(order)
    other = kind(
        3, d, sigma[order], rotation=None if rotation is None else rotation[order], gamma=gamma, background=True
    )
    permuted, there = other(landmarks.flip(0)[:, order], SHAPE[d])
    assert there.equal(mask.flip(0)[:, order])
    torch.testing.assert_close(permuted[:, :3], maps.flip(0)[:, order], rtol=1e-6, atol=0)
    torch.testing.assert_close(permuted[:, 3], maps.flip(0)[:, 3])


@settings(max_examples=15)
@given(scenes(margin=7.0))
def test_a_gaussian_that_was_made_is_read_at_its_place_and_in_its_form(scene):
    """To a ten-thousandth of a voxel, and its covariance to one in a thousand."""
    d, landmarks, sigma, rotation = scene
    generator = BOTH[0](3, d, sigma, rotation=rotation)
    out = decode(generator(landmarks, SHAPE[d])[0], "gaussian_fit")
    assert out.found.all()
    torch.testing.assert_close(out.positions.double(), landmarks, rtol=0, atol=1e-4)
    form = generator.covariance.expand(2, -1, -1, -1)
    torch.testing.assert_close(out.covariance.double(), form, rtol=1e-3, atol=2e-3)


@settings(max_examples=15)
@given(scenes(margin=7.0))
def test_a_laplace_that_was_made_is_read_near_its_place(scene):
    """Its peak is no Gaussian: the fit is right to a fifth of a voxel, the highest voxel is the landmark's own."""
    d, landmarks, sigma, rotation = scene
    maps, _ = BOTH[1](3, d, sigma)(landmarks, SHAPE[d])
    out = decode(maps, "gaussian_fit")
    assert out.found.all()
    assert (out.positions - landmarks).norm(dim=-1).max() < 0.2
    turned, _ = BOTH[1](3, d, sigma, rotation=rotation)(landmarks.round(), SHAPE[d])
    torch.testing.assert_close(decode(turned, "argmax").positions, landmarks.round().float(), check_dtype=False)


@pytest.mark.parametrize("kind", BOTH)
@settings(max_examples=15)
@given(scene=scenes())
def test_half_precision_agrees_with_double(kind, scene):
    """Half a unit in the last place, 2^-11 of the value or 2^-25 near zero; bfloat16 2^-8 of it."""
    d, landmarks, sigma, rotation = scene
    generator = kind(3, d, sigma, rotation=rotation)
    wide, _ = generator(landmarks, SHAPE[d], dtype=torch.float64)
    for dtype, relative, least in ((torch.float16, 2**-11, 2**-25), (torch.bfloat16, 2**-8, 1e-40)):
        maps, _ = generator(landmarks, SHAPE[d], dtype=dtype)
        # The product of single-precision profiles adds three roundings of 2^-24 to that of the type.
        torch.testing.assert_close(maps.double(), wide, rtol=1.01 * relative, atol=1.001 * least)
