"""The mean of all voxels of a map, each with its own weight: soft-arg-max, DSNT (Nibali et al. 2018, arXiv:1801.07372).

Every voxel takes part, so that every voxel gets a gradient; a second peak and a background pull for the same reason.
A peak that the border cuts loses weight on that side alone, and its mean lies inwards: nothing in a mean can mend it,
unless the weights fall off before the border. For positions at borders take ``gaussian_fit`` or ``local_mean``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.expectation import spatial_moments
from LandmarkDetectorLib.heatmaps.summits import find_summits

WEIGHTS = ("none", "relu", "sigmoid", "softmax")

LEAST = {"none": 0.0, "relu": 0.0, "sigmoid": -torch.inf, "softmax": -torch.inf}
"""A value that weighs nothing."""

CHUNK_VALUES_CPU = 1 << 20
"""On the CPU as many maps are weighed at once as fit this; more leaves the cache and costs fresh memory."""

CHUNK_VALUES = 1 << 25
"""Elsewhere as many as fit this."""


@decoder("weighted_mean")
def weighted_mean(maps: Tensor, weights: str = "relu", sharpness: float = 1.0) -> Decoded:
    """Takes the weighted mean over the whole map.

    Found is whatever rises above the map's median by more than rounding, has weight and has its mean in the view (-0.5
    to size - 0.5). Voxels that are not finite weigh nothing.

    Args:
        maps: (N, [Z, ]Y, X). Positions and covariance carry their gradient to every voxel.
        weights: what a value weighs. ``"none"``: itself, for maps that are a density already (a negative one pushes
            the mean away); ``"relu"``: itself where it is positive, for heatmaps; ``"sigmoid"`` and ``"softmax"``: for
            logits. The sigmoid of a background at 0 is a half, which draws the mean to the middle of the map.
        sharpness: what values are multiplied by before; the inverse of a softmax's temperature.

    Raises:
        LandmarkDetectorError: weights that there are not, a sharpness that is not positive.
    """
    if weights not in WEIGHTS:
        raise LandmarkDetectorError(f"There are no weights {weights!r}; choose one of {', '.join(WEIGHTS)}.")
    if not 0 < sharpness < float("inf"):
        raise LandmarkDetectorError(f"A sharpness of {sharpness} is not a positive number; mend the option.")
    summits = find_summits(maps)
    wide = summits.base.dtype
    size = torch.tensor(maps.shape[:0:-1], device=maps.device)
    step = max(1, (CHUNK_VALUES_CPU if maps.device.type == "cpu" else CHUNK_VALUES) // maps.shape[1:].numel())
    parts = []
    for part, top in zip(maps.split(step), summits.value.detach().nan_to_num().split(step), strict=True):
        values = part.to(wide)
        # A sum tells at the cost of one addition whether any voxel is not finite.
        if not bool(values.detach().sum().isfinite()):
            values = torch.where(values.isfinite(), values, LEAST[weights])
        parts.append(spatial_moments(_weigh(values, weights, sharpness, top.view(-1, *[1] * (values.ndim - 1)))))
    mass, mean, covariance = (torch.cat(each) for each in zip(*parts, strict=True))
    in_view = ((mean >= -0.5) & (mean <= size - 0.5)).all(-1)
    return Decoded(mean.to(wide), covariance.to(wide), summits.value, summits.rises & (mass > 0) & in_view)


def _weigh(values: Tensor, weights: str, sharpness: float, top: Tensor) -> Tensor:
    """Weights of finite values (N, [Z, ]Y, X), of the size of one; ``top`` (N, 1, ...) is the highest of each map."""
    if weights == "softmax":
        # exp2 is several times as quick as exp on a CPU; the difference is taken before the product, to stay a number.
        return ((values - top) * (sharpness / math.log(2))).exp2()
    if weights == "sigmoid":
        return (values if sharpness == 1 else values * sharpness).sigmoid()
    size = top.abs().clamp(min=torch.finfo(values.dtype).tiny)  # so that the sum of large numbers stays a number
    return (values if weights == "none" else values.clamp(min=0)) / size
