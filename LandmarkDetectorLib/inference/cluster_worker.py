"""What a worker of a cluster does: read an image that it sees itself, find the landmarks, write the files.

What travels is small: paths to it; a status, two counts and sentences back. Imported on the workers by name; brings
torch only when the first image is at hand.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import BundleError, Cancelled, DeviceError, LandmarkDetectorError
from LandmarkDetectorLib.inference.failures import failure
from LandmarkDetectorLib.io.notices import gathered


@dataclass(frozen=True)
class Order:
    """What is asked for, the same for every image of a batch.

    Args:
        token: of this batch, a random word.
        bundles: names of installed bundles, or folders that the workers see.
        fingerprints: of these bundles, as whoever asks has them.
        folders: that every worker must see.
        augment: how many looks at each image.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        engine: what runs the networks; see :class:`.detector.Detector`.
        spacing: millimetres of a pixel, one number for all axes or one for each, where a file says none.
        coordinates: ``LPS`` or ``RAS``, of the files that are written.
        threads: of the networks on a CPU, where somebody says.
    """

    token: str
    bundles: tuple[str, ...]
    fingerprints: tuple[str, ...]
    folders: tuple[str, ...] = ()
    augment: int = 1
    device: str = "auto"
    engine: str = "torch"
    spacing: tuple[float, ...] | None = None
    coordinates: str = "LPS"
    threads: int | None = None


class _Lost(LandmarkDetectorError):
    """No image can be done here, whichever it is."""


_ONE_AT_A_TIME = threading.Lock()
_stopped: set[str] = set()
_warm: tuple[tuple[Any, ...], Any] | None = None


def dask_setup(worker: Any) -> None:
    """Called by Dask in each process of a local cluster: Ctrl-C, which comes to all of them, is for the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def look_around(order: Order, dask_worker: Any = None) -> dict[str, Any]:
    """What this worker is, and one sentence about what it lacks, if it lacks anything.

    Args:
        order: what will be asked of it.
        dask_worker: given by Dask.
    """
    return {
        "name": str(getattr(dask_worker, "name", "")),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "gpus": _gpus(),
        "trouble": _trouble(order),
    }


def stop(token: str) -> None:
    """End the work for this batch at the next step, and begin none."""
    _stopped.add(token)


def detect_one(
    order: Order, devices: dict[str, str], path: str, series: str | None, outputs: tuple[str, ...]
) -> dict[str, Any]:
    """Find the landmarks of one image and write them; never raises for what an image lacks.

    Args:
        order: what is asked for.
        devices: where each worker computes, by its name.
        path: of the image.
        series: the SeriesInstanceUID, where the path is a folder with several.
        outputs: the files to write.

    Returns:
        ``status``: ``done``, ``failed`` (this image), ``lost`` (any image, here) or ``cancelled``; with ``seconds``,
        ``found``, ``landmarks`` and ``notices``, or with ``error``; and the ``pid``.
    """
    with _ONE_AT_A_TIME:
        began = time.monotonic()
        try:
            with gathered() as said:
                detector = _detector(order, devices.get(_name(), order.device))
                detection = _detect(detector, order, path, series, [Path(output) for output in outputs])
        except Cancelled:
            end: dict[str, Any] = {"status": "cancelled"}
        except _Lost as error:
            end = {"status": "lost", "error": str(error)}
        except OSError as error:
            why = error.strerror or type(error).__name__
            end = {"status": "failed", "error": f"{Path(path).name}: the system of the worker refused ({why})."}
        except Exception as error:
            memory = f"{Path(path).name}: the memory of the worker does not suffice for it."
            end = {"status": "failed", "error": failure(error, "a batch", memory)[1]}
        else:
            marks = detection.landmarks
            told = tuple(dict.fromkeys([*said, *detection.notices]))
            found = sum(mark.position is not None for mark in marks)
            end = {"status": "done", "found": found, "landmarks": len(marks), "notices": told}
        return {**end, "seconds": round(time.monotonic() - began, 3), "pid": os.getpid()}


def _detect(detector: Any, order: Order, path: str, series: str | None, outputs: list[Path]) -> Any:
    from LandmarkDetectorLib.inference.serve import write_outputs
    from LandmarkDetectorLib.io.images import load_scaled

    image = load_scaled(Path(path), order.spacing, series)
    detection = detector.detect(image, cancelled=lambda: order.token in _stopped)
    write_outputs(detection, outputs, order.coordinates)
    return detection


def _detector(order: Order, device: str) -> Any:
    """The detector that is warm, or a new one."""
    global _warm
    if order.token in _stopped:
        raise Cancelled("The batch was cancelled.")
    asked = (order.bundles, order.fingerprints, order.augment, order.engine, device)
    if _warm is None or _warm[0] != asked:
        _warm = None  # before the next one takes memory
        try:
            _warm = (asked, make_detector(order, device))
        except (BundleError, DeviceError) as error:
            raise _Lost(f"A worker on {socket.gethostname()} cannot detect: {error}") from error
    return _warm[1]


def make_detector(order: Order, device: str) -> Any:
    """One bundle or several, looking once or several times.

    Raises:
        BundleError: a bundle is not there, or is another one than was asked for.
        DeviceError: the device is not there.
    """
    import torch

    from LandmarkDetectorLib.inference.augmented import detector_of

    if order.threads is not None:
        torch.set_num_threads(order.threads)
    bundles = [load_bundle(name) for name in order.bundles]
    for bundle, fingerprint in zip(bundles, order.fingerprints, strict=True):
        if bundle.fingerprint != fingerprint:
            raise BundleError(f"its bundle {bundle.name} {bundle.version} is another one; import the same on all.")
    return detector_of(bundles, order.augment, device, order.engine)


def _trouble(order: Order) -> str:
    for folder in order.folders:
        if not Path(folder).is_dir():
            return f"it does not see {folder}; mount it at the same path on all machines."
    try:
        for name, fingerprint in zip(order.bundles, order.fingerprints, strict=True):
            bundle = load_bundle(name)
            if bundle.fingerprint != fingerprint:
                return f"its bundle {bundle.name} {bundle.version} is another one; import the same on all machines."
    except LandmarkDetectorError as error:
        return f"{error}"
    return ""


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _name() -> str:
    from distributed import get_worker

    return str(get_worker().name)
