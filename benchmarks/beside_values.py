"""Rows about what both sides have: the same input, and the value that each gives."""

from __future__ import annotations

import math

import numpy as np
import torch
from beside import Said, number, numbers, row
from beside_data import MOVE, apart
from beside_judging import METRIC, REGION, normal_cases
from beside_learning import LOSS, NETWORK, SCHEDULE, followed
from landmarker import losses as their_losses
from landmarker import models as their_models
from landmarker import uncertainty
from landmarker.metrics import metrics
from landmarker.transforms.landmarks import affine_landmarks

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets import make_sample
from LandmarkDetectorLib.datasets.samples import move_landmarks
from LandmarkDetectorLib.evaluation import match_instances, position_errors, summarise
from LandmarkDetectorLib.evaluation.regions import Predictions, RegionMethod, build_region_method
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps, spatial_softmax
from LandmarkDetectorLib.losses import StackedLoss, build_loss
from LandmarkDetectorLib.models import build_model

VOXELS = 13 * 13


def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """A prediction and its truth, (1, 1, 13, 13)."""
    truth = gaussian_heatmaps(torch.full((1, 1, 2), 6.0), (13, 13), 2.0)[0]
    return (0.9 * truth + 0.05).clamp(0, 1), truth


def estimate() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A position, its covariance and the truth."""
    return torch.tensor([[[3.0, 1.0]]]), torch.diag(torch.tensor([4.0, 1.0]))[None, None], torch.zeros(1, 1, 2)


def spread_cost(theirs: torch.nn.Module, their_spread: torch.Tensor, name: str) -> tuple[Said, Said]:
    predicted, truth = maps()
    form = torch.diag(torch.tensor([4.0, 9.0]))[None]
    ours = build_loss(name, alpha=5.0 / VOXELS)
    return (
        lambda: number(theirs(predicted, their_spread, truth), 4),
        lambda: number(VOXELS * ours(predicted, (truth, form)), 4),
    )


@row(LOSS, "Gaussian heatmap L2 with covariance regulariser", "σ of 2 and 3, α of 5, summed over the voxels")
def gaussian() -> tuple[Said, Said]:
    return spread_cost(their_losses.GaussianHeatmapL2Loss(5), torch.tensor([[2.0, 3.0]]), "gaussian_heatmap_l2")


@row(LOSS, "generalised-normal heatmap L2", "the same, by the covariance")
def generalised() -> tuple[Said, Said]:
    form = torch.diag(torch.tensor([4.0, 9.0]))[None]
    return spread_cost(their_losses.GeneralizedNormalHeatmapLoss(5.0), form, "generalised_normal_heatmap_l2")


@row(
    LOSS,
    "L1, smooth L1 or cross-entropy as the distance within this one, and within STAR",
    "L1 with α of 0, summed over the voxels",
)
def other_distance() -> tuple[Said, Said]:
    predicted, truth = maps()
    form = torch.eye(2)[None]
    ours = build_loss("generalised_normal_heatmap_l2", alpha=0.0, distance="heatmap_l1")
    return (
        lambda: number(their_losses.GeneralizedNormalHeatmapLoss(0.0, "l1")(predicted, form, truth), 4),
        lambda: number(VOXELS * ours(predicted, (truth, form)), 4),
    )


@row(LOSS, "Euclidean with variance regulariser", "an error of (3, 1) with variances 4 and 1")
def euclidean() -> tuple[Said, Said]:
    at, form, truth = estimate()
    ours = build_loss("euclidean_variance", omega=1.0, smooth=0.0)
    return (
        lambda: number(their_losses.EuclideanDistanceVarianceReg()(at, form, truth), 4),
        lambda: number(ours((at, form), truth), 4),
    )


@row(LOSS, "multivariate Gaussian NLL", "the same, without the constant ln 2π")
def likelihood() -> tuple[Said, Said]:
    at, form, truth = estimate()
    ours = build_loss("gaussian_nll", floor=0.0)
    return (
        lambda: number(their_losses.MultivariateGaussianNLLLoss()(at, form, truth), 4),
        lambda: number(ours((at, form), truth) - math.log(2 * math.pi), 4),
    )


@row(LOSS, "Wing", "an error of (3, 1), the mean of the axes; theirs is told that it is 3D")
def wing() -> tuple[Said, Said]:
    at, _, truth = estimate()
    ours = build_loss("wing", width=5.0, curvature=0.5)
    return (
        lambda: number(their_losses.WingLoss(spatial_dims=3)(at, truth), 4),
        lambda: number(ours(at, truth) / 2, 4),
    )


@row(LOSS, "Adaptive Wing", "the mean over the voxels")
def adaptive_wing() -> tuple[Said, Said]:
    predicted, truth = maps()
    return (
        lambda: number(their_losses.AdaptiveWingLoss()(predicted, truth), 4),
        lambda: number(build_loss("adaptive_wing", omega=5.0, epsilon=0.5)(predicted, truth), 4),
    )


@row(LOSS, "STAR", "an error of (3, 1) with variances 4 and 1, L2")
def star() -> tuple[Said, Said]:
    at, form, truth = estimate()
    return (
        lambda: number(their_losses.StarLoss(epsilon=0)(at, form, truth), 4),
        lambda: number(build_loss("star", distance="l2")((at, form), truth), 4),
    )


@row(LOSS, "NLL", "of a map that is the truth's logarithm")
def nll() -> tuple[Said, Said]:
    logits = maps()[0].log()
    truth = spatial_softmax(maps()[1].log().clamp(min=-30))
    return (
        lambda: number(their_losses.NLLLoss()(logits, truth), 4),
        lambda: number(build_loss("spatial_cross_entropy")(logits, truth), 4),
    )


@row(LOSS, "stacked", "the mean of three outputs")
def stacked() -> tuple[Said, Said]:
    predicted, truth = maps()
    outputs = [predicted, 0.5 * predicted, truth]
    return (
        lambda: number(their_losses.StackedLoss(torch.nn.MSELoss)(outputs, truth), 4),
        lambda: number(StackedLoss(build_loss("heatmap_l2"), [1 / 3] * 3)(outputs, truth), 4),
    )


def size_of(network: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.2f} M"


@row(NETWORK, "SCN, original", "parameters, 19 landmarks")
def scn() -> tuple[Said, Said]:
    return (
        lambda: size_of(their_models.OriginalSpatialConfigurationNet(1, 19)),
        lambda: size_of(build_model("scn", dimension=2, in_channels=1, landmarks=19)),
    )


@row(NETWORK, "SCN, original in 3D", "parameters, 19 landmarks")
def scn_3d() -> tuple[Said, Said]:
    return (
        lambda: size_of(their_models.OriginalSpatialConfigurationNet3d(1, 19)),
        lambda: size_of(build_model("scn", dimension=3, in_channels=1, landmarks=19)),
    )


@row(NETWORK, "Hourglass, stacked", "parameters of two hourglasses, 19 landmarks")
def hourglass() -> tuple[Said, Said]:
    return (
        lambda: size_of(their_models.StackedHourglass(2, 2, 1, 19)),
        lambda: size_of(build_model("stacked_hourglass", dimension=2, in_channels=1, landmarks=19, stacks=2)),
    )


@row(SCHEDULE, "AdaLoss", "σ, of 10, after losses of 9, 8, 7, 6.5, 6; theirs takes another variance than the paper")
def schedule() -> tuple[Said, Said]:
    return followed([9.0, 8.0, 7.0, 6.5, 6.0], 2)


def coverage(their_method: object, our_method: RegionMethod, rounds: int = 100) -> tuple[Said, Said]:
    """Truths of 100 cases held at 90 % by 100 others, %, over many calibrations, of predictions with covariances."""

    def theirs() -> str:
        rng, shares = np.random.default_rng(0), []
        for _ in range(rounds):
            found, spread, truths = normal_cases(rng, 100, 2)
            mahalanobis = isinstance(their_method, uncertainty.ConformalRegressorMahalanobis)
            their_method.fit(found, *([spread] if mahalanobis else []), truths)  # type: ignore[attr-defined]
            found, spread, truths = normal_cases(rng, 100, 2)
            middle = spread if mahalanobis else np.ones_like(found)
            shares.append(their_method.in_region(found, middle, truths, confidence=0.9).mean())  # type: ignore[attr-defined]
        return number(100 * np.mean(shares))

    def ours() -> str:
        rng, shares = np.random.default_rng(0), []
        for _ in range(rounds):
            found, spread, truths = normal_cases(rng, 100, 2)
            fitted = our_method.calibrate(Predictions(found, (), spread), truths, 0.9)
            found, spread, truths = normal_cases(rng, 100, 2)
            shares.append(fitted.covers(Predictions(found, (), spread), truths).mean())
        return number(100 * np.mean(shares))

    return theirs, ours


@row(REGION, "ellipsoidal (Mahalanobis)", "truths held at 90 %, 100 cases calibrate, %")
def ellipsoidal() -> tuple[Said, Said]:
    return coverage(uncertainty.ConformalRegressorMahalanobis(2, 1), build_region_method("ellipsoidal"))


@row(REGION, "max-nonconformity, Bonferroni", "the same, of each")
def boxes() -> tuple[Said, Said]:
    largest = coverage(uncertainty.ConformalRegressorMaxNonconformity(2, 1), build_region_method("max-nonconformity"))
    each = coverage(uncertainty.ConformalRegressorBonferroni(2, 1), build_region_method("bonferroni"))
    return lambda: f"{largest[0]()}, {each[0]()}", lambda: f"{largest[1]()}, {each[1]()}"


def map_cases(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions (N, 1, 2), their maps of mass 1, and truths that these maps are the distributions of."""
    places = rng.uniform(12, 20, (count, 1, 2))
    index = np.arange(32)
    bells = (
        np.exp(-((index - places[:, :, :1]) ** 2) / 8)[:, :, None]
        * np.exp(-((index - places[:, :, 1:]) ** 2) / 8)[..., None]
    )
    bells /= bells.sum((-1, -2), keepdims=True)
    return places, bells.astype(np.float32), places + 2 * rng.normal(size=places.shape)


