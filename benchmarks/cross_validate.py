"""Cross-validate a recipe: train each fold, judge it on the families it held out, put the figures together.

    python benchmarks/cross_validate.py mouse-skull-ct --data DIR --output runs/mouse --results FILE.json

A fold that is trained already is only published anew, by the recipe as it stands; an interrupted one goes on from its
checkpoint. Folds that FILE.json holds of the same recipe and that are not asked for by ``--folds`` are kept, so that
folds may be trained one after another, on one machine or several. ``landmark-detector train --results FILE.json``
quotes the figures in the card of the bundle to ship. With ``--predictions FILE`` what each fold's bundle found on the
cases that it held out is kept too, with covariances and confidences as the networks believe them, beside what the file
holds of other folds: ``calibration.py --folds FILE`` calibrates the bundle to ship by them.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from machine import provenance

from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.evaluation import summarise
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.inference.offsets import settle
from LandmarkDetectorLib.inference.protocol import landmarks_to_record
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.publish import recipe_fingerprint
from LandmarkDetectorLib.training.recipe import find_recipe
from LandmarkDetectorLib.training.split import fold_families


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, help="keep what was found on the cases that were held out")
    parser.add_argument("--folds", type=int, nargs="+", help="by default all of the recipe")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    recipe = read_recipe(find_recipe(options.recipe))
    count = len(fold_families(recipe, read_dataset(options.data)))
    predictions: list[dict] = []
    asked = list(range(count)) if options.folds is None else options.folds
    fingerprint = recipe_fingerprint(find_recipe(options.recipe))
    folds = earlier_folds(options.results, fingerprint, asked)
    folds += [run_fold(options, fold, predictions) for fold in asked]
    results = {"recipe": recipe.name, "recipe_sha256": fingerprint}
    results |= gather(sorted(folds, key=lambda fold: fold["fold"]), count)
    options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.predictions:
        predictions += earlier_predictions(options.predictions, fingerprint, asked)
        kept = {"recipe": recipe.name, "recipe_sha256": fingerprint, "folds": count, "predictions": predictions}
        options.predictions.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")
    print(json.dumps(results["card"], indent=1))


def earlier_folds(results: Path, fingerprint: str, asked: list[int]) -> list[dict]:
    """The folds in a file of results that this recipe made and that are not made now."""
    content = earlier(results, fingerprint)
    rows = content.get("folds", [])
    return [{"provenance": content["provenance"]} | fold for fold in rows if fold["fold"] not in asked]


def earlier_predictions(file: Path, fingerprint: str, asked: list[int]) -> list[dict]:
    """What is kept of folds that this recipe made and that are not made now."""
    return [row for row in earlier(file, fingerprint).get("predictions", []) if row["fold"] not in asked]


def earlier(file: Path, fingerprint: str) -> dict:
    """What this recipe has written to a file before; nothing where that is of another state of it."""
    if not file.is_file():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    if content["recipe_sha256"] != fingerprint:
        print(f"{file.name} is of another state of the recipe; what it holds is left out.", file=sys.stderr)
        return {}
    return content


def run_fold(options: argparse.Namespace, fold: int, predictions: list[dict]) -> dict:
    """Figures of one fold, trained as far as it is not; what it found is added to ``predictions``."""
    folder = options.output / f"fold-{fold}"
    bundle = train(
        options.recipe,
        options.data,
        folder,
        fold=fold,
        resume=True,
        device=options.device,
        settle=partial(settle, data=options.data, device=options.device),
        progress=_print(fold),
    )
    pipeline = read_pipeline(bundle.settings, bundle.name)

    def keep(case: Case, found: LandmarkSet) -> None:
        # Codes instead of names would do, but a data set's subjects are not secret, and folds are checked by them.
        unit = 1.0 if pipeline.view_unit == "world" else pipeline.unit(case.image().grid)
        row = {"subject": case.subject, "image": case.image_path.name, "family": case.family, "fold": fold}
        predictions.append(row | {"unit": unit, "found": landmarks_to_record(found)})

    # A fold's bundle may have been calibrated since; what is kept is to calibrate by, and must be uncalibrated itself.
    judged = Detector(bundle, options.device, calibrated=False)
    figures = evaluate_bundle(judged, options.data, keep=keep if options.predictions else None)
    mean, p95 = figures["summary"]["mean"], figures["summary"]["p95"]
    print(f"fold {fold}: " + ("nothing found" if mean is None else f"mean {mean:.4f}, p95 {p95:.4f}"), flush=True)
    curves = {file.stem: curve(file) for file in sorted(folder.glob("*.csv"))}
    seconds = {stage: rows[-1]["seconds"] for stage, rows in curves.items()}
    return figures | {"fold": fold, "training_seconds": seconds, "curves": curves, "provenance": provenance()}


def curve(file: Path) -> list[dict[str, float | None]]:
    """The rows of a stage's curve; ``None`` for what is no number there."""
    with file.open(encoding="utf-8") as lines:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]
    return [{key: value if np.isfinite(value) else None for key, value in row.items()} for row in rows]


def gather(folds: list[dict], count: int) -> dict:
    """One summary over the cases of all folds, and what a card quotes of it."""
    labels = list(folds[0]["cases"][0]["errors"])
    value = {None: np.nan, "missed": np.inf}
    cases = [case for fold in folds for case in fold["cases"]]
    rows = [[value.get(case["errors"][lb], case["errors"][lb]) for lb in labels] for case in cases]
    distances = np.array(rows, dtype=float)
    unit = folds[0]["summary"]["unit"]
    summary = summarise(distances, labels, unit, cases=[case["subject"] for case in cases]).to_json()
    seconds = float(np.median([fold["seconds"]["median"] for fold in folds]))
    extra = {"missed": float(summary["missed"]), "cases": float(len(cases))}
    for name in ("bpd", "ofd", "hc", "hc_against_drawn_ellipse"):
        rows = [fold["biometry"][name] for fold in folds if name in fold.get("biometry", {})]
        rows = [row for row in rows if row["n"]]
        if rows:
            weights = [row["n"] for row in rows]
            extra[f"{name}_mean_absolute_mm"] = float(
                np.average([row["mean_absolute"] for row in rows], weights=weights)
            )
    of = f"{len(cases)} images that did not train, judged by their annotation"
    chosen = ", ".join(str(fold["fold"]) for fold in folds)
    which = "all folds" if len(folds) == count else f"fold {chosen} of {count} (counted from 0)"
    per_landmark = {
        label: {"mean": row["mean"], "p95": row["p95"], "n": row["n"]}
        for label, row in summary["per_landmark"].items()
        if row["n"]  # of a landmark that was never found there is no error, and a card takes none
    }
    errors = {
        "protocol": f"Cross-validation by family, {which}: {of}.",
        "mean": summary["mean"],
        "median": summary["median"],
        "p95": summary["p95"],
        "per_landmark": per_landmark,
        "unit": unit,
        "extra": extra,
    }
    return {
        "card": {
            "errors": errors if summary["found"] else None,
            "figures": {"seconds an image, warm": round(seconds, 3), "measured on": provenance()["machine"]},
        },
        "summary": summary,
        "provenance": provenance(),
        "folds": folds,
    }


def _print(fold: int):
    last = [0.0]

    def progress(stage: str, fraction: float) -> None:
        if time.monotonic() - last[0] > 60 or fraction == 1:
            last[0] = time.monotonic()
            print(f"fold {fold}: {stage} {100 * fraction:.0f} %", file=sys.stderr, flush=True)

    return progress


if __name__ == "__main__":
    main()
