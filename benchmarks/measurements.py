"""How far measurements lie off: of annotated landmarks, which is the floor, and of detected ones.

    python benchmarks/measurements.py --fetal DATA --cephalogram DATA --results FILE.json
    python benchmarks/measurements.py --cephalogram DATA --bundle FOLDER --results FILE.json
    python benchmarks/measurements.py --cephalogram DATA --detections FOLDER --results FILE.json

``--fetal`` is a data set with ``head_circumference_mm`` for each image: the circumference of the ellipse that the
sonographer drew. It is compared with the one of the four annotated landmarks, and with the one of those that the bundle
finds on the subjects that it held out. Of the latter's measurements it is counted how often their intervals hold the
value of the annotated landmarks.

``--cephalogram`` is a data set with two observers: their SNA, SNB and ANB are compared with each other. With a bundle
(run on its own held-out subjects), the folder of a cross-validation or a folder of detections (one file an image,
called like it), the model is compared with the observers and with their mean on the same images; and the observers with
each other on those images too. Parts that are not asked for stay as they are in the file of results.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.evaluation import bland_altman
from LandmarkDetectorLib.evaluation.icc import reliability
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.inference.readers import MEAN, gather_readings
from LandmarkDetectorLib.measure import load_set, measure
from LandmarkDetectorLib.measure.agreement import Agreement, agree

ANGLES = ("SNA", "SNB", "ANB")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetal", type=Path, help="folder of the fetal heads")
    parser.add_argument("--fetal-bundle", default="fetal-head-us")
    parser.add_argument("--cephalogram", type=Path, help="folder of the cephalograms")
    parser.add_argument("--bundle", help="a model of cephalograms: bundle, or folder of a cross-validation")
    parser.add_argument("--detections", help="or a folder of what it found")
    parser.add_argument("--subjects", default="held-out", help="of --bundle: held-out, all, or a file of subjects")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    if not (options.fetal or options.cephalogram):
        parser.error("give --fetal, --cephalogram or both")
    results = json.loads(options.results.read_text(encoding="utf-8")) if options.results.is_file() else {}
    if options.fetal:
        results["fetal head"] = fetal_heads(options) | {"provenance": provenance()}
        print(json.dumps(results["fetal head"], indent=1))
    if options.cephalogram:
        part = results.setdefault("cephalogram", {})
        part["observers"] = observers(options.cephalogram) | {"provenance": provenance()}
        if options.bundle or options.detections:
            part["model"] = model(options) | {"provenance": provenance()}
        print(json.dumps(part, indent=1))
    options.results.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def fetal_heads(options: argparse.Namespace) -> dict[str, Any]:
    """The circumference of annotated landmarks on all images and on the held-out ones; of detected ones on these."""
    dataset = read_dataset(options.fetal)
    bundle = load_bundle(options.fetal_bundle)
    found: dict[tuple[str, str], LandmarkSet] = {}
    evaluate_bundle(
        bundle,
        options.fetal,
        device=options.device,
        keep=lambda case, marks: found.__setitem__((case.subject, case.image_path.name), marks),
    )
    held = [case for case in dataset.cases if (case.subject, case.image_path.name) in found]
    of_model = [found[case.subject, case.image_path.name] for case in held]
    return {
        "what": "head circumference in mm against the ellipse that the sonographer drew",
        "annotated landmarks, all images": against_drawn(dataset.cases, [case.landmarks for case in dataset.cases]),
        "annotated landmarks, held-out images": against_drawn(held, [case.landmarks for case in held]),
        "detected landmarks, held-out images": against_drawn(held, of_model),
        "95 % intervals of detected landmarks hold the annotated value": {
            "calibrated": held_by_intervals(held, of_model),
            "by the networks' own covariances": held_by_intervals(held, [replace(each, info={}) for each in of_model]),
        },
        "bundle": f"{bundle.name} {bundle.version}",
    }


def held_by_intervals(cases: Sequence[Any], marks: Sequence[LandmarkSet]) -> dict[str, float]:
    """In which share of the images each measurement's interval holds the value of the annotated landmarks."""
    inside: dict[str, list[bool]] = {}
    for case, found in zip(cases, marks, strict=True):
        for mine, true in zip(measure(found, "fetal-head"), measure(case.landmarks, "fetal-head"), strict=True):
            if mine.interval is not None and true.value is not None:
                inside.setdefault(mine.name, []).append(mine.interval.holds(true.value))
    return {name: round(float(np.mean(rows)), 3) for name, rows in inside.items()}