def map_coverage(their_method: object, name: str, rounds: int = 100) -> tuple[Said, Said]:
    """The same, of methods that cut regions out of heatmaps."""
    size = {"original_dims": np.full((100, 2), 32), "padding": np.zeros((100, 2))}

    def theirs() -> str:
        rng, shares = np.random.default_rng(0), []
        for _ in range(rounds):
            _, bells, truths = map_cases(rng, 100)
            aps = {"confidence": 0.9} if getattr(their_method, "aps", False) else {}
            their_method.fit(bells, truths[..., ::-1], **size, **aps)  # type: ignore[attr-defined]
            _, bells, truths = map_cases(rng, 100)
            shares.append(np.mean(their_method.in_region(bells, truths[..., ::-1], **size, confidence=0.9)))  # type: ignore[attr-defined]
        return number(100 * np.mean(shares))

    def ours() -> str:
        rng, shares = np.random.default_rng(0), []
        for _ in range(rounds):
            places, bells, truths = map_cases(rng, 100)
            made = Predictions(places, heatmaps=torch.from_numpy(bells))
            fitted = build_region_method(name).calibrate(made, truths, 0.9)
            places, bells, truths = map_cases(rng, 100)
            shares.append(np.nanmean(fitted.covers(Predictions(places, heatmaps=torch.from_numpy(bells)), truths)))
        return number(100 * np.mean(shares))

    return theirs, ours


