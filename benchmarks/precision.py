"""How fast networks are in bfloat16 on this processor, and how far landmarks move by it (docs/decisions/0006).

    python benchmarks/precision.py --results FILE.json

Each shipped bundle detects on its own sample, in single precision and in bfloat16, by one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from machine import provenance

from LandmarkDetectorLib.bundles.store import SHIPPED
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.networks import Networks
from LandmarkDetectorLib.io import load_image


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {folder.name: row_of(folder.name) for folder in sorted(SHIPPED.iterdir()) if folder.is_dir()}
    features = {name: yes for name, yes in torch.cpu.get_capabilities().items() if "bf16" in name or "amx" in name}
    content = {"bundles": rows, "processor": features, "provenance": provenance()}
    print(json.dumps(content, indent=1))
    if options.results:
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def row_of(bundle: str) -> dict[str, float | str]:
    """Seconds of the networks, warm, both ways, and how far landmarks move."""
    detector = Detector(bundle, "cpu")
    image = load_image(detector.bundle.samples()[0])
    seconds, places = [], []
    for half in (False, True):
        with patch.object(Networks, "_precision", lambda self, half=half: torch.autocast("cpu", enabled=half)):
            detector.detect(image)
            found = detector.detect(image)
        seconds.append(found.timing["networks"])
        places.append(found.landmarks.positions)
    moved = np.linalg.norm(places[1] - places[0], axis=1)
    return {
        "seconds in single precision": round(seconds[0], 3),
        "seconds in bfloat16": round(seconds[1], 3),
        "moved on the mean": round(float(np.nanmean(moved)), 4),
        "moved at most": round(float(np.nanmax(moved)), 4),
        "unit": image.grid.unit,
    }


if __name__ == "__main__":
    main()
