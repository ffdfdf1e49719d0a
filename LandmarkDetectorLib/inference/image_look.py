"""The whole image in one look, for images that come in one pose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from LandmarkDetectorLib.bundles.pipeline import ImageStage, Pipeline
from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.core.similarity import apply
from LandmarkDetectorLib.datasets.frames import Frame, image_frame
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample
from LandmarkDetectorLib.inference.decoding import Measurement, read_peaks
from LandmarkDetectorLib.inference.memory import MemoryPlan
from LandmarkDetectorLib.inference.networks import Networks
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models import ShapePrior, find_pose


class Look(NamedTuple):
    """The pose (canonical frame to world) that the landmarks agree on, and what was seen, in the canonical frame."""

    pose: np.ndarray
    seen: Measurement


def look_at_image(
    pyramid: Pyramid,
    pipeline: Pipeline,
    prior: ShapePrior,
    networks: Networks,
    plan: MemoryPlan,
    watch: Stopwatch,
    name: str = "the image",
) -> Look | None:
    """Every landmark in the image stage's frame; ``None`` where too few of them agree on any pose of the mean shape.

    Raises:
        ImageError: the image is more than twice as large as what the stage was made for.
    """
    stage = pipeline.image
    assert stage is not None
    networks.to(plan.device)
    unit = pipeline.unit(pyramid.grid)
    spacing = stage.spacing * unit
    frame = _frame(pyramid.grid, stage, spacing, networks.factor("image"), name)
    with watch("sampling"):
        image = sample(pyramid, frame.matrix[None], frame.shape)
    features, logits = networks.features("image", image, watch)
    parts = []
    for maps in networks.head("image", features, watch):
        with watch("decoding"):
            parts.append(read_peaks(maps, stage))
    means, covariances, masses = (np.concatenate(part) for part in zip(*parts, strict=True))
    worlds = apply(frame.matrix, means)
    presence = torch.sigmoid(logits[0]).double().cpu().numpy() if stage.presence else np.ones(len(means))
    presence = np.where(np.isfinite(worlds).all(-1).any(-1), presence, 0.0)
    with watch("shape"):
        template = pipeline.design @ prior.mean
        found = find_pose(prior, template, worlds, presence[:, None] * masses, stage.tolerance * unit)
        # The pose's support is a share of what is believed to be there; of an image of nothing, that is little.
        if found is None or found.support * presence.mean() < stage.support:
            return None
        world, covariance = _chosen(worlds, covariances, masses, found.positions)
        back = np.linalg.inv(found.pose)
        turn = back[:-1, :-1] @ frame.matrix[:-1, :-1]
        return Look(found.pose, Measurement(apply(back, world), turn @ covariance @ turn.T, presence))


def _chosen(
    positions: np.ndarray, covariances: np.ndarray, masses: np.ndarray, agreed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of the peaks (M, P, d) of each landmark the one (d,) that agrees with the pose, or else the most probable."""
    distance = np.linalg.norm(positions - agreed[:, None], axis=-1)
    far = ~np.isfinite(distance)
    best = np.where(far.all(1), masses.argmax(1), np.where(far, np.inf, distance).argmin(1))
    rows = np.arange(len(best))
    return positions[rows, best], covariances[rows, best]


def _frame(grid: Grid, stage: ImageStage, spacing: float, multiple: int, name: str) -> Frame:
    frame = image_frame(grid, spacing, stage.size, multiple)
    if any(seen > 2 * made for seen, made in zip(frame.shape[::-1], stage.size, strict=True)):
        extent = " × ".join(f"{e:.4g}" for e in grid.extent)
        made = " × ".join(f"{n * spacing:.4g}" for n in stage.size)
        raise ImageError(
            f"{name} covers {extent} {grid.unit}, and the bundle was made for images of about {made}; crop the image."
        )
    return frame
