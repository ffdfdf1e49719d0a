"""What the worker does with a request. Imported after its hello, since this brings torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.manifest import read_manifest
from LandmarkDetectorLib.core import BundleError, Cancelled, Image, LandmarkFileError
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.detector import Detector
from LandmarkDetectorLib.inference.protocol import OBJECT, SYSTEM, TEXTS, landmarks_to_record
from LandmarkDetectorLib.inference.voxel_file import read_mapped

if TYPE_CHECKING:
    from LandmarkDetectorLib.inference.worker import Desk, Request

_MEMORY = "The memory does not suffice for this image; close other programs or take a smaller image."


@dataclass(frozen=True, eq=False)
class _Warm:
    """A detector, and the words by which it was asked for."""

    asked: str
    device: str
    detector: Detector


class Servant:
    """Does one request after the other, and keeps the detector of the last one."""

    def __init__(self) -> None:
        self._warm: _Warm | None = None

    def devices(self) -> list[dict[str, str]]:
        """Where networks can run, with words for a person, the CPU first."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        found = [{"name": "cpu", "label": f"CPU, {cores} core{'s' if cores > 1 else ''}"}]
        for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            about = torch.cuda.get_device_properties(number)
            label = f"{about.name}, {about.total_memory / 2**30:.0f} GB"
            found.append({"name": f"cuda:{number}", "label": label})
        return found

    def do(self, request: Request, desk: Desk) -> None:
        """Do a request and say how it ended. Only a pipe that is closed on the other side raises."""
        desk.answer(request, lambda: getattr(self, f"_{request.command}")(request, desk), _MEMORY)

    def _load(self, request: Request, desk: Desk) -> dict[str, Any]:
        bundle = self._detector_of(request, desk).bundle
        return {"bundle": bundle.name, "version": bundle.version, "fingerprint": bundle.fingerprint}

    def _detect(self, request: Request, desk: Desk) -> dict[str, Any]:
        reference = request.needed("image", OBJECT)
        detector = self._detector_of(request, desk)
        return _answer(self._run(detector, read_mapped(reference), request, desk))

    def _detect_file(self, request: Request, desk: Desk) -> dict[str, Any]:
        from LandmarkDetectorLib.io import load_image
        from LandmarkDetectorLib.io.landmarks import check_landmark_format

        path, outputs = Path(request.needed("image")), [Path(output) for output in request.needed("outputs", TEXTS)]
        coordinates, series = request.said("coordinates", SYSTEM) or "LPS", request.said("series")
        for output in outputs:
            check_landmark_format(output)  # better refused now than after the detection
        detector = self._detector_of(request, desk)
        desk.say("progress", request.number, stage="reading", fraction=0.0)
        start = time.perf_counter()
        image = load_image(path, spacing=request.message.get("spacing"), series=series)
        seconds = time.perf_counter() - start
        detection = self._run(detector, image, request, desk)
        detection.timing["reading"] = seconds
        write_outputs(detection, outputs, coordinates)
        return {**_answer(detection), "outputs": [str(output) for output in outputs]}

    def _run(self, detector: Detector, image: Image, request: Request, desk: Desk) -> Detection:
        def progress(stage: str, fraction: float) -> None:
            desk.say("progress", request.number, stage=stage, fraction=round(fraction, 4))

        return detector.detect(image, progress, request.cancelled)

    def _detector_of(self, request: Request, desk: Desk) -> Detector:
        """The detector that a request asks for: the one that is warm, or a new one."""
        asked, device = request.needed("bundle"), request.said("device") or "auto"
        warm = self._warm
        if warm is not None and (warm.asked, warm.device) == (asked, device) and _is_unchanged(warm.detector):
            return warm.detector
        desk.say("progress", request.number, stage="loading", fraction=0.0)
        bundle = load_bundle(asked)
        if warm is not None and warm.device == device and _is_same(warm.detector.bundle, bundle):
            detector = warm.detector
        else:
            self._warm = warm = None  # before the next one takes memory
            detector = Detector(bundle, device)
        self._warm = _Warm(asked, device, detector)
        if request.cancelled():
            raise Cancelled("Detection was cancelled; nothing was written.")
        return detector


def write_outputs(detection: Detection, outputs: list[Path], coordinates: str) -> None:
    """Write the landmarks to every file, or to none that was not there before.

    Raises:
        LandmarkFileError: a folder that cannot be made or written, a full disk.
    """
    from LandmarkDetectorLib.io import save_landmarks
    from LandmarkDetectorLib.io.atomic import all_or_none

    with all_or_none(outputs):
        for output in outputs:
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LandmarkFileError(
                    f"{output.name}: its folder cannot be made ({error.strerror}); choose another folder."
                ) from error
            save_landmarks(detection.landmarks, output, coordinate_system=coordinates)


def _answer(detection: Detection) -> dict[str, Any]:
    return {
        "landmarks": landmarks_to_record(detection.landmarks),
        "timing": detection.timing,
        "notices": detection.notices,
    }


def _is_same(one: Bundle, other: Bundle) -> bool:
    return (one.folder, one.fingerprint) == (other.folder, other.fingerprint)


def _is_unchanged(detector: Detector) -> bool:
    """Whether the bundle on the disk still is the one in memory, by its manifest; its bytes were verified when read."""
    try:
        return read_manifest(detector.bundle.folder).fingerprint == detector.bundle.fingerprint
    except (BundleError, OSError):
        return False  # loading it says what is wrong
