"""The mean of all voxels of a map, each with its own weight: soft-arg-max, DSNT (Nibali et al. 2018, arXiv:1801.07372).

Every voxel takes part, so that every voxel gets a gradient; a second peak and a background pull for the same reason.
A peak that the border cuts loses weight on that side alone, and its mean lies inwards: nothing in a mean can mend it,
unless the weights fall off before the border. For positions at borders take ``gaussian_fit`` or ``local_mean``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.heatmaps.decode import Decoded, decoder
from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation
from LandmarkDetectorLib.heatmaps.summits import find_summits

WEIGHTS = ("none", "relu", "sigmoid", "softmax")


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
    values = maps.to(summits.base.dtype)
    there = values.isfinite()
    values = torch.where(there, values, 0)
    if weights == "softmax":
        flat = (values * sharpness).masked_fill(~there, torch.finfo(values.dtype).min).flatten(1)
        share = flat.softmax(-1).view_as(values)
        has_weight = there.flatten(1).any(-1)
    else:
        if weights == "sigmoid":
            weight = (values * sharpness).sigmoid() * there
        else:
            # Of the size of one, so that the sum of a large map of large numbers stays a number.
            size = values.detach().abs().flatten(1).amax(-1).clamp(min=torch.finfo(values.dtype).tiny)
            weight = values / size.view(-1, *[1] * (values.ndim - 1))
            weight = weight.clamp(min=0) if weights == "relu" else weight
        mass = weight.flatten(1).sum(-1)
        has_weight = mass > 0
        share = weight / torch.where(has_weight, mass, 1).view(-1, *[1] * (values.ndim - 1))
    mean, covariance = spatial_expectation(share[None])
    mean, covariance = mean[0], covariance[0]
    size = torch.tensor(maps.shape[:0:-1], device=maps.device)
    in_view = ((mean >= -0.5) & (mean <= size - 0.5)).all(-1)
    return Decoded(mean, covariance, summits.value, summits.rises & has_weight & in_view)
