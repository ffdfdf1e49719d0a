"""What a bundle's detections are systematically off by, learnt from the annotations that it was trained by.

Networks learn from mirrored images too, and from annotations of several origins. So they may place a landmark a little
beside where the annotator by whom they are judged would, each time to the same side. What that is on the average, in
the frame of the mean shape, is taken off every later detection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.bundle import CONFIG
from LandmarkDetectorLib.bundles.calibrated import with_sheet
from LandmarkDetectorLib.bundles.config import make_config
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.bundles.strict_json import to_bytes
from LandmarkDetectorLib.core.similarity import fit_similarity
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.inference.detector import Detector

STAGE = "offsets"
LEAST = 5
"""Cases of which fewer tell no habit from chance."""


def settle(
    bundle: Bundle,
    data: Path | str,
    *,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Bundle:
    """Learn the offsets of a bundle from the cases that trained it and write them into it.

    Args:
        bundle: as training has written it.
        data: the data set that it was trained on; of the cases that trained, those of the origins that are judged
            teach.
        device: as for :class:`Detector`.
        progress: called with ``offsets`` and the fraction that is done.
        cancelled: asked between the steps; when it says yes, :class:`Cancelled` is raised and nothing is written.

    Raises:
        LandmarkDetectorError: an image cannot be read, the device is not there, or the disk refuses.
    """
    split = bundle.split()
    trained, origins = set(split.get("trained", ())), split.get("origins")
    cases = [case for case in read_dataset(data).of_origins(origins).cases if case.subject in trained]
    return with_offsets(bundle, learn_offsets(Detector(bundle, device), cases, progress, cancelled))


def learn_offsets(
    detector: Detector,
    cases: Sequence[Case],
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """What is to be added to the places that a detector finds, (K, d) in view units, in the frame of the mean shape.

    Offsets that the detector has already are part of what is returned.

    Args:
        detector: of the bundle.
        cases: annotated images. A landmark that is off by more than the bundle's tolerance was not found, and counts
            as little as one that nobody annotated; so does an image in which nothing was found, or annotated.
        progress: as for :func:`settle`.
        cancelled: likewise.
    """
    pipeline = detector.pipeline
    before = pipeline.offset_array
    residuals = np.full((len(cases), *before.shape), np.nan)
    for number, case in enumerate(cases):
        if progress is not None:
            progress(STAGE, number / len(cases))
        image = case.image()
        unit = pipeline.unit(image.grid)
        marks, truth = detector.detect(image, cancelled=cancelled).landmarks, case.landmarks.reordered(pipeline.labels)
        if None in (marks.dimension, truth.dimension):
            continue
        found = marks.positions
        away = truth.positions - found
        away[np.linalg.norm(away, axis=1) > pipeline.calibration.tolerance * unit] = np.nan
        to_world = fit_similarity(unit * np.asarray(pipeline.prior.mean), found)[:-1, :-1]
        residuals[number] = away @ np.linalg.inv(to_world).T / unit
    if progress is not None:
        progress(STAGE, 1.0)
    return before + cautious_mean(residuals)


def cautious_mean(residuals: np.ndarray) -> np.ndarray:
    """The mean of residuals (N, K, d) over the cases, (K, d), as if one case more had been seen that is off by nothing.

    NaN does not count; a landmark of which there are fewer than :data:`LEAST` is 0.
    """
    known = np.isfinite(residuals).all(-1)
    count = known.sum(0)[:, None]
    total = np.where(known[..., None], residuals, 0.0).sum(0)
    return np.where(count >= LEAST, total / (count + 1), 0.0)


def with_offsets(bundle: Bundle, offsets: np.ndarray) -> Bundle:
    """A bundle with these offsets (K, d) in the place of its own, written over it; the weights stay byte for byte.

    A calibration that it has was made for other places and is left out.

    Raises:
        BundleError: the disk refuses; the bundle is then as it was.
    """
    pipeline = read_pipeline(bundle.settings, bundle.name)
    settled = pipeline.model_copy(update={"offsets": np.round(offsets, 6).tolist()})
    config = to_bytes(make_config(settled.model_dump(mode="json")), CONFIG)
    return with_sheet(bundle, bundle.folder, None, None, files={CONFIG: config})
