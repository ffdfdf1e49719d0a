"""Deliberately wrong corrections, after honest ones: are they caught, and is what was learnt from them not promoted?

    python benchmarks/wrong_corrections.py hippocampus --data hippocampus_mr --output runs/wrong --results FILE.json

A bundle is trained on a few cases, honest corrections are learnt and promoted; then a batch comes whose labels are
swapped, or whose positions are 3 mm off, all to one side or each its own way. Wrong corrections are wrong on the locked
side of the split too. An honest batch of the same size stands beside them. What is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corrections_loop import SETTINGS, WHO, cases_of, measured, opened, scaled, subset, trained
from machine import kept, provenance

from LandmarkDetectorLib.bundles import import_bundle, load_bundle
from LandmarkDetectorLib.bundles.store import VARIABLE
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.review.promote import promote
from LandmarkDetectorLib.review.retrain import retrain

SHIFT = 3.0
KINDS = ("honest", "swapped", "shifted together", "shifted each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--honest", type=int, default=16, help="families that are corrected rightly first")
    parser.add_argument("--wrong", type=int, default=8, help="families of the batch that follows")
    parser.add_argument("--test", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the finest stage's steps, for a reduced run")
    options = parser.parse_args()
    setting, dataset, work = SETTINGS[options.setting], read_dataset(options.data), options.output.absolute()
    families = list(dict.fromkeys(case.family for case in dataset.cases))
    order = [families[i] for i in np.random.default_rng(1).permutation(len(families))]
    counts = (setting.start, options.honest, options.wrong, options.test)
    ends = np.cumsum(counts)
    start, honest, wrong, test = (
        cases_of(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)
    )
    folder = subset(options.data, work / "start-data", start)
    first = trained(scaled(setting.recipe, work, options.scale), folder, work / "start")
    base = work / "base"
    os.environ[VARIABLE] = str(base / "bundles")
    if not (base / "done").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        import_bundle(first.folder)
        store, truths = opened(base / "store", honest)
        correct(store, truths, first.name, "honest")
        one = retrain(first.name, store, base / "run", data=folder, minutes=options.minutes, by=WHO, device="cpu")
        promote(one.bundle, store, because="the honest beginning", by=WHO, device="cpu")
        (base / "done").touch()
    settings = {name: getattr(options, name) for name in ("honest", "wrong", "test", "minutes", "scale")}
    rows = {}
    for kind in KINDS:
        make = partial(batch, kind, work, base, wrong, test, folder, first.name, options, setting)
        rows[kind] = kept(work / f"{kind.replace(' ', '-')}.json", settings, make)
    print(json.dumps(rows, indent=1))
    if options.results:
        content = {"setting": options.setting, **settings, "shift in mm": SHIFT, "kinds": rows}
        content["provenance"] = provenance()
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def batch(
    kind: str,
    work: Path,
    base: Path,
    cases: list[Case],
    test: list[Case],
    rehearsal: Path,
    name: str,
    options: argparse.Namespace,
    setting: Any,
) -> dict[str, Any]:
    """A batch of one kind, learnt and compared in a copy of the honest beginning."""
    folder = work / kind.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    os.environ[VARIABLE] = str(folder / "bundles")
    store, truths = opened(folder / "store", cases)
    correct(store, truths, name, kind)
    before = measured(load_bundle(name), test, setting)  # now: a promotion takes its place
    new = retrain(name, store, folder / "run-2", data=rehearsal, minutes=options.minutes, by=WHO, device="cpu").bundle
    promotion = promote(new, store, by=WHO, device="cpu")
    row = {
        "promoted": promotion.promoted is not None,
        "verdict": promotion.decision.verdict,
        "doubts": list(promotion.doubts),
        "reasons": list(promotion.decision.reasons),
        "in use, on the test": before,
        "candidate, on the test": measured(new, test, setting),
    }
    print(f"{kind}: {'promoted' if row['promoted'] else 'not promoted'}, {row['verdict']}", flush=True)
    return row


def correct(store: ReviewStore, truths: dict[str, Case], name: str, kind: str) -> None:
    """Every landmark of every case is placed: at its annotation, or wrongly."""
    detector, rng = Detector(name, "cpu"), np.random.default_rng(2)
    for case, truth in truths.items():
        store.add_proposal(case, detector.detect(store.image(case)).landmarks)
        places = {mark.label: np.array(mark.position) for mark in truth.landmarks if mark.position is not None}
        labels = list(places)
        if kind == "swapped":
            places[labels[0]], places[labels[1]] = places[labels[1]], places[labels[0]]
        elif kind == "shifted together":
            places = {label: place + np.array([SHIFT, 0, 0])[: len(place)] for label, place in places.items()}
        elif kind == "shifted each":
            for label, place in places.items():
                away = rng.normal(size=len(place))
                places[label] = place + SHIFT * away / np.linalg.norm(away)
        store.record(case, WHO, *[Correction(label, "corrected", place.tolist()) for label, place in places.items()])


if __name__ == "__main__":
    main()
