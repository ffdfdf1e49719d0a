"""The situations of landmarker's own tests of its heatmap generators, through our interface.

Landmarks, sizes, sigmas and angles are those of its test suite (version 0.4.1, MIT), in our order x, y[, z]. Where its
test holds something wrong to be right, the test here says so and asserts what is right.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, LaplaceHeatmaps, decode
from Testing.heatmaps.generator_formula import BOTH

ROWS = [
    [[10, 20], [30, 40], [50, 60]],
    [[11, 22], [24, 35], [52, 58]],
    [[12, 24], [32, 42], [54, 60]],
    [[13, 26], [36, 46], [56, 61]],
]
SLABS = [
    [[10, 20, 30], [20, 30, 40], [30, 15, 20]],
    [[11, 21, 31], [23, 39, 14], [20, 30, 30]],
    [[12, 22, 32], [22, 32, 42], [32, 17, 22]],
    [[13, 23, 33], [25, 41, 16], [22, 32, 32]],
]
PLANE = torch.tensor(ROWS, dtype=torch.int).flip(-1)
VOLUME = torch.tensor(SLABS, dtype=torch.int).flip(-1)
SPACES = pytest.mark.parametrize(("landmarks", "shape"), [(PLANE, (64, 64)), (VOLUME[:2], (50, 50, 50))])
KINDS = pytest.mark.parametrize("kind", BOTH)
BY_AXIS = {2: [[0.5, 1.0], [1.0, 0.5], [2.1, 1.5]], 3: [[1.0, 0.5, 1.0], [1.0, 1.0, 0.5], [1.0, 2.1, 1.5]]}


def at(maps, landmarks, step=()):
    """Values (B, K) of the maps at the landmarks moved by a step x, y[, z]."""
    place = landmarks.long() + torch.tensor(step or [0] * landmarks.shape[-1])
    batch, count = torch.meshgrid(*[torch.arange(n) for n in landmarks.shape[:2]], indexing="ij")
    return maps[(batch, count, *place.flip(-1).unbind(-1))]


@KINDS
@SPACES
@pytest.mark.parametrize("learnable", [False, True])
def test_one_at_each_landmark_and_within_zero_and_one(kind, landmarks, shape, learnable):
    """Whole-number landmarks, of an integer type too, one image or four, fixed or learnable; the Laplace in 3D as well,
    where landmarker has none.
    """
    generator = kind(3, len(shape), 1.0, learnable=learnable)
    for images in (landmarks[:1], landmarks, landmarks.float()):
        maps, mask = generator(images, shape)
        assert maps.shape == (len(images), 3, *shape) and mask.all()
        assert maps.amin() >= 0 and maps.amax() <= 1
        assert at(maps, images).eq(1).all()
        assert maps.requires_grad == learnable


@KINDS
@SPACES
def test_several_instances_are_one_at_each(kind, landmarks, shape):
    """landmarker adds instances and asks only that its map be one at each; ours takes the highest and keeps to 1."""
    several = landmarks[:2, None].expand(2, 2, 3, -1).clone()
    several[:, 1] += 2
    maps, mask = kind(2, len(shape), 1.0)(several, shape)
    assert maps.shape == (2, 2, *shape) and mask.all()
    assert maps.amax() == 1
    for i in range(3):
        assert at(maps, several[:, :, i]).eq(1).all()


@KINDS
@SPACES
def test_instances_that_are_missing_leave_no_trace(kind, landmarks, shape):
    several = landmarks[:2, None].expand(2, 2, 3, -1).float().clone()
    several[:, :, 2] = torch.nan
    maps, mask = kind(2, len(shape), 1.0)(several, shape)
    two, _ = kind(2, len(shape), 1.0)(several[:, :, :2], shape)
    assert maps.equal(two) and maps.isfinite().all() and mask.all()
    assert at(maps, several[:, :, 0]).eq(1).all() and at(maps, several[:, :, 1]).eq(1).all()


@KINDS
@SPACES
def test_a_landmark_that_is_missing_has_an_empty_map(kind, landmarks, shape):
    """landmarker makes a map of NaN, unless asked for zeros, and says in no mask which it is."""
    given = landmarks.float()
    given[1, 0] = torch.nan
    maps, mask = kind(3, len(shape), 1.0)(given, shape)
    assert maps[1, 0].eq(0).all() and not mask[1, 0]
    assert mask.sum() == mask.numel() - 1 and maps.isfinite().all()


@KINDS
@SPACES
def test_the_background_is_zero_at_each_landmark(kind, landmarks, shape):
    """landmarker's background is its first channel and one minus a sum, down to -1 where two landmarks meet; ours is
    the last and one minus the highest.
    """
    generator = kind(3, len(shape), 1.0, background=True)
    maps, _ = generator(landmarks, shape)
    assert maps.shape == (len(landmarks), 4, *shape)
    for k in range(3):
        assert at(maps[:, 3:], landmarks[:, k : k + 1]).eq(0).all()
    torch.testing.assert_close(maps[:, 3], 1 - maps[:, :3].amax(1))
    met, _ = generator(landmarks[:, :1].expand(-1, 3, -1), shape)
    assert met.amin() == 0 and met.amax() <= 1


@KINDS
@SPACES
def test_the_channel_of_all_landmarks_is_one_at_each(kind, landmarks, shape):
    maps, _ = kind(3, len(shape), 1.0, all_landmarks=True)(landmarks, shape)
    assert maps.shape == (len(landmarks), 4, *shape) and maps.amax() == 1
    for k in range(3):
        assert at(maps[:, 3:], landmarks[:, k : k + 1]).eq(1).all()


@KINDS
@SPACES
def test_landmarks_off_the_grid_may_be_rounded_first(kind, landmarks, shape):
    """landmarker has a switch for it; ours is ``landmarks.round()``."""
    share = torch.rand(landmarks.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    off = landmarks + 0.98 * share
    generator = kind(3, len(shape), 1.0)
    assert at(generator(off.round(), shape)[0], landmarks).eq(1).all()
    maps, _ = generator(off, shape)
    assert maps.amax() < 1
    assert decode(maps, "argmax").positions.equal(landmarks.float())


@KINDS
@pytest.mark.parametrize("landmarks", [PLANE, VOLUME[:2]])
@pytest.mark.parametrize("as_array", [True, False])
def test_a_sigma_for_each_landmark_and_axis(kind, landmarks, as_array):
    d = landmarks.shape[-1]
    sigma = np.array(BY_AXIS[d]) if as_array else BY_AXIS[d]
    maps, _ = kind(3, d, sigma)(landmarks, (64,) * d)
    assert at(maps, landmarks).eq(1).all()
    # From its tests: the first is longer along their first axis, the others along the second.
    first, second = ([0, 1], [1, 0]) if d == 2 else ([0, 0, 1], [0, 1, 0])
    along, across = at(maps, landmarks, first), at(maps, landmarks, second)
    assert (along[:, 0] > across[:, 0]).all()
    assert (along[:, 1] < across[:, 1]).all() and (along[:, 2] < across[:, 2]).all()


def test_a_list_of_one_sigma_per_landmark():
    """landmarker's fails to broadcast it."""
    maps, _ = GaussianHeatmaps(3, 2, [1.0, 2.0, 4.0])(PLANE, (64, 64))
    value = at(maps, PLANE, [1, 0])[0]
    torch.testing.assert_close(value, torch.exp(-0.5 / torch.tensor([1.0, 4.0, 16.0])))


