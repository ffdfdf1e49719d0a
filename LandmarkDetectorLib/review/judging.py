"""Two bundles on the cases of a store: what each finds, beside what people vouch for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.pipeline import Pipeline, read_pipeline
from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.evaluation import radial_errors
from LandmarkDetectorLib.evaluation.regions import positions_of
from LandmarkDetectorLib.inference.detector import Detector
from LandmarkDetectorLib.review.case import CONSENSUS
from LandmarkDetectorLib.review.locked import LOCKED, TRAINING, group_of
from LandmarkDetectorLib.review.material import Material, ReviewedCase, gather
from LandmarkDetectorLib.review.original import codes_of, held_out_beside, trained_on
from LandmarkDetectorLib.review.retrain import readable
from LandmarkDetectorLib.review.store import ReviewStore


@dataclass(frozen=True, eq=False)
class Beside:
    """Both bundles on N cases.

    Args:
        cases: the cases.
        names: of the cases, that tell nothing of a patient.
        groups: what stands together on one side of a split, for each case.
        truths: what people vouch for.
        old: what the old bundle found, by its own belief.
        new: what the new one found, by its own belief.
        units: (N,) world units of a view unit.
        earlier: (N,) bool, cases that were there to judge by before.
        labels: the landmarks.
        slack: (N, K) of what nobody said that it is wrong: 0 for a landmark that a person placed; for one that was only
            confirmed, where a detector had put it, what people let pass. See :meth:`errors`.
    """

    cases: tuple[Case, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    truths: tuple[LandmarkSet, ...]
    old: tuple[LandmarkSet, ...]
    new: tuple[LandmarkSet, ...]
    units: np.ndarray
    earlier: np.ndarray
    labels: tuple[str, ...]
    slack: np.ndarray

    def __len__(self) -> int:
        return len(self.cases)

    def errors(self, found: Sequence[LandmarkSet]) -> np.ndarray:
        """(N, K): NaN where nobody vouches for a place, +inf where it was not found.

        A landmark that was confirmed lies exactly where the model had put it whose proposal it was, which would have no
        error there and every other one some. What people let pass is therefore taken off, of both models alike.
        """
        return np.maximum(self.distances(found) - self.slack, 0.0)

    def distances(self, found: Sequence[LandmarkSet]) -> np.ndarray:
        """The same with nothing taken off."""
        rows = [radial_errors(f, t) for f, t in zip(found, self.truths, strict=True)]
        return np.array(rows, dtype=float).reshape(len(self), len(self.labels))

    def positions(self, found: Sequence[LandmarkSet]) -> np.ndarray:
        """(N, K, D), NaN where there is none."""
        return positions_of([*found, *self.truths], self.labels)[: len(self)]


@dataclass(frozen=True, eq=False)
class Judged:
    """``unseen``: cases that trained neither bundle; ``trained``: those newly reviewed that trained the new one.

    ``let_pass``: what is taken off the errors of confirmed landmarks, in the image's unit.
    """

    unseen: Beside
    trained: Beside
    material: Material
    let_pass: float
    notices: tuple[str, ...]


def judge_beside(
    old: Bundle,
    new: Bundle,
    store: ReviewStore,
    *,
    data: Path | str | None = None,
    observer: str = CONSENSUS,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> Judged:
    """Run both bundles on the locked set, on what neither has seen, and on what trained the new one only.

    Args:
        old: the bundle in use.
        new: the candidate, of the same landmarks.
        store: the store.
        data: the original data set, where it is at hand; what the old bundle held out is judged too.
        observer: whose word counts.
        device: as for :class:`Detector`.
        progress: told the case and the fraction done.

    Raises:
        LandmarkDetectorError: store, data or device are not usable.
    """
    pipeline = read_pipeline(new.settings, new.name)
    before, after = old.split(), new.split()
    dataset = None if data is None else read_dataset(data)
    taught = trained_on(store, before, dataset) | trained_on(store, after)
    kept = {*before.get("locked", ()), *after.get("locked", ())}
    material = gather(store, pipeline.labels, observer=observer, trained=taught, locked=kept)
    seen_before, seen_after = set(before.get("reviewed", ())), set(after.get("reviewed", ()))
    # Whoever shares a subject or a family with what was learnt is not unseen, under whatever name the image came.
    taught |= {word for lesson in material.lessons if lesson.case in taught for word in group_of(store, lesson.case)}
    judged = material.cases(store, pipeline, LOCKED)
    others = material.cases(store, pipeline, TRAINING)
    newly = [case for case in others if case.subject in seen_after - seen_before]
    # What is on the training side and was reviewed since has trained neither.
    unseen, notices = readable([case for case in (*judged, *others) if not _known(store, case, taught)])
    trained, said = readable(newly)
    notices += said + material.unfit(store, pipeline)
    earlier = [case.subject in set(before.get("locked", ())) for case in unseen]
    cases: list[Case] = list(unseen)
    names = [case.subject for case in unseen]
    groups = [case.family for case in unseen]
    if dataset is not None:
        taken = [lesson.case for lesson in material.lessons]
        for known in held_out_beside(store, dataset, (before, after), taken, taught):
            codes = codes_of(store, (known.subject, known.family))
            cases.append(known)
            names.append(store.pseudonym("subject", known.subject))
            # One subject is one witness, whether its images come from the store or from the data.
            same = (case.family for case in unseen if codes & set(group_of(store, case.subject)))
            groups.append(next(same, store.pseudonym("family", known.family)))
            earlier.append(True)
    detectors = Detector(old, device).uncalibrated(), Detector(new, device).uncalibrated()
    total = max(1, len(cases) + len(trained))

    def told(number: int, name: str) -> None:
        if progress is not None:
            progress(f"comparing on {name}", number / total)

    passed = material.let_pass()
    if passed is None:
        stated = old.card.errors
        passed = stated.median if stated is not None else 0.0
    first = _beside(cases, names, groups, earlier, detectors, pipeline, passed, told)
    second = _beside(
        trained,
        [case.subject for case in trained],
        [case.family for case in trained],
        [False] * len(trained),
        detectors,
        pipeline,
        passed,
        lambda n, name: told(len(cases) + n, name),
    )
    return Judged(first, second, material, passed, tuple(notices))


def _known(store: ReviewStore, case: ReviewedCase, taught: set[str]) -> bool:
    """Whether a case, or another one of its subject or family, has trained one of the bundles."""
    return bool({case.subject, *group_of(store, case.subject)} & taught)


def _beside(
    cases: Sequence[Case],
    names: Sequence[str],
    groups: Sequence[str],
    earlier: Sequence[bool],
    detectors: tuple[Detector, Detector],
    pipeline: Pipeline,
    passed: float,
    told: Callable[[int, str], None],
) -> Beside:
    found: tuple[list[LandmarkSet], list[LandmarkSet]] = ([], [])
    units = []
    for number, case in enumerate(cases):
        told(number, names[number])
        image = case.image()
        units.append(pipeline.unit(image.grid))
        for detector, rows in zip(detectors, found, strict=True):
            rows.append(detector.detect(image).landmarks.reordered(pipeline.labels))
    truths = [case.landmarks.reordered(pipeline.labels) for case in cases]
    return Beside(
        tuple(cases),
        tuple(names),
        tuple(groups),
        tuple(truths),
        tuple(found[0]),
        tuple(found[1]),
        np.array(units),
        np.array(earlier, dtype=bool),
        tuple(pipeline.labels),
        passed
        * np.array([label in _confirmed(case) for case in cases for label in pipeline.labels]).reshape(
            len(cases), len(pipeline.labels)
        ),
    )


def _confirmed(case: Case) -> frozenset[str]:
    return case.confirmed if isinstance(case, ReviewedCase) else frozenset()
