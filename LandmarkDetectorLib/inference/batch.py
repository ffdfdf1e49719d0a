"""A folder of images, one after the other: what is to be done, what was done, and a table that says so.

:class:`Batch` does no inference, so that every face can drive it: it hands out jobs and is told how they ended.
:func:`run_batch` drives it for programs that may wait. What a person may have corrected is never written over: an image
whose files are all there is skipped, and where some are missing, they are made from those that are there.
"""

from __future__ import annotations

import csv
import io
import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import (
    Cancelled,
    LandmarkDetectorError,
    LandmarkDetectorWarning,
    LandmarkFileError,
    LandmarkSet,
)
from LandmarkDetectorLib.inference.client import SubprocessWorker
from LandmarkDetectorLib.inference.detection import Detection
from LandmarkDetectorLib.inference.image_sources import SUMMARY, Findings, Source, find_images, look_for_images
from LandmarkDetectorLib.io import load_landmarks, save_landmarks
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.landmarks import check_landmark_format
from LandmarkDetectorLib.io.sheets import as_written, no_formula

__all__ = [
    "Batch",
    "Findings",
    "Job",
    "Row",
    "Source",
    "done_landmarks",
    "find_images",
    "is_done",
    "look_for_images",
    "outputs_of",
    "read_summary",
    "run_batch",
    "write_summary",
]

FORMATS = (".mrk.json", ".csv")
TABLE = f"{SUMMARY}.csv"
_COLUMNS = ("image", "status", "seconds", "landmarks found", "landmarks", "notices", "error")
_EXACTNESS = (".mrk.json", ".json", ".xlsx", ".csv", ".fcsv")
"""Formats, the one that keeps most first."""
_BETWEEN = " | "


@dataclass(frozen=True)
class Row:
    """One line of the summary.

    Args:
        image: the source's name.
        status: ``done``, ``skipped`` (its files were there already) or ``failed``.
        seconds: that it took.
        found: landmarks that have a place.
        landmarks: all of them.
        notices: what a person should be told.
        error: why it failed.
    """

    image: str
    status: str
    seconds: float | None = None
    found: int | None = None
    landmarks: int | None = None
    notices: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Job:
    """One image and the files that its landmarks go to."""

    source: Source
    outputs: tuple[Path, ...]


def outputs_of(source: Source, folder_out: str | os.PathLike[str], formats: Sequence[str] = FORMATS) -> list[Path]:
    """The files of an image's landmarks: as deep below ``folder_out`` as the image lies below the folder searched."""
    return [Path(folder_out, f"{source.name}{suffix}") for suffix in formats]


def is_done(source: Source, folder_out: str | os.PathLike[str], formats: Sequence[str] = FORMATS) -> bool:
    """Whether all files of an image are there and can be read."""
    return all(_read(output) is not None for output in outputs_of(source, folder_out, formats))


def done_landmarks(outputs: Sequence[Path], coordinates: str = "LPS") -> LandmarkSet | None:
    """The landmarks of an image that was done before, or ``None`` where none of its files is there and whole.

    Files that are missing, or damaged, are made from the best one that is there: a person may have corrected it.

    Raises:
        LandmarkFileError: one of these cannot be written.
    """
    ranked = sorted(outputs, key=lambda output: _rank(output.name))
    read = {output: _read(output) for output in ranked}
    best = next((marks for marks in read.values() if marks is not None), None)
    if best is not None:
        for output, marks in read.items():
            if marks is None:
                save_landmarks(best, output, coordinate_system=coordinates)
    return best


