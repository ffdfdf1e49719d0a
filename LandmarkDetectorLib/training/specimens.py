"""Cases in memory, ready to be sampled from: a pyramid, landmarks, and the pose of the mean shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LandmarkDetectorLib.bundles.pipeline import Order, Pipeline
from LandmarkDetectorLib.core.similarity import fit_similarity, scale_of
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.datasets.sampling import Pyramid


@dataclass(frozen=True, eq=False)
class Specimen:
    """One case.

    Args:
        subject: its name.
        pyramid: its image.
        positions: (K, d) in the world, ordered by the pipeline's rules, NaN where not annotated.
        seen: (K,) whether the landmark lies within the image.
        pose: (d+1, d+1) from the canonical frame (world units) to the world.
        unit: world units of one view unit.
    """

    subject: str
    pyramid: Pyramid
    positions: np.ndarray
    seen: np.ndarray
    pose: np.ndarray
    unit: float


def load_specimens(cases: Sequence[Case], pipeline: Pipeline) -> list[Specimen]:
    """Read the images of cases; what the stages need of them is averaged at once and the rest let go."""
    intensity = Intensity(pipeline.intensity.window, pipeline.intensity.quantiles)
    specimens = []
    for case in cases:
        image = case.image()
        pyramid = Pyramid(image, intensity)
        unit = pipeline.unit(image.grid)
        prior = pipeline.shape_prior(unit)
        positions = pipeline.ordered(case.landmarks.positions)
        pose = fit_similarity(prior.mean, positions)
        for spacing in stage_spacings(pipeline, unit, scale_of(pose)):
            pyramid.level(spacing)
        specimens.append(Specimen(case.subject, pyramid, positions, image.grid.contains(positions), pose, unit))
    return specimens


def stage_spacings(pipeline: Pipeline, unit: float, scale: float) -> list[float]:
    """The spacings, in world units, at which the stages look at an image whose pose has this scale."""
    spacings = [stage.spacing * unit for stage in (pipeline.coarse, pipeline.image) if stage is not None]
    spacings += [stage.spacing * unit * scale for stage in (pipeline.frame, pipeline.patch) if stage is not None]
    return spacings


def shape_symmetries(mean: np.ndarray, labels: Sequence[str], rules: Sequence[Order]) -> list[np.ndarray]:
    """Permutations, by swapping ruled pairs, that turn the mean shape into itself by a proper rotation."""
    identity = np.arange(len(mean))
    symmetries = [identity]
    size = np.linalg.norm(mean - mean.mean(0)) / np.sqrt(len(mean))
    for subset in range(1, 2 ** len(rules)):
        permutation = identity.copy()
        for number, rule in enumerate(rules):
            if subset >> number & 1:
                a, b = labels.index(rule.first), labels.index(rule.second)
                permutation[[a, b]] = permutation[[b, a]]
        moved = fit_similarity(mean, mean[permutation], scaling=False)
        residual = mean @ moved[:-1, :-1].T + moved[:-1, -1] - mean[permutation]
        if np.sqrt((residual**2).sum(1).mean()) < 0.15 * size:
            symmetries.append(permutation)
    return symmetries
