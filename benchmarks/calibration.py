"""What a bundle's confidences and regions are worth on images that did not train; with --write, into the bundle.

    python benchmarks/calibration.py fetal-head-us --data DIR --results FILE.json [--write]
    python benchmarks/calibration.py mouse-skull-ct --data DIR --folds PREDICTIONS.json --results FILE.json [--write]

The bundle detects on the subjects that it held out. One half of them, by subject, calibrates; the other half is judged,
and its figures go into the card beside the calibration. Where a half is too few for regions all calibrate, and each
subject is judged by a calibration on all others. A bundle that was trained on everything is calibrated by the
out-of-fold predictions of its recipe's cross-validation, which ``cross_validate.py --predictions`` writes: those are
refused where they are of another version of the recipe than the one in the bundle.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.calibration import INFO
from LandmarkDetectorLib.core import DatasetError, LandmarkSet
from LandmarkDetectorLib.datasets import Dataset, read_dataset
from LandmarkDetectorLib.evaluation.confidence import found_first, reliability, roc_auc
from LandmarkDetectorLib.evaluation.regions import subjects_needed
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.calibrate import LEVEL, Detected, calibrate
from LandmarkDetectorLib.inference.calibrated_bundle import with_calibration
from LandmarkDetectorLib.inference.evaluate import held_out
from LandmarkDetectorLib.inference.protocol import landmarks_from_record

RECIPE = "docs/recipe.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, required=True, help="the data set of the bundle")
    parser.add_argument("--folds", type=Path, help="what cross_validate.py --predictions wrote")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="write the calibration into the bundle")
    options = parser.parse_args()
    detector = Detector(options.bundle, "cpu", calibrated=False)
    data = read_dataset(options.data)
    detected = of_folds(options.folds, data, detector) if options.folds else of_held_out(data, detector)
    tolerance = detector.pipeline.calibration.tolerance
    how = "the out-of-fold predictions of its recipe's cross-validation" if options.folds else "images that it held out"
    test = second_half(detected.subjects)
    names = np.array(detected.subjects)
    fitting, judged = len(set(names[~test])), len(set(names[test]))
    protocol = (
        f"Calibrated by {how}: {int((~test).sum())} images of {fitting} subjects or families; the figures are of "
        f"{int(test.sum())} images of {judged} others."
    )
    if min(fitting, judged) < subjects_needed(LEVEL):
        test = None  # half of them could promise nothing
        protocol = (
            f"Calibrated by {how}: {len(names)} images of {len(set(names))} subjects or families; for the figures each "
            "of these was judged by a calibration on all others."
        )
    calibration = calibrate(detected, tolerance, protocol, test=test)
    content: dict[str, Any] = {
        "bundle": detector.bundle.name,
        "version": detector.bundle.version,
        "tolerance": tolerance,
        "view unit": detector.pipeline.view_unit,
        "sheet": calibration.sheet.model_dump(mode="json"),
        "over many halves": plain(halves(detected, tolerance, options.splits)),
        "provenance": provenance(),
    }
    print(json.dumps({key: value for key, value in content.items() if key != "sheet"}, indent=1))
    print(json.dumps(content["sheet"]["measured"], indent=1))
    if options.results:
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.write:
        bundle = load_bundle(options.bundle)
        part = " of the image's longest side" if detector.pipeline.view_unit == "image" else f" {detected.unit}"
        words = f"{100 * tolerance:g} %{part}" if part.startswith(" of") else f"{tolerance:g}{part}"
        with_calibration(bundle, bundle.folder, calibration, tolerance=words)


def of_held_out(data: Dataset, detector: Detector) -> Detected:
    """What the bundle finds on the images that it held out."""
    cases = held_out(detector.bundle, data).cases
    found: list[LandmarkSet] = []
    units = []
    for case in cases:
        image = case.image()
        units.append(detector.pipeline.unit(image.grid))
        found.append(detector.detect(image).landmarks)
    families = [case.family for case in cases]
    return Detected.of(found, [case.landmarks for case in cases], units, families, detector.pipeline.labels)


def of_folds(file: Path, data: Dataset, detector: Detector) -> Detected:
    """The out-of-fold predictions of a cross-validation, beside the annotations."""
    content = json.loads(file.read_text(encoding="utf-8"))
    rows = content.get("predictions", [])
    if not rows:
        raise DatasetError(f"{file.name} holds no predictions; run cross_validate.py with --predictions.")
    recipe = hashlib.sha256(detector.bundle.read(RECIPE)).hexdigest()
    if content.get("recipe_sha256") != recipe:
        raise DatasetError(
            f"{file.name} is of another recipe, or another version of it, than the one that trained the bundle "
            f"{detector.bundle.name}; cross-validate the recipe in the bundle ({RECIPE})."
        )
    found = [landmarks_from_record(row["found"]) for row in rows]
    if any(INFO in one.info for one in found):
        raise DatasetError(f"{file.name} holds detections that are calibrated already; cross-validate once more.")
    lacking = set(range(content.get("folds", 0))) - {row["fold"] for row in rows}
    if lacking:
        raise DatasetError(f"{file.name} lacks fold {min(lacking)}; cross-validate that one too.")
    known = {(case.subject, case.image_path.name): case.landmarks for case in data.cases}
    strange = next((row for row in rows if (row["subject"], row["image"]) not in known), None)
    if strange is not None:
        raise DatasetError(
            f"{data.name}: there is no {strange['image']} of {strange['subject']}; give the data set of {file.name}."
        )
    truths = [known[row["subject"], row["image"]] for row in rows]
    families = [row["family"] for row in rows]
    return Detected.of(found, truths, [row["unit"] for row in rows], families, detector.pipeline.labels)


def second_half(subjects: tuple[str, ...]) -> np.ndarray:
    """(N,) bool, whether each case is judged; subjects stay together."""
    order = sorted(set(subjects), key=lambda one: hashlib.sha256(one.encode()).hexdigest())
    judged = set(order[(len(order) + 1) // 2 :])
    return np.array([one in judged for one in subjects])


def halves(detected: Detected, tolerance: float, splits: int) -> dict[str, Any]:
    """The same over many random halves of the subjects: what one half says is partly luck."""
    names, rows = sorted(set(detected.subjects)), []
    for number in range(splits):
        first = np.random.default_rng(number).permutation(len(names))[: (len(names) + 1) // 2]
        chosen = {names[i] for i in first}
        test = np.array([one not in chosen for one in detected.subjects])
        sheet = calibrate(detected, tolerance, "a random half", test=test).sheet
        rows.append({key: np.nan if value is None else value for key, value in sheet.measured.items()})
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = np.array([row.get(key, np.nan) for row in rows])
        values = values[np.isfinite(values)]
        if len(values) > 1:
            result[key] = {"mean": float(values.mean()), "sd": float(values.std(ddof=1))}
    known = np.isfinite(detected.errors)
    errors = detected.errors / detected.units[:, None]
    raw = np.where(known, detected.confidence, np.nan)
    limits = (1.0, 1.5, 2.0)
    typical = float(np.median(errors[known]))
    result["by the networks' own belief"] = {
        "area under the ROC curve": reliability(raw, errors, tolerance).auc,
        "largest errors found in the first 20 % of rows": found_first(1 - raw, errors),
        "median error": typical,
        **{f"AUC, beyond {n:g} times the median": roc_auc(-raw[known], errors[known] > n * typical) for n in limits},
    }
    return result


def plain(value: Any) -> Any:
    """What is not a number as ``None``: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    main()
