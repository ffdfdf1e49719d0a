"""A bundle that is trained in seconds, a store of reviewed phantoms, and what tests do with them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.io import save_image
from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.training import train
from Testing.phantoms import phantom, recipe_text, write_dataset

RECIPE = recipe_text(
    2,
    coarse="image: {spacing: 2.0, size: [32, 32], window: 8.0, tolerance: 8.0, support: 0.1, "
    "network: {name: unet, arguments: {widths: [8, 16, 24]}}}\n",
    coarse_training="image_training: {sigma: 1.2, steps: 40, batch: 4, rate: 0.01, average: 0.9, distance: 0.2, "
    "presence: 0.2, validate_every: 20, augmentation: {rotation: 8, scale: 0.05, shift: 2.0, mirror: 0}}\n",
    frame="",
    frame_training="",
    patch="",
    patch_training="",
    calibration="calibration: {tolerance: 2.0, trust: 4.0, presence: 0.1, surprise: 1000}\n",
)


def small_bundle(folder: Path) -> tuple[Bundle, Path]:
    """A bundle that finds phantoms, one look at the whole image, and its data set."""
    data = folder / "data"
    data.mkdir(parents=True)
    write_dataset(data, 8, 2)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return train(folder / "recipe.yaml", data, folder / "run", device="cpu"), data


def reviewed_store(folder: Path, bundle: Bundle, count: int, seed: int = 50, shift: float = 0.0) -> ReviewStore:
    """A store of phantoms with proposals, all corrected to the truth, or beside it by a shift; the fin of one absent.

    The files' names tell a patient's.
    """
    with patch("LandmarkDetectorLib.review.store.secrets.token_hex", return_value="0" * 64):
        store = ReviewStore.create(folder / "reviews")  # its key decides which cases are locked
    detector, rng = Detector(bundle, "cpu"), np.random.default_rng(seed)
    (folder / "scans").mkdir()
    for number in range(count):
        image, truth = phantom(rng, 2)
        path = folder / "scans" / f"Doe^Jane {number}.mha"
        save_image(image, path)
        case = store.add_image(path, subject=f"Jane Doe {number}")
        store.add_proposal(case, detector.detect(image).landmarks)
        said = [
            Correction(mark.label, "absent")
            if number == 1 and mark.label == "fin"
            else Correction(mark.label, "corrected", (mark.position + [shift, 0.0]).tolist(), seconds=2.0)
            for mark in truth
        ]
        store.record(case, "Dr Roe", *said)
    return store
