"""A generator makes the distribution that was asked for, however its spread is said, and nothing for what is absent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import LandmarkError, RecipeError
from LandmarkDetectorLib.heatmaps import (
    GaussianHeatmaps,
    HeatmapGenerator,
    LaplaceHeatmaps,
    build_generator,
    gaussian_heatmaps,
    generator_names,
    register_generator,
)
from LandmarkDetectorLib.heatmaps.generators.registry import _GENERATORS
from Testing.heatmaps.generator_formula import BOTH, SHAPES, TURN, covariances, formula, peak, somewhere

EXACT = {"rtol": 1e-10, "atol": 1e-300}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_maps_equal_the_formula_for_any_covariance(kind, d):
    landmarks, form = somewhere(d), covariances(d)
    maps, mask = kind(3, d, covariance=form)(landmarks, SHAPES[d], dtype=torch.float64)
    torch.testing.assert_close(maps, formula(kind, landmarks, SHAPES[d], form), **EXACT)
    assert mask.all()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_a_covariance_may_come_with_the_call_and_differ_by_image(kind, d):
    landmarks = somewhere(d)
    each = torch.stack([covariances(d), covariances(d, seed=1)])
    generator = kind(3, d, 5.0)
    maps, _ = generator(landmarks, SHAPES[d], covariance=each, dtype=torch.float64)
    torch.testing.assert_close(maps, formula(kind, landmarks, SHAPES[d], each), **EXACT)
    torch.testing.assert_close(generator.sigma, torch.full((3, d), 5.0))


@pytest.mark.parametrize("d", [2, 3])
def test_along_the_axes_it_is_the_function_of_old(d):
    landmarks, sigma = somewhere(d), torch.rand(3, d, dtype=torch.float64) + 1
    maps, mask = GaussianHeatmaps(3, d, sigma)(landmarks, SHAPES[d], dtype=torch.float64)
    expected, there = gaussian_heatmaps(landmarks, SHAPES[d], sigma, dtype=torch.float64)
    torch.testing.assert_close(maps, expected, **EXACT)
    assert mask.equal(there)


@pytest.mark.parametrize("d", [2, 3])
def test_the_covariance_is_that_of_the_distribution(d):
    """Second moments of a map that lies wholly in the view, also of the Laplace: hence its factor D + 1."""
    form = torch.tensor([[9.0, 3.0, 1.0], [3.0, 6.0, -1.0], [1.0, -1.0, 5.0]], dtype=torch.float64)[:d, :d]
    shape, centre = (81,) * d, torch.full((1, 1, d), 40.0)
    axes = torch.arange(81, dtype=torch.float64) - 40
    for kind in BOTH:
        weights = kind(1, d, covariance=form)(centre, shape, dtype=torch.float64)[0][0, 0]
        weights = weights / weights.sum()
        letters = "zyx"[-d:]
        for i in range(d):
            for j in range(d):
                a, b = letters[-1 - i], letters[-1 - j]
                moment = torch.einsum(f"{letters},{a},{b}->", weights, axes, axes)
                assert moment.item() == pytest.approx(form[i, j].item(), abs=0.12)


def test_a_rotation_in_the_plane_goes_from_x_towards_y():
    generator = GaussianHeatmaps(1, 2, (4.0, 1.0), rotation=math.pi / 6)
    maps, _ = generator(torch.tensor([[[20.0, 20.0]]]), (41, 41))
    along = torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6)], dtype=torch.float64)
    torch.testing.assert_close((generator.covariance[0].double() @ along), 16 * along)
    assert maps[0, 0, 24, 27] > 0.1 > maps[0, 0, 16, 27]


def test_a_rotation_in_space_is_an_axis_times_an_angle():
    generator = GaussianHeatmaps(2, 3, (5.0, 2.0, 1.0), rotation=[(0.0, 0.0, math.pi / 2), (math.pi / 2, 0.0, 0.0)])
    assert torch.allclose(generator.covariance[0], torch.diag(torch.tensor([4.0, 25.0, 1.0])), atol=1e-5)
    assert torch.allclose(generator.covariance[1], torch.diag(torch.tensor([25.0, 1.0, 4.0])), atol=1e-5)


@pytest.mark.parametrize("d", [2, 3])
def test_a_covariance_is_kept_as_sigma_and_the_smallest_rotation(d):
    sigma = torch.tensor([[1.0, 3.0, 2.0], [4.0, 0.5, 6.0], [2.0, 2.0, 2.0]], dtype=torch.float64)[:, :d]
    upright = GaussianHeatmaps(3, d, covariance=torch.diag_embed(sigma**2))
    torch.testing.assert_close(upright.sigma, sigma)
    assert upright.rotation.eq(0).all()
    small = {2: 0.3, 3: (0.2, -0.1, 0.3)}[d]
    turned = GaussianHeatmaps(3, d, sigma, rotation=small)
    again = GaussianHeatmaps(3, d, covariance=turned.covariance)
    torch.testing.assert_close(again.covariance, turned.covariance)
    torch.testing.assert_close(again.sigma[:2], turned.sigma[:2])
    torch.testing.assert_close(again.rotation[:2], turned.rotation[:2])


def test_sigma_is_said_in_many_ways_also_as_a_list_per_landmark():
    assert GaussianHeatmaps(3, 2, [1.0, 2.0, 3.0]).sigma[:, 0].tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert GaussianHeatmaps(3, 2, [1.0, 2.0]).sigma[2].tolist() == pytest.approx([1.0, 2.0])
    assert GaussianHeatmaps(3, 2, 2).sigma.tolist() == [pytest.approx([2.0, 2.0])] * 3
    assert GaussianHeatmaps(3, 2, np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).sigma[1].tolist() == pytest.approx(
        [3.0, 4.0]
    )
    assert GaussianHeatmaps(2, 3, torch.tensor([[1.0], [2.0]])).sigma[1].tolist() == pytest.approx([2.0] * 3)
    with pytest.raises(LandmarkError, match="by landmark or by axis"):
        GaussianHeatmaps(2, 2, [1.0, 2.0])


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_a_spread_in_millimetres_follows_the_spacing_of_each_image(kind, d):
    landmarks, form = somewhere(d), covariances(d)
    spacing = torch.tensor([[0.5, 2.0, 1.5], [1.0, 0.8, 3.0]], dtype=torch.float64)[:, :d]
    generator = kind(3, d, covariance=form, unit="mm")
    maps, _ = generator(landmarks, SHAPES[d], spacing, dtype=torch.float64)
    voxels = form / (spacing[:, None, :, None] * spacing[:, None, None, :])
    torch.testing.assert_close(maps, formula(kind, landmarks, SHAPES[d], voxels), **EXACT)
    one, _ = generator(landmarks, SHAPES[d], spacing[0].tolist(), dtype=torch.float64)
    torch.testing.assert_close(one[0], maps[0])
    with pytest.raises(LandmarkError, match="spacing"):
        generator(landmarks, SHAPES[d])
    with pytest.raises(LandmarkError, match="unit='mm'"):
        kind(3, d)(landmarks, SHAPES[d], spacing)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_the_covariance_follows_an_affine_augmentation(kind, d):
    form, centre = covariances(d), somewhere(d)
    affine = torch.tensor([[[1.2, 0.3, 0.1], [-0.4, 0.8, 0.2], [0.3, 0.1, 1.1]], [[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    affine = affine[:, :d, :d].double()
    generator = kind(3, d, covariance=form)
    maps, _ = generator(centre, SHAPES[d], affine=affine, dtype=torch.float64)
    moved = affine[:, None] @ form @ affine[:, None].mT
    torch.testing.assert_close(maps, formula(kind, centre, SHAPES[d], moved), **EXACT)
    one, _ = generator(centre, SHAPES[d], affine=affine[0], dtype=torch.float64)
    torch.testing.assert_close(one[0], maps[0])


def test_a_map_made_with_the_affine_is_the_transformed_map():
    """A quarter turn of the image is exact on the grid: turn the map, or turn landmark and covariance."""
    landmark = torch.tensor([[[12.3, 20.6]]], dtype=torch.float64)
    generator = LaplaceHeatmaps(1, 2, (5.0, 2.0), rotation=0.4)
    straight, _ = generator(landmark, (33, 33), dtype=torch.float64)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)  # x' = 32 - y, y' = x
    moved = (turn @ landmark[0, 0] + torch.tensor([32.0, 0.0])).reshape(1, 1, 2)
    turned, _ = generator(moved, (33, 33), affine=turn, dtype=torch.float64)
    torch.testing.assert_close(turned, straight.rot90(-1, (2, 3)))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_gamma_is_the_mass_of_a_map(kind, d):
    form = 4 * covariances(d) + 4 * torch.eye(d, dtype=torch.float64)
    centre = torch.full((1, 3, d), 20.0)
    maps, _ = kind(3, d, covariance=form, gamma=7.0)(centre, (41,) * d, dtype=torch.float64)
    height = peak(kind, 7.0, form)
    torch.testing.assert_close(maps[0].flatten(1).amax(-1), height)
    wide = kind(3, d, 3.0, gamma=7.0)(torch.full((1, 3, d), 35.0), (71,) * d, dtype=torch.float64)[0]
    assert wide.sum().item() / 3 == pytest.approx(7.0, rel=0.06 if kind is LaplaceHeatmaps else 1e-4)


def test_gamma_counts_voxels_also_of_a_spread_in_millimetres_and_under_an_affine():
    centre, form = torch.tensor([[[20.0, 20.0]]]), torch.tensor([[8.0, 2.0], [2.0, 6.0]], dtype=torch.float64)
    generator = GaussianHeatmaps(1, 2, covariance=form, unit="mm", gamma=3.0)
    for spacing, affine in (((1.0, 1.0), torch.eye(2)), ((0.5, 2.0), torch.tensor([[1.0, 0.5], [0.2, 1.5]]))):
        maps, _ = generator(centre, (81, 41), spacing, affine=affine)
        assert maps.sum().item() == pytest.approx(3.0, rel=2e-2)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("gamma", [None, 50.0])
@pytest.mark.parametrize("instances", ["maximum", "sum"])
def test_background_and_all_landmarks_stay_between_zero_and_one(kind, gamma, instances):
    landmarks = torch.tensor([[[10.0, 8.0]] * 3, [[10.0, 8.0], [11.0, 8.5], [20.0, 15.0]]])[:, :, None].repeat(
        1, 1, 2, 1
    )
    options = {"rotation": 0.3, "instances": instances}
    maps, mask = kind(3, 2, 2.5, **options, gamma=gamma, background=True, all_landmarks=True)(landmarks, (23, 31))
    alone, _ = kind(3, 2, 2.5, **options)(landmarks, (23, 31))
    assert maps.shape == (2, 5, 23, 31) and mask.shape == (2, 3)
    together, background = maps[:, 3], maps[:, 4]
    torch.testing.assert_close(together, alone.amax(1).clamp(max=1))
    torch.testing.assert_close(background, 1 - together)
    assert maps[:, 3:].amin() >= 0 and maps[:, 3:].amax() <= 1
    assert together[0, 8, 10] == 1 and background[0, 8, 10] == 0
    only, _ = kind(3, 2, 2.5, **options, gamma=gamma, background=True)(landmarks, (23, 31))
    torch.testing.assert_close(only, maps[:, [0, 1, 2, 4]])
    first, _ = kind(3, 2, 2.5, **options, gamma=gamma)(landmarks, (23, 31))
    torch.testing.assert_close(maps[:, :3], first)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_several_instances_of_a_landmark_share_a_map(kind, d):
    landmarks = torch.stack([somewhere(d, seed=s) for s in range(3)], 2)
    landmarks[0, 1, 1:] = torch.nan
    landmarks[1, 2] = torch.nan
    for rotation in (0.0, TURN[d]):
        highest = kind(3, d, 2.5, rotation=rotation)
        added = kind(3, d, 2.5, rotation=rotation, instances="sum")
        single = torch.stack([highest(landmarks[:, :, i], SHAPES[d], dtype=torch.float64)[0] for i in range(3)])
        maps, mask = highest(landmarks, SHAPES[d], dtype=torch.float64)
        torch.testing.assert_close(maps, single.amax(0), **EXACT)
        torch.testing.assert_close(added(landmarks, SHAPES[d], dtype=torch.float64)[0], single.sum(0), **EXACT)
        assert mask.tolist() == [[True, True, True], [True, True, False]]
        assert maps[1, 2].eq(0).all()


def test_two_instances_in_one_place_are_no_higher_than_one_unless_added():
    twice = torch.tensor([[[[8.0, 9.0], [8.0, 9.0]]]])
    once, _ = GaussianHeatmaps(1, 2, 2.0)(twice[:, :, 0], (20, 20))
    torch.testing.assert_close(GaussianHeatmaps(1, 2, 2.0)(twice, (20, 20))[0], once)
    added, _ = GaussianHeatmaps(1, 2, 2.0, instances="sum")(twice, (20, 20))
    torch.testing.assert_close(added, 2 * once)
    assert once.amax() == 1 and added.amax() == 2


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("rotation", [0.0, 0.5])
def test_an_absent_landmark_has_an_empty_map_and_no_mask(kind, rotation):
    landmarks = torch.tensor([[[4.0, 2.0], [torch.nan, 3.0], [1.0, torch.inf], [5.0, 5.0]]])
    valid = torch.tensor([[True, True, True, False]])
    generator = kind(4, 2, 2.0, rotation=rotation, background=True, gamma=2.0)
    maps, mask = generator(landmarks, (10, 12), valid=valid)
    assert mask.tolist() == [[True, False, False, False]]
    assert maps[0, 1:4].eq(0).all() and maps[0, 0].sum() > 0
    assert maps.isfinite().all()
    nobody, mask = generator(torch.full((2, 4, 2), torch.nan), (10, 12))
    assert not mask.any() and nobody[:, :4].eq(0).all() and nobody[:, 4].eq(1).all()
    several = torch.stack([landmarks, landmarks + 1], 2)
    mask = generator(several, (10, 12), valid=torch.zeros(1, 4, 2, dtype=torch.bool))[1]
    assert not mask.any()
    assert generator(several, (10, 12), valid=valid)[1].equal(torch.tensor([[True, False, False, False]]))
    nobody, mask = generator(several[:, :, :0], (10, 12))
    assert not mask.any() and nobody[:, :4].eq(0).all() and nobody[:, 4].eq(1).all()


@pytest.mark.parametrize("kind", BOTH)
def test_a_landmark_outside_the_view_keeps_its_tail_and_its_mask(kind):
    landmarks = torch.tensor([[[-2.0, 5.0], [5000.0, 5.0], [6.0, -5000.0]]], dtype=torch.float64)
    generator = kind(3, 2, torch.tensor([3.0, 2.0], dtype=torch.float64), rotation=0.5)
    maps, mask = generator(landmarks, (10, 12), dtype=torch.float64)
    assert mask.all()
    torch.testing.assert_close(
        maps[:, :1], formula(kind, landmarks[:, :1], (10, 12), generator.covariance[:1]), **EXACT
    )
    assert maps[0, 1:].eq(0).all()


def test_a_new_distribution_is_a_few_lines(monkeypatch):
    """A heavy tail has no reach: all of the map is made."""
    monkeypatch.setattr(_GENERATORS, "_entries", dict(_GENERATORS._entries))

    @register_generator("cauchy")
    class CauchyHeatmaps(HeatmapGenerator):
        def profile(self, squared):
            return 1 / (1 + squared)

    generator = build_generator("cauchy", landmarks=1, dimension=3, sigma=0.5, rotation=TURN[3])
    maps, _ = generator(torch.tensor([[[2.0, 3.0, 4.0]]]), (9, 30, 40))
    assert maps[0, 0, 4, 3, 2] == 1
    assert maps[0, 0, 4, 3, 38].item() == pytest.approx(1 / (1 + 4 * 36**2), rel=1e-4)
    with pytest.raises(LandmarkError, match="mass"):
        build_generator("cauchy", landmarks=1, dimension=2, gamma=1.0)(torch.zeros(1, 1, 2), (4, 4))


def test_generators_are_known_by_name():
    assert {"gaussian", "laplace"} <= set(generator_names())
    assert isinstance(build_generator("gaussian", landmarks=4, dimension=2, sigma=2.0), GaussianHeatmaps)
    assert isinstance(build_generator("laplace", landmarks=4, dimension=3), LaplaceHeatmaps)
    for name, arguments in (
        ("gauss", {"landmarks": 1, "dimension": 2}),
        ("gaussian", {"landmarks": 1}),
        ("gaussian", {"landmarks": 1, "dimension": 2, "sigma": -1.0}),
    ):
        with pytest.raises(RecipeError):
            build_generator(name, **arguments)
    with pytest.raises(ValueError, match="'gaussian' is there already"):
        register_generator("gaussian")(GaussianHeatmaps)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dimension": 4},
        {"landmarks": 0},
        {"sigma": 0.0},
        {"sigma": float("nan")},
        {"sigma": 1e12},
        {"sigma": [1.0, 2.0, 3.0, 4.0]},
        {"unit": "pixel"},
        {"learnable": "both"},
        {"instances": "mean"},
        {"gamma": 0.0},
        {"gamma": float("inf")},
        {"rotation": [0.1, 0.2]},
        {"rotation": float("nan")},
        {"covariance": torch.eye(3)},
        {"covariance": torch.tensor([[1.0, 2.0], [2.0, 1.0]])},
        {"covariance": torch.tensor([[1.0, 0.5], [0.0, 1.0]])},
        {"covariance": torch.eye(2), "sigma": 1.0},
        {"covariance": torch.eye(2), "rotation": 1.0},
    ],
)
def test_what_cannot_be_a_generator_is_refused(arguments):
    with pytest.raises(LandmarkError):
        GaussianHeatmaps(**({"landmarks": 3, "dimension": 2} | arguments))


@pytest.mark.parametrize(
    ("landmarks", "shape", "more"),
    [
        (torch.zeros(1, 2, 2), (4, 5), {}),
        (torch.zeros(1, 3, 3), (4, 5), {}),
        (torch.zeros(3, 2), (4, 5), {}),
        (torch.zeros(1, 3, 2), (4, 5, 6), {}),
        (torch.zeros(1, 3, 2), (4, 0), {}),
        (torch.zeros(1, 3, 2), (4, 5), {"valid": torch.ones(1, 3)}),
        (torch.zeros(1, 3, 2), (4, 5), {"valid": torch.ones(1, 2, dtype=torch.bool)}),
        (torch.zeros(1, 3, 2), (4, 5), {"affine": torch.eye(3)}),
        (torch.zeros(1, 3, 2), (4, 5), {"affine": torch.zeros(2, 2)}),
        (torch.zeros(1, 3, 2), (4, 5), {"covariance": torch.eye(2)}),
        (torch.zeros(1, 3, 2), (4, 5), {"covariance": -torch.eye(2).expand(3, 2, 2)}),
        (torch.zeros(1, 3, 2), (4, 5), {"spacing": (1.0, 1.0)}),
    ],
)
def test_what_does_not_fit_the_generator_is_refused(landmarks, shape, more):
    with pytest.raises(LandmarkError):
        GaussianHeatmaps(3, 2)(landmarks, shape, **more)


def test_hooks_fire_as_in_any_module():
    """landmarker's generator overrides the call itself, so that hooks are never asked."""
    generator, seen = GaussianHeatmaps(1, 2, 2.0), []
    generator.register_forward_hook(lambda module, given, out: seen.append(out[0].shape))
    generator(torch.ones(1, 1, 2), (4, 5))
    assert seen == [(1, 1, 4, 5)]
