"""A data set small enough to train on in a test: blobs of different sizes at landmarks of a shape that varies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.core.similarity import apply
from LandmarkDetectorLib.io import load_landmarks, save_image, save_landmarks

LABELS = ["nose", "left", "right", "tail", "fin"]
SHAPES = {
    2: np.array([[0, -14], [-9, -2], [9, 0], [1, 12], [6, 7]], dtype=float),
    3: np.array([[0, -14, 1], [-9, -2, 3], [9, 0, -2], [1, 12, 0], [6, 7, 5]], dtype=float),
}
SIZES = np.array([2.4, 1.6, 1.2, 2.0, 1.0])


def phantom(
    rng: np.random.Generator, dimension: int = 2, side: int = 56, turn: float = 0.3
) -> tuple[Image, LandmarkSet]:
    """An image with a blob at each landmark, on an oblique anisotropic grid, and the landmarks."""
    angle = rng.normal(0, turn)
    pose = np.eye(dimension + 1)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:-1, :-1] *= rng.uniform(0.9, 1.1)
    pose[:-1, -1] = 100 + rng.normal(0, 2, dimension)
    shape = SHAPES[dimension] + rng.normal(0, 0.4, SHAPES[dimension].shape)
    positions = apply(pose, shape)
    spacing = np.array([1.0, 0.9, 1.1])[:dimension]
    direction = np.eye(dimension)
    direction[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    origin = 100 - direction @ (spacing * (side - 1) / 2)
    grid = Grid((side,) * dimension, tuple(spacing), tuple(origin), direction)
    return Image(blobs(grid, positions)[None], grid, "phantom"), LandmarkSet.from_positions(LABELS, positions)


def blobs(grid: Grid, positions: np.ndarray) -> np.ndarray:
    """uint8 array [Z, ]Y, X with Gaussians at world positions."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)[..., ::-1]
    world = grid.to_world(index)
    values = np.zeros(grid.shape)
    for place, size in zip(positions, SIZES, strict=True):
        values += 200 * np.exp(-((world - place) ** 2).sum(-1) / (2 * size**2))
    return np.clip(values, 0, 255).astype(np.uint8)


def write_dataset(folder: Path, count: int, dimension: int = 2, seed: int = 0, side: int = 56) -> Path:
    """A folder with ``dataset.json``; two subjects a family."""
    rng = np.random.default_rng(seed)
    entries = []
    for number in range(count):
        image, landmarks = phantom(rng, dimension, side)
        name = f"case{number:02d}"
        save_image(image, folder / f"{name}.nii.gz" if dimension == 3 else folder / f"{name}.mha")
        save_landmarks(landmarks, folder / f"{name}.mrk.json")
        entries.append(
            {
                "image": f"{name}.nii.gz" if dimension == 3 else f"{name}.mha",
                "landmarks": f"{name}.mrk.json",
                "subject": name,
                "family": f"f{number // 2}",
            }
        )
    listing = {"name": "phantoms", "landmark_labels": LABELS, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    (folder / "LICENSE").write_text("Made by a test.\n", encoding="utf-8")
    return folder


def write_watched(folder: Path, count: int) -> Path:
    """A folder of phantoms that two observers annotated, each a little to one side."""
    data = write_dataset(folder, count, seed=5)
    listing = json.loads((data / "dataset.json").read_text())
    for entry in listing["training"]:
        marks = load_landmarks(data / entry.pop("landmarks"))
        entry["raters"] = {}
        for name, step in (("A", 0.5), ("B", -0.5)):
            file = f"{entry['subject']}-{name}.mrk.json"
            save_landmarks(type(marks).from_positions(LABELS, marks.to_plane().positions + [step, 0]), data / file)
            entry["raters"][name] = file
    (data / "dataset.json").write_text(json.dumps(listing))
    return data


def recipe_text(dimension: int = 2, steps: int = 60, **changes: str) -> str:
    """A recipe that trains on the phantoms in seconds."""
    size, batch, spacing = (32, 8, 1.0) if dimension == 2 else (24, 4, 1.3)
    parts = {
        "head": f"name: phantom\nseed: 3\ndimension: {dimension}\nintensity: {{window: [0, 200]}}\nprior_modes: 2\n"
        "samples: [case00]\nvalidation: {fold_count: 3}\n",
        "coarse": "coarse: {spacing: 2.0, peaks: 3, tolerance: 3.0, views: 3, support: 0.2, tile: 48, "
        "network: {name: unet, arguments: {widths: [8, 16, 24]}}}\n",
        "coarse_training": f"coarse_training: {{size: {size}, sigma: 1.0, steps: {steps}, batch: {batch}, "
        "rate: 0.01, average: 0.9, validate_every: 20, augmentation: {scale: 0.05, cut: 0.1, mirror: 0}}\n",
        "frame": f"frame: {{spacing: {spacing}, margin: 8.0, window: 5.0, "
        "network: {name: unet, arguments: {widths: [8, 16, 24]}}}\n",
        "frame_training": f"frame_training: {{sigma: 1.2, steps: {steps}, batch: 4, rate: 0.01, "
        "average: 0.9, distance: 0.2, "
        "presence: 0.2, validate_every: 20, "
        "augmentation: {rotation: 5, scale: 0.03, shift: 1.0, cut: 0.1, mirror: 0}}\n",
        "patch": "patch: {spacing: 0.7, size: 16, window: 4.0, "
        "network: {name: unet, arguments: {widths: [8, 16], conditional: true}}}\n",
        "patch_training": f"patch_training: {{sigma: 1.5, steps: {steps}, batch: 16, cases: 4, "
        "accumulate: 2, rate: 0.01, "
        "average: 0.9, distance: 0.2, presence: 0.2, validate_every: 20, "
        "augmentation: {rotation: 5, centre: 1.0, cut: 0.1, absent: 0.1, mirror: 0}}\n",
        "calibration": "calibration: {tolerance: 2.0, trust: 4.0}\n",
        "card": "card: {title: Phantoms, description: Blobs., modality: none, intended_use: Tests., licence: CC0-1.0, "
        "licence_file: LICENSE, credit: A test., training_data: {name: phantoms, citation: none, licence: CC0-1.0}}\n",
    }
    parts.update(changes)
    return "".join(parts.values())
