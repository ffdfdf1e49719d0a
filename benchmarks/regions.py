"""How often regions hold the truth on images that did not train, and how large they are.

    python benchmarks/regions.py fetal-head-us --data DIR --results FILE.json

The bundle detects on the subjects that it held out. These are split many times, by family, into cases that calibrate
and cases that are judged. What is counted is the mean over splits; its spread says how much a single calibration may
be off. Only methods that need positions and covariances are run: the detector fuses its heatmaps with the shape prior
and keeps none of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from machine import provenance

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.evaluation.regions import Predictions, build_region_method, coverage_report, positions_of
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import held_out

METHODS = ("ellipsoidal", "max-nonconformity", "bonferroni", "normal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10, 40, 79], help="families that calibrate")
    parser.add_argument("--levels", type=float, nargs="*", default=[0.9, 0.95])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    detector = Detector(options.bundle, options.device)
    predictions, truths, families = detected(detector, options.data)
    rows = []
    for level in options.levels:
        for joint in (False, True):
            for size in options.sizes:
                for name in METHODS:
                    row = judged(name, predictions, truths, families, level, joint, size, options.splits)
                    rows.append(row)
                    print(
                        f"{level:.2f} {'jointly' if joint else 'singly ':7s} n={size:3d} {name:18s} "
                        f"held {100 * row['held']:5.1f} ± {100 * row['held_sd']:4.1f} %  "
                        f"median {row['median_size']}  mean {row['mean_size']}  everywhere {row['everywhere']:.2f}",
                        flush=True,
                    )
    content = {
        "bundle": detector.bundle.name,
        "version": detector.bundle.version,
        "fingerprint": detector.bundle.fingerprint,
        "cases": len(predictions),
        "families": len(set(families)),
        "landmarks": len(predictions.labels),
        "missed": int((np.isfinite(truths).all(-1) & ~predictions.found).sum()),
        "size_unit": f"{predictions.unit}{'²' if predictions.dimension == 2 else '³'}",
        "splits": options.splits,
        "rows": rows,
        "provenance": provenance(),
    }
    if options.results:
        options.results.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def detected(detector: Detector, data: Path) -> tuple[Predictions, np.ndarray, np.ndarray]:
    """What the bundle finds on the images that it held out, their truths (N, K, D) and their families (N,)."""
    cases = held_out(detector.bundle, read_dataset(data)).cases
    labels = detector.pipeline.labels
    found: list[LandmarkSet] = [detector.detect(case.image()).landmarks for case in cases]
    predictions = Predictions.from_sets(found, labels)
    truths = positions_of([case.landmarks for case in cases], labels)
    return predictions, truths, np.array([case.family for case in cases])


def judged(
    name: str,
    predictions: Predictions,
    truths: np.ndarray,
    families: np.ndarray,
    level: float,
    joint: bool,
    size: int,
    splits: int,
) -> dict:
    """Coverage and size, means over random splits by family."""
    method, names = build_region_method(name), np.unique(families)
    held, means, medians, everywhere = [], [], [], []
    for number in range(splits):
        chosen = np.random.default_rng([number, size]).permutation(names)[:size]
        known = np.isin(families, chosen)
        calibrated = method.calibrate(
            predictions.cases(known), truths[known], level, joint=joint, pooled=joint, subjects=families[known].tolist()
        )
        report = coverage_report(calibrated, predictions.cases(~known), truths[~known])
        held.append((report.cases if joint else report.landmarks).rate)
        everywhere.append(float(np.isinf(calibrated.bounds).any(1).mean()))
        means.append(report.sizes["all"].mean)
        medians.append(report.sizes["all"].median)
    finite = bool(np.isfinite(means).all())
    return {
        "method": name,
        "level": level,
        "joint": joint,
        "families": size,
        "held": float(np.mean(held)),
        "held_sd": float(np.std(held, ddof=1)),
        "mean_size": round(float(np.mean(means)), 2) if finite else None,
        "median_size": round(float(np.mean(medians)), 2) if finite else None,
        "everywhere": float(np.mean(everywhere)),
    }


if __name__ == "__main__":
    main()
