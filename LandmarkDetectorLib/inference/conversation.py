"""The talk between an application and its detection worker, without any input or output."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.protocol import landmarks_from_record
from LandmarkDetectorLib.inference.talk import Hearer, Talk, nothing


class Listener(Hearer, Protocol):
    """What a face wants to hear of the running detection."""

    def on_ready(self, devices: list[dict[str, str]]) -> None:
        """The worker has loaded its libraries; ``devices`` have a ``name`` for requests and a ``label`` for people."""

    def on_progress(self, stage: str, fraction: float) -> None:
        """So much of the whole is done."""

    def on_result(self, detection: Detection) -> None:
        """The request has ended well."""


class Conversation(Talk):
    """The talk with one detection worker; arguments as for :class:`.talk.Talk`."""

    WORK = "the detection"

    def __init__(
        self, send: Callable[[bytes], None], listener: Listener, end: Callable[[], None] | None = None
    ) -> None:
        super().__init__(send, listener, end)
        self._listener = listener

    def load(self, bundle: str | os.PathLike[str], device: str = "auto") -> None:
        """Have the worker read a bundle now, so that the first detection does not wait for it."""
        self._request("load", bundle=os.fspath(bundle), device=device)

    def detect(self, reference: Mapping[str, Any], bundle: str | os.PathLike[str], device: str = "auto") -> None:
        """Detect in the image of :attr:`VoxelFile.reference`; the file must stay until the request has ended."""
        self._request("detect", image=dict(reference), bundle=os.fspath(bundle), device=device)

    def detect_file(
        self,
        image: str | os.PathLike[str],
        outputs: Sequence[str | os.PathLike[str]],
        bundle: str | os.PathLike[str],
        device: str = "auto",
        *,
        spacing: Sequence[float] | None = None,
        series: str | None = None,
        coordinates: str = "LPS",
    ) -> None:
        """Have the worker read an image file or DICOM folder, detect, and write the landmarks to all of ``outputs``."""
        written = [os.path.abspath(output) for output in outputs]
        more: dict[str, Any] = {} if spacing is None else {"spacing": list(spacing)}
        if series is not None:
            more["series"] = series
        self._request(
            "detect_file",
            image=os.path.abspath(image),
            outputs=written,
            bundle=os.fspath(bundle),
            device=device,
            coordinates=coordinates,
            **more,
        )

    def _ready(self, message: Mapping[str, Any]) -> Callable[[], None]:
        return partial(self._listener.on_ready, [dict(device) for device in message["devices"]])

    def _progress(self, message: Mapping[str, Any]) -> Callable[[], None]:
        return partial(self._listener.on_progress, str(message["stage"]), float(message["fraction"]))

    def _result(self, message: Mapping[str, Any]) -> Callable[[], None]:
        if self.asked == "load":
            return nothing
        marks = landmarks_from_record(message["landmarks"])
        detection = Detection(marks, dict(message["timing"]), list(message["notices"]))
        return partial(self._listener.on_result, detection)
