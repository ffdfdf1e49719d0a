"""The detector: an image in, landmarks out."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import chdtr

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.appearance import differences
from LandmarkDetectorLib.bundles.calibration import regions_info
from LandmarkDetectorLib.bundles.pipeline import Pipeline, read_pipeline
from LandmarkDetectorLib.core import Cancelled, DeviceError, Grid, Image, ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.core.similarity import apply
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.datasets.sampling import Pyramid
from LandmarkDetectorLib.inference.calibrate import MAP_SPREAD, model_of
from LandmarkDetectorLib.inference.coarse import coarse_pose
from LandmarkDetectorLib.inference.decoding import Measurement
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.image_look import Look, look_at_image
from LandmarkDetectorLib.inference.memory import MemoryPlan, first_plan, run_within_memory
from LandmarkDetectorLib.inference.networks import Networks, torch_networks
from LandmarkDetectorLib.inference.refine import Refiner
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models import RobustPose, ShapePrior
from LandmarkDetectorLib.models.allocator import keep_freed_memory
from LandmarkDetectorLib.models.threads import one_blas_thread

Progress = Callable[[str, float], None]
ENGINES = ("torch", "onnx")


class Detector:
    """A bundle made ready; call :meth:`detect` as often as you like.

    Args:
        bundle: a bundle, or its name or folder.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        engine: what runs the networks: ``torch``, or ``onnx`` for onnxruntime, by the graphs that the bundle was
            exported with; of a bundle without any they are made now, which takes some seconds a network.
        calibrated: say confidences and regions as the bundle's calibration has them, where it has one; else they are
            what the networks believe.

    Raises:
        BundleError: the bundle is not there, was altered, or does not fit this version.
        DeviceError: the device is not there, or no such engine, or a package that the engine needs.
    """

    def __init__(
        self, bundle: Bundle | str | Path, device: str = "auto", engine: str = "torch", calibrated: bool = True
    ) -> None:
        if engine not in ENGINES:
            raise DeviceError(f"There is no engine {engine!r}; choose one of {', '.join(ENGINES)}.")
        keep_freed_memory()
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self.pipeline = read_pipeline(self.bundle.settings, self.bundle.name)
        self.sheet = self.bundle.calibration() if calibrated else None
        self.problem = self.bundle.calibration_problem() if calibrated else ""
        if engine == "onnx":
            from LandmarkDetectorLib.inference.onnx_engine import onnx_device, onnx_networks

            self.plan = first_plan(onnx_device(device), self.pipeline.dimension)
            self.networks = Networks(onnx_networks(self.bundle, self.pipeline))
        else:
            self.plan = first_plan(device, self.pipeline.dimension)
            self.networks = Networks(torch_networks(self.pipeline, self.bundle.state_dict()))

    def uncalibrated(self) -> Detector:
        """The same detector, whose confidences are what the networks believe; it shares the networks and says so."""
        other = copy(self)
        other.sheet, other.problem = None, ""
        if self.sheet is not None:
            other.problem = (
                f"The calibration of {self.bundle.name} holds for one look by one bundle; the confidences of several "
                "are what the networks believe, and their rings promise nothing."
            )
        return other

    def detect(
        self, image: Image, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Detection:
        """Find the landmarks of one image.

        Args:
            image: 2D or 3D, as the bundle asks; a volume of one slice serves a 2D bundle.
            progress: called with a stage's name and the fraction of the whole that is done.
            cancelled: asked between the steps; when it says yes, :class:`Cancelled` is raised.

        Returns:
            Every landmark of the bundle, in its order, in LPS world coordinates of the image's unit; ``missing`` where
            it was not found.

        Raises:
            ImageError: the image is not of the bundle's dimension or channels, or beyond all proportion to its shape.
            DeviceError: memory does not suffice for even the smallest step.
            Cancelled: on request.
        """
        watch = Stopwatch()
        notices: list[str] = [self.problem] if self.problem else []
        flat, lift = as_dimension(image, self.pipeline, self.bundle.name)
        with watch("other"):
            notices += differences(flat, self.pipeline.appearance)

        def step(stage: str, fraction: float) -> None:
            if cancelled is not None and cancelled():
                raise Cancelled(f"{image.name}: detection was cancelled; nothing was written.")
            if progress is not None:
                progress(stage, fraction)

        with watch("other"), one_blas_thread():
            (found, shown), plan = run_within_memory(
                self.plan, lambda plan: self._find(flat, plan, watch, step, notices), notices.append
            )
            self.plan = plan
            landmarks = [lift(mark) for mark in found]
        if flat.grid.unit == "px":
            notices.append(f"{image.name} has no physical scale: positions are in pixels.")
        info: dict[str, Any] = {
            "bundle": self.bundle.name,
            "version": self.bundle.version,
            "fingerprint": self.bundle.fingerprint,
            **regions_info(self.sheet),
        }
        if shown is not None:
            info[MAP_SPREAD] = shown
        step("done", 1.0)
        return Detection(LandmarkSet(tuple(landmarks), flat.grid.unit, image.name, info), watch.seconds, notices)

    def _find(
        self, image: Image, plan: MemoryPlan, watch: Stopwatch, step: Progress, notices: list[str]
    ) -> tuple[list[Landmark], float | None]:
        pipeline = self.pipeline
        self.networks.to(plan.device)
        if _is_constant(image.array):
            notices.append(f"{image.name}: nothing was found, for all of its values are the same.")
            return [Landmark(label, status="missing") for label in pipeline.labels], None
        unit = pipeline.unit(image.grid)
        prior = pipeline.shape_prior(unit)
        step("coarse" if pipeline.image is None else "image", 0.0)
        with watch("sampling"):
            pyramid = Pyramid(image, Intensity(pipeline.intensity.window, pipeline.intensity.quantiles))
        found: RobustPose | Look | None
        if pipeline.image is None:
            listen = partial(_report, step, "coarse", 0.0, 0.2)
            found = coarse_pose(pyramid, pipeline, prior, self.networks, plan, watch, listen, image.name)
        else:
            found = look_at_image(pyramid, pipeline, prior, self.networks, plan, watch, image.name)
        if found is None:
            notices.append(f"{image.name}: nothing was found that looks like what the bundle was trained on.")
            return [Landmark(label, status="missing") for label in pipeline.labels], None
        with watch("sampling"):
            pyramid = pyramid.around(_region(pipeline, prior, found.pose, unit))
        refiner = Refiner(pyramid, pipeline, prior, self.networks, watch, unit)
        pose, centres = found.pose, prior.mean
        measured: list[Measurement] = []
        if isinstance(found, Look):
            measured = [found.seen]
            with watch("shape"):
                centres, _ = refiner.join(found.seen, refiner.believe(found.seen))
        if pipeline.frame is not None:
            for _ in range(pipeline.frame.passes):
                step("frame", 0.2)
                seen = refiner.look_at_frame(pose, plan)
                with watch("shape"):
                    centres, _ = refiner.join(seen, refiner.believe(seen))
                    change = refiner.turned(pose, centres)
                    pose, centres = pose @ change, apply(np.linalg.inv(change), centres)
            measured = [_moved(seen, change)]
        if pipeline.patch is not None:
            measured = []
            for number in range(pipeline.patch.passes):
                share = 0.6 / pipeline.patch.passes
                listen = partial(_report, step, "patches", 0.4 + share * number, share)
                seen = refiner.look_at_patches(pose, pipeline.design @ centres, plan, listen)
                measured.append(seen)
                with watch("shape"):
                    centres, _ = refiner.join(seen, refiner.believe(seen))
        with watch("shape"):
            marks, shown = self._landmarks(refiner, _mean(measured), pose, image.grid)
        if all(mark.status == "missing" for mark in marks):
            notices.append(
                f"{image.name}: no landmark is sure enough to be shown; see whether the image is of the kind that the "
                "bundle was made for."
            )
        return marks, shown

    def _landmarks(
        self, refiner: Refiner, measured: Measurement, pose: np.ndarray, grid: Grid
    ) -> tuple[list[Landmark], float]:
        """The landmarks, and the mean deviation of all maps, as if the shape were of its mean size."""
        pipeline, rule = self.pipeline, self.pipeline.calibration
        good = refiner.believe(measured)
        positions, covariances = refiner.join(measured, good)
        if pipeline.offsets is not None:
            turn = refiner.turned(pose, positions)[:-1, :-1]
            positions = positions + refiner.unit * pipeline.offset_array @ turn.T
        linear = pose[:-1, :-1]
        world = apply(pose, positions)
        places = pipeline.arrangement(world)
        world, spread = world[places], (linear @ covariances @ linear.T)[places]
        support, presence = self._support(good)[places], measured.presence[places]
        inside = grid.contains(world)
        d, tolerance = pipeline.dimension, rule.tolerance * refiner.unit
        deviations = np.sqrt(np.trace(measured.covariances, axis1=1, axis2=2) / d)
        shown = float(deviations.mean())
        marks = []
        for k, label in enumerate(pipeline.labels):
            if not (support[k] and inside[k]):
                marks.append(Landmark(label, status="missing"))
                continue
            variance = np.trace(spread[k]) / d
            confidence = float(presence[k] * chdtr(d, tolerance**2 / max(variance, 1e-12)))
            if self.sheet is not None and self.sheet.confidence is not None:
                length = self.sheet.confidence.tolerance * refiner.unit
                model = model_of(self.sheet.confidence)
                confidence = float(model([label], [confidence], [variance**0.5], length, shown)[0])
            marks.append(Landmark(label, world[k], "defined", confidence, spread[k]))
        return marks, shown

    def _support(self, good: np.ndarray) -> np.ndarray:
        """Whether enough of what an annotated landmark (K,) is measured by is believed.

        Its own map must be; where auxiliary landmarks stand for the same shape, they may stand in for it.
        """
        count = len(self.pipeline.labels)
        if not self.pipeline.auxiliary:
            return good[:count]
        return np.full(count, good.mean() >= 0.5)


def detect(image: Image, bundle: Bundle | str | Path, device: str = "auto", engine: str = "torch") -> LandmarkSet:
    """Find the landmarks of one image by a bundle; for many images keep a :class:`Detector`.

    Raises:
        LandmarkDetectorError: as :class:`Detector` and :meth:`Detector.detect` say.
    """
    return Detector(bundle, device, engine).detect(image).landmarks


def _is_constant(array: np.ndarray) -> bool:
    """Whether an image has one value only; a few voxels tell in all other cases."""
    first = array.flat[0]
    few = array[tuple(slice(None, None, max(1, n // 16)) for n in array.shape)]
    return bool((few == first).all() and (array == first).all())


def _report(step: Progress, stage: str, base: float, share: float, fraction: float) -> None:
    step(stage, base + share * fraction)


def _region(pipeline: Pipeline, prior: ShapePrior, pose: np.ndarray, unit: float) -> np.ndarray:
    """Corners in the world of all that the stages after the pose can look at, (2^d, d)."""
    reach = max(
        (pipeline.frame.margin if pipeline.frame else 0.0) * unit,
        (pipeline.patch.size * pipeline.patch.spacing if pipeline.patch else 0.0) * unit,
    )
    low, high = prior.mean.min(0) - 2 * reach, prior.mean.max(0) + 2 * reach
    d = prior.dimension
    return apply(pose, np.array([[(low, high)[n >> axis & 1][axis] for axis in range(d)] for n in range(2**d)]))


def _moved(measured: Measurement, change: np.ndarray) -> Measurement:
    """A measurement in the canonical frame after the frame has changed."""
    back = np.linalg.inv(change)
    turn = back[:-1, :-1]
    return replace(
        measured, positions=apply(back, measured.positions), covariances=turn @ measured.covariances @ turn.T
    )


def _mean(measured: list[Measurement]) -> Measurement:
    """The mean of several looks at the same landmarks; one that saw no place for a landmark has no say in it."""
    positions = np.array([m.positions for m in measured])
    seen = np.isfinite(positions).all(-1)
    say = np.where(seen.any(0), seen, 1.0)
    say = (say / say.sum(0))[..., None]
    return Measurement(
        (say * np.where(say > 0, positions, 0.0)).sum(0),
        (say[..., None] * np.array([m.covariances for m in measured])).sum(0),
        np.mean([m.presence for m in measured], axis=0),
    )


def as_dimension(image: Image, pipeline: Pipeline, name: str) -> tuple[Image, Callable[[Landmark], Landmark]]:
    """The image as the bundle wants it, and how its landmarks get back into the image's world."""
    if not isinstance(image, Image):
        raise ImageError(f"{type(image).__name__} is no Image; read a file by load_image, or give Image(array, grid).")
    if pipeline.channels == 1 < image.channels and (image.array[1:] == image.array[:1]).all():
        image = replace(image, array=image.array[:1])  # a grey picture that was saved as a coloured one
    if image.channels != pipeline.channels:
        raise ImageError(
            f"{image.name} has {image.channels} channels and the bundle {name} wants {pipeline.channels}; "
            "convert the image."
        )
    if image.dimension == pipeline.dimension:
        return image, lambda mark: mark
    if image.dimension == 3 and image.grid.size[2] == 1:
        grid = image.grid
        plane = Grid(grid.size[:2], grid.spacing[:2], (0.0, 0.0), np.eye(2), grid.unit)
        axes = grid.direction[:, :2]

        def lift(mark: Landmark) -> Landmark:
            if mark.position is None:
                return mark
            covariance = None if mark.covariance is None else axes @ mark.covariance @ axes.T
            return replace(mark, position=axes @ mark.position + np.asarray(grid.origin), covariance=covariance)

        return Image(image.array[:, 0], plane, image.name), lift
    raise ImageError(
        f"{image.name} is {image.dimension}D and the bundle {name} is for {pipeline.dimension}D images; "
        "choose another bundle."
    )
