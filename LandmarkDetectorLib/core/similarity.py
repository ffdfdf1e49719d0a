"""Similarity transforms: rotation, translation and one scale, fitted to paired positions.

Umeyama 1991, doi:10.1109/34.88573. Rotations are proper unless a reflection is asked for: the two sides of a head are
told apart by this alone.
"""

from __future__ import annotations

import numpy as np


def apply(matrix: np.ndarray, positions) -> np.ndarray:
    """Positions (..., d) moved by homogeneous matrices (..., d+1, d+1), whose leading axes broadcast."""
    positions = np.asarray(positions, dtype=np.float64)
    return np.einsum("...ij,...kj->...ki", matrix[..., :-1, :-1], positions) + matrix[..., None, :-1, -1]


def scale_of(matrix: np.ndarray) -> float:
    """How much a homogeneous matrix enlarges lengths, on the average over directions."""
    return float(abs(np.linalg.det(matrix[:-1, :-1])) ** (1 / (len(matrix) - 1)))


def fit_similarity(source, target, weights=None, *, scaling: bool = True, reflection: bool = False) -> np.ndarray:
    """The similarity that takes source to target in the weighted least-squares sense.

    Args:
        source: (..., K, d) positions.
        target: (..., K, d) positions; rows with NaN on either side do not count.
        weights: (..., K), non-negative.
        scaling: whether the scale is free; otherwise it is 1.
        reflection: fit the best *improper* rotation instead of the best proper one.

    Returns:
        (..., d+1, d+1). Where fewer than two positions count it is a translation (or the identity).
    """
    source, target = np.broadcast_arrays(np.asarray(source, float), np.asarray(target, float))
    d = source.shape[-1]
    known = np.isfinite(source).all(-1) & np.isfinite(target).all(-1)
    w = known.astype(float) if weights is None else np.where(known, weights, 0.0)
    total = np.maximum(w.sum(-1, keepdims=True), 1e-300)
    w = (w / total)[..., None]
    source, target = np.where(known[..., None], source, 0.0), np.where(known[..., None], target, 0.0)
    mean_s, mean_t = (w * source).sum(-2), (w * target).sum(-2)
    a, b = source - mean_s[..., None, :], target - mean_t[..., None, :]
    u, s, vt = np.linalg.svd(np.swapaxes(w * b, -1, -2) @ a)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    sign = np.where(sign == 0, 1.0, sign) * (-1.0 if reflection else 1.0)
    flip = np.ones(s.shape)
    flip[..., -1] = sign
    rotation = (u * flip[..., None, :]) @ vt
    spread = (w * a**2).sum((-1, -2))
    scale = (s * flip).sum(-1) / np.maximum(spread, 1e-300) if scaling else np.ones(spread.shape)
    scale = np.where(spread > 1e-12, scale, 1.0)
    matrix = np.zeros((*source.shape[:-2], d + 1, d + 1))
    matrix[..., :d, :d] = scale[..., None, None] * rotation
    matrix[..., :d, d] = mean_t - np.einsum("...ij,...j->...i", matrix[..., :d, :d], mean_s)
    matrix[..., d, d] = 1
    return matrix


def weighted_sums(design: np.ndarray, positions) -> np.ndarray:
    """Sums (M, d), by weights (M, K), of positions (K, d); NaN only where a position that counts is NaN."""
    positions = np.asarray(positions, dtype=np.float64)
    unknown = ~np.isfinite(positions).all(1)
    sums = design @ np.where(unknown[:, None], 0.0, positions)
    sums[((design != 0) & unknown).any(1)] = np.nan
    return sums
