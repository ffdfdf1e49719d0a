"""The quantities: distances, angles, projections and planes of positions, in two and three dimensions.

Pure functions over arrays of positions (..., d) with d of 2 or 3; leading axes broadcast, so that many landmark sets
(the copies that uncertainty moves, for example) are measured at once. Angles are in degrees. What cannot be computed
(coincident landmarks have no direction) is NaN here and "not computed" in a result.
"""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.core import LandmarkError

PARALLEL = 1e-9
"""The sine, or the part of a length, below which a direction or a place lies on no side of a line or plane."""


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner products (...) of vectors (..., d)."""
    return np.einsum("...i,...i->...", a, b)


def length(vectors: np.ndarray) -> np.ndarray:
    """Lengths (...) of vectors (..., d)."""
    return np.sqrt(dot(vectors, vectors))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) made as long as 1; NaN where they have no length."""
    size = length(vectors)[..., None]
    return vectors / np.where(size > 0, size, np.nan)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances (...) between positions (..., d)."""
    return length(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64))


def midpoint(*positions: np.ndarray) -> np.ndarray:
    """The mean (..., d) of two or more positions."""
    return np.add.reduce([np.asarray(position, dtype=np.float64) for position in positions]) / len(positions)


def centroid_size(positions: np.ndarray) -> np.ndarray:
    """Root of the summed squared distances to the centre, (...) of shapes (..., K, d) (Bookstein 1991)."""
    positions = np.asarray(positions, dtype=np.float64)
    centred = positions - positions.mean(-2, keepdims=True)
    return np.sqrt(np.einsum("...ki,...ki->...", centred, centred))


def angle_between(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Angles (...) in [0, 180] between directed vectors (..., d).

    By 2·atan2(|û - v̂|, |û + v̂|), which is exact near 0 and 180 degrees, where an arc cosine loses half its digits
    (Kahan 2006, "How futile are mindless assessments of roundoff").
    """
    u, v = unit(u), unit(v)
    return np.degrees(2 * np.arctan2(length(u - v), length(u + v)))


