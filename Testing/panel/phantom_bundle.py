"""Phantoms for journeys through the panel, made in a process of their own, since the panel's imports no torch.

``python -m Testing.panel.phantom_bundle FOLDER`` writes a small trained bundle (``run/phantom``), a review store of
phantoms that somebody has corrected (``reviews``), and further images with the truth beside them (``more``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from LandmarkDetectorLib.io import save_image, save_landmarks
from Testing.phantoms import phantom
from Testing.review.small_model import reviewed_store, small_bundle

REVIEWED, MORE, TURN = 10, 8, 0.1


def make(folder: Path) -> None:
    """Write all of it."""
    torch.set_num_threads(1)
    bundle, _ = small_bundle(folder)
    reviewed_store(folder, bundle, REVIEWED)
    rng = np.random.default_rng(77)
    (folder / "more").mkdir()
    for number in range(MORE):
        image, truth = phantom(rng, 2, turn=TURN)
        save_image(image, folder / "more" / f"scan{number}.mha")
        save_landmarks(truth, folder / "more" / f"scan{number}.mrk.json")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
