"""Annotations that are there already, into a store: as corrections by an observer who has a name, without a proposal.

A landmark that has a position becomes ``corrected``, one that its file calls missing ``absent``; one that is undefined,
or that the file lacks, stays unreviewed. What the panel has saved keeps the statuses that it had there. A file of a
detector's own is refused, since a prediction must not pass for what a person said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.core import Landmark, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.io import load_landmarks
from LandmarkDetectorLib.io.markups_certainty import tells_confidence
from LandmarkDetectorLib.io.markups_review import review_statuses
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.review.case import check_observer
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.state import ABSENT, CONFIRMED, CORRECTED, Correction

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore

ORIGIN = "import"
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Imported:
    """What has come of an import.

    Args:
        cases: ids, in order.
        stored: how many corrections are new; what stood there already is not repeated.
        left_out: files that could not be taken, one sentence each.
    """

    cases: tuple[str, ...]
    stored: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    image: Path
    landmarks: LandmarkSet
    spacing: tuple[float, ...] | None = None
    subject: str = ""
    family: str = ""


def import_annotations(
    store: ReviewStore,
    observer: str,
    source: str | os.PathLike[str],
    image: str | os.PathLike[str] | None = None,
    *,
    spacing: Sequence[float] | None = None,
    ending: str = "",
    copy: bool = False,
    reviewed: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Imported:
    """Import a file of landmarks, a folder of images and files of the same names, or a folder with ``dataset.json``.

    Importing the same again stores nothing, and takes nothing back that the observer has said since.

    Args:
        store: the store.
        observer: who placed the landmarks.
        source: a file that :func:`~LandmarkDetectorLib.io.load_landmarks` reads, or a folder.
        image: the image of a file.
        spacing: mm along x, y[, z] of pictures, where their files do not say.
        ending: what names of files of landmarks have more than their images'.
        copy: keep the images in the store.
        reviewed: a person vouches for every landmark of files that a detector wrote.
        progress: told what is at work and the fraction done.

    Raises:
        ReviewError: a file without an image, or of a detector.
        DatasetError: a folder holds nothing of this kind.
        LandmarkFileError: a single file cannot be read.
        ImageError: a single image cannot be read.
    """
    observer, source = check_observer(observer), Path(source)
    told = progress or (lambda stage, fraction: None)
    if not source.is_dir():
        if image is None:
            raise ReviewError(f"{shown(source)}: nobody says which image it is of; give the image as well.")
        steps = None if spacing is None else tuple(spacing)
        case, stored = _import_one(store, observer, _Found(Path(image), load_landmarks(source), steps), copy, reviewed)
        return Imported((case,), stored, ())
    found = list(_in_folder(source, spacing, ending))
    cases, total, left_out = [], 0, []
    for number, one in enumerate(found):
        told(f"{number + 1} of {len(found)}", number / len(found))
        try:
            case, stored = _import_one(store, observer, one, copy, reviewed)
        except LandmarkDetectorError as error:
            left_out.append(str(error))
            continue
        cases.append(case)
        total += stored
    told("done", 1.0)
    return Imported(tuple(cases), total, tuple(left_out))


def _in_folder(folder: Path, spacing: Sequence[float] | None, ending: str) -> Iterator[_Found]:
    if (folder / "dataset.json").is_file():
        from LandmarkDetectorLib.datasets import read_dataset

        for case in read_dataset(folder).cases:
            # A landmark without a place is absent where the list says so; else a file may lack it, and nobody knows.
            said = tuple(mark for mark in case.landmarks if mark.position is not None)
            said += tuple(Landmark(label, None, "missing") for label in sorted(case.absent))
            marks = LandmarkSet(said, case.landmarks.unit, case.subject, case.landmarks.info)
            yield _Found(case.image_path, marks, case.spacing, case.subject, case.family)
        return
    from LandmarkDetectorLib.datasets.importers.registry import run_importer

    options: dict[str, Any] = {"ending": ending, **({} if spacing is None else {"spacing": tuple(spacing)})}
    for one in run_importer("markups", folder, options).cases:
        yield _Found(one.image, one.landmarks, one.spacing, one.subject)


def _import_one(store: ReviewStore, observer: str, found: _Found, copy: bool, reviewed: bool) -> tuple[str, int]:
    name = shown(found.image)
    said = _said(found.landmarks, name, reviewed)
    case = store.add_image(found.image, copy=copy, spacing=found.spacing, subject=found.subject, family=found.family)
    # What came by an import and was changed since is not changed back by the same file.
    imported = [record for record in store.case(case).history(observer) if record["origin"] == ORIGIN]
    known = [(record["label"], record["after"]["status"], record["after"]["position"]) for record in imported]
    entries = store.state(case, observer).entries.items()
    known += [(label, entry.status, entry.position) for label, entry in entries if entry.reviewed]
    news = [
        correction
        for correction in said
        if not any(label == correction.label and _same(correction, status, at) for label, status, at in known)
    ]
    return case, len(store.record(case, observer, *news, origin=ORIGIN))


def _same(correction: Correction, status: str, position: Sequence[float] | None) -> bool:
    """Whether the observer has said so already; a file may have rounded."""
    if correction.position is None or position is None:
        return (correction.status == ABSENT) == (status == ABSENT)
    pairs = zip(correction.position, position, strict=False)  # a flat image has a z of 0 in Slicer
    return all(abs(a - b) <= _TOLERANCE for a, b in pairs)


def _said(landmarks: LandmarkSet, name: str, reviewed: bool) -> list[Correction]:
    """What a file of landmarks says that a person said."""
    panel = review_statuses(landmarks)
    unsure = any(mark.confidence is not None or tells_confidence(mark.description) for mark in landmarks)
    predicted = "fingerprint" in landmarks.info or unsure
    if panel is None and predicted and not reviewed:
        raise ReviewError(
            f"{name}: its landmarks are a detector's, and nothing says that a person reviewed them; "
            "add them as a proposal, or say that they are reviewed."
        )
    said = []
    for number, mark in enumerate(landmarks):
        status = None if panel is None else panel[number]
        if status is not None and status not in (CONFIRMED, CORRECTED, ABSENT):
            continue
        if mark.position is not None:
            said.append(Correction(mark.label, CORRECTED, tuple(mark.position.tolist()), proposal=None))
        elif mark.status == "missing":
            said.append(Correction(mark.label, ABSENT, proposal=None))
    return said
