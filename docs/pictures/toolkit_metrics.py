"""Makes the figures of docs/toolkit/metrics.md and docs/toolkit/pictures.md.

    python docs/pictures/toolkit_metrics.py

The errors are those of the cross-validation of mouse-skull-ct, in benchmarks/results; the head is the bundle's sample.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.evaluation import error_figure, figure_png, prediction_figure
from LandmarkDetectorLib.inference.detector import Detector
from LandmarkDetectorLib.io import load_image, load_landmarks

ROOT = Path(__file__).resolve().parents[2]
COVERING = Pillow.Quantize.MAXCOVERAGE  # the few pixels of a colour count as well
BUNDLE = ROOT / "LandmarkDetectorLib" / "bundles" / "shipped" / "mouse-skull-ct"


def metrics() -> bytes:
    """The curve and the landmarks of twenty heads that did not train."""
    results = json.loads((ROOT / "benchmarks" / "results" / "mouse-skull-ct.json").read_text(encoding="utf-8"))
    value = {None: np.nan, "missed": np.inf}
    rows = [case["errors"] for fold in results["folds"] for case in fold["cases"]]
    errors = np.array([[value.get(error, error) for error in row.values()] for row in rows], dtype=float)
    return figure_png(error_figure(errors, list(rows[0]), "mm", radii=(0.1, 0.2, 0.3, 0.5)), 100)


def pictures() -> bytes:
    """What the bundle finds in its sample, beside the annotation."""
    image = load_image(BUNDLE / "samples" / "NU_J.nii.gz")
    truth = load_landmarks(BUNDLE / "samples" / "NU_J.mrk.json")
    found = Detector(load_bundle(BUNDLE), "cpu").detect(image).landmarks
    return figure_png(prediction_figure(image, found, truth.reordered(found.labels)), 90)


def main() -> None:
    """Write both, in 256 colours."""
    for name, picture in (("toolkit_metrics", metrics()), ("toolkit_pictures", pictures())):
        path = ROOT / "docs" / "pictures" / f"{name}.png"
        Pillow.open(io.BytesIO(picture)).convert("RGB").quantize(256, COVERING).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
