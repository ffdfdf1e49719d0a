"""Several bundles of the same landmarks as one detector: the folds of a cross-validation, or different networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import BundleError, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.inference.combine import combine, restated
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.detector import Detector, Progress, as_dimension


class Finds(Protocol):
    """A detector, an ensemble, or one of them with augmentation: all have one door."""

    @property
    def bundle(self) -> Bundle:
        """The bundle, or the first of several."""

    @property
    def pipeline(self) -> Pipeline:
        """Its numbers: labels, mirror partners, order, tolerance."""

    def detect(
        self, image: Image, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Detection:
        """As :meth:`LandmarkDetectorLib.inference.Detector.detect`."""


class Ensemble:
    """Bundles that find the same landmarks, asked one after another and joined by :func:`.combine.combine`.

    Args:
        bundles: two or more, or their names or folders. Landmarks are paired by label; the first gives their order.
        device: as for :class:`Detector`.
        engine: as for :class:`Detector`.

    Raises:
        BundleError: a bundle is not usable, or they find different landmarks or want different images.
        DeviceError: the device is not there.
    """

    def __init__(self, bundles: Sequence[Bundle | str | Path], device: str = "auto", engine: str = "torch") -> None:
        if not bundles:
            raise BundleError("An ensemble of no bundles finds nothing; give at least one.")
        self.members = [Detector(bundle, device, engine) for bundle in bundles]
        if len(bundles) > 1:
            self.members = [member.uncalibrated() for member in self.members]
        first = self.members[0]
        self.bundle, self.pipeline = first.bundle, first.pipeline
        for member in self.members[1:]:
            _check_fit(first, member)

    @property
    def plan(self):
        """The memory plan of the first member, which names the device."""
        return self.members[0].plan

    def detect(
        self, image: Image, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Detection:
        """Find the landmarks of one image; arguments, result and errors are those of :meth:`Detector.detect`.

        The notices are those of all members, each once.
        """
        flat, lift = as_dimension(image, self.pipeline, self.bundle.name)
        found = [
            member.detect(flat, share(progress, number, len(self.members)), cancelled)
            for number, member in enumerate(self.members)
        ]
        length = tolerance(self.pipeline, flat)
        looks = []
        for member, detection in zip(self.members, found, strict=True):
            own = tolerance(member.pipeline, flat)
            seen = detection.landmarks.reordered(self.pipeline.labels)
            looks.append([restated(mark, own, length) for mark in seen])
        marks = in_order(combine(looks, length), self.pipeline)
        infos = [dict(detection.landmarks.info) for detection in found]
        info: dict[str, Any] = {
            key: ", ".join(dict.fromkeys(str(each[key]) for each in infos)) for key in ("bundle", "version")
        }
        info["fingerprint"] = ", ".join(str(each["fingerprint"]) for each in infos)
        landmarks = LandmarkSet(tuple(lift(mark) for mark in marks), found[0].landmarks.unit, image.name, info)
        return Detection(landmarks, timing(found), notices(found, marks))


def share(progress: Progress | None, number: int, count: int) -> Progress | None:
    """A member's progress as its share of the whole."""
    if progress is None:
        return None

    def tell(stage: str, fraction: float) -> None:
        if stage == "done" and number < count - 1:
            stage = "next look"
        progress(stage if count == 1 else f"{stage}, {number + 1} of {count}", (number + fraction) / count)

    return tell


def timing(found: Sequence[Detection]) -> dict[str, float]:
    """Seconds of all looks together, by part."""
    total: dict[str, float] = {}
    for detection in found:
        for name, seconds in detection.timing.items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def notices(found: Sequence[Detection], marks: Sequence[Landmark]) -> list[str]:
    """What all looks said, each sentence once; of looks that found nothing only how many, where others did."""
    empty = [all(mark.position is None for mark in each.landmarks) for each in found]
    anything = any(mark.position is not None for mark in marks)
    said = [each.notices for each, nothing in zip(found, empty, strict=True) if not (nothing and anything)]
    sentences = list(dict.fromkeys(sentence for each in said for sentence in each))
    if anything and any(empty):
        sentences.append(f"{sum(empty)} of {len(found)} looks found nothing at all: review every landmark with care.")
    return sentences


def tolerance(pipeline: Pipeline, image: Image) -> float:
    """The distance that a confidence speaks of, in the image's unit."""
    return pipeline.calibration.tolerance * pipeline.unit(image.grid)


def in_order(marks: Sequence[Landmark], pipeline: Pipeline) -> list[Landmark]:
    """Landmarks that only their place tells apart, each under the label of its place in this world."""
    positions = np.array([np.full(pipeline.dimension, np.nan) if m.position is None else m.position for m in marks])
    places = pipeline.arrangement(positions)
    return [replace(marks[place], label=label) for place, label in zip(places, pipeline.labels, strict=True)]


def _check_fit(first: Detector, other: Detector) -> None:
    ours, theirs = first.pipeline, other.pipeline
    names = f"{first.bundle.name} {first.bundle.version} and {other.bundle.name} {other.bundle.version}"
    if set(ours.labels) != set(theirs.labels):
        label = sorted(set(ours.labels) ^ set(theirs.labels))[0]
        raise BundleError(f"{names} find different landmarks ({label!r} is in one of them); give bundles of the same.")
    if (ours.dimension, ours.channels) != (theirs.dimension, theirs.channels):
        raise BundleError(f"{names} are for images of different dimension or channels; give bundles of the same.")