def against_drawn(cases: Sequence[Any], marks: Sequence[LandmarkSet]) -> dict[str, Any]:
    """Mean absolute difference, bias and limits of agreement of HC from the drawn one."""
    drawn = np.array([case.extra["head_circumference_mm"] for case in cases], dtype=float)
    mine = np.array([value_of("fetal-head", "HC", each) for each in marks])
    figures = bland_altman(mine, drawn, "HC", "mm")
    return {
        "mean_absolute_mm": round(float(np.abs(figures.differences).mean()), 3),
        "bias_mm": round(figures.bias, 3),
        "limits_mm": [round(figures.lower, 2), round(figures.upper, 2)],
        "icc_2_1": round(reliability(np.stack([mine, drawn], axis=1)).agreement, 5),
        "images": figures.n,
        "subjects": len({case.subject for case in cases}),
        "not_computed": figures.not_computed,
    }


def value_of(name: str, measurement: str, marks: LandmarkSet) -> float:
    """One measurement of one set of landmarks; NaN where it was not computed."""
    result = next(each for each in measure(marks, name) if each.name == measurement)
    return np.nan if result.value is None else result.value


def observers(data: Path) -> dict[str, Any]:
    """The two observers of all images: the floor."""
    names = list(dict.fromkeys(name for case in read_dataset(data).cases for name in case.raters))
    return compared(names, data)


def model(options: argparse.Namespace) -> dict[str, Any]:
    """The model against the observers' mean, and against each of them; the observers on the same images."""
    names = list(dict.fromkeys(name for case in read_dataset(options.cephalogram).cases for name in case.raters))
    reader = str(options.bundle or options.detections)
    return compared([MEAN, reader, *names], options.cephalogram, options.subjects, options.device)


def compared(readers: Sequence[str], data: Path, subjects: str = "held-out", device: str = "auto") -> dict[str, Any]:
    """SNA, SNB and ANB of each pair of readers."""
    readings = gather_readings(readers, data, subjects=subjects, device=device)
    found = agree(readings.readers, readings.labels, readings.subjects, [load_set("steiner")])
    return {
        "readers": dict(readings.about),
        "images": len(readings.subjects),
        "notices": readings.notices,
        "pairs": {f"{b} - {a}": of_pair(found, (a, b)) for a, b in found.pairs},
    }


def of_pair(found: Agreement, pair: tuple[str, str]) -> dict[str, Any]:
    """The three angles and the distances of a pair of readers."""
    mean = found.landmarks[pair].mean
    rows: dict[str, Any] = {"mean_distance_mm": round(float(mean), 3)}
    for item in found.measurements:
        if item.name not in ANGLES:
            continue
        joint, figures = item.correlations[pair], item.pairs[pair]
        row: dict[str, Any] = {
            "mean_absolute_degrees": round(item.mean_absolute(pair), 3),
            "bias": round(figures.bias, 3),
            "bias_interval": [round(end, 3) for end in figures.bias_interval],
            "limits": [round(figures.lower, 2), round(figures.upper, 2)],
            "icc_2_1": round(joint.agreement, 4),
            "icc_2_1_interval": [round(end, 4) for end in joint.agreement_interval],
            "icc_3_1": round(joint.consistency, 4),
            "icc_3_1_interval": [round(end, 4) for end in joint.consistency_interval],
            "n": figures.n,
        }
        if pair in item.classes:
            table = item.classes[pair]
            row["classes"] = {
                "names": list(table.classes),
                f"{pair[0]} in rows, {pair[1]} in columns": table.counts.tolist(),
                "same": round(table.observed, 3),
                "kappa": round(table.kappa, 3),
                "kappa_interval": [round(end, 3) for end in table.interval],
            }
        rows[item.name] = row
    return rows


if __name__ == "__main__":
    main()