def angle_at(a: np.ndarray, vertex: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles (...) in [0, 180] at a vertex (..., d) between the rays to two positions."""
    vertex = np.asarray(vertex, dtype=np.float64)
    return angle_between(np.asarray(a) - vertex, np.asarray(b) - vertex)


def across(vectors: np.ndarray, along: np.ndarray) -> np.ndarray:
    """What of vectors (..., d) is perpendicular to unit vectors (..., d)."""
    return vectors - dot(vectors, along)[..., None] * along


def unit_across(vectors: np.ndarray, along: np.ndarray) -> np.ndarray:
    """:func:`across` made as long as 1; NaN where vectors run along, of which only rounding would tell a side."""
    part = across(vectors, along)
    told = length(part) > PARALLEL * length(vectors)
    return unit(np.where(told[..., None], part, np.nan))


def signed_angle(u: np.ndarray, v: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Angles (...) in [-180, 180] from u to v, positive where v turns to the side that ``toward`` points to.

    The size is the true angle, also in 3D; the sign is that of v's part across u along ``toward``'s part across u.
    It names a side of the anatomy and no sense of rotation, so that a mirrored image has the same value.

    Args:
        u: directions (..., d) from which is turned.
        v: directions to which.
        toward: directions to the positive side; their part along u does not count, and where there is no other, they
            name no side and the angle is NaN.
    """
    axis = unit(u)
    side = dot(across(v, axis), unit_across(toward, axis))
    return np.where(side < 0, -1.0, 1.0) * np.where(np.isfinite(side), angle_between(u, v), np.nan)


def project_on_line(position: np.ndarray, point: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Feet (..., d) of perpendiculars from positions onto lines through ``point`` with unit ``direction``."""
    return point + dot(position - point, direction)[..., None] * direction


def project_on_plane(position: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Feet (..., d) of perpendiculars from positions onto planes (lines, in 2D) through ``point``, unit ``normal``."""
    return position - dot(position - point, normal)[..., None] * normal


def distance_to_line(position: np.ndarray, point: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Distances (...), not negative, of positions from lines with unit ``direction``."""
    return length(across(position - point, direction))


def distance_to_plane(position: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Signed distances (...) of positions from planes, positive on the side of the unit ``normal``."""
    return dot(position - point, normal)


def plane_through(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane through three positions (..., 3): its centre and its unit normal, (b - a) × (c - a); NaN on a line.

    Raises:
        LandmarkError: positions of two dimensions, in which three landmarks make no plane.
    """
    if np.shape(a)[-1] != 3:
        raise LandmarkError("A plane through three landmarks needs 3D positions; in 2D take a line.")
    normal = np.cross(np.asarray(b) - a, np.asarray(c) - a)
    longest = np.maximum(length(np.asarray(b) - a), length(np.asarray(c) - a))
    flat = length(normal) <= 1e-12 * longest**2
    return midpoint(a, b, c), unit(np.where(flat[..., None], np.nan, normal))


def intersection(
    point: np.ndarray, direction: np.ndarray, other_point: np.ndarray, other_direction: np.ndarray
) -> np.ndarray:
    """Where two lines with unit directions meet, (..., d); NaN where they are parallel.

    In 3D, where lines pass each other, it is the middle of the shortest way from one to the other.
    """
    cosine = dot(direction, other_direction)
    gap = other_point - point
    determinant = 1 - cosine**2
    determinant = np.where(determinant > 1e-12, determinant, np.nan)
    here, there = dot(gap, direction), dot(gap, other_direction)
    on_first = point + ((here - cosine * there) / determinant)[..., None] * direction
    on_other = other_point + ((cosine * here - there) / determinant)[..., None] * other_direction
    return (on_first + on_other) / 2


def mid_sagittal_plane(midline: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane whose mirror image of the landmarks fits them best, in the least-squares sense.

    A landmark of the midline should be its own mirror image, each of a pair the other's (symmetry of an object,
    Klingenberg, Barluenga & Meyer 2002, Evolution 56(10):1909-1920). With x - μ measured from the weighted mean of
    midline landmarks and pairs' midpoints (weights 1 and 2), the sum of the squared misfits is a constant plus
    4 nᵀ[Σ w (l - μ)(r - μ)ᵀ]n with l = r on the midline, so that the normal is the eigenvector of its smallest
    eigenvalue.

    Args:
        midline: (..., M, d) landmarks of the midline; M may be 0.
        left: (..., P, d) left landmarks of pairs; P may be 0.
        right: (..., P, d) their partners.

    Returns:
        A point of the plane (..., d) and its unit normal, which points to the left of the pairs (without pairs its
        side is arbitrary); NaN where the landmarks do not determine a plane.
    """
    here, there = np.concatenate([midline, left], axis=-2), np.concatenate([midline, right], axis=-2)
    weights = np.concatenate([np.ones(midline.shape[-2]), np.full(left.shape[-2], 2.0)])
    centre = np.einsum("k,...ki->...i", weights, (here + there) / 2) / max(weights.sum(), 1.0)
    here, there = here - centre[..., None, :], there - centre[..., None, :]
    product = np.einsum("k,...ki,...kj->...ij", weights, here, there)
    values, vectors = np.linalg.eigh((product + np.swapaxes(product, -1, -2)) / 2)
    normal = vectors[..., 0]
    scale = np.abs(values).max(-1)
    clear = (values[..., 1] - values[..., 0]) > 1e-9 * scale
    to_left = dot((left - right).sum(-2), normal) if left.shape[-2] else np.ones(clear.shape)
    normal = normal * np.where(to_left < 0, -1.0, 1.0)[..., None]
    return centre, np.where(clear[..., None], normal, np.nan)
