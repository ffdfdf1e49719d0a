"""The same volume turned, flipped, permuted and resampled: how far do the landmarks move in the world?

    python benchmarks/robustness.py IMAGE --bundle mouse-skull-ct --results FILE.json

Each copy is detected anew; its landmarks are taken back into the world of the original and compared with those that
were found there.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from machine import provenance
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib import load_image
from LandmarkDetectorLib.core import Grid, Image
from LandmarkDetectorLib.inference import Detector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--bundle", default="mouse-skull-ct")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    detector = Detector(options.bundle, options.device)
    image = load_image(options.image)
    original = detector.detect(image).landmarks.positions
    there = ~np.isnan(original).any(axis=1)
    rows = []
    for name, make, back in copies(image):
        found = detector.detect(make()).landmarks.positions @ back[:-1, :-1].T + back[:-1, -1]
        # Landmarks that only their place tells apart (left, upper) change names when the world turns.
        found = detector.pipeline.ordered(found)
        moved = np.linalg.norm(found - original, axis=1)
        row = {
            "copy": name,
            "mean": float(np.nanmean(moved)),
            "max": float(np.nanmax(moved)),
            "lost": int(np.isnan(moved[there]).sum()),
        }
        rows.append(row)
        print(f"{name:32s} mean {row['mean']:.4f}  max {row['max']:.3f}  lost {row['lost']}", flush=True)
    if options.results:
        content = {"unit": image.grid.unit, "copies": rows, "provenance": provenance()}
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def copies(image: Image) -> Iterator[tuple[str, Callable[[], Image], np.ndarray]]:
    """Name, what makes the copy, and the matrix (d+1, d+1) from the copy's world to the original's."""
    d = image.dimension
    same = np.eye(d + 1)
    for order in itertools.permutations(range(d)):
        for flip in range(d):
            yield f"axes {order}, axis {flip} flipped", partial(stored_as, image, order, flip), same
    for number in range(6):
        turn = rotation(d, number)
        yield f"turned in the world, {number}", partial(turned, image, turn), homogeneous(turn.T, np.zeros(d))
    for number in range(4):
        yield f"resampled on a turned grid, {number}", partial(resampled, image, rotation(d, 10 + number), 1.0), same
    for factor in (0.8, 1.3):
        yield f"resampled at {factor} of the spacing", partial(resampled, image, image.grid.direction, factor), same


def rotation(dimension: int, seed: int) -> np.ndarray:
    if dimension == 3:
        return Rotation.random(random_state=seed).as_matrix()
    angle = np.random.default_rng(seed).uniform(-np.pi, np.pi)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def homogeneous(linear: np.ndarray, offset: np.ndarray) -> np.ndarray:
    matrix = np.eye(len(linear) + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = linear, offset
    return matrix


def stored_as(image: Image, order: tuple[int, ...], flip: int) -> Image:
    """The same volume, its index axes permuted and one of them flipped; header and data agree."""
    d, grid = image.dimension, image.grid
    direction = grid.direction[:, list(order)].copy()
    size, spacing = [grid.size[o] for o in order], [grid.spacing[o] for o in order]
    axes = [0, *(1 + d - 1 - order[d - 1 - axis] for axis in range(d))]
    origin = np.array(grid.origin) + direction[:, flip] * spacing[flip] * (size[flip] - 1)
    direction[:, flip] *= -1
    array = np.ascontiguousarray(np.flip(image.array.transpose(axes), 1 + d - 1 - flip))
    return Image(array, Grid(tuple(size), tuple(spacing), tuple(origin), direction, grid.unit), image.name)


def turned(image: Image, turn: np.ndarray) -> Image:
    """The specimen itself turned in the world: the same voxels, another direction and origin."""
    grid = image.grid
    origin = tuple(turn @ np.asarray(grid.origin))
    return Image(image.array, Grid(grid.size, grid.spacing, origin, turn @ grid.direction, grid.unit), image.name)


def resampled(image: Image, direction: np.ndarray, factor: float) -> Image:
    """The same world seen on another grid that covers it, by linear interpolation."""
    grid, d = image.grid, image.dimension
    spacing = np.full(d, min(grid.spacing) * factor)
    half = np.abs(direction.T @ grid.direction) @ (grid.extent / 2)
    size = np.ceil(2 * half / spacing).astype(int)
    origin = grid.centre - direction @ (spacing * (size - 1) / 2)
    new = Grid(tuple(int(n) for n in size), tuple(spacing), tuple(origin), direction, grid.unit)
    matrix = np.linalg.inv(grid.matrix) @ new.matrix
    reverse = np.eye(d)[::-1]
    linear, offset = reverse @ matrix[:d, :d] @ reverse, matrix[:d, d][::-1]
    channels = [affine_transform(c.astype(np.float32), linear, offset, new.shape, order=1) for c in image.array]
    return Image(np.stack(channels).astype(np.float32), new, image.name)


if __name__ == "__main__":
    main()
