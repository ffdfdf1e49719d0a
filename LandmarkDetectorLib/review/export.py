"""What was reviewed, out of a store, in a form that may be passed on: as a data set, a MONAI datalist, or like BIDS.

An image goes out as voxels and grid under the case's random id, landmarks as labels and positions. What is taken off,
and what cannot be, is said in ``DEIDENTIFICATION.txt`` beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from LandmarkDetectorLib.bundles.staging import put_in_place, staging_folder
from LandmarkDetectorLib.core import ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.review.case import CONSENSUS, check_observer
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.export_forms import FORMS, Outgoing, only

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore

NOTE = "DEIDENTIFICATION.txt"
_ALWAYS = (
    "Names and folders of image files: images are called by the case's random id.",
    "Everything in the images' files but voxels, size, spacing, origin and direction: names, numbers, dates, devices, "
    "all DICOM tags.",
    "Subjects and families: replaced by codes, the same for all images of one, that only the store can explain.",
    "When and in how many seconds landmarks were reviewed, comments, proposals and their confidence.",
)
_STAYS = (
    "What is drawn into the pixels, such as a name burnt into a picture.",
    "What the anatomy itself shows, such as a face in a scan of the head.",
    "Origin and direction of the grid.",
)


@dataclass(frozen=True)
class Exported:
    """What has gone out.

    Args:
        folder: where it lies.
        cases: ids.
        left_out: id and reason of each case that did not go.
        removed: what was taken off, one sentence each.
        stays: what could not be, or was asked to stay.
    """

    folder: Path
    cases: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    stays: tuple[str, ...] = field(default=_STAYS)


def export(
    store: ReviewStore,
    folder: str | os.PathLike[str],
    form: str = "dataset",
    *,
    observer: str = CONSENSUS,
    cases: Iterable[str] | None = None,
    labels: Sequence[str] | None = None,
    pseudonyms: bool = True,
    copy_images: bool = True,
    progress: Callable[[str, float], None] | None = None,
) -> Exported:
    """Write the reviewed landmarks of a store, with their images, into a new folder, whole or not at all.

    Args:
        store: the store.
        folder: is not there yet, or empty.
        form: ``"dataset"``, ``"monai"`` or ``"bids"``.
        observer: whose landmarks; by default what all say together.
        cases: these; by default all.
        labels: these landmarks, in this order; by default all, in the order in which they appear.
        pseudonyms: whether observers are called by codes.
        copy_images: without, a data set refers to images where they lie, for training on the same machine: paths are
            then not taken off.
        progress: told the case and the fraction done.

    Returns:
        What has gone out. A case stays behind where no landmark that was reviewed has a place, and where its image is
        gone or was changed.

    Raises:
        ReviewError: an unknown form, nothing to go out, or the disk refuses.
        BundleError: the folder is there already.
    """
    if form not in FORMS:
        raise ReviewError(f"{form!r} is no form of an export; say one of {', '.join(FORMS)}.")
    if not copy_images and form != "dataset":
        raise ReviewError(f"An export as {form} holds its images; leave out --no-images, or export a dataset.")
    observer = observer if observer == CONSENSUS else check_observer(observer)
    told = progress or (lambda stage, fraction: None)
    target = Path(folder).absolute()
    with disk_errors(f"The export to {target.name} failed"):
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if os.path.lexists(target):
            raise ReviewError(f"{target.name} is there already; give another folder for the export.")
        wanted = [row.case for row in store.cases()] if cases is None else list(dict.fromkeys(cases))
        ready, left_out = _ready(store, wanted, observer, labels, pseudonyms)
        with staging_folder(target.parent) as stage:
            writer = FORMS[form](stage, target, target.name, _labels(ready, labels))
            gone = []
            for number, outgoing in enumerate(ready):
                told(outgoing.case, number / len(ready))
                try:
                    image = store.image(outgoing.case)
                    writer.add(outgoing, image, None if copy_images else store.image_path(outgoing.case))
                except ImageError as error:
                    left_out.append((outgoing.case, str(error)))
                    continue
                gone.append(outgoing.case)
            if not gone:
                raise ReviewError(_nothing(left_out))
            writer.finish()
            done = _told(target, gone, left_out, pseudonyms, copy_images)
            (stage / NOTE).write_text(_note(done), encoding="utf-8")
            put_in_place(stage, target, replace=False)
    told("done", 1.0)
    return done


def _ready(
    store: ReviewStore, wanted: Sequence[str], observer: str, labels: Sequence[str] | None, pseudonyms: bool
) -> tuple[list[Outgoing], list[tuple[str, str]]]:
    """The cases whose landmarks can go out, and why others cannot."""
    ready: list[Outgoing] = []
    left_out: list[tuple[str, str]] = []
    for case_id in wanted:
        try:
            case = store.case(case_id)
            marks = store.reviewed_set(case_id, observer)
        except ReviewError as error:  # a damaged case must not keep the others in
            left_out.append((case_id, str(error)))
            continue
        if labels is not None:
            marks = only(marks, labels)
        if all(mark.position is None for mark in marks):
            left_out.append((case_id, "no reviewed landmark has a place"))
            continue
        states = store.states(case_id) if observer == CONSENSUS else {}
        raters = {name: state.reviewed_set() for name, state in states.items()} if len(states) > 1 else {}
        if pseudonyms:
            raters = {store.pseudonym("observer", name): said for name, said in raters.items()}
        subject = case.about["subject"]
        family = case.about["family"] or subject
        ready.append(
            Outgoing(
                case_id,
                plain(marks),
                {name: plain(said) for name, said in raters.items()},
                store.pseudonym("subject", subject) if subject else case_id,
                store.pseudonym("family", family) if family else case_id,
                case.unit,
            )
        )
    return ready, left_out


def plain(marks: LandmarkSet) -> LandmarkSet:
    """Labels, statuses and positions, and nothing that says who, when or by what."""
    return LandmarkSet(
        tuple(Landmark(mark.label, mark.position, mark.status) for mark in marks), marks.unit, marks.name
    )


def _labels(ready: Sequence[Outgoing], labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is not None:
        return tuple(labels)
    return tuple(dict.fromkeys(label for outgoing in ready for label in outgoing.landmarks.labels))


def _nothing(left_out: Sequence[tuple[str, str]]) -> str:
    if not left_out:
        return "The store holds no case that could go out; add images and review them first."
    reason = left_out[0][1].rstrip(".")
    return f"None of {counted(len(left_out), 'case')} can go out (the first: {reason}); review some first."


def _told(
    target: Path, gone: Sequence[str], left_out: Sequence[tuple[str, str]], pseudonyms: bool, copied: bool
) -> Exported:
    removed, stays = list(_ALWAYS), list(_STAYS)
    if not copied:
        removed = removed[2:]
        stays = ["The paths of the images, and all that their files say: this export is not to be passed on.", *stays]
    if pseudonyms:
        removed.append("Names of observers: replaced by codes.")
    else:
        stays.insert(0, "Names of observers, where several reviewed a case.")
    return Exported(target, tuple(gone), tuple(left_out), tuple(removed), tuple(stays))


def _note(done: Exported) -> str:
    lines = ["Taken off:", "", *(f"- {line}" for line in done.removed), "", "Not taken off:", ""]
    lines += [f"- {line}" for line in done.stays]
    return "\n".join([*lines, "", f"Here: {counted(len(done.cases), 'case')}; left out: {len(done.left_out)}.", ""])
