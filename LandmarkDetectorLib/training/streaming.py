"""Images that are read when they are looked at and forgotten soon after, for data sets larger than the memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from LandmarkDetectorLib.core import Grid
from LandmarkDetectorLib.datasets.sampling import Level, Pyramid


class Stream:
    """Reads images by number and keeps the last few.

    Args:
        read: an image's pyramid by its number; called by the stream's own thread.
        keep: how many stay in memory, besides the one that is being read.

    Raises:
        ValueError: none shall stay.
    """

    def __init__(self, read: Callable[[int], Pyramid], keep: int) -> None:
        if keep < 1:
            raise ValueError(f"a stream cannot keep {keep} images; give 1 or more")
        self.keep = keep
        self._read = read
        self._kept: OrderedDict[int, Future[Pyramid]] = OrderedDict()
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")

    def get(self, number: int) -> Pyramid:
        """The pyramid of an image, from memory or from the disk.

        Raises:
            LandmarkDetectorError: as reading says.
        """
        return self._ask(number).result()

    def read_ahead(self, numbers: Iterable[int]) -> None:
        """Begin to read what will be looked at next, in this order, as far as it can stay until then."""
        for number in list(dict.fromkeys(numbers))[: self.keep]:
            self._ask(number)

    def close(self) -> None:
        """Forget all, and read no more."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._kept.clear()

    def _ask(self, number: int) -> Future[Pyramid]:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._reader.submit(self._read, number)
            self._kept.move_to_end(number)
            while len(self._kept) > self.keep:
                _, oldest = self._kept.popitem(last=False)
                oldest.cancel()  # where it has not even begun
            return self._kept[number]


class StreamedPyramid:
    """Stands for an image of a stream wherever a pyramid does; knows where it lies, not what it shows.

    Args:
        stream: that reads it.
        number: by which the stream knows it.
        grid: of the image.
    """

    def __init__(self, stream: Stream, number: int, grid: Grid) -> None:
        self.stream, self.number, self.grid = stream, number, grid

    def level(self, spacing: float) -> Level:
        """As :meth:`Pyramid.level`, read anew where it was forgotten."""
        return self.stream.get(self.number).level(spacing)