class Batch:
    """What is to be done and what was done. After every image the summary is written.

    Args:
        sources: the images, from :func:`find_images`.
        folder_out: where the landmarks go, and the summary.
        bundle: the bundle's name, to say where files of another one were found.
        formats: of the files of each image.
        coordinates: ``"LPS"`` or ``"RAS"``, of the positions in them.
        pause: seconds that lie at least between two writings of the summary; :meth:`close` writes the last one.
        version: the bundle's, to say where files of another version were found; ``""`` where that does not matter.

    Raises:
        LandmarkFileError: a format that cannot be written, or the folder cannot be, or a summary that is not ours
            stands in it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        folder_out: str | os.PathLike[str],
        bundle: str,
        formats: Sequence[str] = FORMATS,
        coordinates: str = "LPS",
        pause: float = 0.0,
        version: str = "",
    ) -> None:
        for suffix in formats:
            check_landmark_format(f"landmarks{suffix}")
        self.folder_out, self.bundle, self.version = Path(folder_out), bundle, version
        self.formats, self.coordinates = tuple(formats), coordinates
        self.sources = list(sources)
        self.rows: list[Row] = []
        self.trouble = ""
        """Why the summary could not be written after the last image; it is tried again after the next one."""
        self._pause, self._written = pause, 0.0
        self._started = 0.0
        self._job: Job | None = None
        self._next = 0
        try:
            self.folder_out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LandmarkFileError(
                f"{self.folder_out.name}: the folder cannot be made ({error.strerror}); choose another one."
            ) from error
        self._before = {row.image: row for row in read_summary(self.summary)}
        write_summary(self._all_rows(), self.summary)

    @property
    def summary(self) -> Path:
        """The table's file."""
        return self.folder_out / TABLE

    @property
    def fraction(self) -> float:
        """How many of the images are through, of 1."""
        return len(self.rows) / max(1, len(self.sources))

    def step(self) -> Job | None:
        """Look at the next image: its job, or ``None`` where it needed none, or none is left (:attr:`over`)."""
        if self.over:
            return None
        source = self.sources[self._next]
        self._next += 1
        job = Job(source, tuple(outputs_of(source, self.folder_out, self.formats)))
        try:
            marks = done_landmarks(job.outputs, self.coordinates)
        except LandmarkFileError as error:
            self._add(Row(source.name, "failed", error=str(error)))
            return None
        if marks is None:
            self._job, self._started = job, time.monotonic()
            return job
        self._add(self._skipped(source, marks))
        return None

    @property
    def over(self) -> bool:
        """Whether every image was looked at."""
        return self._next >= len(self.sources)

    def done(self, detection: Detection, notices: Sequence[str] = ()) -> None:
        """The job that :meth:`step` gave has ended well; ``notices`` are those that came while it ran."""
        told = tuple(dict.fromkeys([*notices, *detection.notices]))
        self._end("done", found=_found(detection.landmarks), landmarks=len(detection.landmarks), notices=told)

    def failed(self, message: str) -> None:
        """The job that :meth:`step` gave has failed; the others go on."""
        self._end("failed", error=message)

    def report(self, row: Row) -> None:
        """A job that :meth:`step` gave has ended elsewhere, as its row says; others may be under way meanwhile."""
        self._job = None
        self._add(row)

    def close(self) -> None:
        """Put the rows into the order of the images, and write the summary."""
        order = {source.name: place for place, source in enumerate(self.sources)}
        self.rows.sort(key=lambda row: order[row.image])
        self._write()

    def _end(self, status: str, **content: Any) -> None:
        if self._job is None:
            raise ValueError("no job is under way")
        job, self._job = self._job, None
        self._add(Row(job.source.name, status, round(time.monotonic() - self._started, 3), **content))

    def _skipped(self, source: Source, marks: LandmarkSet) -> Row:
        before = self._before.get(source.name, Row(source.name, "skipped"))
        notices = [] if before.status == "failed" else list(before.notices)
        made_by, then = marks.info.get("bundle"), marks.info.get("version")
        if made_by is not None and made_by != self.bundle:
            notices.append(f"Its files are of the bundle {made_by}; move them away to detect by {self.bundle}.")
        elif self.version and then not in (None, self.version):
            notices.append(f"Its files are of {made_by} {then}; move them away to detect by version {self.version}.")
        seconds = None if before.status == "failed" else before.seconds
        told = tuple(dict.fromkeys(notices))
        return Row(source.name, "skipped", seconds, _found(marks), len(marks), told)

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if time.monotonic() - self._written >= self._pause:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        try:
            write_summary(self._all_rows(), self.summary)
            self.trouble = ""
        except LandmarkFileError as error:  # somebody looks at it in Excel
            self.trouble = str(error)

    def _all_rows(self) -> list[Row]:
        """Those of this run, and of an earlier one what this run has not come to yet."""
        names = {row.image for row in self.rows}
        return [*self.rows, *(row for name, row in self._before.items() if name not in names)]


def run_batch(
    batch: Batch,
    worker: SubprocessWorker,
    bundle: str | os.PathLike[str],
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Row]:
    """Do all jobs of a batch; an image that fails, or takes the worker with it, does not stop the others.

    Raises:
        Cancelled: on request; what is done is written, and the same call goes on from there.
    """
    while not batch.over:
        if cancelled is not None and cancelled():
            raise Cancelled(f"The batch was cancelled; {len(batch.rows)} of {len(batch.sources)} images are through.")
        job = batch.step()
        if job is not None:
            path, series = job.source.path, job.source.series
            options: dict[str, Any] = {"series": series, "coordinates": batch.coordinates}
            try:
                batch.done(worker.detect_file(path, job.outputs, bundle, device, None, cancelled, **options))
            except Cancelled:
                raise
            except LandmarkDetectorError as error:
                batch.failed(str(error))
        if progress is not None:
            progress(batch.fraction)
    return batch.rows


def write_summary(rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write the table, whole or not at all, as Excel opens it.

    Raises:
        LandmarkFileError: it cannot be written.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        numbers = ["" if value is None else value for value in (row.seconds, row.found, row.landmarks)]
        writer.writerow(
            [no_formula(row.image), row.status, *numbers, no_formula(_BETWEEN.join(row.notices)), no_formula(row.error)]
        )
    with atomic_write(path) as stream:
        # The mark at its head tells Excel that it is UTF-8.
        stream.write(table.getvalue().encode("utf-8-sig", "replace"))


def read_summary(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a table; none where there is no such file.

    Raises:
        LandmarkFileError: it cannot be read, or is no table of ours.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise LandmarkFileError(f"{path.name}: it cannot be read ({reason}); move it away.") from None
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(header) != _COLUMNS:
            raise ValueError("other columns")
        return [_row(line) for line in lines]
    except (ValueError, csv.Error):
        raise LandmarkFileError(
            f"{path.name}: it is not the summary of a batch, or was changed by hand; move it away, "
            "or choose another folder."
        ) from None


def _row(line: list[str]) -> Row:
    image, status, seconds, found, landmarks, notices, error = line
    return Row(
        as_written(image),
        status,
        float(seconds) if seconds else None,
        int(found) if found else None,
        int(landmarks) if landmarks else None,
        tuple(filter(None, as_written(notices).split(_BETWEEN))),
        as_written(error),
    )


def _read(output: Path) -> LandmarkSet | None:
    if not os.path.isfile(output):  # Path.is_file raises where a name is too long for the disk
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LandmarkDetectorWarning)
        with suppress(LandmarkDetectorError):
            return load_landmarks(output)
    return None


def _rank(name: str) -> int:
    return next((place for place, suffix in enumerate(_EXACTNESS) if name.lower().endswith(suffix)), len(_EXACTNESS))


def _found(landmarks: LandmarkSet) -> int:
    return sum(mark.position is not None for mark in landmarks)
