"""The loop of corrections, simulated with the annotations as the person who corrects.

    python benchmarks/corrections_loop.py hippocampus --data hippocampus_mr --output runs/loop --results FILE.json

A first bundle learns from a few cases. Then, again and again: it proposes on the cases of a review store, a batch of
them is reviewed, in the order that the store proposes or in a random one, the bundle is retrained, compared, and
promoted or not. What lies within a tolerance of the annotation is confirmed, what does not is corrected to it. All
bundles are judged on cases that are in no store, and so is one that was trained from scratch on everything.

Where the comparison says "undecided", for there are few locked cases in the beginning, the simulated person promotes
and says so; where it says "worse", nobody does. What is done already is not done again: start it anew to go on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from machine import kept, provenance

from LandmarkDetectorLib.bundles import Bundle, import_bundle, load_bundle
from LandmarkDetectorLib.bundles.store import VARIABLE
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset
from LandmarkDetectorLib.evaluation import radial_errors
from LandmarkDetectorLib.evaluation.confidence import found_first, roc_auc
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.calibrate import Detected
from LandmarkDetectorLib.inference.offsets import settle
from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.review.promote import adopt, promote
from LandmarkDetectorLib.review.retrain import retrain
from LandmarkDetectorLib.training import train
from LandmarkDetectorLib.training.recipe import find_recipe
from LandmarkDetectorLib.training.recipe_file import recipe_content

HERE = Path(__file__).resolve().parent
WHO = "annotation"


@dataclass(frozen=True)
class Setting:
    """What is simulated: start and batch in families, the tolerance in mm within which a landmark is confirmed."""

    recipe: str
    start: int
    batch: int
    tolerance: float
    pool: int
    test: int
    minutes: float


SETTINGS = {
    "hippocampus": Setting(str(HERE / "recipes/hippocampus-small.yaml"), 8, 8, 1.0, 187, 40, 5.0),
    "mouse": Setting("mouse-skull-ct", 4, 3, 0.2, 40, 4, 20.0),
    # Reduced: no patches, so that every network is trained for as long as its recipe asks.
    "mouse-frame": Setting(str(HERE / "recipes/mouse-skull/unet.yaml"), 4, 3, 0.2, 40, 4, 8.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--orders", nargs="*", default=["proposed", "random"])
    parser.add_argument("--pool", type=int, help="families that are corrected, at most")
    parser.add_argument("--test", type=int, help="families that judge")
    parser.add_argument("--minutes", type=float, help="of each retraining")
    parser.add_argument("--scale", type=float, default=1.0, help="of the finest stage's steps, for a reduced run")
    parser.add_argument("--no-scratch", action="store_true", help="train nothing from scratch on everything")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    setting = SETTINGS[options.setting]
    dataset = read_dataset(options.data)
    families = list(dict.fromkeys(case.family for case in dataset.cases))
    order = [families[i] for i in np.random.default_rng(options.seed).permutation(len(families))]
    # Only what was annotated on itself may judge.
    judging = [f for f in order if all(c.origin == "native" for c in dataset.cases if c.family == f)]
    test = judging[: options.test or setting.test]
    rest = [family for family in order if family not in test]
    start, pool = rest[: setting.start], rest[setting.start :][: options.pool or setting.pool]
    work = options.output.absolute()
    recipe = scaled(setting.recipe, work, options.scale)
    os.environ[VARIABLE] = str(work / "bundles")
    parts = {name: cases_of(dataset, group) for name, group in (("test", test), ("start", start), ("pool", pool))}
    folder = subset(options.data, work / "start-data", parts["start"])
    first = trained(recipe, folder, work / "start")
    runs = {
        name: loop(name, first, parts, folder, work / name, setting, options.minutes or setting.minutes, options.seed)
        for name in options.orders
    }
    results = {
        "setting": options.setting,
        "start families": len(start),
        "batch": setting.batch,
        "pool families": len(pool),
        "test families": len(test),
        "confirmed within": setting.tolerance,
        "scale of the finest stage": options.scale,
        "minutes of each retraining": options.minutes or setting.minutes,
        "start": measured(first, parts["test"], setting),
        "runs": runs,
        "provenance": provenance(),
    }
    if not options.no_scratch:
        everything = subset(options.data, work / "all-data", [*parts["start"], *parts["pool"]])
        scratch = measured(trained(recipe, everything, work / "scratch"), parts["test"], setting)
        results["scratch on everything"] = scratch
        for name, rounds in runs.items():
            share = rounds[-1]["in use"]["mean"] / scratch["mean"]
            print(f"{name}: {share:.3f} of the error of a training from scratch on everything")
            results[f"{name}, error over scratch"] = share
    if options.results:
        options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def trained(recipe: Path, data: Path, folder: Path) -> Bundle:
    """The bundle of a recipe; a training that was broken off goes on."""
    return train(recipe, data, folder, resume=True, device="cpu", settle=partial(settle, data=data, device="cpu"))


def loop(
    how: str,
    first: Bundle,
    parts: dict[str, list[Case]],
    rehearsal: Path,
    folder: Path,
    setting: Setting,
    minutes: float,
    seed: int,
) -> list[dict[str, Any]]:
    """All rounds in one order; one that is done is read."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[VARIABLE] = str(folder / "bundles")
    if not (folder / "bundles").exists():
        import_bundle(first.folder)
    store, truths = opened(folder / "store", parts["pool"])
    rng = np.random.default_rng(seed + 1)
    shuffled = [str(case) for case in rng.permutation(sorted(truths))]
    settings = {"minutes": minutes, "seed": seed, "families": len({truth.family for truth in truths.values()})}
    rounds: list[dict[str, Any]] = []

    def one(number: int, batch: list[str]) -> dict[str, Any]:
        current = load_bundle(first.name)
        reviewed = [review(store, case, truths[case], setting.tolerance) for case in batch]
        run = folder / f"run-{number:02d}"
        candidate = retrain(
            current, store, run, data=rehearsal, minutes=minutes, by=WHO, resume=run.exists(), device="cpu"
        ).bundle
        verdict = promote(candidate, store, by=WHO, device="cpu")
        because = ""
        if verdict.promoted is None and verdict.decision.verdict != "worse":
            because = "simulated: the annotations are known to be right"
            adopt(verdict, because=because, by=WHO)
        return {
            "round": number,
            "reviewed": sum(bool(row.reviewed) for row in store.cases()),
            "corrections a case": float(np.mean([one for one, _ in reviewed])),
            "landmarks a case": float(np.mean([all_of for _, all_of in reviewed])),
            "verdict": verdict.decision.verdict,
            "doubts": list(verdict.doubts),
            "reasons": list(verdict.decision.reasons),
            "because": because,
            "candidate": measured(candidate, parts["test"], setting),
            "in use": measured(load_bundle(first.name), parts["test"], setting),
        }

    while True:
        number = len(rounds) + 1
        # A round that was broken off goes on with the cases that it began with.
        plan, file = folder / f"batch-{number:02d}.json", folder / f"round-{number:02d}.json"
        if not plan.is_file():
            batch = chosen(store, truths, load_bundle(first.name), how, shuffled, setting.batch)
            if not batch:
                return rounds
            plan.write_text(json.dumps(batch), encoding="utf-8")
        row = kept(file, settings, partial(one, number, json.loads(plan.read_text(encoding="utf-8"))))
        rounds.append(row)
        print(
            f"{how} {number}: {row['reviewed']} reviewed, {row['corrections a case']:.2f} corrections a case, "
            f"{row['verdict']}, mean {row['in use']['mean']:.3f}",
            flush=True,
        )


