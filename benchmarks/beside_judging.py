"""Rows about regions and metrics."""

from __future__ import annotations

import numpy as np
import torch
from beside import Said, number, row
from landmarker import uncertainty
from landmarker.metrics import metrics

from LandmarkDetectorLib.evaluation import match_instances, position_errors, summarise
from LandmarkDetectorLib.evaluation.regions import Predictions, build_region_method

REGION, METRIC = "Uncertainty", "Metrics"
LEVEL = 0.95


def normal_cases(rng: np.random.Generator, count: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions (N, 1, d), unit covariances, and truths that scatter about them as these say."""
    found = rng.normal(20, 5, (count, 1, d))
    return found, np.broadcast_to(np.eye(d), (count, 1, d, d)).copy(), found + rng.normal(size=(count, 1, d))


def held(calibrating: int, d: int = 2, rounds: int = 300) -> tuple[Said, Said]:
    """How many truths of other cases an ellipsoid holds, %, over many calibrations."""

    def theirs() -> str:
        rng, shares = np.random.default_rng(0), []
        for _ in range(rounds):
            method = uncertainty.ConformalRegressorMahalanobis(d, 1)
            method.fit(*normal_cases(rng, calibrating, d))
            shares.append(method.in_region(*normal_cases(rng, 100, d), confidence=LEVEL).mean())
        return number(100 * np.mean(shares))

    def ours() -> str:
        rng, shares, everywhere = np.random.default_rng(0), [], False
        for _ in range(rounds):
            found, spread, truths = normal_cases(rng, calibrating, d)
            fitted = build_region_method("ellipsoidal").calibrate(Predictions(found, (), spread), truths, LEVEL)
            found, spread, truths = normal_cases(rng, 100, d)
            shares.append(fitted.covers(Predictions(found, (), spread), truths).mean())
            everywhere |= bool(fitted.notices)
        return number(100 * np.mean(shares)) + (", everywhere, with a notice" if everywhere else "")

    return theirs, ours


@row(REGION, "**few cases are invalid in silence** (0.95 asked, 0.09 held with 10)", "truths held at 95 %, 10 cases, %")
def few() -> tuple[Said, Said]:
    return held(10)


@row(
    REGION,
    "the normal quantile for χ² with D degrees (0.74 in 2D, 0.56 in 3D)",
    "normal truths held by the normal ellipsoid at 95 %, in 2D and 3D, %",
)
def chi_squared() -> tuple[Said, Said]:
    def theirs(d: int) -> str:
        cases = normal_cases(np.random.default_rng(0), 20000, d)
        return number(100 * uncertainty.MultivariateNormalRegressor(d, 1).in_region(*cases, confidence=LEVEL).mean())

    def ours(d: int) -> str:
        found, spread, truths = normal_cases(np.random.default_rng(0), 20000, d)
        made = Predictions(found, (), spread)
        return number(100 * build_region_method("normal").calibrate(made, None, LEVEL).covers(made, truths).mean())

    return lambda: f"{theirs(2)}, {theirs(3)}", lambda: f"{ours(2)}, {ours(3)}"


@row(REGION, "a volume of π for 4π/3", "the volume of a ball of radius 1")
def ball() -> tuple[Said, Said]:
    cases = normal_cases(np.random.default_rng(0), 30, 3)

    def theirs() -> str:
        method = uncertainty.ConformalRegressorMahalanobis(3, 1)
        method.fit(*cases)
        radius = np.sqrt(method.bound(np.eye(3)[None, None], LEVEL)[0, 0, 0, 0])
        return number(method.area_prediction_region(np.eye(3)[None, None], confidence=LEVEL)[0, 0] / radius**3)

    def ours() -> str:
        found, spread, truths = cases
        fitted = build_region_method("ellipsoidal").calibrate(Predictions(found, (), spread), truths, LEVEL)
        made = Predictions(np.zeros((1, 1, 3)), (), np.eye(3)[None, None])
        return number(fitted.volumes(made)[0, 0] / fitted.bounds[0, 0] ** 3)

    return theirs, ours


@row(REGION, "empty regions", "voxels of the region of a map that has all its mass in one")
def empty() -> tuple[Said, Said]:
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 4, 5] = 1

    def theirs() -> str:
        return number(uncertainty.ContourHuggingRegressor(2, 1, (9, 9)).predict(maps, confidence=LEVEL).sum())

    def ours() -> str:
        made = Predictions(np.array([[[5.0, 4.0]]]), heatmaps=maps)
        return number(build_region_method("heatmap-mass").calibrate(made, None, LEVEL).volumes(made)[0, 0])

    return theirs, ours


@row(REGION, "crashes without spacing", "the area of a region of M-R2CCP without a spacing, pixels")
def no_spacing() -> tuple[Said, Said]:
    rng = np.random.default_rng(0)
    places = rng.uniform(8, 24, (40, 1, 2))
    index = np.arange(32)
    bells = [np.exp(-0.5 * ((index - at[0, 0]) ** 2 + (index[:, None] - at[0, 1]) ** 2) / 4) for at in places]
    maps = torch.tensor(np.array([bell / bell.sum() for bell in bells]))[:, None].float()
    truths = places + rng.normal(size=places.shape)

    def theirs() -> str:
        method = uncertainty.MR2CCP(2, 1, (32, 32))
        method.fit(maps, truths[..., ::-1])
        return number(method.area_prediction_region(maps[:1].numpy(), confidence=LEVEL)[0, 0])

    def ours() -> str:
        made = Predictions(places, heatmaps=maps)
        return number(build_region_method("m-r2ccp").calibrate(made, truths, LEVEL).volumes(made)[0, 0])

    return theirs, ours


@row(METRIC, "NaN counts as a failure", "rate within 2 of a landmark that is found and one that nobody annotated, %")
def not_annotated() -> tuple[Said, Said]:
    truth = torch.tensor([[[1.0, 1.0], [torch.nan, torch.nan]]])
    found = torch.tensor([[[1.0, 2.0], [5.0, 5.0]]])
    return (
        lambda: number(metrics.sdr(2.0, truth, found)),
        lambda: number(100 * summarise(position_errors(found, truth), ["a", "b"], "px", (2.0,)).sdr[2.0]),
    )


@row(METRIC, "greedy matching", "mean distance of truths at 0 and 3 and predictions at 1.4 and -3, paired")
def greedy() -> tuple[Said, Said]:
    truth, found = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[1.4, 0.0], [-3.0, 0.0]])
    given = torch.tensor(truth)[None, None], torch.tensor(found)[None, None]
    return (
        lambda: number(metrics.multi_instance_point_error(*given)[0]),
        lambda: number(match_instances(found, truth).distances.mean()),
    )


@row(METRIC, "the threshold is ignored", "pairs at a distance of 50 with a threshold of 5")
def threshold() -> tuple[Said, Said]:
    truth, found = np.array([[0.0, 0.0]]), np.array([[50.0, 0.0]])

    def theirs() -> str:
        given = torch.tensor(truth)[None, None], torch.tensor(found)[None, None]
        return number(metrics.multi_instance_point_error(*given, threshold=5.0)[1])

    return theirs, lambda: number(len(match_instances(found, truth, 5.0).distances))
