"""Would other signs than those in use tell better which landmarks are wrong? Measured on what a bundle held out.

    python benchmarks/confidence_signals.py fetal-head-us --data DIR --results FILE.json

Wrong is a landmark whose error is above twice the median. For every sign that is there at detection: how well it tells
wrong from right alone (area under the ROC curve), and how well a logistic model does that has it beside the signs in
use, fitted on one half of the subjects and judged on the other. Intervals are of the judged half, its subjects drawn
anew; the mean over many random halves says how much of a half is luck.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from calibration import plain
from confidence_judging import report
from machine import provenance
from scipy.special import logit

import LandmarkDetectorLib.inference.detector as detecting
import LandmarkDetectorLib.inference.refine as refining
from LandmarkDetectorLib.core.similarity import apply
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.inference import Augmented, Detector
from LandmarkDetectorLib.inference.calibrate import Detected
from LandmarkDetectorLib.inference.decoding import Measurement
from LandmarkDetectorLib.inference.evaluate import held_out

LOOKS = 8
FAR = 0.2
"""In view units: how far off a look counts that finds nothing."""


class Seen:
    """What goes on inside a detector while it looks at one image."""

    def __init__(self) -> None:
        self.looks: list[tuple[np.ndarray, Measurement, np.ndarray]] = []
        self.pose: Any = None
        self.refiner: Any = None


@contextmanager
def watched() -> Iterator[Seen]:
    """Inside, everything that one detection sees is written down."""
    seen, entropies = Seen(), []
    read, coarse, refiner = refining.read_maps, detecting.coarse_pose, detecting.Refiner

    def reading(maps, stage):
        logs = maps.flatten(2)[0].double().log_softmax(-1)
        entropies.append((-(logs.exp() * logs).sum(-1)).cpu().numpy())
        return read(maps, stage)

    def posing(*given):
        seen.pose = coarse(*given)
        return seen.pose

    class Watched(refiner):
        def __init__(self, *given) -> None:
            super().__init__(*given)
            seen.refiner = self

        def look_at_frame(self, pose, plan):
            return self._noted(pose, super().look_at_frame(pose, plan))

        def look_at_patches(self, pose, centres, plan, progress):
            return self._noted(pose, super().look_at_patches(pose, centres, plan, progress))

        def _noted(self, pose, measured):
            seen.looks.append((pose, measured, np.concatenate(entropies)))
            entropies.clear()
            return measured

    refining.read_maps, detecting.coarse_pose, detecting.Refiner = reading, posing, Watched
    try:
        yield seen
    finally:
        refining.read_maps, detecting.coarse_pose, detecting.Refiner = read, coarse, refiner


def signs_of(case: Case, detector: Detector, several: Augmented) -> tuple[Any, float, dict[str, np.ndarray]]:
    """What is found in a case, its view unit, and each sign (K,), larger where it speaks for an error."""
    image, pipeline = case.image(), detector.pipeline
    unit = pipeline.unit(image.grid)
    with watched() as seen:
        found = detector.detect(image).landmarks
    signs = {}
    if seen.looks:
        signs = inside(seen, detector, unit)
    places = [several._seen(several.view(image.grid, 0), found)]
    for number in range(1, LOOKS):
        view = several.view(image.grid, number)
        places.append(several._seen(view, detector.detect(view.of(image)).landmarks))
    d = pipeline.dimension
    nowhere = np.full(d, np.nan)
    stand = np.array([[nowhere if m is None or m.position is None else m.position for m in look] for look in places])
    apart = np.linalg.norm(stand[1:] - stand[0], axis=-1) / unit
    apart = np.where(np.isfinite(apart), apart, FAR)
    signs["mirrored or turned look"] = np.log(apart[0] + 1e-4)
    signs[f"{LOOKS} looks"] = np.log(np.sqrt((apart**2).mean(0)) + 1e-4)
    return found, unit, signs


def inside(seen: Seen, detector: Detector, unit: float) -> dict[str, np.ndarray]:
    """The signs of the one look that a detection takes."""
    pipeline, refiner = detector.pipeline, seen.refiner
    count, d, rule = len(pipeline.labels), pipeline.dimension, pipeline.calibration
    pose, measured, entropy = seen.looks[-1]
    good = refiner.believe(measured)
    joined, _ = refiner.join(measured, good)
    order = pipeline.arrangement(apply(pose, joined))
    deviation = np.sqrt(np.trace(measured.covariances, axis1=1, axis2=2) / d) / unit
    residual = np.linalg.norm(measured.positions - refiner.design @ joined, axis=1) / unit
    kept = np.where(good[:, None], measured.positions, np.nan)
    surprise = refiner.prior.surprise(kept, measured.covariances * rule.covariance, refiner.design, rule.trust)
    presence = np.clip(measured.presence, 1e-4, 1 - 1e-4)
    flat = refiner.turned(np.eye(d + 1), joined)
    shape = (apply(np.linalg.inv(flat), joined) - refiner.prior.mean).ravel()
    spread = refiner.prior.covariance
    spread = spread + 1e-9 * np.trace(spread) * np.eye(len(spread))
    signs = {
        "spread of its map": np.log(deviation[:count]),
        "entropy of its map": entropy[:count],
        "mean entropy of all maps": np.full(count, entropy.mean()),
        "presence of it": -logit(presence[:count]),
        "residual to the shape": np.log(residual[:count] + 1e-4),
        "mean residual to the shape": np.full(count, np.log(np.nanmean(residual) + 1e-4)),
        "surprise to the others": np.log(surprise[:count] + 1e-2),
        "share of maps not believed": np.full(count, 1 - good.mean()),
        "distance of the shape from the mean": np.full(count, np.log(shape @ np.linalg.solve(spread, shape) + 1e-6)),
    }
    before = [apply(place, refiner.join(then, refiner.believe(then))[0]) for place, then, _ in seen.looks]
    if len(before) > 1:
        signs["shift between passes"] = np.log(np.linalg.norm(before[-1] - before[0], axis=1) / unit + 1e-4)
    if seen.pose is not None:
        start = apply(seen.pose.pose, refiner.prior.mean)
        signs["shift from the coarse pose"] = np.log(np.linalg.norm(before[-1] - start, axis=1) / unit + 1e-4)
        signs["support of the coarse pose"] = np.full(count, -seen.pose.support)
    return {name: values[order] for name, values in signs.items()}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--splits", type=int, default=60)
    options = parser.parse_args()
    detector = Detector(options.bundle, "cpu", calibrated=False)
    several = Augmented(detector, LOOKS)
    cases = held_out(detector.bundle, read_dataset(options.data)).cases
    seen = [signs_of(case, detector, several) for case in cases]
    labels = detector.pipeline.labels
    found, units, signs = zip(*seen, strict=True)
    families = [case.family for case in cases]
    detected = Detected.of(found, [case.landmarks for case in cases], units, families, labels)
    names = list(dict.fromkeys(name for one in signs for name in one))
    unseen = np.full(len(labels), np.nan)
    columns = {name: np.array([one.get(name, unseen) for one in signs]) for name in names}
    figures = report(detected, columns, detector.pipeline.calibration.tolerance, options.splits)
    content = {"bundle": detector.bundle.name, "version": detector.bundle.version, **plain(figures)}
    content["provenance"] = provenance()
    print(json.dumps(content, indent=1))
    if options.results:
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
