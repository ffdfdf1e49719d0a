"""Models on the same cases: bundles, cross-validations and files of results are read, paired and compared.

A case is paired by its subject and the name of its image, or, where a file of results does not name images, by its
place among the images of its subject.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import DatasetError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.evaluation import radial_errors
from LandmarkDetectorLib.evaluation.standing import Standing, stand
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle, folds_of, notice_of_training
from LandmarkDetectorLib.inference.evaluation_page import fitting_radii

Progress = Callable[[str, float], None]
MISSED = "missed"
Key = tuple[str, str | int]
"""Subject, and the name of the image or its number among the subject's."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What is known of a model on some cases.

    Attributes:
        name: as tables call it.
        labels: the K landmarks that were judged.
        unit: of the errors.
        subjects: of each of N rows.
        images: the name of each row's image, where it is known.
        errors: (N, K): NaN not annotated, +inf missed.
        found: (N, K, d) positions, NaN where not found; None where a file of results does not hold them.
        about: what it is, in words.
        notices: what a person must know of it.
    """

    name: str
    labels: tuple[str, ...]
    unit: str
    subjects: tuple[str, ...]
    images: tuple[str, ...] | None
    errors: np.ndarray
    found: np.ndarray | None = None
    about: str = ""
    notices: Sequence[str] = ()

    def keys(self, by_image: bool) -> list[Key]:
        """What each row is paired by."""
        if by_image:
            assert self.images is not None
            return list(zip(self.subjects, self.images, strict=True))
        seen: Counter[str] = Counter()
        keys: list[Key] = []
        for subject in self.subjects:
            keys.append((subject, seen[subject]))
            seen[subject] += 1
        return keys


@dataclass(frozen=True, eq=False)
class ComparedModels:
    """A comparison, what the models are, and what the person must know."""

    standing: Standing
    about: Mapping[str, str]
    notices: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {"about": dict(self.about), **self.standing.to_json(), "notices": list(self.notices)}


def compare(
    candidates: Sequence[str | Path],
    data: Path | str | None = None,
    *,
    subjects: str = "held-out",
    device: str = "auto",
    progress: Progress | None = None,
) -> ComparedModels:
    """Compare models on the cases that all of them were judged on.

    Args:
        candidates: each a bundle's name or folder, the folder of a cross-validation (``fold-0/NAME``, ...: every case
            is judged by the bundle that held it out), or a file of results (of ``evaluate --json``, or of
            ``benchmarks/cross_validate.py``). The first is what the others are compared with.
        data: a folder with a ``dataset.json``; bundles are run on it, observers are read from it.
        subjects: as for :func:`~LandmarkDetectorLib.inference.evaluate.evaluate_bundle`.
        device: as for :class:`Detector`.
        progress: called with a sentence and the fraction done.

    Raises:
        DatasetError: no data for a bundle, a file that holds no results, or nothing in common.
        LandmarkDetectorError: a bundle or the data are not usable, or the models were judged on other annotations.
    """
    if len(candidates) < 2:
        raise DatasetError("A comparison needs two models or more; give two bundles or files of results.")
    # Files first: what is wrong with one is said before a bundle has run for minutes.
    files = {n: read_results(Path(one)) for n, one in enumerate(candidates) if _is_results(Path(one))}
    judged = []
    for number, candidate in enumerate(candidates):

        def step(words: str, fraction: float, number: int = number, candidate: str | Path = candidate) -> None:
            if progress is not None:
                progress(f"{Path(candidate).name}: {words}", (number + fraction) / len(candidates))

        judged.append(files[number] if number in files else _judged(candidate, data, subjects, device, step))
    judged = _named_apart(judged)
    labels, unit, notices = _in_common(judged)
    keys, notices_of_cases, by_image = _paired(judged)
    notices += notices_of_cases
    notices += [sentence for one in judged for sentence in one.notices]
    errors, found = {}, {}
    for one in judged:
        rows = {key: row for row, key in enumerate(one.keys(by_image))}
        order = [rows[key] for key in keys]
        columns = [one.labels.index(label) for label in labels]
        errors[one.name] = one.errors[np.ix_(order, columns)]
        if one.found is not None:
            found[one.name] = one.found[np.ix_(order, columns)]
    observers, said = _observers(data, keys, by_image, labels, unit)
    notices += said
    radii = fitting_radii(np.concatenate(list(errors.values())), unit)
    standing = stand(errors, labels, unit, [s for s, _ in keys], radii, observers=observers, found=found)
    return ComparedModels(standing, {one.name: one.about for one in judged}, notices)


def read_results(path: Path) -> Judged:
    """The errors in a file of results.

    Raises:
        DatasetError: the file is not there, or holds none.
    """
    if not path.is_file():
        raise DatasetError(f"There is no file {path.name}; give one that evaluate --json has written.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folds = content.get("folds", [content])
        cases = [case for fold in folds for case in fold["cases"]]
        labels = tuple(cases[0]["errors"])
        value = {None: np.nan, MISSED: np.inf}
        errors = [[value.get(case["errors"][lb], case["errors"][lb]) for lb in labels] for case in cases]
        unit = folds[0]["summary"]["unit"]
        images = tuple(str(case["image"]) for case in cases) if all("image" in case for case in cases) else None
        subjects = tuple(str(case["subject"]) for case in cases)
        numbers = np.array(errors, dtype=np.float64)
        found = _positions(cases, labels) if all("found" in case for case in cases) else None
        on_all = any(fold.get("subjects") == "all" for fold in folds)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DatasetError(
            f"{path.name} holds no results of evaluate --json or of a cross-validation ({error!r}); choose another."
        ) from error
    first = folds[0]
    words = [str(first[key]) for key in ("bundle", "version") if key in first]
    about = f"results in {path.name}" + (f" of {' '.join(words)}" if words else "")
    notices = [f"{path.name} judges all subjects: of those that trained, its figures are too good."] if on_all else []
    return Judged(path.name.removesuffix(".json"), labels, unit, subjects, images, numbers, found, about, notices)


def _positions(cases: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray | None:
    """(N, K, d), NaN where not found; None where nothing was found in any case."""
    places = [[case["found"][label] for label in labels] for case in cases]
    d = next((len(place) for row in places for place in row if place is not None), None)
    if d is None:
        return None
    return np.array([[[np.nan] * d if place is None else place for place in row] for row in places], dtype=np.float64)


def _is_results(path: Path) -> bool:
    return path.suffix == ".json" and not path.is_dir()


def _judged(candidate: str | Path, data: Path | str | None, subjects: str, device: str, step: Progress) -> Judged:
    path = Path(candidate)
    folds = folds_of(path)
    if data is None:
        raise DatasetError(f"{path.name} is a bundle and there are no images to run it on; add --data.")
    bundles = [load_bundle(folder) for folder in folds] if folds else [load_bundle(candidate)]
    labels = bundles[0].labels
    pairs: list[tuple[Case, LandmarkSet]] = []
    for number, bundle in enumerate(bundles):

        def listen(words: str, fraction: float, number: int = number) -> None:
            step(words, (number + fraction) / len(bundles))

        def keep(case: Case, landmarks: LandmarkSet) -> None:
            pairs.append((case, landmarks.reordered(labels)))

        chosen = "held-out" if folds else subjects  # of a fold, the others trained
        evaluate_bundle(bundle, data, subjects=chosen, device=device, progress=listen, keep=keep)
    d = next((d for case, marks in pairs for d in (case.landmarks.dimension, marks.dimension) if d), 2)
    nowhere = np.full((len(labels), d), np.nan)
    first = bundles[0]
    of = f"{len(bundles)} folds of " if folds else ""
    return Judged(
        path.name if folds else first.name,
        tuple(labels),
        pairs[0][1].unit,
        tuple(case.subject for case, _ in pairs),
        tuple(case.image_path.name for case, _ in pairs),
        np.array([radial_errors(marks, case.landmarks.reordered(labels)) for case, marks in pairs]),
        np.array([marks.positions if marks.dimension == d else nowhere for _, marks in pairs]),
        f"{of}{first.name} {first.version}, {first.card.title}" + ("" if folds else f", {first.fingerprint[:12]}"),
        () if folds else notice_of_training(first, [case.subject for case, _ in pairs]),
    )


def _named_apart(judged: list[Judged]) -> list[Judged]:
    """Each under a name of its own."""
    seen: Counter[str] = Counter()
    repeated = Counter(one.name for one in judged)
    named = []
    for one in judged:
        seen[one.name] += 1
        named.append(replace(one, name=f"{one.name} ({seen[one.name]})") if repeated[one.name] > 1 else one)
    return named


def _in_common(judged: Sequence[Judged]) -> tuple[tuple[str, ...], str, list[str]]:
    first = judged[0]
    for one in judged[1:]:
        if one.unit != first.unit:
            raise DatasetError(
                f"{first.name} was judged in {first.unit} and {one.name} in {one.unit}; judge both in one unit."
            )
    labels = tuple(label for label in first.labels if all(label in one.labels for one in judged))
    if not labels:
        raise DatasetError("The models have no landmark in common; compare models of the same landmarks.")
    left = sorted({label for one in judged for label in one.labels} - set(labels))
    some = counted(len(left), "landmark")
    said = [f"Left out, for only some of the models find them: {some} ({left[0]!r}, ...)."] if left else []
    return labels, first.unit, said


def _paired(judged: Sequence[Judged]) -> tuple[list[Key], list[str], bool]:
    """The cases that all models were judged on, in the order of the first; and what was left out."""
    by_image = all(one.images is not None for one in judged)
    counts = [Counter(one.subjects) for one in judged]
    unclear: set[str] = set()
    if not by_image:
        shared = set.intersection(*(set(count) for count in counts))
        unclear = {subject for subject in shared if len({count[subject] for count in counts}) > 1}
    every = [set(one.keys(by_image)) for one in judged]
    keys = [key for key in judged[0].keys(by_image) if all(key in rows for rows in every) and key[0] not in unclear]
    if not keys:
        raise DatasetError("The models were judged on no case in common; judge them on the same subjects.")
    notices = []
    lost = len(set.union(*every)) - len(keys)
    if lost:
        notices.append(f"All models were judged on {counted(len(keys), 'case')}; left out: {lost}.")
    if unclear:
        notices.append(
            f"Of {counted(len(unclear), 'subject')} ({sorted(unclear)[0]}, ...) the models were judged on different "
            "numbers of images, and a file of results does not say on which: these subjects are left out."
        )
    return keys, notices, by_image


def _observers(
    data: Path | str | None, keys: Sequence[Key], by_image: bool, labels: Sequence[str], unit: str
) -> tuple[dict[str, np.ndarray] | None, list[str]]:
    """Each observer's positions (N, K, d) on the cases; nothing where fewer than two annotated."""
    if data is None:
        return None, []
    cases = read_dataset(data).cases
    if not any(len(case.raters) > 1 for case in cases):
        return None, []
    count, seen = Counter(case.subject for case in cases), Counter[str]()
    at: dict[Key, Case] = {}
    for case in cases:
        at[case.subject, case.image_path.name if by_image else seen[case.subject]] = case
        seen[case.subject] += 1
    rows = Counter(subject for subject, _ in keys)
    if not all(key in at for key in keys) or (not by_image and any(rows[s] != count[s] for s in rows)):
        return None, ["The observers are left out: the data set does not hold the cases that were judged."]
    chosen = [at[key] for key in keys]
    names = sorted({name for case in chosen for name in case.raters})
    if len(names) < 2 or any(marks.unit != unit for case in chosen for marks in case.raters.values()):
        return None, []
    d = next(case.landmarks.dimension for case in chosen if case.landmarks.dimension)
    nobody = np.full((len(labels), d), np.nan)

    def places(case: Case, name: str) -> np.ndarray:
        marks = case.raters[name].reordered(labels) if name in case.raters else None
        return nobody if marks is None or marks.dimension != d else marks.positions

    return {name: np.array([places(case, name) for case in chosen]) for name in names}, []