def chosen(
    store: ReviewStore, truths: dict[str, Case], bundle: Bundle, how: str, shuffled: list[str], families: int
) -> list[str]:
    """The next cases: whole families, until there are enough; what waits gets proposals of the bundle in use."""
    waiting = [row.case for row in store.cases() if row.waiting or not row.landmarks]
    if not waiting:
        return []
    detector = Detector(bundle, "cpu")
    for case in waiting:
        proposals = store.case(case).proposals()
        if not proposals or proposals[-1].fingerprint != bundle.fingerprint:
            store.add_proposal(case, detector.detect(store.image(case)).landmarks)
    order = (
        [one.case for one in store.next_cases()] if how == "proposed" else [c for c in shuffled if c in set(waiting)]
    )
    picked = list(dict.fromkeys(truths[case].family for case in order))[:families]
    return [case for case in order if truths[case].family in picked]


def review(store: ReviewStore, case: str, truth: Case, tolerance: float) -> tuple[int, int]:
    """Confirm or correct every landmark; how many were corrected, and how many there are."""
    proposed = store.case(case).proposals()[-1].by_label
    said = []
    for mark in truth.landmarks:
        found = proposed[mark.label].position
        if mark.position is None:
            continue
        if found is not None and np.linalg.norm(found - mark.position) <= tolerance:
            said.append(Correction(mark.label, "confirmed", seconds=1.0))
        else:
            said.append(Correction(mark.label, "corrected", mark.position.tolist(), seconds=8.0))
    store.record(case, WHO, *said)
    return sum(one.status == "corrected" for one in said), len(said)


