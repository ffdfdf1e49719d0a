"""What several looks and several bundles cost and gain, on cases that did not train.

    python benchmarks/ensembles.py --data DATA --runs FOLDS --looks 2 6 --results benchmarks/results/ensembles.json
    python benchmarks/ensembles.py --data DATA --bundle A --bundle B --results benchmarks/results/ensembles.json

``FOLDS`` is what ``benchmarks/cross_validate.py`` wrote: every case is judged by the bundle of the fold that held it
out. Bundles named one by one are judged on the cases that all of them held out, each alone and all as an ensemble; the
bundles of different folds have no such cases. The file of results keeps what stands in it of other data sets.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.evaluation import radial_errors, stand
from LandmarkDetectorLib.inference import Augmented, Detector, Ensemble


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, help="folder with fold-0/NAME, fold-1/NAME, ...")
    parser.add_argument("--bundle", action="append", default=[], help="name or folder; several become an ensemble")
    parser.add_argument("--looks", type=int, nargs="*", default=[2, 6])
    parser.add_argument("--limit", type=int, help="so many cases of each fold only")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    dataset = read_dataset(options.data)
    folds = sorted(options.runs.glob(f"fold-*/*/{MANIFEST}")) if options.runs else []
    groups = [[load_bundle(file.parent)] for file in folds]
    if options.bundle:
        groups.append([load_bundle(name) for name in options.bundle])
    if not groups:
        parser.error("give --runs, --bundle or both")
    rows = [row for bundles in groups for row in judge(bundles, dataset, options)]
    if not rows:
        parser.error("no case was held out by all of the bundles")
    figures = summary(rows, list(groups[0][0].labels))
    content = json.loads(options.results.read_text(encoding="utf-8")) if options.results.is_file() else {}
    names = " + ".join(bundle.name for bundle in groups[0])
    content[f"{dataset.name}: {names}"] = figures | {"provenance": provenance()}
    options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name, row in figures["ways"].items():
        print(
            f"{name:24s} mean {row['mean']:.4f}  p95 {row['p95']:.4f}  missed {row['missed']}  {row['seconds']:.2f} s"
        )


def held_out(bundles: Sequence[Bundle], dataset: Dataset, limit: int | None) -> list[Case]:
    """The cases that none of the bundles was trained on and all may be judged by."""
    splits = [bundle.split() for bundle in bundles]
    subjects = set.intersection(*(set(split["held_out"]) for split in splits))
    origins = set.intersection(*(set(split.get("origins") or {c.origin for c in dataset.cases}) for split in splits))
    cases = [case for case in dataset.cases if case.subject in subjects and case.origin in origins]
    return cases[:limit]


def judge(bundles: Sequence[Bundle], dataset: Dataset, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Errors and seconds of each way, case by case."""
    ways: dict[str, Any] = {}
    for number, bundle in enumerate(bundles):
        ways["one look" if len(bundles) == 1 else f"bundle {number + 1}"] = Detector(bundle, options.device)
    if len(bundles) > 1:
        ways[f"ensemble of {len(bundles)}"] = Ensemble(bundles, options.device)
    name, whole = list(ways.items())[-1]
    before = "" if len(bundles) == 1 else f"{name}, "
    ways |= {f"{before}{looks} looks": Augmented(whole, looks) for looks in options.looks}
    rows: list[dict[str, Any]] = []
    cases = held_out(bundles, dataset, options.limit)
    for number, case in enumerate(cases):
        image, truth = case.image(), case.landmarks.reordered(bundles[0].labels)
        row: dict[str, Any] = {"subject": case.subject, "unit": truth.unit, "ways": {}}
        for name, detector in ways.items():
            if not rows:
                detector.detect(image)  # the first call pays for what later ones find ready
            start = time.perf_counter()
            found = detector.detect(image).landmarks
            row["ways"][name] = radial_errors(found, truth), time.perf_counter() - start
        rows.append(row)
        print(f"{bundles[0].name}: {number + 1} of {len(cases)}", end="\r", flush=True)
    return rows


def summary(rows: Sequence[dict[str, Any]], labels: list[str]) -> dict[str, Any]:
    """Each way's errors and time; its difference from the first, paired."""
    names = list(rows[0]["ways"])
    errors = {name: np.array([row["ways"][name][0] for row in rows]) for name in names}
    standing = stand(errors, labels, rows[0]["unit"], [row["subject"] for row in rows])
    ways = {}
    for name, whole in standing.models.items():
        figures = whole.to_json()
        ways[name] = {key: figures[key] for key in ("mean", "mean_interval", "median", "p95", "max", "missed", "found")}
        ways[name]["seconds"] = float(np.median([row["ways"][name][1] for row in rows]))
    for pair in standing.pairs:
        item = pair.to_json()["overall"]
        ways[pair.names[1]]["difference"] = {
            key: item[key] for key in ("difference", "interval", "p", "p_corrected", "missed_first", "missed_second")
        }
    return {"unit": standing.unit, "cases": len(rows), "subjects": len(set(standing.subjects)), "ways": ways}


if __name__ == "__main__":
    main()
