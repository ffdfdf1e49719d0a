"""Find the pose of a shape among peaks of which many are wrong.

A coarse network that sees a head in any pose often keeps two modes for a landmark, left and right, and now and then a
third
that is nonsense. Random samples of a few landmarks (RANSAC, Fischler & Bolles 1981) with one peak each propose poses;
the pose that most peaks agree with, each counted by its probability, wins and is then fitted to those peaks alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LandmarkDetectorLib.core.similarity import apply, fit_similarity
from LandmarkDetectorLib.models.shape_prior import ShapePrior


@dataclass(frozen=True, eq=False)
class RobustPose:
    """The pose found.

    Args:
        pose: (d+1, d+1) from the canonical frame to the world.
        positions: (K, d) the peak that agrees with the pose for each landmark, NaN where none does.
        support: share of the peaks' probability that agrees with the pose, in [0, 1].
    """

    pose: np.ndarray
    positions: np.ndarray
    support: float


def find_pose(
    prior: ShapePrior,
    template: np.ndarray,
    positions: np.ndarray,
    weights: np.ndarray,
    tolerance: float,
    *,
    trials: int | None = None,
    seed: int = 0,
) -> RobustPose | None:
    """The pose that most peaks agree with.

    Args:
        prior: says which sizes are plausible.
        template: (K, d) the mean shape, auxiliary landmarks included, in the canonical frame.
        positions: (K, P, d) peaks in the world, NaN where there is none.
        weights: (K, P) their probabilities.
        tolerance: distance in world units at which a peak counts for about 0.6.
        trials: how many random samples are tried; by default 400 pairs in 2D, 800 samples of four in 3D.
        seed: of the random samples; the result is the same for the same peaks.

    Returns:
        The pose, or ``None`` where no sample gave one of a plausible size.
    """
    d = prior.dimension
    weights = np.where(np.isfinite(positions).all(-1), weights, 0.0)
    per_landmark = weights.sum(1)
    usable = np.flatnonzero(per_landmark > 0)
    picked = d + 1 if d == 3 else 2
    if len(usable) < picked:
        return None
    trials = trials or (400 if d == 2 else 800)
    rng = np.random.default_rng(seed)
    # Gumbel's trick: the largest few of log-weight plus noise are a weighted sample without repetition.
    noise = rng.gumbel(size=(trials, len(usable)))
    marks = usable[np.argsort(-(np.log(per_landmark[usable]) + noise), axis=1)[:, :picked]]
    cumulative = np.cumsum(weights, axis=1)
    draw = rng.random((trials, picked)) * per_landmark[marks]
    peaks = (draw[..., None] > cumulative[marks]).sum(-1)
    poses = fit_similarity(template[marks], positions[marks, peaks])
    residual = np.linalg.norm(apply(poses, template[marks]) - positions[marks, peaks], axis=-1).max(1)
    poses = poses[prior.plausible_scale(poses) & (residual < 4 * tolerance)]
    if not len(poses):
        return None
    score = np.concatenate(
        [_agreement(template, p, positions, weights, tolerance) for p in np.array_split(poses, 16) if len(p)]
    )
    best = poses[np.argsort(-score)[:8]]
    refined = np.stack([_refine(template, pose, positions, weights, tolerance) for pose in best])
    refined = refined[prior.plausible_scale(refined)]
    if not len(refined):
        return None
    score = _agreement(template, refined, positions, weights, tolerance)
    pose = refined[int(np.argmax(score))]
    chosen, near = _nearest(template, pose, positions, weights, tolerance)
    chosen = np.where(near[:, None] < 3 * tolerance, chosen, np.nan)
    return RobustPose(pose, chosen, float(score.max() / per_landmark.sum()))


def _agreement(template, poses, positions, weights, tolerance) -> np.ndarray:
    expected = apply(poses, template)
    squared = ((expected[:, :, None] - np.nan_to_num(positions)) ** 2).sum(-1)
    return (weights * np.exp(-squared / (2 * tolerance**2))).max(-1).sum(-1)


def _nearest(template, pose, positions, weights, tolerance) -> tuple[np.ndarray, np.ndarray]:
    distance = np.linalg.norm(apply(pose, template)[:, None] - positions, axis=-1)
    merit = np.where(np.isfinite(distance), weights * np.exp(-(distance**2) / (2 * tolerance**2)), -1.0)
    place = merit.argmax(1)
    rows = np.arange(len(place))
    near = np.where(merit[rows, place] > 0, distance[rows, place], np.inf)
    return positions[rows, place], near


def _refine(template, pose, positions, weights, tolerance) -> np.ndarray:
    for width in (2.0, 1.5, 1.0, 1.0):
        chosen, near = _nearest(template, pose, positions, weights, width * tolerance)
        trust = np.where(
            np.isfinite(near),
            weights.max(1) * np.exp(-(np.minimum(near, 1e6) ** 2) / (2 * (width * tolerance) ** 2)),
            0.0,
        )
        if (trust > 1e-6).sum() < template.shape[1]:
            return pose
        pose = fit_similarity(template, chosen, trust)
    return pose
