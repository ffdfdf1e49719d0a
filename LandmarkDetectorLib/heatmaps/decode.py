"""One door from heatmaps to positions; behind it, decoders by name.

A decoder is a function in a file of ``heatmaps/decoders``, registered with :func:`decoder`; a new one is a new file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from LandmarkDetectorLib.core import LandmarkDetectorError, Registry
from LandmarkDetectorLib.heatmaps.layout import check_heatmaps


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder read from heatmaps (B, K, [Z, ]Y, X), in single precision or better.

    Args:
        positions: (B, K, D) index coordinates x, y[, z]; NaN where nothing was found.
        covariance: (B, K, D, D) the form of the peak in voxel², symmetric; NaN where nothing was found, and from a
            decoder that reads no form. It costs next to nothing beside the position, hence there is no switch for it.
        peak: (B, K) value of the highest voxel; NaN where no voxel is finite.
        found: (B, K) bool, whether the map has a peak that stands for a landmark.
    """

    positions: Tensor
    covariance: Tensor
    peak: Tensor
    found: Tensor


Decoder = Callable[..., Decoded]
_DECODERS: Registry[Decoder] = Registry("decoder", LandmarkDetectorError)
decoder_names = _DECODERS.names


def decoder(name: str) -> Callable[[Decoder], Decoder]:
    """Registers a function of maps (N, [Z, ]Y, X) and options as the decoder ``name``.

    The function returns a :class:`Decoded` of (N, ...) tensors; the door adds batch and landmarks, the threshold, and
    NaN for what was not found.
    """
    return _DECODERS.register(name)


def decode(
    heatmaps: Tensor, method: str = "gaussian_fit", *, threshold: float | None = None, **options: Any
) -> Decoded:
    """Reads the position, the form and the height of the highest peak of each heatmap.

    For several peaks of a map see :func:`~LandmarkDetectorLib.heatmaps.decode_instances`.

    Args:
        heatmaps: (B, K, [Z, ]Y, X), floating point of any width. Voxels that are not finite count as not there.
        method: one of :func:`decoder_names`; what each takes and promises stands in its file of ``heatmaps/decoders``.

            - ``"gaussian_fit"``: least squares (Levenberg-Marquardt) for a Gaussian of free height, background and
              form, in a window; the most exact, at borders too.
            - ``"log_quadratic"``: a parabola through the logarithm, in one solve; its form. As exact on a Gaussian.
            - ``"dark"``: one Newton step on the logarithm of the blurred map; the form, without the blur.
            - ``"local_mean"``: the mean in a box that follows it; the widths of a Gaussian with these moments.
            - ``"local_soft_argmax"``: the place about which the softmax in a window is balanced; the covariance of
              those weights.
            - ``"weighted_mean"``: the mean of the whole map, weights ``none``, ``relu``, ``sigmoid`` or ``softmax``;
              the covariance of the weights.
            - ``"enlarged_argmax"``: the highest place of the map enlarged by a cubic; no form (NaN).
            - ``"argmax"``: the highest voxel; no form (NaN).
        threshold: a map whose highest voxel is below it has no landmark.
        options: what the decoder takes.

    Raises:
        LandmarkDetectorError: heatmaps of another shape or type, or a method or an option that there is not.
    """
    shape = check_heatmaps(heatmaps)
    heatmaps = heatmaps.as_subclass(torch.Tensor)  # MONAI's tensors, of loaders and networks, lack methods of torch's
    read = _DECODERS[method]
    batch, landmarks = heatmaps.shape[:2]
    known = list(signature(read).parameters)[1:]
    if not set(options) <= set(known):
        raise LandmarkDetectorError(
            f"The decoder {method!r} has no option {', '.join(sorted(set(options) - set(known)))}; it takes "
            f"{', '.join(known) or 'none'}."
        )
    with torch.autocast(heatmaps.device.type, enabled=False):  # half precision would cost the fraction of the voxel
        out = read(heatmaps.reshape(batch * landmarks, *shape), **options)
    found = out.found if threshold is None else out.found & (out.peak >= threshold)
    return Decoded(
        positions=torch.where(found[:, None], out.positions, torch.nan).reshape(batch, landmarks, len(shape)),
        covariance=torch.where(found[:, None, None], out.covariance, torch.nan).reshape(
            batch, landmarks, len(shape), len(shape)
        ),
        peak=out.peak.reshape(batch, landmarks),
        found=found.reshape(batch, landmarks),
    )
