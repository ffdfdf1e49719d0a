"""What the corrections of a store teach: for each case the landmarks that somebody vouches for, and its side.

It is taken once, when a retraining begins, and kept beside the run: what is corrected meanwhile waits for the next one,
and an interrupted run goes on with the same. It holds the store's ids and codes, no names and no paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import Image, ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.inference.detector import as_dimension
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.review.case import CONSENSUS
from LandmarkDetectorLib.review.documents import checksum
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.export_forms import only
from LandmarkDetectorLib.review.locked import TRAINING, decide_sides, group_of
from LandmarkDetectorLib.review.state import ABSENT, CONFIRMED, CORRECTED, UNREVIEWED

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore


ENOUGH = 10
"""Corrections that tell what people let pass."""


@dataclass(frozen=True)
class Lesson:
    """What one case teaches.

    Args:
        case: its id.
        side: training, locked or neither.
        unit: of positions.
        marks: by label ``[status, position, before]``: confirmed, corrected or absent; where the landmark is, and where
            the proposal had put it, ``None`` where nowhere.
        guide: by label where the newest proposal puts what nobody reviewed.
        observers: codes of those who reviewed it.
        bundles: fingerprints of the bundles that the proposals are by.
    """

    case: str
    side: str
    unit: str
    marks: Mapping[str, Sequence[Any]]
    guide: Mapping[str, Sequence[float]]
    observers: tuple[str, ...]
    bundles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Material:
    """The lessons of a store for one list of labels; ``left_out``: id and reason of cases that teach nothing."""

    labels: tuple[str, ...]
    lessons: tuple[Lesson, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def sha256(self) -> str:
        """The same for the same corrections."""
        return checksum(self.to_json())

    def on(self, side: str) -> list[Lesson]:
        """The lessons on one side."""
        return [lesson for lesson in self.lessons if lesson.side == side]

    def count(self, side: str = TRAINING) -> int:
        """Landmarks that somebody vouches for, absent ones included."""
        return sum(len(lesson.marks) for lesson in self.on(side))

    def let_pass(self) -> float | None:
        """About how far off a landmark is that people still confirm: three of four corrections were of more.

        ``None`` where fewer than :data:`ENOUGH` were corrected.
        """
        moved = [
            float(np.linalg.norm(np.subtract(mark[1], mark[2])))
            for lesson in self.lessons
            for mark in lesson.marks.values()
            if mark[0] == CORRECTED and mark[2] is not None
        ]
        return float(np.percentile(moved, 25)) if len(moved) >= ENOUGH else None

    @property
    def observers(self) -> list[str]:
        """Codes of all who reviewed."""
        return sorted({name for lesson in self.lessons for name in lesson.observers})

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        lessons = [
            {
                "case": one.case,
                "side": one.side,
                "unit": one.unit,
                "marks": {label: list(mark) for label, mark in one.marks.items()},
                "guide": {label: list(place) for label, place in one.guide.items()},
                "observers": list(one.observers),
                "bundles": list(one.bundles),
            }
            for one in self.lessons
        ]
        return {"labels": list(self.labels), "lessons": lessons}

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        with atomic_write(path, "w", encoding="utf-8") as stream:
            json.dump({**self.to_json(), "sha256": self.sha256}, stream, indent=1)

    @classmethod
    def read(cls, path: Path) -> Material:
        """What :meth:`save` wrote.

        Raises:
            ReviewError: the file was altered.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            lessons = tuple(
                Lesson(
                    one["case"],
                    one["side"],
                    one["unit"],
                    one["marks"],
                    one["guide"],
                    tuple(one["observers"]),
                    tuple(one["bundles"]),
                )
                for one in content["lessons"]
            )
            material = cls(tuple(content["labels"]), lessons)
            if material.sha256 != content["sha256"]:
                raise ValueError("its checksum differs")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReviewError(
                f"{path.name} of this run cannot be used ({error}); begin anew in another folder."
            ) from None
        return material

    def cases(self, store: ReviewStore, pipeline: Pipeline, side: str) -> list[ReviewedCase]:
        """The cases of one side as training and evaluation take them; images are read when asked for.

        Those whose image is of another dimension than the bundle's are not among them, see :meth:`unfit`.
        """
        fitting = [lesson for lesson in self.on(side) if _why_unfit(store, lesson, pipeline) is None]
        return [reviewed_case(store, lesson, pipeline) for lesson in fitting]

    def unfit(self, store: ReviewStore, pipeline: Pipeline) -> list[str]:
        """Which cases a bundle cannot take, and why, one sentence each."""
        said = [_why_unfit(store, lesson, pipeline) for lesson in self.lessons]
        return [sentence for sentence in said if sentence is not None]


@dataclass(frozen=True)
class ReviewedCase(Case):
    """A case of a store; its image is checked against the store's checksum whenever it is read.

    ``confirmed`` are labels of landmarks that stand where a detector had put them.
    """

    store: ReviewStore | None = None
    pipeline: Pipeline | None = None
    confirmed: frozenset[str] = frozenset()

    def image(self) -> Image:
        """The image, as the bundle wants it.

        Raises:
            ImageError: it is gone, was changed, or does not fit the bundle.
        """
        assert self.store is not None and self.pipeline is not None
        return as_dimension(self.store.image(self.subject), self.pipeline, "of this store")[0]