@row(REGION, "M-R2CCP", "the same")
def density() -> tuple[Said, Said]:
    return map_coverage(uncertainty.MR2CCP(2, 1, (32, 32)), "m-r2ccp")


@row(REGION, "M-R2C2R (APS)", "the same")
def sets() -> tuple[Said, Said]:
    return map_coverage(uncertainty.MR2C2R(2, 1, (32, 32), aps=True), "m-r2c2r")


@row(REGION, "contour-hugging, not calibrated", "the same, maps that are the distributions")
def hugging() -> tuple[Said, Said]:
    return map_coverage(uncertainty.ContourHuggingRegressor(2, 1, (32, 32)), "heatmap-mass")


@row(METRIC, "point error", "mean distance of (0, 0) from (3, 4) at 0.5 mm a pixel")
def point_error() -> tuple[Said, Said]:
    truth, found = torch.zeros(1, 1, 2), torch.tensor([[[3.0, 4.0]]])
    return (
        lambda: number(metrics.point_error(truth, found, pixel_spacing=torch.full((1, 2), 0.5))),
        lambda: number(summarise(position_errors(found, truth, 0.5), ["a"], "mm").mean),
    )


@row(METRIC, "success detection rate", "within 2 and 6 of errors of 1, 5 and 9, %")
def success() -> tuple[Said, Said]:
    truth, found = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 0.0], [0.0, 5.0], [9.0, 0.0]]])

    def ours() -> str:
        rates = summarise(position_errors(found, truth), list("abc"), "px", (2.0, 6.0)).sdr
        return numbers(100 * rate for rate in rates.values())

    return lambda: numbers(metrics.sdr([2.0, 6.0], truth, found).values()), ours


@row(METRIC, "multi-instance matching", "mean distance, found, false, missed of two truths and three predictions")
def matching() -> tuple[Said, Said]:
    truth, found = np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([[9.0, 8.0], [0.0, 1.0], [30.0, 30.0]])

    def ours() -> str:
        paired = match_instances(found, truth)
        return numbers([paired.distances.mean(), len(paired.truth), len(paired.false), len(paired.missed)])

    given = torch.tensor(truth)[None, None], torch.tensor(found)[None, None]
    return lambda: numbers(metrics.multi_instance_point_error(*given)[:4]), ours


@row(MOVE, "resize with padding", "how far the landmark is from its blob, 48 × 24 to 24 × 24, px")
def padding() -> tuple[Said, Said]:
    return apart((48, 24), (20, 12), (24, 24))


@row(MOVE, "affine of landmarks", "(10, 4) turned by 0.5 rad and moved by (2, -1), y and x")
def affine() -> tuple[Said, Said]:
    turn = torch.eye(4)
    turn[:2, :2] = torch.tensor([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    turn[:2, 3] = torch.tensor([2.0, -1.0])

    def ours() -> str:
        image = Image(np.ones((1, 20, 20), np.float32), Grid.regular((20, 20)))
        sample = make_sample(image, LandmarkSet.from_positions(["a"], [[10.0, 4.0]]))
        move_landmarks(sample, turn[[0, 1, 3]][:, [0, 1, 3]])
        return numbers(sample["landmarks"][0])

    return lambda: numbers(affine_landmarks(torch.tensor([[10.0, 4.0]]), turn)[0]), ours
