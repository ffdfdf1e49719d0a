"""Judge a bundle on annotated images."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST
from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.cases import UNKNOWN, Case, Dataset, read_dataset
from LandmarkDetectorLib.evaluation import (
    HeadBiometry,
    biometry_errors,
    false_finds,
    head_biometry,
    radial_errors,
    summarise,
)
from LandmarkDetectorLib.inference.detector import Detection, Detector
from LandmarkDetectorLib.io.limits import peak_memory
from LandmarkDetectorLib.io.text_files import read_text

HEAD = ("OFD left", "OFD right", "BPD upper", "BPD lower")
"""A bundle that finds these four is judged by the head's measurements too."""


def evaluate_bundle(
    bundle: Bundle | Detector | str | Path,
    data: Path | str,
    *,
    subjects: str = "held-out",
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    keep: Callable[[Case, LandmarkSet], None] | None = None,
) -> dict[str, Any]:
    """Detect on a data set's images and compare with its landmarks.

    Args:
        bundle: a bundle, its name or its folder, or a detector that is made ready, whose device is its own.
        data: a folder with a ``dataset.json``.
        subjects: ``held-out`` (those that the bundle says did not train and may be judged), ``all`` (also those that
            trained: the figures are then too good), or the path of a text file with one subject a line.
        device: as for :class:`Detector`.
        progress: called with a subject's number and the fraction done.
        keep: called with each case and what was found in it, for a report.

    Returns:
        JSON-ready figures: ``summary`` (see :class:`LandmarkDetectorLib.evaluation.Summary`), ``cases`` (errors of
        each), ``seconds`` (warm, a volume; by part), ``peak_memory_mb`` and, for fetal heads, ``biometry``.

    Raises:
        LandmarkDetectorError: bundle, data or subjects are not usable, or the data have none of the bundle's landmarks.
    """
    detector = bundle if isinstance(bundle, Detector) else Detector(bundle, device)
    dataset = read_dataset(data)
    if not set(detector.pipeline.labels) & set(dataset.labels):
        raise DatasetError(
            f"{dataset.name} has none of the landmarks that {detector.bundle.name} finds; judge it on others, or name "
            "them alike."
        )
    cases = chosen_cases(detector.bundle, dataset, subjects).cases
    _drawn(cases)
    labels = detector.pipeline.labels
    detections, seconds = [], []
    for number, case in enumerate(cases):
        image = case.image()
        if number == 0:
            detector.detect(image)  # the first call pays for what later ones find ready
        start = time.perf_counter()
        detections.append(detector.detect(image))
        seconds.append(time.perf_counter() - start)
        # What cannot be compared is said at the image where that shows, not when hours have gone by.
        _unit_of([detections[0].landmarks, detections[-1].landmarks])
        radial_errors(detections[-1].landmarks, case.landmarks.reordered(labels, UNKNOWN))
        if keep is not None:
            keep(case, detections[-1].landmarks)
        if progress is not None:
            progress(f"image {number + 1} of {len(cases)}", (number + 1) / len(cases))
    return judge(labels, cases, [d.landmarks for d in detections]) | {
        "bundle": detector.bundle.name,
        "version": detector.bundle.version,
        "fingerprint": detector.bundle.fingerprint,
        "dataset": dataset.name,
        "subjects": subjects if subjects in ("held-out", "all") else Path(subjects).name,
        "device": str(detector.plan.device),
        "seconds": _seconds(seconds, detections),
        "peak_memory_mb": round(peak_memory() / 2**20),
    }


def judge(labels: list[str], cases: tuple[Case, ...], found: list[LandmarkSet]) -> dict[str, Any]:
    """``summary``, ``cases`` and, for the landmarks of a head, ``biometry``: found landmarks against annotated ones.

    A case holds each landmark's error and where it was found, in the unit of the summary (LPS where that is mm).
    """
    truths = [case.landmarks.reordered(labels, UNKNOWN) for case in cases]
    errors = np.array([radial_errors(f, t) for f, t in zip(found, truths, strict=True)])
    false = np.array([false_finds(f, t) for f, t in zip(found, truths, strict=True)])
    unit = _unit_of(found)
    subjects = [case.subject for case in cases]
    result: dict[str, Any] = {
        "summary": summarise(errors, labels, unit, false_finds=false, cases=subjects).to_json(),
        "cases": [
            {
                "subject": c.subject,
                "image": c.image_path.name,
                "errors": {lb: _number(e) for lb, e in zip(labels, row, strict=True)},
                "found": {mark.label: _place(mark) for mark in marks.reordered(labels)},
            }
            for c, row, marks in zip(cases, errors, found, strict=True)
        ],
    }
    if set(HEAD) <= set(labels) and unit == "mm":
        result["biometry"] = _biometry(cases, found, truths)
    return result


def _unit_of(found: list[LandmarkSet]) -> str:
    units = sorted({marks.unit for marks in found})
    if len(units) > 1:
        raise DatasetError(
            f"The images are in {' and in '.join(units)}, whose errors have no mean; judge those of one unit alone."
        )
    return units[0]