def measured(bundle: Bundle, cases: list[Case], setting: Setting) -> dict[str, float | None]:
    """Errors on the cases of the test, and what the bundle knows of them."""
    detector = Detector(bundle, "cpu")
    labels = list(bundle.labels)
    found: list[LandmarkSet] = [detector.detect(case.image()).landmarks for case in cases]
    truths = [case.landmarks.reordered(labels) for case in cases]
    errors = np.array([radial_errors(f, t) for f, t in zip(found, truths, strict=True)])
    sure = np.array([[0.0 if m.confidence is None else m.confidence for m in f.reordered(labels)] for f in found])
    known = ~np.isnan(errors)
    near = errors[np.isfinite(errors)]
    sheet = bundle.calibration()
    figures = {
        "mean": float(near.mean()),
        "median": float(np.median(near)),
        "p95": float(np.percentile(near, 95)),
        "missed": float(np.isposinf(errors).sum()),
        "needs correction": float((errors[known] > setting.tolerance).mean()),
        "AUC of needs correction": roc_auc(-sure[known], errors[known] > setting.tolerance),
        "large errors found first": found_first(np.where(known, 1 - sure, np.nan).ravel(), errors.ravel()),
    }
    if sheet is not None and sheet.regions is not None:
        radii = np.array([sheet.regions.radii.get(label) or np.inf for label in labels])
        raw = Detected.of(found, truths, [1.0] * len(cases), [c.family for c in cases], labels)
        away = raw.positions - raw.truths
        good = np.isfinite(away).all(-1)
        lengths = np.full(good.shape, np.nan)
        forms = raw.covariances[good]
        lengths[good] = np.sqrt(np.einsum("ni,nij,nj->n", away[good], np.linalg.inv(forms), away[good]))
        figures["held by 90 % regions"] = float((lengths <= radii)[good].mean())
        figures["regions everywhere"] = float(np.isinf(radii).mean())
    return {key: None if not np.isfinite(value) else round(value, 5) for key, value in figures.items()}


def opened(folder: Path, cases: list[Case]) -> tuple[ReviewStore, dict[str, Case]]:
    """The store with all images of the pool, and the annotation of each case."""
    store = ReviewStore.open(folder) if (folder / "review-store.json").is_file() else ReviewStore.create(folder)
    truths = {}
    for case in cases:
        known = store.add_image(case.image_path, spacing=case.spacing, subject=case.subject, family=case.family)
        truths[known] = case
    return store, truths


def cases_of(dataset: Dataset, families: list[str]) -> list[Case]:
    """The cases of some families, in the order of the data set."""
    return [case for case in dataset.cases if case.family in set(families)]


def subset(data: Path, folder: Path, cases: list[Case]) -> Path:
    """A data set of some of the cases of another, whose files it refers to."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    wanted = {case.subject for case in cases}
    entries = []
    for entry in listing["training"]:
        if entry["subject"] in wanted:
            moved = {key: os.path.relpath(data.absolute() / entry[key], folder) for key in ("image", "landmarks")}
            entries.append({**entry, **moved})
    content = {"name": listing["name"], "landmark_labels": listing["landmark_labels"], "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    for name in ("LICENSE", "LICENSE.txt"):
        if (data / name).is_file():
            shutil.copy(data / name, folder / name)
    return folder


def scaled(recipe: str, folder: Path, scale: float) -> Path:
    """The recipe with the steps of its finest stage scaled, all cases training.

    The stages before it stay as they are: where they lose the pose, nothing can be learnt from what comes after.
    """
    content = recipe_content(find_recipe(recipe))
    content["samples"] = []
    content["name"] = f"{content['name']}-loop"
    finest = next(name for name in ("patch", "frame", "image", "coarse") if content.get(f"{name}_training"))
    steps = content[f"{finest}_training"]["steps"]
    content[f"{finest}_training"]["steps"] = max(20, round(scale * steps))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