@KINDS
@pytest.mark.parametrize("set_later", [False, True])
def test_a_rotation_for_each_landmark(kind, set_later):
    """landmarker's test means 30, 45 and 90 degrees and gives these numbers to a generator that takes radians.

    So it holds that a step along the shorter axis loses more after a turn by 45 than by 30. It loses less:
    cos²/σ² + sin²/σ'² is 3.25 at 30° and 2.5 at 45°.
    """
    sigma, angles = [[1.0, 0.5], [1.0, 0.5], [2.1, 1.5]], [math.radians(a) for a in (30, 45, 90)]
    generator = kind(3, 2, BY_AXIS[2] if set_later else sigma, rotation=0.0 if set_later else angles)
    if set_later:
        generator.set_sigma(np.array(sigma))
        generator.set_rotation(np.array(angles))
    maps, _ = generator(PLANE, (64, 64))
    assert at(maps, PLANE).eq(1).all() and maps.amax() == 1
    along_y, along_x = at(maps, PLANE, [0, 1]), at(maps, PLANE, [1, 0])
    assert (along_y[:, 1] > along_y[:, 0]).all() and (along_x[:, 1] < along_x[:, 0]).all()
    assert (along_y[:, 2] > along_x[:, 2]).all()  # a quarter turn changes the axes' places
    if kind is GaussianHeatmaps:
        expected = torch.exp(torch.tensor([-3.25, -2.5, -0.5 / 2.1**2 * 2]) / 2).expand(4, 3)
        torch.testing.assert_close(along_y, expected)


