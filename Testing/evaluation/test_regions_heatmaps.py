"""Regions cut out of heatmaps: which voxels, whatever the map's type, size, device and form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.regions import Calibrated, Predictions, build_region_method
from LandmarkDetectorLib.evaluation.regions.map_region import interpolated
from LandmarkDetectorLib.evaluation.regions.voxel_sets import cumulative_mass
from Testing.evaluation.region_samples import FROM_MAPS, cases

CUT = [*FROM_MAPS, "heatmap-mass"]
NAN = np.nan


def bounded(name: str, bound: float, landmarks: int = 1, **arguments) -> Calibrated:
    method = build_region_method(name, **arguments)
    labels = tuple(str(k) for k in range(landmarks))
    return Calibrated(method, 0.9, False, False, labels, np.full((landmarks, 1), bound), (99,) * landmarks)


def of_map(values, position) -> Predictions:
    return Predictions(np.array(position, float)[None, None], heatmaps=torch.as_tensor(values)[None, None])


ROW = np.array([[0.0, 4.0, 3.0, 2.0, 1.0], [0.0, 0.0, 10.0, 0.0, 0.0]]) / 20
"""Probabilities of ten voxels: .5 at (2, 1), and .2, .15, .1, .05 along the first row."""


@pytest.mark.parametrize(
    ("name", "bound", "held"),
    [
        ("contour-hugging", -0.3, {(2, 1), (1, 0), (2, 0)}),
        ("m-r2c2r", 0.72, {(2, 1), (1, 0)}),
        ("m-r2c2r", 0.86, {(2, 1), (1, 0), (2, 0)}),
        ("heatmap-mass", 0.72, {(2, 1), (1, 0), (2, 0)}),  # the voxel that brings the mass to the level is in
        ("heatmap-mass", 0.4, {(2, 1)}),
    ],
)
def test_the_voxels_are_those_that_a_hand_would_take(name: str, bound: float, held: set):
    predictions = of_map(ROW, (2, 1))
    region = bounded(name, bound).region(predictions, 0)
    assert {(int(x), int(y)) for y, x in region.mask().nonzero()} == held
    assert region.volume() == len(held)


def test_a_voxel_holds_what_is_nearer_to_its_centre_than_to_any_other():
    # landmarker reads the voxel at the floor of a position: a voxel's left half would belong to its neighbour.
    region = bounded("contour-hugging", -0.9).region(of_map(ROW, (2, 1)), 0)
    inside = [[1.51, 0.51], [2.49, 1.49], [2.0, 1.0]]
    outside = [[1.49, 1.0], [2.51, 1.0], [2.0, 1.51], [2.0, 0.49]]
    assert region.contains(inside).all() and not region.contains(outside).any()


@pytest.mark.parametrize("name", CUT)
def test_a_prediction_between_two_peaks_is_in_its_region_without_all_between(name: str):
    grid = np.arange(21.0)
    hill = np.exp(-0.5 * ((grid[:, None] - 10) / 1.5) ** 2)
    values = hill * (np.exp(-0.5 * ((grid - 4) / 1.5) ** 2) + np.exp(-0.5 * ((grid - 16) / 1.5) ** 2))
    bound = {"m-r2ccp": -0.005, "contour-hugging": -0.3}.get(name, 0.8)
    predictions, calibrated = of_map(values, (10, 10)), bounded(name, bound)
    region = calibrated.region(predictions, 0)
    for truth in ([10.3, 9.6], [7.0, 10.0], [4.2, 9.8]):
        assert region.contains(truth) == calibrated.covers(predictions, [[truth]])[0, 0] == (truth[0] != 7)
    mask = region.mask()
    assert mask[10, 4] and mask[10, 10] and mask[10, 16]
    assert not mask[10, 7] and not mask[10, 13] and mask.sum() < 80


def test_a_density_is_cut_between_the_voxels():
    values = torch.zeros(1, 1, 9, 9)
    values[..., 4, 4] = 1.0
    region = bounded("m-r2ccp", -0.5).region(Predictions(np.array([[[4.0, 4.0]]]), heatmaps=values), 0)
    # Linear between voxels: (1 - |x|)(1 - |y|) >= 1/2, within the voxel of the peak all the same.
    assert region.contains([[4.49, 4.0], [4.4, 4.4]]).all() and not region.contains([[4.51, 4.0]]).any()
    wide = bounded("m-r2ccp", -0.1).region(Predictions(np.array([[[4.0, 4.0]]]), heatmaps=values), 0)
    area = 4 * (0.9 - 0.1 * np.log(10))
    assert wide.volume() == pytest.approx(area, rel=0.03)
    assert wide.contains([[4.89, 4.0], [4.6, 4.7]]).all() and not wide.contains([[4.6, 4.8]]).any()


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_field_between_voxels_is_linear_and_ends_half_a_voxel_beyond(dimension: int):
    axes = torch.meshgrid(*[torch.arange(5.0, dtype=torch.float64)] * dimension, indexing="ij")
    slope = np.array([1.0, -2.0, 0.5])[:dimension]
    field = sum(float(s) * axis for s, axis in zip(slope, axes[::-1], strict=True))[None]
    places = np.random.default_rng(0).uniform(0, 4, (50, dimension))
    np.testing.assert_allclose(interpolated(field, places[None])[0], places @ slope)
    edge = np.full((2, dimension), 2.0)
    edge[:, 0] = -0.49, 4.49
    np.testing.assert_allclose(interpolated(field, edge[None])[0], (np.clip(edge, 0, 4)) @ slope)
    edge[:, 0] = -0.51, 4.51
    assert np.isinf(interpolated(field, edge[None])).all()


def test_the_density_is_per_area_so_that_pixels_of_any_size_compare():
    coarse, fine = torch.zeros(1, 8, 8), torch.zeros(1, 16, 16)
    coarse[0, 4, 4] = 1.0
    fine[0, 8:10, 8:10] = 1.0
    positions = np.array([[[4.0, 4.0]], [[8.5, 8.5]]])
    predictions = Predictions(positions, heatmaps=[coarse, fine], spacing=[[1.0, 1.0], [0.5, 0.5]])
    method = build_region_method("m-r2ccp")
    fields = [method.region(predictions, case, 0, np.array([-0.5])).field for case in (0, 1)]
    assert float(fields[0].min()) == float(fields[1].min()) == -1.0


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_maps_of_any_width_give_the_same_region_for_the_same_values(name: str, dtype: torch.dtype):
    predictions, truths = cases(12, 2, 2, maps=True)
    maps = predictions.heatmaps.to(dtype)
    narrow = Predictions(predictions.positions, heatmaps=maps)
    wide = Predictions(predictions.positions, heatmaps=maps.double())
    method = build_region_method(name)
    first, second = (method.calibrate(each, truths, 0.6) for each in (narrow, wide))
    np.testing.assert_array_equal(first.bounds, second.bounds)
    np.testing.assert_array_equal(first.volumes(narrow), second.volumes(wide))


@pytest.mark.parametrize("name", FROM_MAPS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "relu"])
def test_logits_of_a_hundred_scaled_maps_and_voxels_that_are_not_finite_are_stable(name: str, activation: str):
    predictions, truths = cases(12, 1, 2, maps=True)
    maps = {"softmax": 200, "sigmoid": 200, "relu": 6e4}[activation] * (predictions.heatmaps - 0.1)
    maps[:, :, 0, 0] = torch.nan
    maps[:, :, -1, 0] = -torch.inf
    method = build_region_method(name, activation=activation)
    tried = Predictions(predictions.positions, heatmaps=maps)
    calibrated = method.calibrate(tried, truths, 0.6)
    assert not np.isnan(calibrated.bounds).any() and np.isfinite(calibrated.volumes(tried)).all()


@pytest.mark.parametrize("name", CUT)
def test_a_map_without_any_mass_has_no_region(name: str):
    predictions, truths = cases(12, 2, 2, maps=True)
    maps = predictions.heatmaps.clone()
    maps[3, 1] = 0.0
    maps[4, 0] = torch.nan
    tried = Predictions(predictions.positions, heatmaps=maps)
    calibrated = build_region_method(name).calibrate(tried, truths, 0.6)
    assert calibrated.region(tried, 1, 3) is None and calibrated.region(tried, 0, 4) is None
    held, volumes = calibrated.covers(tried, truths), calibrated.volumes(tried)
    assert np.argwhere(np.isnan(held)).tolist() == np.argwhere(np.isnan(volumes)).tolist() == [[3, 1], [4, 0]]


@pytest.mark.parametrize("name", FROM_MAPS)
def test_truths_beside_the_map_cost_the_whole_map_and_more_and_a_notice_says_so(name: str):
    predictions, truths = cases(30, 1, 2, maps=True)
    truths = truths.copy()
    truths[:8] = -30.0
    calibrated = build_region_method(name).calibrate(predictions, truths, 0.75)
    assert np.isposinf(calibrated.bounds).all() and "outside of the maps" in calibrated.notices[0]
    assert calibrated.covers(predictions, truths).all()
    truths[2:8] = predictions.positions[2:8]
    assert np.isfinite(build_region_method(name).calibrate(predictions, truths, 0.75).bounds).all()


@pytest.mark.parametrize("name", CUT)
def test_a_prediction_beside_its_map_is_in_its_region(name: str):
    predictions, _ = cases(1, 1, 2, maps=True)
    outside = Predictions([[[-2.0, 5.0]]], heatmaps=predictions.heatmaps)
    region = bounded(name, 0.5 if name in ("m-r2c2r", "heatmap-mass") else -1e-3).region(outside, 0)
    assert region.contains([[-2.0, 5.0], [-2.4, 5.4]]).all() and not region.contains([-3.0, 5.0])
    assert region.volume() > 1


def test_maps_may_differ_in_size_and_be_made_when_asked_for():
    class Lazy:
        """Makes the map of a case when it is asked for, and counts."""

        made = 0

        def __len__(self) -> int:
            return 12

        def __getitem__(self, case: int) -> torch.Tensor:
            self.made += 1
            return torch.nn.functional.pad(predictions.heatmaps[case], [0, case, 0, 2 * case])

    predictions, truths = cases(12, 2, 2, maps=True)
    lazy = Lazy()
    method = build_region_method("contour-hugging")
    calibrated = method.calibrate(Predictions(predictions.positions, heatmaps=lazy), truths, 0.6)
    assert lazy.made == 12
    np.testing.assert_allclose(calibrated.bounds, method.calibrate(predictions, truths, 0.6).bounds)


def test_voxels_of_one_value_are_taken_together():
    above, own = cumulative_mass(torch.full((1, 4, 4), 1 / 16, dtype=torch.float64))
    assert float(above.abs().max()) == 0.0 and torch.allclose(own, torch.ones_like(own))
    mass = torch.tensor([[[0.4, 0.1, 0.1, 0.4]]], dtype=torch.float64)
    above, own = cumulative_mass(mass)
    torch.testing.assert_close(above, torch.tensor([[[0.0, 0.8, 0.8, 0.0]]], dtype=torch.float64))
    torch.testing.assert_close(own, torch.tensor([[[0.8, 0.2, 0.2, 0.8]]], dtype=torch.float64))


def test_a_randomised_set_is_smaller_and_the_same_whenever_it_is_asked_for():
    predictions, truths = cases(200, 1, 2, maps=True)
    plain, drawn = build_region_method("m-r2c2r"), build_region_method("m-r2c2r", randomised=True)
    calibrated = drawn.calibrate(predictions, truths, 0.5)
    again = build_region_method("m-r2c2r", randomised=True).calibrate(predictions, truths, 0.5)
    np.testing.assert_array_equal(calibrated.bounds, again.bounds)
    np.testing.assert_array_equal(calibrated.volumes(predictions), calibrated.volumes(predictions))
    assert calibrated.bounds[0, 0] < plain.calibrate(predictions, truths, 0.5).bounds[0, 0]
    other = build_region_method("m-r2c2r", randomised=True, seed=1).calibrate(predictions, truths, 0.5)
    assert other.bounds[0, 0] != calibrated.bounds[0, 0]


def test_what_a_decoder_reads_from_maps_makes_predictions():
    predictions, truths = cases(5, 2, 2, maps=True)
    read = Predictions.from_heatmaps(predictions.heatmaps, ("a", "b"), spacing=(0.5, 0.5))
    np.testing.assert_allclose(read.positions, predictions.positions, atol=0.02)
    assert read.covariances is not None and read.labels == ("a", "b")
    empty = predictions.heatmaps.clone()
    empty[0, 0] = 0.0
    assert not Predictions.from_heatmaps(empty, decoder="argmax").found[0, 0]
    assert Predictions.from_heatmaps(empty, decoder="argmax").covariances is None


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("m-r2ccp", {"activation": "tanh"}, "no activation 'tanh'"),
        ("m-r2c2r", {"score": "lac"}, "no score 'lac'"),
        ("m-r2c2r", {"score": "probability", "randomised": True}, "Only the score 'aps'"),
    ],
)
def test_options_that_there_are_not_are_refused(name: str, arguments: dict, message: str):
    with pytest.raises(LandmarkError, match=message):
        build_region_method(name, **arguments)


def test_maps_that_are_not_there_or_do_not_fit_are_refused():
    predictions, truths = cases(5, 2, 2, maps=True)
    method = build_region_method("m-r2ccp")
    with pytest.raises(LandmarkError, match="'m-r2ccp' needs heatmaps"):
        method.calibrate(Predictions(predictions.positions), truths, 0.5)
    for maps in (predictions.heatmaps[:, :1], predictions.heatmaps[..., None]):
        with pytest.raises(LandmarkError, match="do not fit 2 landmarks in 2 dimensions"):
            method.calibrate(Predictions(predictions.positions, heatmaps=maps), truths, 0.5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("dimension", [2, 3])
def test_maps_on_a_gpu_give_the_regions_of_the_host_and_stay_there(name: str, dimension: int):
    predictions, truths = cases(12, 2, dimension, maps=True)
    there = Predictions(
        torch.tensor(predictions.positions).cuda(),
        covariances=torch.tensor(predictions.covariances).cuda(),
        heatmaps=predictions.heatmaps.cuda(),
    )
    method = build_region_method(name)
    host, gpu = method.calibrate(predictions, truths, 0.6), method.calibrate(there, torch.tensor(truths).cuda(), 0.6)
    np.testing.assert_allclose(host.bounds, gpu.bounds, rtol=1e-9)
    np.testing.assert_allclose(host.volumes(predictions), gpu.volumes(there), atol=1.01)
    assert gpu.region(there, 0).mask().is_cuda
