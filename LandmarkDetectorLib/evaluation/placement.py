"""Where to write the labels of landmarks so that they can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DIRECTIONS = 16
"""Around a landmark, this many directions are tried."""

DISTANCES = (1.0, 1.6, 2.4, 3.4, 4.8)
"""At these distances, in heights of the label beyond the marker."""


def place_labels(
    anchors: np.ndarray, sizes: np.ndarray, bounds: Sequence[float], marker: float, occupied: np.ndarray | None = None
) -> np.ndarray:
    """Choose a centre for each label, close to its landmark and clear of markers, other labels and the border.

    Each label in turn takes the cheapest of a fixed ring of candidates given all others; three rounds are made. That
    is a plain descent (after Christensen, Marks & Shieber 1995, ACM Transactions on Graphics 14(3):203-232), quick and
    the same every time.

    Args:
        anchors: (K, 2) places of the landmarks in pixels.
        sizes: (K, 2) widths and heights of the labels.
        bounds: left, top, right and bottom of the picture.
        marker: radius of the markers.
        occupied: (M, 4) further boxes to keep clear of: left, top, right, bottom.

    Returns:
        (K, 2) centres of the labels.
    """
    anchors, sizes = np.asarray(anchors, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if not len(anchors):
        return np.empty((0, 2))
    markers = np.hstack([anchors - marker, anchors + marker])
    fixed = np.vstack([markers, np.reshape([] if occupied is None else occupied, (-1, 4))])
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    outward = anchors - anchors.mean(axis=0)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    # The labels that have the most neighbours choose last, when the others have shown where there is room.
    gaps = np.linalg.norm(anchors[:, None] - anchors, axis=-1)
    order = np.argsort((gaps < 6 * sizes[:, 1].mean()).sum(axis=1), kind="stable")
    centres = np.full(anchors.shape, np.nan)
    for _ in range(3):
        for k in order:
            reach = np.array([marker + sizes[k] / 2 + (step - 1) * sizes[k, 1] for step in DISTANCES])
            candidates = (anchors[k] + reach[:, None, :] * ring).reshape(-1, 2)
            boxes = np.hstack([candidates - sizes[k] / 2, candidates + sizes[k] / 2])
            others = np.delete(centres, k, axis=0), np.delete(sizes, k, axis=0)
            placed = ~np.isnan(others[0][:, 0])
            labels = np.hstack([others[0] - others[1] / 2, others[0] + others[1] / 2])[placed]
            covered = _overlap(boxes, labels).sum(axis=1) + _overlap(boxes, fixed).sum(axis=1)
            inside = np.reshape(bounds, (1, 4))
            lost = np.prod(sizes[k]) - _overlap(boxes, inside)[:, 0]
            far = np.repeat(DISTANCES, DIRECTIONS) - 1
            aside = 1 - np.tile(ring, (len(DISTANCES), 1)) @ outward[k]
            cost = (covered + 2 * lost) / np.prod(sizes[k]) + 0.12 * far + 0.05 * aside
            centres[k] = candidates[np.argmin(cost)]
    return centres


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Areas (N, M) that boxes (N, 4) and (M, 4) share."""
    corner = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    return np.prod(np.clip(corner, 0, None), axis=-1)
