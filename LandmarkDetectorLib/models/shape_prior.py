"""What is known of a landmark set before the image is seen: its mean shape and how it varies.

The mean shape comes from generalised Procrustes analysis (Gower 1975), the variation from the covariance of the aligned
shapes, shrunk towards its diagonal (the number of specimens is small). Everything is in the prior's own *canonical
frame*: world units, centred, principal axes along x, y[, z].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from LandmarkDetectorLib.core.similarity import apply, fit_similarity, scale_of

POSE_SLACK = 0.1
"""How far a pose may be off, as a fraction of the shape's size: about 0.1 radian, 10 % of scale."""
FEW = 3
"""As many specimens as this, in which a landmark is annotated, say as much of its scatter as all other landmarks do."""


@dataclass(frozen=True, eq=False)
class ShapePrior:
    """Mean shape and variation of K landmarks.

    Args:
        mean: (K, d) in the canonical frame.
        factors: (K·d, r); the covariance of a shape is factors @ factors.T + diag(noise²).
        noise: (K·d,) standard deviations of what the factors do not explain.
        scales: smallest and largest size, relative to the mean shape, that a fit may take.
    """

    mean: np.ndarray
    factors: np.ndarray
    noise: np.ndarray
    scales: tuple[float, float]

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return int(self.mean.shape[1])

    @cached_property
    def covariance(self) -> np.ndarray:
        """(K·d, K·d) in the canonical frame: of the shape, and of a pose that is only nearly right.

        Shapes are learnt in their best pose; measured ones are seen in a pose that is off by a little. Left out, that
        little would count against the measurement, and the prior would hold every landmark back by it.
        """
        pose = self.pose_tangents * (POSE_SLACK * self.size)
        return self.factors @ self.factors.T + np.diag(self.noise**2) + pose @ pose.T

    @cached_property
    def pose_tangents(self) -> np.ndarray:
        """Orthonormal directions (K·d, p) in which the mean shape moves, turns and grows."""
        count, d = self.mean.shape
        centred = self.mean - self.mean.mean(0)
        moves = [np.tile(axis, (count, 1)) for axis in np.eye(d)]
        for i in range(d):
            for j in range(i):
                turn = np.zeros((d, d))
                turn[i, j], turn[j, i] = 1, -1
                moves.append(centred @ turn)
        moves.append(centred)
        return np.linalg.qr(np.array(moves).reshape(len(moves), -1).T)[0]

    @cached_property
    def size(self) -> float:
        """Root of the summed squared distances to the centre (centroid size)."""
        return float(np.linalg.norm(self.mean - self.mean.mean(0)))

    def pose(self, positions, weights=None) -> np.ndarray:
        """The similarity from the canonical frame to the world that best fits positions (K, d), NaN where unknown."""
        return fit_similarity(self.mean, positions, weights)

    def plausible_scale(self, pose: np.ndarray) -> np.ndarray:
        """Whether poses (..., d+1, d+1) have a size that the prior allows."""
        d = self.dimension
        scale = np.abs(np.linalg.det(pose[..., :d, :d])) ** (1 / d)
        return (scale >= self.scales[0]) & (scale <= self.scales[1])

    def fuse(
        self, positions: np.ndarray, covariances: np.ndarray, design: np.ndarray, trust: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The posterior of a shape of which sums of landmarks were measured, in the canonical frame.

        Args:
            positions: (M, d) measured; NaN where nothing was measured.
            covariances: (M, d, d) of the measurements.
            design: (M, K); row m says of which landmarks, by which weights, measurement m is the sum.
            trust: factor on the prior's covariance; larger trusts the image more.

        Returns:
            (K, d) positions, every one of them filled, and their (K, d, d) covariances.
        """
        count, d = self.mean.shape
        prior = trust * self.covariance
        measured = np.flatnonzero(np.isfinite(positions).all(1))
        observe = np.kron(design[measured], np.eye(d))
        noise = _block_diagonal(covariances[measured])
        gain = np.linalg.solve(observe @ prior @ observe.T + noise, observe @ prior).T
        expected = (design @ self.mean)[measured]
        shift = gain @ (positions[measured] - expected).reshape(-1)
        posterior = prior - gain @ observe @ prior
        blocks = np.array([posterior[k * d : (k + 1) * d, k * d : (k + 1) * d] for k in range(count)])
        return self.mean + shift.reshape(count, d), (blocks + np.swapaxes(blocks, 1, 2)) / 2

    def surprise(
        self, positions: np.ndarray, covariances: np.ndarray, design: np.ndarray, trust: float = 1.0
    ) -> np.ndarray:
        """Squared Mahalanobis distance (M,) of each measurement from where the others put it; NaN where unknown.

        Arguments as for :meth:`fuse`. Under the prior and honest covariances it follows chi-squared with d degrees of
        freedom.
        """
        d = self.dimension
        measured = np.flatnonzero(np.isfinite(positions).all(1))
        observe = np.kron(design[measured], np.eye(d))
        total = trust * observe @ self.covariance @ observe.T + _block_diagonal(covariances[measured])
        # Leave-one-out residuals from one inverse P: e_m = P_mm^-1 (P r)_m, with covariance P_mm^-1.
        precision = np.linalg.inv(total)
        pulled = precision @ (positions - design @ self.mean)[measured].reshape(-1)
        result = np.full(len(positions), np.nan)
        for place, m in enumerate(measured):
            block = slice(place * d, (place + 1) * d)
            result[m] = pulled[block] @ np.linalg.solve(precision[block, block], pulled[block])
        return result


def _block_diagonal(blocks: np.ndarray) -> np.ndarray:
    count, d, _ = blocks.shape
    matrix = np.zeros((count, d, count, d))
    matrix[np.arange(count), :, np.arange(count), :] = blocks
    return matrix.reshape(count * d, count * d)


def learn_shape_prior(
    shapes, *, scales: tuple[float, float] | None = None, modes: int = 12, like: np.ndarray | None = None
) -> ShapePrior:
    """Learn a prior from shapes (N, K, d) in world units, NaN where a landmark is not annotated.

    Args:
        shapes: one row a specimen.
        scales: allowed sizes relative to the mean; by default what was seen, and a quarter more on either side.
        modes: how many modes of variation to keep at most.
        like: (K, d) a mean shape that was learnt before, whose canonical frame is kept: networks know it.
    """
    shapes = _telling(np.asarray(shapes, dtype=np.float64))
    count, _, d = shapes.shape
    mean = _canonical(shapes[np.argmax(np.isfinite(shapes).all(-1).sum(-1))]) if like is None else np.asarray(like)
    for _ in range(10):
        poses = fit_similarity(shapes, mean)
        aligned = apply(poses, shapes)
        mean = _canonical(np.nanmean(aligned, axis=0), like=mean)
    # The mean shape keeps the mean size of the specimens, so that a scale of 1 is an ordinary specimen.
    sizes = np.array([scale_of(fit_similarity(mean, shape)) for shape in shapes])
    mean = mean * np.exp(np.log(sizes).mean())
    relative = sizes / np.exp(np.log(sizes).mean())
    residual = (apply(fit_similarity(shapes, mean), shapes) - mean).reshape(count, -1)
    known = np.isfinite(residual)
    residual = np.where(known, residual, 0.0)
    degrees, seen, squares = max(count - 1, 1), known.sum(0), (residual**2).sum(0)
    u, s, vt = np.linalg.svd(residual / np.sqrt(degrees), full_matrices=False)
    keep = min(modes, max(0, count // 3))
    factors = vt[:keep].T * s[:keep]
    # Where nobody annotated a landmark, it does not lie at its mean: it scatters as it does where somebody did, and, of
    # few such places, as all landmarks do.
    usual = squares.sum() / max(np.maximum(seen - 1, 0).sum(), 1)
    unseen = (squares + FEW * usual) / (np.maximum(seen - 1, 0) + FEW)
    left = (squares + (count - seen) * unseen) / degrees - (factors**2).sum(1)
    floor = 0.05 * np.sqrt(squares.sum() / known.sum()) if count > 1 else 0.05 * np.abs(mean).max()
    noise = np.sqrt(np.maximum(left, max(floor, 1e-6) ** 2))
    bounds = scales or (float(relative.min()) / 1.25, float(relative.max()) * 1.25)
    return ShapePrior(mean, factors, noise, bounds)


def _telling(shapes: np.ndarray) -> np.ndarray:
    """Shapes (N, K, d) without those of so few landmarks that they fit any mean, unless a landmark is in no others."""
    placed = np.isfinite(shapes).all(-1)
    counts = placed.sum(1)
    telling = counts > min(shapes.shape[-1], counts.max() - 1)
    return shapes[telling] if (placed[telling].any(0) == placed.any(0)).all() else shapes


def mirror_matrix(mean: np.ndarray, partners: list[int | None]) -> np.ndarray:
    """The reflection of the canonical frame that takes each landmark of the mean shape to its partner's place.

    Args:
        mean: (K, d) mean shape.
        partners: for each landmark the index of its partner on the other side, itself on the midline, ``None`` if it
            has none.

    Returns:
        (d+1, d+1), an improper isometry.
    """
    pairs = [(k, p) for k, p in enumerate(partners) if p is not None]
    here, there = (list(side) for side in zip(*pairs, strict=True))
    return fit_similarity(mean[here], mean[there], scaling=False, reflection=True)


def _canonical(shape: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Centred; principal axes along x, y[, z] by a proper rotation, or turned as ``like`` is."""
    centred = shape - np.nanmean(shape, axis=0)
    if like is not None:
        return apply(fit_similarity(centred, like, scaling=False), centred)
    filled = np.where(np.isfinite(centred), centred, 0.0)
    _, _, vt = np.linalg.svd(filled, full_matrices=False)
    vt[-1] *= np.linalg.det(vt)
    return centred @ vt.T