@KINDS
def test_the_covariance_follows_the_affine_of_each_image(kind):
    """Nothing for the identity; places of the axes changed by a quarter turn; 30, 45, 0 and 90 degrees in one batch.
    landmarker takes 2×2, 3×3 and 4×4 matrices and cuts them down; ours takes the linear part and refuses the rest.
    """
    generator = kind(3, 2, BY_AXIS[2])
    plain, _ = generator(PLANE, (64, 64))
    torch.testing.assert_close(generator(PLANE, (64, 64), affine=torch.eye(2))[0], plain)
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turned, _ = generator(PLANE, (64, 64), affine=quarter)
    torch.testing.assert_close(at(turned, PLANE, [1, 0]), at(plain, PLANE, [0, 1]))
    torch.testing.assert_close(at(turned, PLANE, [0, 1]), at(plain, PLANE, [1, 0]))
    turns = [math.pi / 6, math.pi / 4, 0.0, math.pi / 2]
    each = torch.tensor([[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in turns])
    maps, _ = generator(PLANE, (64, 64), affine=each)
    assert at(maps, PLANE).eq(1).all() and maps.amax() == 1
    torch.testing.assert_close(maps[2], plain[2])
    torch.testing.assert_close(maps[3], turned[3])
    for image, angle in enumerate(turns):
        alike, _ = kind(3, 2, BY_AXIS[2], rotation=angle)(PLANE[image : image + 1], (64, 64))
        torch.testing.assert_close(maps[image : image + 1], alike, rtol=1e-4, atol=1e-6)
    for size in (3, 4):
        with pytest.raises(LandmarkError, match="linear part"):
            generator(PLANE, (64, 64), affine=torch.eye(size))


@KINDS
def test_the_identity_changes_nothing_in_space(kind):
    generator = kind(3, 3, BY_AXIS[3])
    maps, _ = generator(VOLUME[:1], (64, 64, 64), affine=torch.eye(3))
    torch.testing.assert_close(maps, generator(VOLUME[:1], (64, 64, 64))[0])


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_gamma_of_a_laplace(gamma):
    """Peak γ / (2π/3) for the unit covariance, and exp(-√3) of it one voxel further."""
    maps, _ = LaplaceHeatmaps(3, 2, 1.0, gamma=gamma)(PLANE, (64, 64))
    height = gamma / (2 / 3 * math.pi)
    torch.testing.assert_close(at(maps, PLANE), torch.full((4, 3), height))
    torch.testing.assert_close(at(maps, PLANE, [0, 1]), torch.full((4, 3), height * math.exp(-math.sqrt(3))))
    assert maps.amin() >= 0
