"""Rows about losses, networks and the schedule."""

from __future__ import annotations

import torch
from beside import Said, number, numbers, row
from landmarker import losses as their_losses
from landmarker import models as their_models
from landmarker.schedulers import AdalossScheduler

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, gaussian_heatmaps
from LandmarkDetectorLib.losses import build_loss
from LandmarkDetectorLib.models import build_model
from LandmarkDetectorLib.training.adaptive_sigma import AdaptiveSigma

LOSS, NETWORK, SCHEDULE = "Losses", "Networks", "Schedule"
SMALL = {"la_channels": (4, 4, 4), "la_strides": (2, 2), "sp_channels": 4, "sp_kernel_size": 3, "sp_downsample": 4}


@row(LOSS, "Wing's constructor raises by default", "the cost of an error of (1, 0)")
def wing() -> tuple[Said, Said]:
    error, none = torch.tensor([[[1.0, 0.0]]]), torch.zeros(1, 1, 2)
    return (
        lambda: number(their_losses.WingLoss()(error, none)),
        lambda: number(build_loss("wing")(error, none)),
    )


@row(LOSS, "Adaptive Wing refuses 3D", "what an empty map costs where the truth is a landmark in a volume")
def adaptive_wing() -> tuple[Said, Said]:
    truth = gaussian_heatmaps(torch.full((1, 1, 3), 6.0), (13, 13, 13), 2.0)[0]
    empty = torch.zeros_like(truth)
    return (
        lambda: number(their_losses.AdaptiveWingLoss(spatial_dims=3)(empty, truth)),
        lambda: number(build_loss("adaptive_wing")(empty, truth)),
    )


@row(LOSS, "NaN gradients at zero error", "the gradient of the Euclidean distance with its variance at zero error")
def zero_error() -> tuple[Said, Said]:
    covariance = torch.eye(2).expand(1, 1, 2, 2)

    def theirs() -> str:
        at = torch.zeros(1, 1, 2, requires_grad=True)
        their_losses.EuclideanDistanceVarianceReg()(at, covariance, torch.zeros(1, 1, 2)).backward()
        return numbers(at.grad[0, 0])

    def ours() -> str:
        at = torch.zeros(1, 1, 2, requires_grad=True)
        build_loss("euclidean_variance", smooth=0)((at, covariance), torch.zeros(1, 1, 2)).backward()
        return numbers(at.grad[0, 0])

    return theirs, ours


@row(LOSS, "STAR is summed over the batch", "how many times a case costs in a batch of four what it costs alone")
def star() -> tuple[Said, Said]:
    at, covariance = torch.full((1, 1, 2), 3.0), torch.eye(2).expand(1, 1, 2, 2)

    def theirs(count: int) -> torch.Tensor:
        given = (at.expand(count, -1, -1), covariance.expand(count, -1, -1, -1))
        return their_losses.StarLoss(omega=0)(*given, torch.zeros(count, 1, 2))

    def ours(count: int) -> torch.Tensor:
        given = (at.expand(count, -1, -1), covariance.expand(count, -1, -1, -1))
        return build_loss("star", omega=0, distance="l2")(given, torch.zeros(count, 1, 2))

    return lambda: number(theirs(4) / theirs(1)), lambda: number(ours(4) / ours(1))


@row(LOSS, "NLL takes the logarithm of 0", "what a map costs that excludes all but the right voxel")
def excluded() -> tuple[Said, Said]:
    right = torch.zeros(1, 1, 3, 3)
    right[0, 0, 1, 1] = 1
    return (
        lambda: number(their_losses.NLLLoss(apply_softmax=False)(right, right)),
        lambda: number(build_loss("spatial_cross_entropy")(400 * right - 200, right)),
    )


@row(LOSS, "**no loss leaves out a missing landmark** (its issue 16)", "the loss of two landmarks, one without a truth")
def missing() -> tuple[Said, Said]:
    truth = gaussian_heatmaps(torch.full((1, 2, 2), 6.0), (13, 13), 2.0)[0]
    truth[0, 1] = torch.nan
    empty, form = torch.zeros_like(truth), torch.eye(2).expand(2, 2, 2)
    valid = torch.tensor([[True, False]])
    return (
        lambda: number(their_losses.GeneralizedNormalHeatmapLoss()(empty, form, truth)),
        lambda: number(build_loss("gaussian_heatmap_l2")(empty, (truth, form), valid)),
    )


@row(NETWORK, "SCN and probabilistic SCN crash in 3D", "the shape of the maps of a volume of 32 × 32 × 32")
def volumes() -> tuple[Said, Said]:
    image = torch.zeros(1, 1, 32, 32, 32)

    def shape(maps: torch.Tensor) -> str:
        return " × ".join(map(str, maps.shape[1:]))

    def theirs() -> str:
        return shape(their_models.SpatialConfigurationNet(3, 1, 2, **SMALL)(image))

    def ours() -> str:
        network = build_model("scn_monai", dimension=3, in_channels=1, landmarks=2).eval()
        with torch.no_grad():
            return shape(network(image).heatmaps)

    return theirs, ours


@row(NETWORK, "sizes that are not divisible crash", "the shape of the maps of an image of 50 × 61")
def sizes() -> tuple[Said, Said]:
    image = torch.zeros(1, 1, 50, 61)

    def shape(maps: torch.Tensor) -> str:
        return " × ".join(map(str, maps.shape[1:]))

    def theirs() -> str:
        return shape(their_models.OriginalSpatialConfigurationNet(1, 2, la_channels=4, sp_channels=4)(image))

    def ours() -> str:
        network = build_model("scn", dimension=2, in_channels=1, landmarks=2).eval()
        with torch.no_grad():
            return shape(network(image).heatmaps)

    return theirs, ours


def followed(losses: list[float], dimension: int) -> tuple[Said, Said]:
    """σ along each axis after these losses, from 10 on."""

    def theirs() -> str:
        schedule, sigma = AdalossScheduler(1), torch.full((1, dimension), 10.0)
        for loss in losses:
            schedule([loss], sigma)
        return numbers(sigma[0])

    def ours() -> str:
        generator = GaussianHeatmaps(1, dimension, 10.0)
        schedule = AdaptiveSigma(generator)
        for loss in losses:
            schedule.step(torch.tensor([loss]))
        return numbers(generator.sigma[0])

    return theirs, ours


@row(SCHEDULE, "σ along z is never adapted", "σ along each axis, of 10, after losses of 9, 3, 2, 1.6, 1.4")
def along_z() -> tuple[Said, Said]:
    return followed([9.0, 3.0, 2.0, 1.6, 1.4], 3)


@row(SCHEDULE, "a constant loss gives NaN", "σ, of 10, after five losses of 1")
def constant() -> tuple[Said, Said]:
    return followed([1.0] * 5, 2)


@row(SCHEDULE, "no `state_dict`", "what is in it")
def state() -> tuple[Said, Said]:
    return (
        lambda: ", ".join(AdalossScheduler(1).state_dict()),
        lambda: ", ".join(AdaptiveSigma(GaussianHeatmaps(1, 2, 10.0)).state_dict()),
    )
