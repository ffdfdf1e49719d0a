"""The report and the pictures of an evaluation, from the cases that a bundle was judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets.cases import UNKNOWN, Case
from LandmarkDetectorLib.evaluation import bland_altman, false_finds, radial_errors, render_evaluation
from LandmarkDetectorLib.evaluation.metrics import ISBI_RADII
from LandmarkDetectorLib.inference.evaluate import HEAD, head_of, notice_of_training

Judged = Sequence[tuple[Case, LandmarkSet]]
"""Each case and what was found in it, as ``keep`` of :func:`LandmarkDetectorLib.inference.evaluate.evaluate_bundle`."""


def evaluation_page(bundle: Bundle, figures: Mapping[str, Any], judged: Judged) -> str:
    """The report of an evaluation as one HTML page.

    Args:
        bundle: what was judged.
        figures: by :func:`LandmarkDetectorLib.inference.evaluate.evaluate_bundle`.
        judged: the cases; their images are read again where they are shown, one by one.
    """
    labels = list(bundle.labels)
    truths = [case.landmarks.reordered(labels, UNKNOWN) for case, _ in judged]
    found = [landmarks for _, landmarks in judged]
    unit = found[0].unit
    wrong = np.array([false_finds(f, t) for f, t in zip(found, truths, strict=True)])
    measurements = []
    if set(HEAD) <= set(labels) and unit == "mm":
        mine, theirs = head_of(found), head_of(truths)
        names = {"hc": "Head circumference", "bpd": "Biparietal diameter", "ofd": "Occipito-frontal diameter"}
        measurements = [bland_altman(getattr(mine, key), getattr(theirs, key), names[key], "mm") for key in names]
    errors = _errors(labels, judged)
    return render_evaluation(
        errors,
        labels,
        unit,
        [case.subject for case, _ in judged],
        title=f"{bundle.name} {bundle.version} on {figures['dataset']}",
        about={
            "Model": bundle.card.title,
            "Name and version": f"{bundle.name} {bundle.version}",
            "Fingerprint": bundle.fingerprint,
            "Data set": figures["dataset"],
            "Subjects": figures["subjects"],
            "Device": figures["device"],
            "Seconds an image, warm": f"{figures['seconds']['median']:.2f} (median)",
        },
        radii=fitting_radii(errors, unit),
        false_finds=wrong,
        predicted=found,
        truth=truths,
        image_of=lambda row: judged[row][0].image(),
        measurements=measurements,
        notices=notice_of_training(bundle, [case.subject for case, _ in judged]),
    )


def write_pictures(bundle: Bundle, judged: Judged, folder: Path) -> list[Path]:
    """Write the figures of an evaluation and a picture of each case as PNG files, one image after another.

    Raises:
        LandmarkFileError: a file cannot be written.
    """
    from LandmarkDetectorLib.evaluation import error_figure, figure_png, prediction_figure
    from LandmarkDetectorLib.io.atomic import atomic_write
    from LandmarkDetectorLib.io.names import stem_of

    labels = list(bundle.labels)
    written = []

    def write(name: str, figure: Any) -> None:
        with atomic_write(folder / name, "wb") as stream:
            stream.write(figure_png(figure))
        written.append(folder / name)

    folder.mkdir(parents=True, exist_ok=True)
    errors, unit = _errors(labels, judged), judged[0][1].unit
    write("errors.png", error_figure(errors, labels, unit, radii=fitting_radii(errors, unit)))
    for number, (case, found) in enumerate(judged, start=1):
        truth = case.landmarks.reordered(labels, UNKNOWN)
        write(f"{number:04d}-{stem_of(case.image_path)}.png", prediction_figure(case.image(), found, truth))
    return written


def fitting_radii(errors: np.ndarray, unit: str) -> tuple[float, ...]:
    """The radii of ISBI 2015, made for heads of people; a tenth of them where nearly all errors are below the first."""
    found = errors[np.isfinite(errors)]
    small = unit == "mm" and found.size and np.percentile(found, 95) < ISBI_RADII[0] / 2
    return tuple(radius / 10 for radius in ISBI_RADII) if small else ISBI_RADII


def _errors(labels: list[str], judged: Judged) -> np.ndarray:
    return np.array([radial_errors(found, case.landmarks.reordered(labels)) for case, found in judged])
