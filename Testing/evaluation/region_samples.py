"""Cases for regions: heavy-tailed errors, spreads that are predicted too small, maps around the predictions."""

from __future__ import annotations

import numpy as np
import torch

from LandmarkDetectorLib.evaluation.regions import Predictions
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps

POSITIONAL = ["bonferroni", "ellipsoidal", "max-nonconformity"]
FROM_MAPS = ["contour-hugging", "m-r2c2r", "m-r2ccp"]
BELIEVED = ["heatmap-mass", "normal"]


def cases(
    count: int,
    landmarks: int,
    dimension: int,
    seed: int = 0,
    *,
    maps: bool = False,
    together: float = 0.0,
    size: int = 0,
) -> tuple[Predictions, np.ndarray]:
    """Predictions of independent cases and their truths (N, K, D), all well within the maps.

    Args:
        together: how much of an error all landmarks of a case share, 0 to 1.
        size: of the maps along each axis.
    """
    rng = np.random.default_rng(seed)
    size = size or {2: 20, 3: 12}[dimension]
    spread = rng.uniform(0.4, 1.0, (count, landmarks, 1)) * np.ones(dimension)
    own = rng.standard_t(3, (count, landmarks, dimension))
    shared = rng.standard_t(3, (count, 1, dimension))
    errors = 1.5 * spread * (np.sqrt(1 - together**2) * own + together * shared)
    predicted = rng.uniform(0.4 * size, 0.6 * size, errors.shape)
    truths = np.clip(predicted + errors, 0, size - 1)
    turn = np.linalg.qr(rng.normal(size=(count, landmarks, dimension, dimension)))[0]
    stretched = spread * np.linspace(0.8, 1.2, dimension)
    covariances = np.einsum("nkij,nkj,nklj->nkil", turn, stretched**2, turn)
    heatmaps = None
    if maps:
        heatmaps, _ = gaussian_heatmaps(torch.tensor(predicted), (size,) * dimension, torch.tensor(spread))
    return Predictions(predicted, covariances=covariances, heatmaps=heatmaps), truths
