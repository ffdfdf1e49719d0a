"""The weighted mean of the whole map."""

from __future__ import annotations

import pytest
import torch

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps import decode, gaussian_heatmaps
from Testing.heatmaps import promises
from Testing.heatmaps.samples import PLANE, VOLUME, border_centres, errors, inner_centres

WEIGHTS = ("none", "relu", "sigmoid", "softmax")


@pytest.mark.parametrize("weights", ["relu", "sigmoid", "softmax"])  # the noise alone can outweigh a peak with "none"
def test_each_map_is_read_for_itself(weights):
    promises.reads_each_map_for_itself("weighted_mean", weights=weights)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_flat_map_has_no_landmark(weights):
    promises.finds_nothing_in_flat_maps("weighted_mean", weights=weights)


@pytest.mark.parametrize("weights", ["none", "relu"])
def test_every_width_of_number_is_read(weights):
    promises.reads_every_width_of_number("weighted_mean", 0.001, weights=weights)


@pytest.mark.parametrize(("weights", "most"), [("sigmoid", 0.15), ("softmax", 0.5), ("relu", 0.05)])
def test_logits_of_a_hundred_are_read(weights, most):
    promises.reads_logits_of_a_hundred("weighted_mean", most, weights=weights)


def test_the_softmax_of_the_logarithm_of_a_heatmap_is_the_heatmap():
    for shape in (PLANE, VOLUME):
        centres = inner_centres(shape, 20, 12.0)
        maps = gaussian_heatmaps(centres, shape, 1.5, dtype=torch.float64)[0]
        logits = maps.clamp(min=1e-30).log()
        for out in (decode(logits, "weighted_mean", weights="softmax"), decode(maps, "weighted_mean", weights="none")):
            assert errors(out, centres).max() < 1e-4
            form = 2.25 * torch.eye(len(shape), dtype=torch.float64)
            torch.testing.assert_close(out.covariance, form.expand_as(out.covariance), rtol=0, atol=1e-3)


def test_sharpness_narrows_a_softmax():
    logits = gaussian_heatmaps(torch.tensor([[[40.3, 50.6]]]), PLANE, 6.0)[0]
    blunt, sharp = (decode(logits, "weighted_mean", weights="softmax", sharpness=s) for s in (20.0, 40.0))
    assert sharp.covariance[0, 0].trace() < blunt.covariance[0, 0].trace()
    assert errors(sharp, torch.tensor([[[40.3, 50.6]]])).max() < 0.05


@pytest.mark.parametrize("weights", ["none", "relu"])
def test_what_is_not_finite_counts_as_not_there(weights):
    promises.leaves_out_what_is_not_finite("weighted_mean", 0.1, weights=weights)


def test_what_is_not_finite_has_no_share_of_a_softmax():
    logits = 100 * gaussian_heatmaps(torch.tensor([[[40.3, 50.6]]]), PLANE, 2.0)[0]
    whole = decode(logits, "weighted_mean", weights="softmax")
    logits[0, 0, 2, 3], logits[0, 0, 4, 5], logits[0, 0, 5, 6] = torch.nan, torch.inf, -torch.inf
    assert promises.same(decode(logits, "weighted_mean", weights="softmax"), whole)


def test_two_peaks_give_their_common_mean():
    centres = torch.tensor([[[30.0, 40.0], [60.0, 50.0]]])
    maps = gaussian_heatmaps(centres, PLANE, 2.0)[0].sum(1, keepdim=True)
    torch.testing.assert_close(
        decode(maps, "weighted_mean").positions[0, 0], torch.tensor([45.0, 45.0]), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_a_border_pulls_inwards_as_far_as_it_cuts_the_peak_and_no_further(shape):
    sides = (-1, *[0] * (len(shape) - 1))
    for low, high, least, most in ((0.0, 0.5, 0.5, 1.7), (8.0, 10.0, 0.0, 1e-3)):
        centres = border_centres(shape, sides, 40, low, high)
        off = (decode(gaussian_heatmaps(centres, shape, 2.0)[0], "weighted_mean").positions - centres)[0, :, 0]
        assert (off >= least - 1e-3).all() and (off <= most).all()


def test_positions_move_with_the_landmarks_that_made_the_map():
    for weights in ("none", "relu"):
        promises.moves_with_the_landmark("weighted_mean", weights=weights)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_gradients_stay_finite_beside_maps_without_a_landmark(weights):
    promises.keeps_gradients_finite("weighted_mean", weights=weights)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_gradients_are_those_of_differences(weights):
    maps = torch.rand(1, 2, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()

    def read(values):
        out = decode(values, "weighted_mean", weights=weights, sharpness=2.0)
        return out.positions, out.covariance

    assert torch.autograd.gradcheck(read, maps)


def test_weights_without_mass_tell_nothing():
    maps = -torch.ones(1, 1, 9, 9)
    maps[0, 0, 4, 4] = -0.5
    for weights in ("none", "relu"):
        assert not decode(maps, "weighted_mean", weights=weights).found.any()
    assert decode(maps, "weighted_mean", weights="softmax").found.all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_numbers_of_any_size_are_summed(scale):
    centres = torch.tensor([[[40.3, 50.6]]])
    out = decode(gaussian_heatmaps(centres, PLANE, 2.0)[0] * scale, "weighted_mean")
    assert errors(out, centres).max() < 1e-3


@pytest.mark.parametrize(("options", "said"), [({"weights": "cube"}, "softmax"), ({"sharpness": 0.0}, "sharpness")])
def test_what_cannot_be_weighed_is_refused(options, said):
    with pytest.raises(LandmarkDetectorError, match=said):
        decode(torch.zeros(1, 1, 5, 5), "weighted_mean", **options)