def gather(
    store: ReviewStore,
    labels: Sequence[str],
    *,
    observer: str = CONSENSUS,
    trained: Iterable[str] = (),
    locked: Iterable[str] = (),
) -> Material:
    """What the store's corrections say of these landmarks now; the sides of new cases are decided and recorded.

    Args:
        store: the store.
        labels: of the bundle.
        observer: whose word counts; by default what all say together.
        trained: as for :func:`~LandmarkDetectorLib.review.locked.decide_sides`.
        locked: likewise.

    Raises:
        ReviewError: nothing is reviewed, the record of the locked cases is damaged, or the disk refuses.
    """
    found: list[tuple[str, LandmarkSet]] = []
    left_out: list[tuple[str, str]] = []
    for row in store.cases():
        try:
            marks = only(store.reviewed_set(row.case, observer), labels)
        except ReviewError as error:  # a damaged case must not keep the others from teaching
            left_out.append((row.case, str(error)))
            continue
        if all(mark.position is None for mark in marks):
            left_out.append((row.case, "no reviewed landmark of this bundle has a place"))
        elif store.image_path(row.case) is None:
            left_out.append((row.case, "its image is not where it was"))
        else:
            found.append((row.case, marks))
    if not found:
        raise ReviewError("No case of this store has a reviewed landmark of this bundle; review some of them first.")
    sides = decide_sides(store, [case for case, _ in found], trained, locked)
    lessons = tuple(_lesson(store, case, marks, sides[case], observer) for case, marks in found)
    return Material(tuple(labels), lessons, tuple(left_out))


def _lesson(store: ReviewStore, case_id: str, marks: LandmarkSet, side: str, observer: str) -> Lesson:
    proposals = store.case(case_id).proposals()
    newest: dict[str, Landmark] = {}
    for proposal in proposals:
        newest |= proposal.by_label
    states = store.states(case_id) if observer == CONSENSUS else {observer: store.state(case_id, observer)}
    said: dict[str, list[Any]] = {}
    guide: dict[str, list[float]] = {}
    for mark in marks:
        entries = [state.entries[mark.label] for state in states.values() if mark.label in state.entries]
        spoken = [entry for entry in entries if entry.reviewed]
        proposed = next((entry.proposed for entry in spoken if entry.proposed is not None), newest.get(mark.label))
        before = None if proposed is None or proposed.position is None else proposed.position.tolist()
        if mark.position is not None:
            agreed = all(entry.status == CONFIRMED for entry in spoken)
            said[mark.label] = [CONFIRMED if agreed else CORRECTED, mark.position.tolist(), before]
        elif mark.status == "missing":
            said[mark.label] = [ABSENT, None, before]
        elif before is not None:
            guide[mark.label] = before
    observers = tuple(sorted(store.pseudonym("observer", name) for name in states))
    bundles = tuple(dict.fromkeys(proposal.fingerprint for proposal in proposals if proposal.fingerprint))
    return Lesson(case_id, side, store.case(case_id).unit, said, guide, observers, bundles)


def _why_unfit(store: ReviewStore, lesson: Lesson, pipeline: Pipeline) -> str | None:
    try:
        _plane(store.case(lesson.case).image, pipeline, lesson.case)
    except ImageError as error:
        return str(error)
    return None


def reviewed_case(store: ReviewStore, lesson: Lesson, pipeline: Pipeline) -> ReviewedCase:
    """A lesson as a case of a data set.

    Raises:
        ImageError: its image is of another dimension than the bundle's.
    """
    flat = _plane(store.case(lesson.case).image, pipeline, lesson.case)

    def place(position: Sequence[float] | None) -> np.ndarray | None:
        return None if position is None else flat(np.asarray(position, dtype=np.float64))

    marks, guide = [], []
    for label in pipeline.labels:
        status, position, _ = lesson.marks.get(label, (UNREVIEWED, None, None))
        state = "defined" if position is not None else "missing" if status == ABSENT else "undefined"
        marks.append(Landmark(label, place(position), state))
        guide.append(Landmark(label, place(lesson.guide.get(label))))
    return ReviewedCase(
        subject=lesson.case,
        image_path=Path(lesson.case),
        landmarks=LandmarkSet(tuple(marks), lesson.unit, lesson.case),
        family=min(group_of(store, lesson.case)),
        origin="review",
        absent=frozenset(label for label, mark in lesson.marks.items() if mark[0] == ABSENT),
        guide=LandmarkSet(tuple(guide), lesson.unit, lesson.case),
        store=store,
        pipeline=pipeline,
        confirmed=frozenset(label for label, mark in lesson.marks.items() if mark[0] == CONFIRMED),
    )


def _plane(reference: Mapping[str, Any], pipeline: Pipeline, case: str) -> Any:
    """How a position comes from the image's world into the bundle's: a volume of one slice serves a 2D bundle."""
    size = reference["size"]
    if len(size) == pipeline.dimension:
        return lambda position: position
    if len(size) == 3 and size[2] == 1:
        axes, origin = np.asarray(reference["direction"])[:, :2], np.asarray(reference["origin"])
        return lambda position: axes.T @ (position - origin)
    raise ImageError(f"{case}: its image is {len(size)}D and the bundle is for {pipeline.dimension}D.")