def head_of(sets: list[LandmarkSet]) -> HeadBiometry:
    """The measurements (N,) of a head from its four landmarks; NaN where one is missing."""
    four = [marks.reordered(HEAD) for marks in sets]
    ends = np.array([marks.positions if marks.dimension == 2 else np.full((4, 2), np.nan) for marks in four])
    return head_biometry(*np.moveaxis(ends, 1, 0))


def _biometry(cases: tuple[Case, ...], found: list[LandmarkSet], truths: list[LandmarkSet]) -> dict[str, Any]:
    mine, theirs = head_of(found), head_of(truths)
    result = {name: _difference(d) for name, d in biometry_errors(mine, theirs).items()}
    ellipse = _drawn(cases)
    if ellipse is not None:
        result["hc_against_drawn_ellipse"] = _difference(
            biometry_errors(mine, type(mine)(mine.bpd, mine.ofd, ellipse))["hc"]
        )
        result["hc_of_annotation_against_drawn_ellipse"] = _difference(
            biometry_errors(theirs, type(theirs)(theirs.bpd, theirs.ofd, ellipse))["hc"]
        )
    return result


def _drawn(cases: tuple[Case, ...]) -> np.ndarray | None:
    """The circumference (N,) of the ellipse that was drawn around each head, where all cases have one."""
    drawn = [case.extra.get("head_circumference_mm") for case in cases]
    odd = next((c for c, v in zip(cases, drawn, strict=True) if not isinstance(v, (int, float, type(None)))), None)
    if odd is not None:
        raise DatasetError(f"The head_circumference_mm of subject {odd.subject} is no number; mend dataset.json.")
    return None if None in drawn else np.array(drawn, dtype=float)


def _difference(difference: Any) -> dict[str, float | None]:
    return {
        "mean_absolute": _plain(difference.mean_absolute),
        "bias": _plain(difference.bias),
        "n": difference.n,
        "not_computed": difference.not_computed,
    }


def _place(mark: Landmark) -> list[float] | None:
    """To a thousandth of the unit: a file of results is read by people too."""
    return None if mark.position is None else [round(float(x), 3) for x in mark.position]


def folds_of(folder: Path) -> list[Path]:
    """The bundles of a cross-validation (``fold-0/NAME``, ``fold-1/NAME``, ...), in order; none in any other folder.

    Raises:
        DatasetError: they are of several models.
    """
    bundles = sorted(file.parent for file in folder.glob(f"fold-*/*/{MANIFEST}"))
    names = sorted({bundle.name for bundle in bundles})
    if len(names) > 1:
        raise DatasetError(
            f"{folder.name}: its folds hold bundles of {len(names)} models ({', '.join(names)}); give each model's "
            "folds a folder of their own."
        )
    return bundles


def held_out(bundle: Bundle, dataset: Dataset) -> Dataset:
    """The cases of a data set that a bundle says it held out of its training, and that may judge it.

    Raises:
        DatasetError: one of them is not there, or none.
    """
    split = bundle.split()
    kept = split.get("held_out", ())
    if not {case.subject for case in dataset.cases} & set(kept):
        raise DatasetError(
            f"{dataset.name} holds none of the subjects that {bundle.name} held out of its training; judge it on all "
            "of them by --subjects all, or on some by a file that lists them."
        )
    return dataset.select(kept).of_origins(split.get("origins"))


def notice_of_training(bundle: Bundle, subjects: Collection[str]) -> list[str]:
    """What must be said where subjects that judge a bundle trained it, or may have; empty where none did."""
    known = bundle.split().get("trained")
    if known is None:
        return [f"{bundle.name} does not say who trained it: of subjects that did, its figures are too good."]
    trained, here = len(set(subjects) & set(known)), counted(len(set(subjects)), "subject")
    return [f"{bundle.name} was trained on {trained} of {here} here: its figures are too good."] if trained else []


def chosen_cases(bundle: Bundle, dataset: Dataset, subjects: str) -> Dataset:
    """The cases that ``subjects`` means; see :func:`evaluate_bundle`.

    Raises:
        DatasetError: there are none, or the file names one that is not there.
        LandmarkFileError: the file is no text.
    """
    if subjects == "all":
        chosen = dataset
    elif subjects == "held-out":
        chosen = held_out(bundle, dataset)
    elif Path(subjects).is_file():
        lines = read_text(Path(subjects)).splitlines()
        chosen = dataset.select(line.strip() for line in lines if line.strip())
    else:
        raise DatasetError(f"--subjects: {subjects!r} is neither held-out, all nor a file of subjects, one a line.")
    if not chosen.cases:
        raise DatasetError(f"{dataset.name}: no case is left to judge by {subjects}; choose other subjects.")
    return chosen


def _seconds(seconds: list[float], detections: list[Detection]) -> dict[str, Any]:
    parts: dict[str, float] = {}
    for detection in detections:
        for name, value in detection.timing.items():
            parts[name] = parts.get(name, 0.0) + value / len(detections)
    networks = parts.get("networks", 0.0)
    other = sum(parts.values()) - networks
    return {
        "median": float(np.median(seconds)),
        "max": float(np.max(seconds)),
        "parts": {name: round(value, 4) for name, value in sorted(parts.items())},
        "other_over_networks": other / networks if networks else None,
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float) -> float | str | None:
    """JSON has no infinity: a landmark that was not found says so."""
    if np.isinf(value):
        return "missed"
    return None if np.isnan(value) else float(value)
