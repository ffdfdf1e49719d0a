"""A real worker, spoken to by hand, and small images for it."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import Image, LandmarkSet
from LandmarkDetectorLib.inference.calibrate import MAP_SPREAD
from LandmarkDetectorLib.inference.client import worker_command, worker_environment
from LandmarkDetectorLib.inference.protocol import decode, encode
from LandmarkDetectorLib.io import load_image

HEAD, SKULL = "fetal-head-us", "mouse-skull-ct"
PATIENT = "Mustermann"


def sample_image(bundle: str) -> Image:
    return load_image(load_bundle(bundle).samples()[0])


def same_info(one: LandmarkSet, other: LandmarkSet) -> bool:
    """Whether two sets are of the same detector and image; the spread of the maps differs by the number of threads."""
    infos = [dict(marks.info) for marks in (one, other)]
    first, second = (info.pop(MAP_SPREAD) for info in infos)
    return infos[0] == infos[1] and abs(first - second) < 1e-3


class RawWorker:
    """The process and its two ends; every event is kept."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            worker_command(), stdin=pipe, stdout=pipe, stderr=pipe, env=worker_environment(), start_new_session=True
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.log: list[bytes] = []
        assert self.process.stdout is not None and self.process.stderr is not None
        for stream, put in ((self.process.stdout, self._lines.put), (self.process.stderr, self.log.append)):
            threading.Thread(target=lambda s=stream, p=put: [p(line) for line in s], daemon=True).start()

    def send(self, **message: Any) -> None:
        self.write(encode(message))

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hear(self, timeout: float = 60.0) -> dict[str, Any]:
        return decode(self._lines.get(timeout=timeout))

    def wait_for(self, event: str, number: int | None = None, timeout: float = 60.0) -> dict[str, Any]:
        """The next event of this kind; what comes before it is passed over, but no error and no result is."""
        while True:
            message = self.hear(timeout)
            if message["event"] == event and message.get("id") == number:
                return message
            assert message["event"] not in ("error", "result"), message

    def detect(self, number: int, reference: dict[str, Any], bundle: str = HEAD) -> None:
        self.send(id=number, command="detect", image=reference, bundle=bundle, device="cpu")

    def ends_within(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def soon(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it becomes true within this time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def noise(shape: tuple[int, ...], dtype: str = "i2") -> np.ndarray:
    return np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
