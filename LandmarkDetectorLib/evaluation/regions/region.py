"""A region: all the places where a landmark may be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import gamma, pi

import numpy as np

from LandmarkDetectorLib.core import Grid


@dataclass(frozen=True, eq=False)
class Region(ABC):
    """Where one landmark is, with the probability that its method promises.

    Args:
        label: of the landmark.
        centre: (D,) the prediction; it lies in the region, whatever the region's size.
        spacing: (D,) lengths in ``unit`` of one step of the coordinates.
        unit: of lengths.
    """

    label: str
    centre: np.ndarray
    spacing: np.ndarray
    unit: str

    @property
    @abstractmethod
    def unbounded(self) -> bool:
        """Whether the region is everywhere, because nothing less could be promised."""

    @abstractmethod
    def _contains(self, positions: np.ndarray) -> np.ndarray:
        """For finite positions (M, D) and a region that is not everywhere, (M,) bool."""

    @abstractmethod
    def _volume(self) -> float:
        """Of a region that is not everywhere."""

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.centre)

    def contains(self, positions) -> np.ndarray:
        """Whether positions (..., D), in the coordinates of the predictions, lie in the region; NaN lies outside."""
        positions = np.asarray(positions, dtype=np.float64)
        inside = np.isfinite(positions).all(-1)
        if not self.unbounded:
            flat = positions.reshape(-1, self.dimension)
            held = self._contains(np.where(np.isfinite(flat), flat, 0)).reshape(inside.shape)
            inside = inside & held
        return inside

    def volume(self) -> float:
        """Area in unit² in two dimensions, volume in unit³ in three; ``inf`` where the region is everywhere."""
        return np.inf if self.unbounded else self._volume()

    def as_mask(self, grid: Grid) -> np.ndarray:
        """The voxels of a grid whose centres lie in the region, and the one that holds the prediction.

        Args:
            grid: its world is the predictions' system of coordinates; ``Grid.regular(size)`` for voxel indices.

        Returns:
            ([Z, ]Y, X) bool.
        """
        axes = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
        mask = self.contains(grid.to_world(np.stack(axes[::-1], axis=-1)))
        own = np.floor(grid.to_index(self.centre) + 0.5).astype(int)
        if np.all((own >= 0) & (own < grid.size)):
            mask[tuple(own[::-1])] = True
        return mask


@dataclass(frozen=True, eq=False)
class EllipsoidRegion(Region):
    """All places within a Mahalanobis distance of the prediction.

    Args:
        covariance: (D, D) of the prediction, positive definite.
        radius: the distance, in standard deviations.
    """

    covariance: np.ndarray
    radius: float

    @property
    def unbounded(self) -> bool:
        """Whether the radius is infinite."""
        return bool(np.isinf(self.radius))

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lengths of the half axes (D,) in ``unit``, and their directions as columns (D, D); the shortest first."""
        scale = np.diag(self.spacing)
        values, directions = np.linalg.eigh(scale @ self.covariance @ scale)
        return self.radius * np.sqrt(values), directions

    def surface(self, count: int = 200) -> np.ndarray:
        """Places on the surface (count, D), in the coordinates of the predictions.

        In order around an ellipse; spread over an ellipsoid by the golden angle.
        """
        if self.dimension == 2:
            angle = np.linspace(0, 2 * pi, count, endpoint=False)
            sphere = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        else:
            height = (2 * np.arange(count) + 1) / count - 1
            angle = pi * (3 - np.sqrt(5)) * np.arange(count)
            across = np.sqrt(1 - height**2)
            sphere = np.stack([across * np.cos(angle), across * np.sin(angle), height], axis=-1)
        return self.centre + self.radius * sphere @ np.linalg.cholesky(self.covariance).T

    def _contains(self, positions: np.ndarray) -> np.ndarray:
        return mahalanobis(positions - self.centre, self.covariance) <= self.radius

    def _volume(self) -> float:
        return float(ellipsoid_volume(self.covariance, self.radius) * np.prod(self.spacing))


@dataclass(frozen=True, eq=False)
class BoxRegion(Region):
    """All places within a distance of the prediction along each axis of the coordinates.

    Args:
        half: (D,) half of the widths.
    """

    half: np.ndarray

    @property
    def unbounded(self) -> bool:
        """Whether a width is infinite: what is unknown along one axis is unknown."""
        return bool(np.isinf(self.half).any())

    def corners(self) -> np.ndarray:
        """The corners (2^D, D), in the coordinates of the predictions; x changes fastest."""
        d = self.dimension
        signs = np.array([[1 if n >> axis & 1 else -1 for axis in range(d)] for n in range(2**d)])
        return self.centre + signs * self.half

    def _contains(self, positions: np.ndarray) -> np.ndarray:
        return (np.abs(positions - self.centre) <= self.half).all(-1)

    def _volume(self) -> float:
        return float(np.prod(2 * self.half * self.spacing))


def mahalanobis(differences: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Lengths (...) of differences (..., D) in standard deviations of covariances that broadcast to (..., D, D)."""
    root = np.linalg.cholesky(covariances)
    return np.linalg.norm(np.linalg.solve(root, differences[..., None])[..., 0], axis=-1)


def ellipsoid_volume(covariances: np.ndarray, radius) -> np.ndarray:
    """Volumes (...) of ellipsoids of covariances (..., D, D) at radii (...): π in 2D, 4/3 π in 3D, times half axes."""
    d = covariances.shape[-1]
    return pi ** (d / 2) / gamma(d / 2 + 1) * np.asarray(radius) ** d * np.sqrt(np.linalg.det(covariances))
