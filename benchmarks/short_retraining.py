"""What a short retraining does to a bundle: corrections of a few new subjects in, errors on others before and after.

    python benchmarks/short_retraining.py --bundle runs/mouse/fold-0/mouse-skull-ct --data mouse_skull_ct \\
        --output runs/short --minutes 20 --results FILE.json

The bundle is one that ``cross_validate.py`` has trained. Of the families that it held out every second one is corrected
to its annotation and learnt from, beside what trained it; the others judge the bundle before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from corrections_loop import WHO, opened, review
from machine import provenance

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.store import VARIABLE
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.evaluation import radial_errors
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import held_out
from LandmarkDetectorLib.review.retrain import retrain


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="a fold's bundle")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--tolerance", type=float, default=0.2, help="within which a landmark is confirmed, in mm")
    parser.add_argument("--others", action="store_true", help="let the other half of the families be corrected")
    options = parser.parse_args()
    os.environ[VARIABLE] = str(options.output.absolute() / "bundles")
    bundle = load_bundle(options.bundle)
    cases = held_out(bundle, read_dataset(options.data)).cases
    families = list(dict.fromkeys(case.family for case in cases))
    learnt = set(families[1::2] if options.others else families[::2])
    store, truths = opened(options.output / "store", [case for case in cases if case.family in learnt])
    detector = Detector(bundle, "cpu")
    for case, truth in truths.items():
        store.add_proposal(case, detector.detect(store.image(case)).landmarks)
        review(store, case, truth, options.tolerance)
    started = time.monotonic()
    candidate = retrain(
        bundle, store, options.output / "run", data=options.data, minutes=options.minutes, by=WHO, device="cpu"
    )
    took = (time.monotonic() - started) / 60
    test = [case for case in cases if case.family not in learnt]
    rows = {name: errors_of(one, test) for name, one in (("before", bundle), ("after", candidate.bundle))}
    content = {
        "bundle": f"{bundle.name} {bundle.version}, {options.bundle.parent.name}",
        "corrected families": sorted(learnt),
        "rehearsed": candidate.tuned.plan.rehearsed,
        "steps": dict(candidate.tuned.plan.steps),
        "minutes that it took": round(took, 1),
        "judged": {
            case.subject: {name: round(float(np.nanmean(row[number])), 4) for name, row in rows.items()}
            for number, case in enumerate(test)
        },
        "mean": {name: round(float(np.nanmean(row)), 4) for name, row in rows.items()},
        "95th percentile": {name: round(float(np.nanpercentile(row, 95)), 4) for name, row in rows.items()},
        "provenance": provenance(),
    }
    print(json.dumps(content, indent=1))
    if options.results:
        options.results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def errors_of(bundle: Bundle, cases: list[Case]) -> np.ndarray:
    """(N, K) distances from the annotation; inf where a landmark was missed."""
    detector = Detector(bundle, "cpu")
    labels = list(bundle.labels)
    return np.array(
        [radial_errors(detector.detect(case.image()).landmarks, case.landmarks.reordered(labels)) for case in cases]
    )


if __name__ == "__main__":
    main()
